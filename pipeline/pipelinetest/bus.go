package pipelinetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/sink"
)

var (
	// errDead is what a dead process gets to hear: it must end, and quickly.
	errDead = fmt.Errorf("simulated: the process is dead: %w, %w", lease.ErrLost, sink.ErrRefused)
	// errRefused and errUnanswered are the two that a caller cannot tell apart.
	errRefused    = errors.New("simulated: the service is away")
	errUnanswered = errors.New("simulated: no answer came")
)

// bus is the place where every call of every worker waits for its turn. Effects
// happen one at a time, on the driver's goroutine, while all others are blocked.
type bus struct {
	mu      sync.Mutex
	waiting []*call
	notify  chan struct{} // capacity 1: something came up while the driver slept
}

// call is one request on its way.
type call struct {
	by     *process
	lane   string // "" if it is of the whole worker
	op     string
	name   string // of what it is about, without random parts
	effect func() error
	read   bool // changes nothing

	done chan struct{} // closed when answered
	// Guarded by bus.mu:
	err      error
	answered bool
	gone     bool      // the caller has left: its context ended
	held     time.Time // not before
	after    int       // nor before this turn, unless nothing else is ready
}

// compare orders calls by what is the same in every run of a seed.
func (c *call) compare(o *call) int {
	return cmp.Or(cmp.Compare(c.by.id, o.by.id), cmp.Compare(c.lane, o.lane), cmp.Compare(c.op, o.op), cmp.Compare(c.name, o.name))
}

func (c *call) String() string {
	s := c.by.name + " " + c.op
	if c.lane != "" {
		s += " " + short(c.lane)
	}
	if c.name != "" {
		s += " " + c.name
	}
	return s
}

// poke wakes the driver.
func (b *bus) poke() {
	select {
	case b.notify <- struct{}{}:
	default:
	}
}

// ask makes a call and waits for its answer, or until ctx ends; then the effect
// may still happen, as with any request that is on its way.
func ask[R any](ctx context.Context, p *process, c call, effect func() (R, error)) (R, error) {
	var zero R
	res := new(R)
	c.by, c.done = p, make(chan struct{})
	c.effect = func() (err error) { *res, err = effect(); return err }
	if err := p.bus.wait(ctx, &c); err != nil {
		return zero, err
	}
	return *res, nil
}

// tell is ask without a value.
func tell(ctx context.Context, p *process, c call, effect func() error) error {
	_, err := ask(ctx, p, c, func() (struct{}, error) { return struct{}{}, effect() })
	return err
}

func (b *bus) wait(ctx context.Context, c *call) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	b.mu.Lock()
	if c.by.dead {
		b.mu.Unlock()
		return errDead
	}
	b.waiting = append(b.waiting, c)
	b.mu.Unlock()
	b.poke()
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.answered {
		return c.err
	}
	c.gone = true
	return context.Cause(ctx)
}

// answer ends a call, if its caller still waits.
func (b *bus) answer(c *call, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.remove(c)
	if c.answered || c.gone {
		return
	}
	c.err, c.answered = err, true
	close(c.done)
}

// remove is for holders of mu.
func (b *bus) remove(c *call) {
	b.waiting = slices.DeleteFunc(b.waiting, func(o *call) bool { return o == c })
}

// sorted returns the calls that wait, in an order that does not depend on which
// goroutine came first. Calls that compare equal ask the same of the same world;
// see driver.turn.
func (b *bus) sorted() []*call {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := slices.Clone(b.waiting)
	slices.SortStableFunc(all, (*call).compare)
	return all
}

// kill ends a process: whatever it asks from now on has no effect. It returns the
// calls that were on their way.
func (b *bus) kill(p *process) (under []*call) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p.dead = true
	for _, c := range b.waiting {
		if c.by == p {
			under = append(under, c)
		}
	}
	slices.SortStableFunc(under, (*call).compare)
	for _, c := range under {
		b.remove(c)
		if !c.gone && !c.answered {
			c.err, c.answered = errDead, true
			close(c.done)
		}
	}
	return under
}
