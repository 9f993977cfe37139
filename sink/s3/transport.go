package s3

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/shardlake/shardlake/sink"
)

// small is the size below which a request's body is copied.
const small = 64 << 10

// httpClient keeps apart a request's body and what the SDK does with it. smithy-go
// closes the body as soon as Do returns, but net/http may still ask it for more,
// takes the answer for a failed write and closes the connection under the answer
// that is being read (aws-sdk-go-v2 issues 1825 and 2737: "use of closed network
// connection").
type httpClient struct{ next aws.HTTPClient }

// Do sends the request with a body of its own.
func (c *httpClient) Do(req *http.Request) (*http.Response, error) {
	if req.Body == nil || req.Body == http.NoBody || req.ContentLength <= 0 {
		return c.next.Do(req)
	}
	r := req.WithContext(req.Context()) // a shallow copy
	if req.ContentLength < small {
		b := make([]byte, req.ContentLength)
		if _, err := io.ReadFull(req.Body, b); err != nil {
			return nil, fmt.Errorf("read the body of a request: %w", err)
		}
		r.Body = io.NopCloser(bytes.NewReader(b))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
	} else {
		r.Body = &exact{req.Body, req.ContentLength}
	}
	return c.next.Do(r)
}

// exact ends after the announced length without asking the body again.
type exact struct {
	io.ReadCloser
	left int64
}

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

// errBodyEnded is what a transport gets that reads on after its attempt is over.
var errBodyEnded = errors.New("s3: the attempt that this body belongs to is over")

// lent is a part's body for one attempt. A transport may go on reading for a
// while after it has returned; by then the caller uses the memory for something
// else, or the next attempt has moved the offset.
type lent struct {
	mu   sync.Mutex
	body sink.Body
	err  error // of the body itself
}

// Read reads on, or fails after end.
func (l *lent) Read(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.body == nil {
		return 0, errBodyEnded
	}
	n, err := l.body.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		l.err = err
	}
	return n, err
}

// Seek lets the SDK measure and rewind the body.
func (l *lent) Seek(offset int64, whence int) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.body == nil {
		return 0, errBodyEnded
	}
	n, err := l.body.Seek(offset, whence)
	if err != nil {
		l.err = err
	}
	return n, err
}

// end takes the body back, and returns the error that the body itself gave. No
// Read is under way afterwards.
func (l *lent) end() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.body = nil
	return l.err
}
