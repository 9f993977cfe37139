package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/shardlake/shardlake/internal/awsnet"
	"github.com/shardlake/shardlake/sink"
)

// maxIdle is the number of connections kept open to one host. The standard of 10
// makes a task with many open files shake hands all the time.
const maxIdle = 256

// use returns the client, which the first call makes, and a function that makes
// its credentials' cache ask again.
func (s *Store) use(ctx context.Context) (*awss3.Client, func(), error) {
	s.mu.Lock()
	client, forget, region := s.client, s.forget, s.region
	s.mu.Unlock()
	if client != nil {
		return client, forget, nil
	}
	// Made outside of the lock: reading the configuration may take its time, and
	// two first calls may both do it.
	client, forget, err := s.connect(ctx, region)
	if err != nil {
		return nil, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client == nil && s.region == region {
		s.client, s.forget = client, forget
	}
	return client, forget, nil
}

// connect makes a client. region is what the service said, if it did.
func (s *Store) connect(ctx context.Context, region string) (*awss3.Client, func(), error) {
	conf, err := s.load(ctx)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case s.cfg.Region != "":
		conf.Region = s.cfg.Region
	case region != "":
		conf.Region = region
	case conf.Region == "":
		// Compatible stores mostly do not care, and Amazon S3 answers with the right
		// one.
		conf.Region = fallbackRegion
	}
	if s.cfg.Credentials != nil {
		conf.Credentials = s.cfg.Credentials
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
	var mistake error
	client := awss3.NewFromConfig(conf, func(o *awss3.Options) {
		if s.cfg.Endpoint != "" {
			o.BaseEndpoint = aws.String(s.cfg.Endpoint)
		}
		o.UsePathStyle = o.BaseEndpoint != nil
		if s.cfg.Options != nil {
			s.cfg.Options(o)
		}
		if o.BaseEndpoint != nil {
			mistake = awsnet.CheckEndpoint(*o.BaseEndpoint, s.cfg.AllowHTTP)
		}
		// The store repeats calls itself, with a time for each attempt.
		o.Retryer = aws.NopRetryer{}
		o.RetryMaxAttempts = 0
		// With "supported" the SDK would put a checksum into a trailer of a chunked
		// body wherever it finds none.
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		o.HTTPClient = awsnet.OwnBody{Next: o.HTTPClient}
	})
	if mistake != nil {
		return nil, nil, fmt.Errorf("s3: bucket %s: %w: %w", s.cfg.Bucket, sink.ErrRefused, mistake)
	}
	return client, forget, nil
}

func (s *Store) load(ctx context.Context) (aws.Config, error) {
	if s.cfg.AWS != nil {
		conf, err := s.cfg.AWS(ctx)
		if err != nil {
			return aws.Config{}, fmt.Errorf("s3: bucket %s: Config.AWS: %w", s.cfg.Bucket, err)
		}
		if s.cfg.HTTPClient != nil {
			conf.HTTPClient = s.cfg.HTTPClient
		} else if conf.HTTPClient == nil {
			conf.HTTPClient = newHTTPClient()
		}
		return conf, nil
	}
	// The SDK's own client is needed even if another one replaces it below: the
	// environment may ask for settings, and credentials may come over the network.
	options := []func(*config.LoadOptions) error{config.WithHTTPClient(newHTTPClient())}
	if s.cfg.Region != "" {
		options = append(options, config.WithRegion(s.cfg.Region))
	}
	if s.cfg.Credentials != nil {
		options = append(options, config.WithCredentialsProvider(s.cfg.Credentials))
	}
	conf, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		err = fmt.Errorf("s3: bucket %s: load the configuration of the AWS SDK: %w", s.cfg.Bucket, err)
		var profile config.SharedConfigProfileNotExistError
		if errors.As(err, &profile) {
			err = fmt.Errorf("%w: %w: correct AWS_PROFILE or the shared configuration file", err, sink.ErrRefused)
		}
		return aws.Config{}, err
	}
	if s.cfg.HTTPClient != nil {
		conf.HTTPClient = s.cfg.HTTPClient
	}
	return conf, nil
}

// newHTTPClient returns a client whose settings, such as AWS_CA_BUNDLE, the SDK
// can still change.
func newHTTPClient() *awshttp.BuildableClient {
	return awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConns = 2 * maxIdle
		t.MaxIdleConnsPerHost = maxIdle
	})
}

// move makes the next call use another region, if the service named one that the
// Config does not contradict. It reports whether a repetition makes sense.
func (s *Store) move(region string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if region == "" || s.cfg.Region != "" || s.cfg.Endpoint != "" || strings.EqualFold(region, s.region) {
		return false
	}
	s.region, s.client, s.forget = region, nil, nil
	return true
}
