package dynamotest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// Server is a DynamoDB service. It is an http.Handler, which serves any path on
// any host. All methods are safe for concurrent use.
//
// The methods that make tables and read and write items act on the state at once:
// they are not requests, so faults and counters do not see them. Their errors are
// of type *Error.
type Server struct {
	config Config
	ops    map[string]operation
	script script

	mu     sync.Mutex // of all tables: each request is one step
	tables map[string]*table
	usage  map[string]Usage

	url    string
	client *http.Client
	http   *http.Server // nil without Listen
	served chan struct{}
	fail   error // of http.Serve, once served is closed
}

// New makes a server without tables. It opens no socket and starts no goroutine:
// use it as an http.Handler, or through its Client. Close need not be called.
func New(config Config) *Server {
	s := &Server{
		config: config.withDefaults(),
		tables: map[string]*table{},
		usage:  map[string]Usage{},
		url:    "http://dynamodb.invalid",
		ops: map[string]operation{
			"CreateTable":   op((*Server).createTable),
			"DescribeTable": op((*Server).describeTable),
			"DeleteTable":   op((*Server).deleteTable),
			"PutItem":       op((*Server).putItem),
			"GetItem":       op((*Server).getItem),
			"UpdateItem":    op((*Server).updateItem),
			"DeleteItem":    op((*Server).deleteItem),
			"Scan":          op((*Server).scan),
		},
	}
	s.client = &http.Client{Transport: &transport{handler: s}}
	return s
}

// Listen makes a server without tables that serves HTTP/1.1 on a free port of
// 127.0.0.1 until Close is called. It fails if it cannot listen.
func Listen(config Config) (*Server, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := New(config)
	s.url = "http://" + l.Addr().String()
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	s.served = make(chan struct{})
	go func() {
		defer close(s.served)
		s.fail = s.http.Serve(l)
	}()
	return s, nil
}

// URL is what to configure as the SDK's BaseEndpoint: the address after Listen,
// else one that only Client can reach.
func (s *Server) URL() string { return s.url }

// Client returns a client whose requests, to any host, are calls of the server
// inside the process, with or without Listen. It can be the HTTPClient of an SDK.
//
// It opens no socket, so it can be used in a testing/synctest bubble: there, every
// goroutine ends with its request, and time passes while a fault waits. A request
// ends when its context does, even if a fault holds the answer, and a cut
// connection is io.EOF, as with net/http.
func (s *Server) Client() *http.Client { return s.client }

// Close ends a server made by Listen: it closes the listener and all connections,
// and returns when nothing listens any more. Requests within the process, by
// Client or by the methods, still work. On a server made by New it does nothing.
// It may be called more than once.
func (s *Server) Close() error {
	if s.http == nil {
		return nil
	}
	err := s.http.Close()
	<-s.served
	if err == nil && !errors.Is(s.fail, http.ErrServerClosed) {
		err = s.fail
	}
	return err
}
