package awsnet

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
)

// Doer sends requests, as *http.Client and the SDK's own client do.
type Doer interface {
	// Do sends a request and returns its answer, as http.Client.Do does.
	Do(*http.Request) (*http.Response, error)
}

// OwnBody keeps apart a request's body and what the SDK does with it. The SDK
// closes the body as soon as Do returns, while net/http may still ask for its end,
// takes that for a failed write, and closes the connection under the answer that is
// being read ("use of closed network connection", aws-sdk-go-v2 issues 1825 and
// 2737). For a put that is repeated then, the records would be there twice. Small
// bodies are copied; a large one ends after its announced length without being
// asked again.
type OwnBody struct{ Next Doer }

// smallBody is what a request that describes or reads never goes beyond.
const smallBody = 64 << 10

// Do sends a request.
func (c OwnBody) Do(req *http.Request) (*http.Response, error) {
	if req.Body == nil || req.Body == http.NoBody || req.ContentLength <= 0 {
		return c.Next.Do(req)
	}
	own := req.WithContext(req.Context()) // a shallow copy
	if req.ContentLength > smallBody {
		own.Body = &exact{req.Body, req.ContentLength}
		return c.Next.Do(own)
	}
	b := make([]byte, req.ContentLength)
	if _, err := io.ReadFull(req.Body, b); err != nil {
		return nil, fmt.Errorf("read the body of a request: %w", err)
	}
	own.Body = io.NopCloser(bytes.NewReader(b))
	own.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
	return c.Next.Do(own)
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
