package kinesistest

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"
)

// maxCounters bounds the memory of the counters against made-up names.
const maxCounters = 1 << 17

type callKey struct{ op, shard string }

// script is the faults in force and the counters.
type script struct {
	mu     sync.Mutex
	faults []*Injection
	calls  map[callKey]int
}

func (sc *script) count(op, shard string) {
	for _, k := range [...]callKey{{op, shard}, {"", shard}} {
		if _, known := sc.calls[k]; known || len(sc.calls) < maxCounters {
			sc.calls[k]++
		}
	}
}

// arrive counts a call and, if it is well-formed, finds the fault that strikes it.
func (s *Server) arrive(c *call, wellFormed bool) {
	sc := &s.script
	sc.mu.Lock()
	defer sc.mu.Unlock()
	sc.count(c.op, "")
	for _, shard := range c.shards {
		sc.count(c.op, shard)
	}
	if !wellFormed {
		return
	}
	sc.faults = slices.DeleteFunc(sc.faults, func(i *Injection) bool {
		f := &i.fault
		if f.Op != "" && f.Op != c.op || f.Stream != "" && f.Stream != c.event.Stream ||
			f.Shard != "" && !slices.Contains(c.shards, f.Shard) {
			return false
		}
		i.seen++
		if i.seen < f.Nth {
			return false
		}
		s.strike(c, i)
		return f.Times > 0 && i.seen >= f.Nth+f.Times-1
	})
}

// strike applies a fault that is due to the call, unless another one is first.
func (s *Server) strike(c *call, i *Injection) {
	f := &i.fault
	if refusal := s.refusal(f, c.event.Stream, f.Shard); refusal != nil && c.op == "PutRecords" && f.Shard != "" {
		if c.refused[f.Shard] == nil {
			if c.refused == nil {
				c.refused = map[string]*Error{}
			}
			c.refused[f.Shard] = refusal
			c.event.Fault = f
			i.hits.Add(1)
		}
		return
	}
	if c.struck == nil {
		c.struck = f
		c.event.Fault = f
		i.hits.Add(1)
	}
}

// refusal is the error of a fault that may refuse the records of one shard, nil
// for one that strikes whole calls.
func (s *Server) refusal(f *Fault, stream, shard string) *Error {
	if f.Do != nil {
		return nil
	}
	switch f.Kind {
	case Throttle:
		return s.tooMuch(stream, shard)
	case InternalError:
		return failure(codeInternal, "Internal Service Error")
	case ErrorAnswer:
		code := f.Code
		if code == "" {
			code = codeInternal
		}
		e := failure(code, "scripted by a kinesistest.Fault")
		if f.Message != "" {
			e.Message = f.Message
		}
		if f.Status >= 400 && f.Status <= 599 {
			e.Status = f.Status
		}
		return e
	}
	return nil
}

func (s *Server) tooMuch(stream, shard string) *Error {
	return failure(codeThroughput, "Rate exceeded for shard %s in stream %s under account %s.", shard, stream, s.config.Account)
}

// before does what a fault does before the operation. It returns the error that
// takes the operation's place, or that the request is done with.
func (s *Server) before(c *call, w http.ResponseWriter, r *http.Request) (_ *Error, done bool) {
	f := c.struck
	if f.Do != nil {
		return nil, s.custom(c, w, r)
	}
	if e := s.refusal(f, c.event.Stream, c.event.Shard); e != nil {
		return e, false
	}
	switch f.Kind {
	case ExpiredIterator:
		return failure(codeExpiredIterator, "Iterator expired. (scripted by a kinesistest.Fault)"), false
	case AccessDenied:
		return failure(codeAccessDenied, "User is not authorized to perform: kinesis:%s on resource: %s", c.op, s.arn(c.event.Stream)), false
	case CutBefore:
		s.tell(c)
		panic(http.ErrAbortHandler)
	case Hang:
		s.tell(c)
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	case SlowAnswer:
		if wait(r.Context(), f.Delay) != nil {
			s.tell(c)
			panic(http.ErrAbortHandler)
		}
	}
	return nil, false
}

// custom runs Fault.Do. The event is told also if that cuts the connection.
func (s *Server) custom(c *call, w http.ResponseWriter, r *http.Request) (done bool) {
	done = true
	defer func() {
		if done {
			s.tell(c)
		}
	}()
	done = c.struck.Do(w, r)
	return done
}

// after does what a fault does to the answer, and tells whether it has been sent.
func (s *Server) after(c *call, status int, w http.ResponseWriter, r *http.Request) (sent bool) {
	if c.struck.Do != nil {
		return false
	}
	body := c.out.b
	switch c.struck.Kind {
	case LostAnswer:
		panic(http.ErrAbortHandler)
	case CutBody:
		w.WriteHeader(status)
		s.send(w, body[:len(body)/2])
		panic(http.ErrAbortHandler)
	case SlowBody:
		w.WriteHeader(status)
		s.send(w, nil)
		const parts = 10
		for i := range parts {
			if wait(r.Context(), c.struck.Delay/parts) != nil {
				panic(http.ErrAbortHandler)
			}
			s.send(w, body[len(body)*i/parts:len(body)*(i+1)/parts])
		}
		return true
	}
	return false
}

// send writes and flushes, or ends the request if the client is gone.
func (s *Server) send(w http.ResponseWriter, b []byte) {
	_, err := w.Write(b)
	if err == nil {
		err = http.NewResponseController(w).Flush()
	}
	if err != nil {
		panic(http.ErrAbortHandler)
	}
}

// spoils tells whether the fault that struck the call is of a kind.
func (c *call) spoils(k Kind) bool {
	return c.struck != nil && c.struck.Do == nil && c.struck.Kind == k
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
