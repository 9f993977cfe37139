package kinesis

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/smithy-go/logging"

	"github.com/shardlake/shardlake/internal/awsnet"
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
	var mistake error
	c := kinesis.NewFromConfig(cfg, func(o *kinesis.Options) {
		o.HTTPClient = awsnet.OwnBody{Next: client}
		o.Logger = quiet{r.cfg.Log}
		if r.cfg.Endpoint != "" {
			o.BaseEndpoint = aws.String(r.cfg.Endpoint)
		}
		// Config.Endpoint was checked; one of the environment was not.
		if o.BaseEndpoint != nil {
			mistake = awsnet.CheckEndpoint(*o.BaseEndpoint, r.cfg.AllowHTTP)
		}
	})
	if mistake != nil {
		return nil, fmt.Errorf("kinesis: %w", mistake)
	}
	r.client = c
	return c, nil
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
