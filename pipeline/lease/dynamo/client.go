package dynamo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/smithy-go/logging"

	"github.com/shardlake/shardlake/internal/awsnet"
)

// use returns the client, which the first call makes, and a function that makes
// its credentials' cache ask again.
func (s *Store) use(ctx context.Context) (*dynamodb.Client, func(), error) {
	if s.cfg.Client != nil {
		return s.cfg.Client, func() {}, nil
	}
	s.mu.Lock()
	client, forget := s.client, s.forget
	s.mu.Unlock()
	if client != nil {
		return client, forget, nil
	}
	// Made outside of the lock: reading the configuration may take its time, and
	// two first calls may both do it.
	client, forget, err := s.connect(ctx)
	if err != nil {
		return nil, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client == nil {
		s.client, s.forget = client, forget
	}
	return s.client, s.forget, nil
}

func (s *Store) connect(ctx context.Context) (*dynamodb.Client, func(), error) {
	var opts []func(*config.LoadOptions) error
	if s.cfg.Region != "" {
		opts = append(opts, config.WithRegion(s.cfg.Region))
	}
	if s.cfg.Credentials != nil {
		opts = append(opts, config.WithCredentialsProvider(s.cfg.Credentials))
	}
	// The SDK's own client is given even if another one replaces it below: the
	// environment may ask for settings, and credentials may come over the network.
	opts = append(opts, config.WithHTTPClient(newHTTPClient()))
	conf, err := config.LoadDefaultConfig(ctx, opts...)
	if profile, ok := errors.AsType[config.SharedConfigProfileNotExistError](err); ok {
		return nil, nil, &mistake{fmt.Errorf("%w: correct AWS_PROFILE or the shared configuration file", profile)}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("load the configuration of the AWS SDK: %w", err)
	}
	if conf.Region == "" {
		if s.cfg.Endpoint == "" {
			return nil, nil, &mistake{errors.New("no region is known: set Config.Region or AWS_REGION")}
		}
		conf.Region = fallbackRegion // servers that speak the protocol mostly do not care
	}
	if s.cfg.HTTPClient != nil {
		conf.HTTPClient = s.cfg.HTTPClient
	}
	cache, ok := conf.Credentials.(*aws.CredentialsCache)
	if !ok && conf.Credentials != nil {
		cache = aws.NewCredentialsCache(conf.Credentials)
		conf.Credentials = cache
	}
	forget := func() {}
	if cache != nil {
		forget = cache.Invalidate
	}
	var wrong error
	client := dynamodb.NewFromConfig(conf, func(o *dynamodb.Options) {
		if s.cfg.Endpoint != "" {
			o.BaseEndpoint = aws.String(s.cfg.Endpoint)
		} else if o.BaseEndpoint != nil { // of the environment
			if err := awsnet.CheckEndpoint(*o.BaseEndpoint, s.cfg.AllowHTTP); err != nil {
				wrong = &mistake{err}
			}
		}
		o.HTTPClient = awsnet.OwnBody{Next: o.HTTPClient}
		o.Logger = quiet{s.cfg.Log}
	})
	return client, forget, wrong
}

const fallbackRegion = "us-east-1"

// mistake is an error of the configuration, which no repetition helps.
type mistake struct{ err error }

func (m *mistake) Error() string { return m.err.Error() }
func (m *mistake) Unwrap() error { return m.err }

// newHTTPClient has room for the heartbeats of many lanes, and a bound on every
// silence.
func newHTTPClient() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConns, t.MaxIdleConnsPerHost = 0, 64
		t.ResponseHeaderTimeout = callTimeout
		t.IdleConnTimeout = 60 * time.Second
	})
}

// once keeps the SDK from repeating a call: the store does it, and looks for traces
// of the earlier attempts.
func once(o *dynamodb.Options) { o.Retryer = aws.NopRetryer{} }

// quiet gives the SDK's own remarks to our log, instead of standard error.
type quiet struct{ log *slog.Logger }

// Logf passes a remark on.
func (q quiet) Logf(c logging.Classification, format string, v ...any) {
	q.log.Debug("aws sdk", "kind", string(c), "says", fmt.Sprintf(format, v...))
}
