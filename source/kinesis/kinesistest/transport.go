package kinesistest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
)

// transport is an http.RoundTripper that calls a handler. Each request runs on a
// goroutine of its own, which ends with the handler: when the body has been read
// or closed, or the request's context has ended.
type transport struct{ handler http.Handler }

// RoundTrip returns when the handler has begun its answer.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	if ctx.Err() != nil {
		if r.Body != nil {
			if err := r.Body.Close(); err != nil {
				return nil, errors.Join(context.Cause(ctx), err)
			}
		}
		return nil, context.Cause(ctx)
	}
	in := r.WithContext(ctx) // a copy: the request is the caller's
	in.RequestURI = r.URL.RequestURI()
	in.RemoteAddr = "in-process"
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	if in.Body == nil {
		in.Body = http.NoBody
	}
	w := &responseWriter{header: http.Header{}, begun: make(chan struct{}), length: -1}
	w.reader, w.writer = io.Pipe()
	go w.run(ctx, t.handler, in, in.Body)
	select {
	case <-ctx.Done():
	case <-w.begun:
	}
	if ctx.Err() != nil { // whichever came first; w.run ends with the context
		return nil, context.Cause(ctx)
	}
	if w.cut {
		return nil, io.EOF // what net/http reports for a connection that ends without an answer
	}
	return &http.Response{
		Status:        strconv.Itoa(w.status) + " " + http.StatusText(w.status),
		StatusCode:    w.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        w.sent,
		ContentLength: w.length,
		Body:          w.reader,
		Request:       r,
	}, nil
}

// responseWriter hands an answer from the handler to the reader of the body,
// without copying it in between.
type responseWriter struct {
	header  http.Header
	reader  *io.PipeReader
	writer  *io.PipeWriter
	written int64

	once   sync.Once
	begun  chan struct{} // closed when the fields below are set
	cut    bool          // there will be no answer
	status int
	sent   http.Header
	length int64 // of the body, -1 if unknown
}

// run serves the request. The body of the answer ends early when the context does.
func (w *responseWriter) run(ctx context.Context, h http.Handler, r *http.Request, body io.Closer) {
	stop := context.AfterFunc(ctx, func() { w.writer.CloseWithError(context.Cause(ctx)) })
	defer stop()
	aborted := w.handle(h, r)
	if err := body.Close(); err != nil {
		aborted = true
	}
	err := io.EOF
	if aborted {
		w.begin(0, true)
		err = io.ErrUnexpectedEOF
	}
	w.begin(http.StatusOK, false)
	if w.length >= 0 && w.written < w.length {
		err = io.ErrUnexpectedEOF
	}
	if !errors.Is(err, io.EOF) && ctx.Err() != nil {
		err = context.Cause(ctx) // why the handler gave up, if it was faster than AfterFunc
	}
	w.writer.CloseWithError(err)
}

// handle runs the handler and tells whether it cut the connection.
func (w *responseWriter) handle(h http.Handler, r *http.Request) (aborted bool) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			aborted = true
		default:
			panic(p)
		}
	}()
	h.ServeHTTP(w, r)
	return false
}

// begin decides the header, or that there is none. Only the first call counts.
func (w *responseWriter) begin(status int, cut bool) {
	w.once.Do(func() {
		w.cut, w.status, w.sent = cut, status, w.header.Clone()
		if n, err := strconv.ParseInt(w.header.Get("Content-Length"), 10, 64); err == nil {
			w.length = n
		}
		close(w.begun)
	})
}

// Header returns the header to fill in before the first Write.
func (w *responseWriter) Header() http.Header { return w.header }

// WriteHeader sends the header.
func (w *responseWriter) WriteHeader(status int) { w.begin(status, false) }

// Write returns when the client has read b, closed the body, or its context has
// ended.
func (w *responseWriter) Write(b []byte) (int, error) {
	w.begin(http.StatusOK, false)
	if len(b) == 0 {
		return 0, nil
	}
	n, err := w.writer.Write(b)
	w.written += int64(n)
	return n, err
}

// Flush sends the header; the body is never held back.
func (w *responseWriter) Flush() { w.begin(http.StatusOK, false) }
