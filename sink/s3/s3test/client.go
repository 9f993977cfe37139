package s3test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
)

// Client calls a server in the process of the caller, without sockets, whatever
// the host of the request's URL. It is an HTTP client for the AWS SDK (Do) and a
// transport for http.Client (RoundTrip). It is safe for concurrent use.
//
// It behaves as a connection would: the request's context ends both sides; a cut
// connection is an error of Do, or of reading the body where that had begun, and
// wraps ErrCut and io.ErrUnexpectedEOF. Do returns as soon as the headers of the
// answer are there. The answer is buffered without a bound. Each Do starts one
// goroutine, which ends when the request is served, its context ends, or the
// answer's body is closed.
type Client struct{ handler http.Handler }

// Client returns a client of s.
func (s *Server) Client() *Client { return &Client{handler: s} }

// RoundTrip is Do.
func (c *Client) RoundTrip(req *http.Request) (*http.Response, error) { return c.Do(req) }

// Do serves one request and returns the answer. The caller closes its body.
func (c *Client) Do(req *http.Request) (*http.Response, error) {
	body := &requestBody{ctx: req.Context(), from: req.Body}
	if err := req.Context().Err(); err != nil {
		return nil, errors.Join(err, body.Close())
	}
	ctx, cancel := context.WithCancel(req.Context())
	out := &response{
		header: make(http.Header), ready: make(chan struct{}), wake: make(chan struct{}, 1),
		client: req.Context(), cancel: cancel,
	}
	in := serverRequest(ctx, req, body)
	go func() {
		defer cancel()
		defer func() {
			reason := recover()
			err := body.Close()
			switch {
			case reason == any(http.ErrAbortHandler):
				out.end(fmt.Errorf("%w: %w", ErrCut, io.ErrUnexpectedEOF))
			case reason != nil:
				panic(reason) // of the test's own code, or a mistake here
			default:
				out.end(err)
			}
		}()
		c.handler.ServeHTTP(out, in)
	}()
	select {
	case <-out.ready:
	case <-req.Context().Done():
		return nil, errors.Join(req.Context().Err(), body.Close())
	}
	// As with a connection: a body that cannot be read fails the request, whatever
	// the server made of it.
	if err := body.failure(); err != nil {
		cancel()
		return nil, fmt.Errorf("s3test: reading the request's body: %w", err)
	}
	return out.result(req)
}

// serverRequest is the request as a server of net/http would see it.
func serverRequest(ctx context.Context, req *http.Request, body *requestBody) *http.Request {
	in := req.Clone(ctx)
	in.RequestURI = req.URL.RequestURI()
	in.RemoteAddr = "127.0.0.1:0"
	in.Proto, in.ProtoMajor, in.ProtoMinor = "HTTP/1.1", 1, 1
	if in.Host == "" {
		in.Host = req.URL.Host
	}
	in.Body = body
	switch {
	case body.from == nil || body.from == http.NoBody:
		in.ContentLength = 0
	case req.ContentLength == 0:
		in.ContentLength = -1 // as a client's request says that it does not know
	}
	body.left = in.ContentLength
	return in
}

// requestBody reads the client's body until its length, its context or Close.
type requestBody struct {
	ctx  context.Context
	from io.ReadCloser
	left int64 // negative: unknown

	once     sync.Once
	closeErr error

	mu      sync.Mutex
	readErr error // what the client's reader failed with
}

func (b *requestBody) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.readErr
}

func (b *requestBody) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	if b.from == nil || b.left == 0 {
		return 0, io.EOF
	}
	if b.left > 0 && int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.from.Read(p)
	if b.left > 0 {
		b.left -= int64(n)
		if errors.Is(err, io.EOF) && b.left > 0 {
			err = fmt.Errorf("%d bytes less than its length: %w", b.left, io.ErrUnexpectedEOF)
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		b.mu.Lock()
		b.readErr = err
		b.mu.Unlock()
	}
	return n, err
}

func (b *requestBody) Close() error {
	b.once.Do(func() {
		if b.from != nil {
			b.closeErr = b.from.Close()
		}
	})
	return b.closeErr
}

// response is both the handler's writer and the client's body.
type response struct {
	header http.Header // the handler's, until it is sent
	ready  chan struct{}
	wake   chan struct{} // has room for one: something changed
	client context.Context
	cancel context.CancelFunc

	mu     sync.Mutex
	status int
	sent   http.Header
	buf    []byte
	ended  bool
	err    error
	closed bool
}

func (r *response) Header() http.Header { return r.header }

func (r *response) WriteHeader(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writeHeader(status)
}

// writeHeader is WriteHeader with mu held.
func (r *response) writeHeader(status int) {
	if r.status == 0 {
		r.status = status
		r.sent = r.header.Clone()
		close(r.ready)
	}
}

func (r *response) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writeHeader(http.StatusOK)
	if r.closed {
		return 0, io.ErrClosedPipe
	}
	r.buf = append(r.buf, p...)
	r.notify()
	return len(p), nil
}

// Flush does nothing: what is written is there.
func (r *response) Flush() {}

func (r *response) notify() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// end says that the handler is through; err is what the client finds then.
func (r *response) end(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended, r.err = true, err
	if r.status == 0 {
		if err == nil {
			r.writeHeader(http.StatusOK)
		} else {
			close(r.ready)
		}
	}
	r.notify()
}

// result is the answer, once ready is closed.
func (r *response) result(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.status == 0 {
		return nil, r.err
	}
	length := int64(-1)
	if v := r.sent.Get("Content-Length"); v != "" {
		if n, err := strconv.ParseInt(v, 10, 64); err == nil {
			length = n
		}
	}
	return &http.Response{
		Status:     fmt.Sprintf("%d %s", r.status, http.StatusText(r.status)),
		StatusCode: r.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: r.sent, Body: (*responseBody)(r), ContentLength: length, Request: req,
	}, nil
}

// responseBody is the client's side of a response. One goroutine reads it.
type responseBody response

func (b *responseBody) Read(p []byte) (int, error) {
	for {
		if err := b.client.Err(); err != nil {
			return 0, err
		}
		b.mu.Lock()
		switch {
		case b.closed:
			b.mu.Unlock()
			return 0, http.ErrBodyReadAfterClose
		case len(b.buf) > 0:
			n := copy(p, b.buf)
			b.buf = b.buf[n:]
			b.mu.Unlock()
			return n, nil
		case b.ended:
			err := b.err
			b.mu.Unlock()
			if err == nil {
				err = io.EOF
			}
			return 0, err
		}
		b.mu.Unlock()
		select {
		case <-b.wake:
		case <-b.client.Done():
		}
	}
}

func (b *responseBody) Close() error {
	b.mu.Lock()
	b.closed, b.buf = true, nil
	(*response)(b).notify()
	b.mu.Unlock()
	b.cancel()
	return nil
}
