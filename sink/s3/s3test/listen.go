package s3test

import (
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// Local is a server on a socket of 127.0.0.1.
type Local struct {
	*Server
	listener net.Listener
	http     *http.Server
	served   chan struct{}
	serveErr error // read after served is closed

	mu     sync.Mutex
	open   int
	idle   chan struct{} // closed when open is 0 after closing
	closed bool
}

// Listen starts a server on a free port of 127.0.0.1. The caller ends it with
// Close.
func Listen(cfg Config) (*Local, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &Local{Server: New(cfg), listener: listener, served: make(chan struct{}), idle: make(chan struct{})}
	l.http = &http.Server{Handler: http.HandlerFunc(l.serve), ReadHeaderTimeout: time.Minute}
	go func() {
		defer close(l.served)
		if err := l.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			l.serveErr = err
		}
	}()
	return l, nil
}

// URL is the endpoint, http://127.0.0.1:PORT, without a slash at its end.
func (l *Local) URL() string { return "http://" + l.listener.Addr().String() }

// Close cuts all connections and returns when nothing of the server runs any
// more. What was stored can still be looked at. Closing again does nothing.
func (l *Local) Close() error {
	err := l.http.Close()
	<-l.served
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		if l.open == 0 {
			close(l.idle)
		}
	}
	l.mu.Unlock()
	<-l.idle
	return errors.Join(err, l.serveErr)
}

// serve counts the requests at work, so that Close can wait for them.
func (l *Local) serve(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		panic(http.ErrAbortHandler)
	}
	l.open++
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.open--; l.open == 0 && l.closed {
			close(l.idle)
		}
	}()
	l.Server.ServeHTTP(w, r)
}
