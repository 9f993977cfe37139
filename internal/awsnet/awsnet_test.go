package awsnet_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/shardlake/shardlake/internal/awsnet"
)

func TestEndpoints(t *testing.T) {
	for endpoint, want := range map[string]string{
		"https://kinesis.eu-west-1.amazonaws.com": "", "http://127.0.0.1:4566": "", "http://localhost": "", "http://[::1]:80": "",
		"http://203.0.113.1:4567": "in the clear", "http://localhost.example.com": "in the clear",
		"ftp://host": "not a URL like", "kinesis:4567": "not a URL like", "http://": "not a URL like", "": "not a URL like",
		"https://user:secret@host": "has a user", "https://host/?x=1": "has a user", "https://host:port": "not a URL",
	} {
		err := awsnet.CheckEndpoint(endpoint, false)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", endpoint, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the error shows a password: %v", err)
		}
	}
	if err := awsnet.CheckEndpoint("http://203.0.113.1:4567", true); err != nil {
		t.Error(err)
	}
}

func TestStreams(t *testing.T) {
	for stream, want := range map[string]bool{
		"clicks": true, "a.b-c_D9": true, "arn:aws:kinesis:eu-west-1:123456789012:stream/clicks": true, strings.Repeat("x", 128): true,
		"": false, "a b": false, "a\nb": false, "é": false, strings.Repeat("x", 129): false,
		"arn:aws:kinesis:eu-west-1:123456789012:stream/": false, "arn:aws:s3:eu-west-1:123456789012:stream/x": false, "arn:aws:kinesis": false,
		"arn:aws:kinesis:eu-west-1:123456789012:stream/clicks/consumer/c:1": false,
	} {
		if got := awsnet.ValidStream(stream); got != want {
			t.Errorf("%q: %v", stream, got)
		}
	}
}

func TestUnreachable(t *testing.T) {
	if got := awsnet.Unreachable("AWS_ENDPOINT_URL_KINESIS", errors.New("connection refused")); !strings.Contains(got, "AWS_ENDPOINT_URL_KINESIS") {
		t.Error(got)
	}
	if got := awsnet.Unreachable("X", errors.New("get identity: get credentials: none")); !strings.Contains(got, "give the task a role") {
		t.Error(got)
	}
}

// body notes whether it was asked beyond its end, and closes as the SDK's does.
type body struct {
	*bytes.Reader
	beyond, closed bool
}

func (b *body) Read(p []byte) (int, error) {
	b.beyond = b.beyond || b.Len() == 0
	return b.Reader.Read(p)
}
func (b *body) Close() error { b.closed = true; return nil }

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }

// What is sent is the body, and the SDK's own is not asked once it has ended: it
// may be closed by then.
func TestOwnBody(t *testing.T) {
	for _, size := range []int{1, 1000, 64 << 10, 64<<10 + 1, 3 << 20} {
		in := &body{Reader: bytes.NewReader(bytes.Repeat([]byte("x"), size))}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://host", in)
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = int64(size)
		sent := 0
		_, err = awsnet.OwnBody{Next: doer(func(r *http.Request) (*http.Response, error) {
			b, err := io.ReadAll(r.Body)
			sent = len(b)
			if r.ContentLength != int64(size) {
				t.Errorf("%d bytes are announced as %d", size, r.ContentLength)
			}
			return nil, err
		})}.Do(req)
		if err != nil || sent != size || in.beyond {
			t.Errorf("%d of %d bytes, asked beyond the end: %v, %v", sent, size, in.beyond, err)
		}
	}
	short := &body{Reader: bytes.NewReader([]byte("abc"))}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://host", short)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = 5
	if _, err := (awsnet.OwnBody{Next: doer(func(*http.Request) (*http.Response, error) { t.Error("sent"); return nil, nil })}).Do(req); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}
