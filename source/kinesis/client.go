package kinesis

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/smithy-go/logging"

	"github.com/shardlake/shardlake/source/kinesis/internal/wire"
)

// connect makes the SDK client on first use: loading credentials may ask the
// network, which no constructor does.
func (r *reader) connect(ctx context.Context) (*kinesis.Client, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.client != nil {
		return r.client, nil
	}
	if r.read = wire.JSON; r.cfg.CBOR {
		r.read = wire.CBOR(r.cfg.Log)
	}
	if r.cfg.Client != nil {
		r.client = r.cfg.Client
		return r.client, nil
	}
	var opts []func(*config.LoadOptions) error
	if r.cfg.Region != "" {
		opts = append(opts, config.WithRegion(r.cfg.Region))
	}
	if r.cfg.Credentials != nil {
		opts = append(opts, config.WithCredentialsProvider(r.cfg.Credentials))
	}
	cfg, err := config.LoadDefaultConfig(ctx, opts...)
	if err != nil {
		return nil, fmt.Errorf("kinesis: load the AWS configuration: %w", err)
	}
	if cfg.Region == "" {
		return nil, fmt.Errorf("kinesis: no region: set AWS_REGION or Config.Region")
	}
	client := r.cfg.HTTPClient
	if client == nil {
		client = defaultHTTP()
	}
	r.client = kinesis.NewFromConfig(cfg, func(o *kinesis.Options) {
		o.HTTPClient = ownBody{client}
		o.Logger = quiet{r.cfg.Log}
		if r.cfg.Endpoint != "" {
			o.BaseEndpoint = aws.String(r.cfg.Endpoint)
		}
	})
	return r.client, nil
}

// defaultHTTP has room for many shards and a bound on every silence.
func defaultHTTP() aws.HTTPClient {
	return awshttp.NewBuildableClient().WithDialerOptions(func(d *net.Dialer) { d.Timeout = 5 * time.Second }).WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConns, t.MaxIdleConnsPerHost = 0, 256
		t.ResponseHeaderTimeout = 20 * time.Second
		t.IdleConnTimeout = 60 * time.Second
		// What a subscription may send ahead of its lane. By default it is 4 MiB, which a
		// hundred shards that wait would hold beyond any budget.
		t.HTTP2 = &http.HTTP2Config{MaxReceiveBufferPerStream: 512 << 10, SendPingTimeout: 15 * time.Second}
	})
}

// quiet gives the SDK's own remarks to our log, instead of standard error.
type quiet struct{ log *slog.Logger }

func (q quiet) Logf(c logging.Classification, format string, v ...any) {
	q.log.Debug("aws sdk", "kind", string(c), "says", fmt.Sprintf(format, v...))
}

// ownBody gives each small request a body of its own. The SDK closes a request's
// body as soon as Do returns, while net/http may still be at its end; that closes
// the connection under the answer that is being read ("use of closed network
// connection", upstream aws-sdk-go-v2 #1825, #2737). Copied bodies end it.
type ownBody struct{ next aws.HTTPClient }

const smallBody = 64 << 10

func (c ownBody) Do(req *http.Request) (*http.Response, error) {
	if req.Body == nil || req.ContentLength <= 0 || req.ContentLength > smallBody {
		return c.next.Do(req)
	}
	b, err := io.ReadAll(io.LimitReader(req.Body, smallBody))
	if err != nil {
		return nil, err
	}
	own := req.Clone(req.Context())
	own.Body = io.NopCloser(bytes.NewReader(b))
	own.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
	return c.next.Do(own)
}
