package dynamotest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
)

// transport is an http.RoundTripper that calls a handler. Each request runs on a
// goroutine of its own, which ends with the handler or soon after the request's
// context does.
type transport struct{ handler http.Handler }

// RoundTrip returns when the handler has finished its answer.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		b, err := io.ReadAll(r.Body)
		if err := errors.Join(err, r.Body.Close()); err != nil {
			return nil, err
		}
		body = b
	}
	ctx := r.Context()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	in := r.WithContext(ctx) // a copy: the request is the caller's
	in.RequestURI = r.URL.RequestURI()
	in.RemoteAddr = "in-process"
	in.Body = io.NopCloser(bytes.NewReader(body))
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	w := &recorder{header: http.Header{}, status: http.StatusOK}
	done := make(chan bool, 1)
	go func() { done <- serve(t.handler, w, in) }()
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case cut := <-done:
		if cut {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			return nil, io.EOF // what net/http reports for a connection that ends without an answer
		}
	}
	return &http.Response{
		Status:        strconv.Itoa(w.status) + " " + http.StatusText(w.status),
		StatusCode:    w.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        w.header,
		ContentLength: int64(w.body.Len()),
		Body:          io.NopCloser(&w.body),
		Request:       r,
	}, nil
}

// serve tells whether the handler has cut the connection.
func serve(h http.Handler, w http.ResponseWriter, r *http.Request) (cut bool) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler:
			cut = true
		default:
			panic(p)
		}
	}()
	h.ServeHTTP(w, r)
	return false
}

// recorder keeps an answer.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header returns the header to fill in.
func (w *recorder) Header() http.Header { return w.header }

// WriteHeader sets the status.
func (w *recorder) WriteHeader(status int) { w.status = status }

// Write appends to the body.
func (w *recorder) Write(b []byte) (int, error) { return w.body.Write(b) }
