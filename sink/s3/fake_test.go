package s3_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/s3"
)

// service answers requests from a script, in memory.
type service struct {
	answer func(n int, r *http.Request, body string) *http.Response // n counts from 1; nil: no answer

	mu   sync.Mutex
	n    int
	seen []*http.Request
}

func (s *service) Do(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		if err := r.Body.Close(); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	s.n++
	n := s.n
	s.seen = append(s.seen, r)
	s.mu.Unlock()
	a := s.answer(n, r, string(body))
	if a == nil {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	a.Request = r
	return a, nil
}

func (s *service) last() *http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[len(s.seen)-1]
}

func (s *service) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

// reply is an answer with headers given as pairs.
func reply(status int, body string, pairs ...string) *http.Response {
	h := http.Header{}
	for i := 0; i+1 < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), ProtoMajor: 1, ProtoMinor: 1}
}

// failure is an error document.
func failure(status int, code string) *http.Response {
	return reply(status, "<?xml version=\"1.0\"?><Error><Code>"+code+"</Code><Message>it said so</Message></Error>")
}

// with returns a store that talks to a script.
func with(t *testing.T, c s3.Config, answer func(n int, r *http.Request, body string) *http.Response) (*s3.Store, *service) {
	t.Helper()
	svc := &service{answer: answer}
	c.Bucket, c.HTTPClient = "lake", svc
	if c.Credentials == nil {
		c.Credentials = credentials.NewStaticCredentialsProvider("key", "secret", "")
	}
	if c.AWS == nil {
		c.AWS = noFiles
	}
	s := s3.Bucket(c)
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	return s, svc
}

// noFiles keeps tests away from the environment.
func noFiles(context.Context) (aws.Config, error) { return aws.Config{}, nil }

// calls names each method of a store that asks the service.
var calls = map[string]func(ctx context.Context, s sink.Store) error{
	"Create": func(ctx context.Context, s sink.Store) error {
		_, err := s.Create(ctx, "raw/x", map[string]string{"sl-commit": "1"})
		return err
	},
	"PutPart": func(ctx context.Context, s sink.Store) error {
		_, err := s.PutPart(ctx, "raw/x", "u", 1, sink.NewChunks([]byte("hello")))
		return err
	},
	"Complete": func(ctx context.Context, s sink.Store) error {
		return s.Complete(ctx, "raw/x", "u", []sink.Part{{N: 1, ETag: `"e"`, Size: 5, CRC: 1}})
	},
	"Abort": func(ctx context.Context, s sink.Store) error { return s.Abort(ctx, "raw/x", "u") },
	"Parts": func(ctx context.Context, s sink.Store) error {
		_, err := s.Parts(ctx, "raw/x", "u")
		return err
	},
	"Uploads": func(ctx context.Context, s sink.Store) error {
		for _, err := range s.Uploads(ctx, "raw/") {
			if err != nil {
				return err
			}
		}
		return nil
	},
	"Head": func(ctx context.Context, s sink.Store) error {
		_, err := s.Head(ctx, "raw/x")
		return err
	},
}

// fine answers any of calls.
func fine(_ int, r *http.Request, _ string) *http.Response {
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodPost && q.Has("uploads"):
		return reply(200, "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>")
	case r.Method == http.MethodPost:
		return reply(200, `<CompleteMultipartUploadResult><ETag>"whole"</ETag></CompleteMultipartUploadResult>`)
	case r.Method == http.MethodGet && q.Has("uploads"):
		return reply(200, "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>")
	case r.Method == http.MethodGet:
		return reply(200, "<ListPartsResult><IsTruncated>false</IsTruncated></ListPartsResult>")
	case r.Method == http.MethodDelete:
		return reply(204, "")
	}
	return reply(200, "", "ETag", fmt.Sprintf("%q", q.Get("partNumber")), "Content-Length", "0")
}
