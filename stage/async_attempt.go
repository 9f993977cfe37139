package stage

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/internal/spread"
)

// errEnded is the error of a user function that called runtime.Goexit.
var errEnded = errors.New("the function ended its goroutine")

// policy is how a call is made: within limits, in a time, and again.
type policy struct {
	env      *shardlake.Env
	limits   []*Limit // taken in this order
	timeout  time.Duration
	attempts int
	first    time.Duration // wait
	most     time.Duration
	again    func(error) bool // nil: always
}

// spentError is the error of the last attempt.
type spentError struct {
	attempts int
	took     time.Duration
	err      error
}

func (e *spentError) Error() string {
	s := "s"
	if e.attempts == 1 {
		s = ""
	}
	return fmt.Sprintf("%d attempt%s in %v: %v", e.attempts, s, e.took.Round(time.Millisecond), e.err)
}
func (e *spentError) Unwrap() error { return e.err }

// mistakeError is a mistake in the program, which a repetition does not mend: a
// panic, the end of a goroutine, an answer that breaks the function's contract.
type mistakeError struct{ error }

// run calls f until it answers, or the policy has no further attempt. who tells
// apart those who may wait at the same time; it is asked only if one waits. Its
// error is f's answer, a mistake, the end of ctx, or a *spentError.
func run[B any](ctx context.Context, p *policy, who func() string, f func(context.Context) (B, error)) (B, error) {
	began := time.Now()
	for n := 1; ; n++ {
		v, err := attempt(ctx, p, f)
		if err == nil || isAnswer(err) {
			return v, err
		}
		if _, mistaken := errors.AsType[mistakeError](err); mistaken {
			return v, err
		}
		if ctx.Err() != nil {
			return v, context.Cause(ctx)
		}
		if n >= p.attempts || p.again != nil && !p.again(err) {
			return v, &spentError{n, time.Since(began), err}
		}
		if err := pause(ctx, p.wait(who(), n)); err != nil {
			return v, err
		}
	}
}

// wait is how long to wait after attempt n, counted from 1.
func (p *policy) wait(who string, n int) time.Duration {
	d := p.first
	for range n - 1 {
		if d >= p.most/2 {
			d = p.most
			break
		}
		d *= 2
	}
	return d - time.Duration(float64(d)/2*spread.Of(who, n))
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// attempt calls f once on a goroutine of the lane, and waits for it no longer than
// the time limit. A call that is not waited for any more keeps its slots until it
// returns.
func attempt[B any](ctx context.Context, p *policy, f func(context.Context) (B, error)) (B, error) {
	var none B
	for i, l := range p.limits {
		if err := l.take(ctx, p.timeout); err != nil {
			for _, l := range p.limits[:i] {
				l.give()
			}
			return none, err
		}
	}
	calling, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	c := &call[B]{done: make(chan struct{})}
	p.env.Go(func(context.Context) { c.make(calling, p, f) })
	select {
	case <-c.done:
	case <-calling.Done():
		if c.over.CompareAndSwap(false, true) { // it is still at it
			for _, l := range p.limits {
				l.lost.Add(1)
			}
			if ctx.Err() != nil {
				return none, context.Cause(ctx)
			}
			return none, fmt.Errorf("no answer within %v: %w", p.timeout, context.DeadlineExceeded)
		}
		<-c.done // it has just answered
	}
	return c.v, c.err
}

// call is one attempt. Whoever sets over first, the call that returns or the
// attempt that waits no longer, decides which of the two it was.
type call[B any] struct {
	over atomic.Bool
	done chan struct{}
	v    B
	err  error
}

func (c *call[B]) make(ctx context.Context, p *policy, f func(context.Context) (B, error)) {
	returned := false
	defer func() {
		if r := recover(); r != nil {
			c.err = mistakeError{fmt.Errorf("panic: %v", r)}
		} else if !returned {
			c.err = mistakeError{errEnded}
		}
		late := !c.over.CompareAndSwap(false, true)
		for _, l := range p.limits {
			if late {
				l.lost.Add(-1)
			}
			l.give()
		}
		close(c.done)
	}()
	c.v, c.err = f(ctx)
	returned = true
}
