package s3test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
)

// Server is an Amazon S3 in memory, as an [http.Handler]. It is safe for
// concurrent use, starts no goroutine, and needs no closing: what it holds goes
// with it. A request ends promptly after its context.
//
// In a testing/synctest bubble, make the server and its faults inside of it.
type Server struct {
	cfg    Config
	memory budget
	lake   *lake
	faults script
	rate   rate
	reqSeq atomic.Uint64

	// assembly is held while an upload is completed. It is taken first.
	assembly sync.Mutex

	// change is held from before an object changes until OnVisible has returned.
	// It is taken before mu.
	change sync.Mutex

	mu        sync.RWMutex
	buckets   map[string]*bucket
	finished  finishedLog
	uploadSeq uint64

	countMu sync.Mutex
	counts  map[string]int // by operation
	refused map[string]int // by error code
}

// New returns a server. It does no I/O; see Config for where mistakes show.
func New(cfg Config) *Server {
	cfg = cfg.withDefaults()
	s := &Server{
		cfg:     cfg,
		memory:  budget{max: cfg.MaxBytes},
		lake:    newLake(cfg.Dir, cfg.Keep),
		buckets: make(map[string]*bucket),
		counts:  make(map[string]int),
		refused: make(map[string]int),
	}
	s.rate.set(cfg.Rate, cfg.Burst)
	for _, name := range cfg.Buckets {
		if checkBucketName(name) == nil {
			s.buckets[name] = newBucket(name, cfg.Now())
		}
	}
	return s
}

// Count returns how many requests for an operation of S3 arrived so far, such as
// "UploadPart", whatever became of them. Requests for operations that the server
// does not have are counted as "".
func (s *Server) Count(op string) int {
	s.countMu.Lock()
	defer s.countMu.Unlock()
	return s.counts[op]
}

// Counts returns how many requests of each operation arrived so far.
func (s *Server) Counts() map[string]int {
	s.countMu.Lock()
	defer s.countMu.Unlock()
	return maps.Clone(s.counts)
}

// ErrorCounts returns how many error answers were given so far, by S3 error
// code. Cut connections are not among them.
func (s *Server) ErrorCounts() map[string]int {
	s.countMu.Lock()
	defer s.countMu.Unlock()
	return maps.Clone(s.refused)
}

// SetRate changes Config.Rate and Config.Burst. The full burst is there at once.
func (s *Server) SetRate(perSecond float64, burst int) { s.rate.set(perSecond, burst) }

// ServeHTTP serves one request of the S3 protocol. A cut connection is a panic
// with [http.ErrAbortHandler], which net/http and [Client] understand.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Body == nil { // called directly, not by net/http
		r = r.Clone(r.Context())
		r.Body = http.NoBody
	}
	c := newCall(s, r)
	s.countMu.Lock()
	s.counts[c.Op]++
	s.countMu.Unlock()
	defer c.finish()

	// The body is read first whatever the answer will be: a client that is still
	// sending may take an early answer for a broken connection.
	if err := s.readBody(r, c); err != nil {
		panic(http.ErrAbortHandler) // the client went away
	}
	var a *answer
	if err := s.admit(r, c); err != nil {
		a = failed(err)
	} else if err := s.faults.act(r.Context(), c); err != nil {
		a = s.refusal(err)
	} else {
		a = c.apply()
	}
	s.write(w, r, c, a)
}

// refusal is the answer for an error of a fault.
func (s *Server) refusal(err error) *answer {
	var e *Error
	switch {
	case errors.As(err, &e):
		return failed(e)
	case errors.Is(err, ErrCut), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		panic(http.ErrAbortHandler)
	}
	return failed(internalError("%v", err))
}

// admit looks at everything that comes before the operation itself.
func (s *Server) admit(r *http.Request, c *Call) *Error {
	if c.routeErr != nil {
		return c.routeErr
	}
	if err := s.authenticate(r, c); err != nil {
		return err
	}
	if !s.rate.allow(s.cfg.Now()) {
		return slowDown()
	}
	return nil
}
