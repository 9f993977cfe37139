package dynamotest

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Kind is what a Fault does to a call.
type Kind int

const (
	// Throttle answers ProvisionedThroughputExceededException, without effect.
	Throttle Kind = iota
	// InternalError answers InternalServerError with status 500, without effect.
	InternalError
	// InternalErrorAfter answers the same, after the effect.
	InternalErrorAfter
	// AccessDenied answers AccessDeniedException, without effect.
	AccessDenied
	// ErrorAnswer answers Fault.Code, without effect.
	ErrorAnswer
	// CutBefore cuts the connection when the request has been read: no effect, no
	// answer.
	CutBefore
	// LostAnswer cuts the connection after the effect: the client cannot know.
	LostAnswer
	// Late cuts the connection without an effect for now. Injection.Release lets the
	// request take effect, long after its sender has given up.
	Late
	// Slow waits for Fault.Delay before it serves the request.
	Slow
	// SlowAnswer serves the request and answers after Fault.Delay.
	SlowAnswer
	// Hang does nothing until the client gives up: its context ends or it closes the
	// connection.
	Hang
	// Pass does nothing, so that Fault.Do can have its say.
	Pass
)

// String is the name of the constant.
func (k Kind) String() string {
	names := [...]string{"Throttle", "InternalError", "InternalErrorAfter", "AccessDenied", "ErrorAnswer", "CutBefore", "LostAnswer", "Late", "Slow", "SlowAnswer", "Hang", "Pass"}
	if k < 0 || int(k) >= len(names) {
		return fmt.Sprintf("Kind(%d)", int(k))
	}
	return names[k]
}

// Forever as Fault.Times strikes every call from the Nth on.
const Forever = -1

// Fault says which calls go wrong, and how. A call matches if it has the
// operation, the table and the key of the fault; matching calls are counted from
// when the fault was added, and those from Nth on are struck, Times of them.
//
// The SDK may retry, and every attempt is a call.
type Fault struct {
	// Op is the operation, as in "UpdateItem". Empty matches all.
	Op string
	// Table is the table's name. Empty matches all.
	Table string
	// Key is the text of the item's partition key. Empty matches all, and calls
	// without a key.
	Key string
	// Nth is the first matching call that is struck. 0 means 1.
	Nth int
	// Times is how many calls are struck, in sequence. 0 means 1.
	Times int
	// Kind is what happens.
	Kind Kind
	// Delay is the time that Slow and SlowAnswer take. 0 means one second. It passes
	// by the timers of package time.
	Delay time.Duration
	// Code, Status and Message make the answer of ErrorAnswer. Empty means
	// "InternalServerError", 400 (500 for "InternalServerError"), and a text.
	Code    string
	Status  int
	Message string
	// Do, if not nil, is called first, before any effect and without locks: it may
	// use the server, and its calls.
	Do func()
}

// Injection is a Fault in force.
type Injection struct {
	fault Fault
	owner *script

	seen, hits int // guarded by script.mu, with all below
	held       []func() (any, *Error)
	lost       []error
}

// Lost returns, for each answer that LostAnswer kept back, the error in it, or nil.
func (i *Injection) Lost() []error {
	i.owner.mu.Lock()
	defer i.owner.mu.Unlock()
	return slices.Clone(i.lost)
}

func (s *script) lose(i *Injection, e *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e == nil {
		i.lost = append(i.lost, nil)
	} else {
		i.lost = append(i.lost, e)
	}
}

// Hits is how many calls have been struck. A test that ends without them has not
// tested what it meant to.
func (i *Injection) Hits() int {
	i.owner.mu.Lock()
	defer i.owner.mu.Unlock()
	return i.hits
}

// Remove ends the fault. It may be called at any time, more than once.
func (i *Injection) Remove() {
	i.owner.mu.Lock()
	defer i.owner.mu.Unlock()
	i.owner.faults = slices.DeleteFunc(i.owner.faults, func(o *Injection) bool { return o == i })
}

// Release lets the requests that Late holds take effect, in their order, and
// returns for each the error that its sender would have got, or nil.
func (i *Injection) Release() []error {
	i.owner.mu.Lock()
	held := i.held
	i.held = nil
	i.owner.mu.Unlock()
	var errs []error
	for _, effect := range held {
		if _, err := effect(); err != nil {
			errs = append(errs, err)
		} else {
			errs = append(errs, nil)
		}
	}
	return errs
}

// Fault adds a fault to the script. If several are due for one call, the one added
// first strikes, and the call counts for all. A fault that has struck as often as
// it should does nothing more.
func (s *Server) Fault(f Fault) *Injection {
	f.Nth = max(1, f.Nth)
	if f.Times == 0 {
		f.Times = 1
	}
	if f.Delay <= 0 {
		f.Delay = time.Second
	}
	i := &Injection{fault: f, owner: &s.script}
	s.script.mu.Lock()
	defer s.script.mu.Unlock()
	s.script.faults = append(s.script.faults, i)
	return i
}

// script holds the faults in force.
type script struct {
	mu     sync.Mutex
	faults []*Injection
}

// due finds the fault that strikes a call.
func (s *script) due(c *call) *Injection {
	s.mu.Lock()
	defer s.mu.Unlock()
	var acting *Injection
	for _, i := range s.faults {
		f := i.fault
		if f.Op != "" && f.Op != c.op || f.Table != "" && f.Table != c.table || f.Key != "" && f.Key != c.key {
			continue
		}
		i.seen++
		if acting == nil && i.seen >= f.Nth && (f.Times < 0 || i.hits < f.Times) {
			i.hits++
			acting = i
		}
	}
	return acting
}

// strike serves a call as the script wants it.
func (s *script) strike(ctx context.Context, c *call, effect func() (any, *Error)) (any, *Error) {
	i := s.due(c)
	if i == nil {
		return effect()
	}
	f := i.fault
	if f.Do != nil {
		f.Do()
	}
	switch f.Kind {
	case Throttle:
		return nil, failure(codeThroughput, "The level of configured provisioned throughput for the table was exceeded. Consider increasing your provisioning level with the UpdateTable API.")
	case InternalError:
		return nil, failure(codeInternal, "Internal server error")
	case InternalErrorAfter:
		if _, err := effect(); err != nil {
			return nil, err
		}
		return nil, failure(codeInternal, "Internal server error")
	case AccessDenied:
		return nil, failure(codeAccessDenied, "User: arn:aws:iam::123456789012:user/test is not authorized to perform: dynamodb:%s on resource: arn:aws:dynamodb:us-east-1:123456789012:table/%s", c.op, c.table)
	case ErrorAnswer:
		return nil, f.error()
	case LostAnswer:
		_, err := effect()
		s.lose(i, err)
		panic(http.ErrAbortHandler)
	case Late:
		s.mu.Lock()
		i.held = append(i.held, effect)
		s.mu.Unlock()
		panic(http.ErrAbortHandler)
	case Slow:
		wait(ctx, f.Delay)
		return effect()
	case SlowAnswer:
		out, err := effect()
		wait(ctx, f.Delay)
		return out, err
	case Hang:
		<-ctx.Done()
	case Pass:
		return effect()
	}
	panic(http.ErrAbortHandler)
}

func (f Fault) error() *Error {
	e := failure(codeInternal, "%s", "scripted")
	if f.Code != "" {
		e = failure(f.Code, "%s", "scripted")
	}
	if f.Status != 0 {
		e.Status = f.Status
	}
	if f.Message != "" {
		e.Message = f.Message
	}
	return e
}

// wait ends early, with the connection, if the client gives up.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
		panic(http.ErrAbortHandler)
	}
}
