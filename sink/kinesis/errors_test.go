package kinesis_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/shardlake/shardlake/sink/kinesis"
	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

// A record that no stream takes is told apart from a stream that takes none.
func TestRecordsThatCannotBePut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, kinesistest.Config{}, 1)
		cfg := config(srv)
		cfg.MaxRecord = 1000
		p := producer(t, cfg)
		for _, test := range []struct {
			key, data, want string
		}{
			{"", "x", "empty"}, {strings.Repeat("k", 257), "x", "257 characters"}, {"a\xff", "x", "UTF-8"}, {"key", strings.Repeat("x", 998), "MaxRecord"},
		} {
			err := p.Put(t.Context(), test.key, []byte(test.data))
			if refused, ok := errors.AsType[*kinesis.RecordError](err); !ok || !strings.Contains(err.Error(), test.want) || refused.Bytes != len(test.key)+len(test.data) {
				t.Errorf("key %q: %v", test.key, err)
			}
		}
		for _, key := range []string{strings.Repeat("é", 256), "k"} {
			if err := p.Put(t.Context(), key, bytes.Repeat([]byte("x"), 1000-len(key))); err != nil {
				t.Error(err)
			}
		}
		flush(t, p)
		if got := stream(t, srv); len(got) != 2 {
			t.Errorf("%d records", len(got))
		}
	})
}

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }

// What a person has to mend ends the producer soon, and says how.
func TestErrorsNameTheRemedy(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*kinesistest.Server, *kinesis.Config)
		want   string
	}{
		"no such stream": {func(_ *kinesistest.Server, c *kinesis.Config) { c.Stream = "ou" }, "look at the name, the region"},
		"no permission": {func(s *kinesistest.Server, c *kinesis.Config) {
			s.Fault(kinesistest.Fault{Op: "PutRecords", Kind: kinesistest.AccessDenied})
		}, "allow kinesis:PutRecords"},
		"no permission to list": {func(s *kinesistest.Server, c *kinesis.Config) {
			c.Aggregate = true
			s.Fault(kinesistest.Fault{Op: "ListShards", Kind: kinesistest.AccessDenied})
		}, "allow kinesis:ListShards"},
		"wrong credentials": {func(s *kinesistest.Server, c *kinesis.Config) {
			s.Fault(kinesistest.Fault{Kind: kinesistest.ErrorAnswer, Code: "UnrecognizedClientException"})
		}, "AWS_PROFILE"},
		"a key of KMS": {func(s *kinesistest.Server, c *kinesis.Config) {
			s.Fault(kinesistest.Fault{Kind: kinesistest.ErrorAnswer, Code: "KMSAccessDeniedException"})
		}, "kms:GenerateDataKey"},
		"the wrong MaxRecord": {func(s *kinesistest.Server, c *kinesis.Config) { c.MaxRecord = 10 << 20 }, "UpdateMaxRecordSize"},
		"nothing there": {func(s *kinesistest.Server, c *kinesis.Config) {
			c.HTTPClient = doer(func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })
		}, "look at the endpoint"},
		"no credentials": {func(s *kinesistest.Server, c *kinesis.Config) {
			c.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, errors.New("none") })
		}, "there are no credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := service(t, kinesistest.Config{}, 1)
				cfg := config(srv)
				test.change(srv, &cfg)
				p := producer(t, cfg)
				began := time.Now()
				err := p.Put(t.Context(), "key", make([]byte, 1<<20))
				if refused, ok := errors.AsType[*kinesis.RecordError](err); ok && cfg.MaxRecord == 0 {
					err = p.Put(t.Context(), "key", make([]byte, refused.Bytes-10))
				}
				if err == nil {
					err = p.Flush(t.Context())
				}
				if err == nil || !strings.Contains(err.Error(), test.want) || time.Since(began) > time.Minute {
					t.Errorf("after %v: %v", time.Since(began), err)
				}
				if again := p.Put(t.Context(), "key", nil); again == nil || again.Error() != err.Error() {
					t.Error("afterwards:", again)
				}
			})
		})
	}
}

func TestMistakesOfConfiguration(t *testing.T) {
	_, err := kinesis.NewProducer(kinesis.Config{Stream: "a b", Endpoint: "http://example.com", MaxRecord: 11 << 20, Requests: 101, Buffer: 1})
	for _, want := range []string{"Stream", "Endpoint", "MaxRecord", "Requests", "Buffer"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not named: %v", want, err)
		}
	}
}
