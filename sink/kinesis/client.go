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
)

// connect makes the SDK client on first use: loading credentials may ask the
// network, which no constructor does. r.making is held.
func (r *remote) connect(ctx context.Context) (*kinesis.Client, error) {
	if r.client != nil {
		return r.client, nil
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

// defaultHTTP has room for the requests of many lanes and a bound on a silence.
func defaultHTTP() aws.HTTPClient {
	return awshttp.NewBuildableClient().WithDialerOptions(func(d *net.Dialer) { d.Timeout = 5 * time.Second }).WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConns, t.MaxIdleConnsPerHost = 0, 256
		t.ResponseHeaderTimeout = 20 * time.Second
		t.IdleConnTimeout = 60 * time.Second
	})
}

// quiet gives the SDK's own remarks to our log, instead of standard error.
type quiet struct{ log *slog.Logger }

// Logf logs a remark of the SDK.
func (q quiet) Logf(c logging.Classification, format string, v ...any) {
	q.log.Debug("aws sdk", "kind", string(c), "says", fmt.Sprintf(format, v...))
}

// ownBody keeps apart a request's body and what the SDK does with it. The SDK
// closes the body as soon as Do returns, while net/http may still ask for its end,
// takes that for a failed write, and closes the connection under the answer that
// is being read ("use of closed network connection", upstream aws-sdk-go-v2 #1825,
// #2737): the records would be there twice. Small bodies are copied; a large one
// ends after its announced length without being asked again.
type ownBody struct{ next aws.HTTPClient }

const smallBody = 64 << 10

// Do sends a request.
func (c ownBody) Do(req *http.Request) (*http.Response, error) {
	if req.Body == nil || req.Body == http.NoBody || req.ContentLength <= 0 {
		return c.next.Do(req)
	}
	own := req.WithContext(req.Context()) // a shallow copy
	if req.ContentLength > smallBody {
		own.Body = &exact{req.Body, req.ContentLength}
		return c.next.Do(own)
	}
	b := make([]byte, req.ContentLength)
	if _, err := io.ReadFull(req.Body, b); err != nil {
		return nil, fmt.Errorf("read the body of a request: %w", err)
	}
	own.Body = io.NopCloser(bytes.NewReader(b))
	own.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
	return c.next.Do(own)
}

// exact ends after the announced length without asking the body again.
type exact struct {
	io.ReadCloser
	left int64
}

// Read reads what is left of the announced length.
func (e *exact) Read(b []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n, err := e.ReadCloser.Read(b[:min(int64(len(b)), e.left)])
	if e.left -= int64(n); e.left == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}
