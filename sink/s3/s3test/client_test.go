package s3test_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/shardlake/shardlake/sink/s3/s3test"
)

// overSocket is a client of the same kind as newClient through a real socket.
func overSocket(l *s3test.Local) *s3.Client {
	return newClient(&http.Client{}, func(o *s3.Options) { o.BaseEndpoint = aws.String(l.URL()) })
}

func listen(t *testing.T, cfg s3test.Config) *s3test.Local {
	t.Helper()
	l, err := s3test.Listen(cfg)
	must(t, l, err)
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func TestOverASocket(t *testing.T) {
	l := listen(t, s3test.Config{Buckets: []string{"lake"}})
	client := overSocket(l)
	large := strings.Repeat("0123456789", 600_000)
	id := create(t, client, "k")
	_, err := complete(t, client, "k", id, part(t, client, "k", id, 1, large), part(t, client, "k", id, 2, "end"))
	must(t, 0, err)
	if get(t, client, "k") != large+"end" {
		t.Error("wrong bytes")
	}
	for _, kind := range []s3test.Kind{s3test.CutBefore, s3test.CutAfter, s3test.Late} {
		rule := l.Fault(s3test.Fault{Op: "PutObject", Kind: kind})
		if err := tryPut(t.Context(), client, kind.String(), "v"); err == nil {
			t.Errorf("%v: no error", kind)
		}
		_, visible := l.Objects("lake", "")[kind.String()]
		if visible != (kind == s3test.CutAfter) {
			t.Errorf("%v: visible %v", kind, visible)
		}
		rule.Release()
	}
	if _, visible := l.Objects("lake", "")["Late"]; !visible {
		t.Error("released and not visible")
	}
	l.Fault(s3test.Fault{Op: "GetObject", Kind: s3test.CutBody})
	out, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("lake"), Key: aws.String("k")})
	must(t, out, err)
	if n, err := io.Copy(io.Discard, out.Body); n != int64(len(large)+3)/2 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%d bytes, %v", n, err)
	}
	must(t, 0, out.Body.Close())
	// An error for a large body arrives as that error.
	l.Fault(s3test.Fault{Op: "PutObject", Kind: s3test.SlowDown})
	wantCode(t, tryPut(t.Context(), client, "x", large), "SlowDown")
}

func TestCloseEndsWhatHangs(t *testing.T) {
	l := listen(t, s3test.Config{Buckets: []string{"lake"}})
	rule := l.Fault(s3test.Fault{Kind: s3test.Hang})
	done := make(chan error)
	go func() { done <- tryPut(context.Background(), overSocket(l), "k", "v") }()
	<-rule.Reached()
	must(t, 0, l.Close())
	if err := <-done; err == nil {
		t.Error("no error")
	}
	must(t, 0, l.Close())
}

// slowReader gives a byte a second.
type slowReader struct{ left int }

func (r *slowReader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	time.Sleep(time.Second)
	r.left--
	p[0] = 'x'
	return 1, nil
}

func TestSlowAndBrokenBodiesOfRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := lakeServer(func(c *s3test.Config) { c.AllowUnsigned = true })
		request := func(ctx context.Context, body io.Reader, length int64) error {
			req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://s3.test/lake/k", body)
			must(t, req, err)
			req.ContentLength = length
			resp, err := srv.Client().Do(req)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				return err
			}
			if resp.StatusCode != http.StatusOK {
				return errors.New(resp.Status)
			}
			return nil
		}
		must(t, 0, request(t.Context(), &slowReader{left: 5}, 5))

		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		if err := request(ctx, &slowReader{left: 10}, 10); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if err := request(t.Context(), strings.NewReader("four"), 5); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Error(err)
		}
		broken := errors.New("broken")
		if err := request(t.Context(), io.MultiReader(strings.NewReader("x"), errReader{broken}), 5); !errors.Is(err, broken) {
			t.Error(err)
		}
		if err := request(t.Context(), &slowReader{left: 3}, -1); err == nil || !strings.Contains(err.Error(), "411") {
			t.Errorf("without a length: %v", err)
		}
		ended, end := context.WithCancel(t.Context())
		end()
		if err := request(ended, strings.NewReader("12345"), 5); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		synctest.Wait()
		if o := srv.Objects("lake", "")["k"]; string(o.Body) != "xxxxx" || srv.Bytes() != 5 {
			t.Errorf("%q, %d bytes", o.Body, srv.Bytes())
		}
	})
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

// An http.Client takes the client as its transport, and its timeout holds.
func TestAsTransport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := lakeServer()
		client := newClient(&http.Client{Transport: srv.Client(), Timeout: time.Minute})
		put(t, client, "k", "v")
		if got := get(t, client, "k"); got != "v" {
			t.Errorf("%q", got)
		}
		srv.Fault(s3test.Fault{Kind: s3test.Hang})
		// Which of the client's two clocks of the same instant ends the call, its own
		// or its context's, is chance, and with it the text of the error.
		if err := tryPut(t.Context(), client, "k", "v"); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

func TestWithoutABody(t *testing.T) {
	srv := lakeServer(func(c *s3test.Config) { c.AllowUnsigned = true })
	for path, want := range map[string]int{"/lake/k": 404, "/lake": 501, "/none?list-type=2": 404, "/": 200, "/lake?list-type=2&x=%zz": 400} {
		req := &http.Request{Method: http.MethodGet, Host: "s3.test", Header: http.Header{}}
		u, err := url.Parse("http://s3.test" + path)
		if err != nil {
			t.Fatal(err)
		}
		req.URL = u
		resp, err := srv.Client().Do(req)
		if must(t, resp, err); resp.StatusCode != want {
			t.Errorf("%s: %s", path, resp.Status)
		}
		must(t, 0, resp.Body.Close())
	}
}
