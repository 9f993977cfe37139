package stage

import (
	"context"
	"fmt"

	"github.com/shardlake/shardlake"
)

// Async replaces each row by f(ctx, row) with at most n calls at once per lane,
// and keeps the order of rows and marks. ctx ends with the lane, and f must
// return then. f answers bad rows as in TryMap. Results leave on the lane's
// goroutine, at the next batch or mark, so nothing downstream needs a lock. At a
// commit it waits for all calls: a commit never covers a row whose result is not
// in a file.
//
// A slow row holds back at most two batches behind it, which stay in memory.
//
// A call has no time limit and is made once; see [AsyncConfig] for both.
func Async[A, B any](n int, f func(context.Context, A) (B, error)) Stage[A, B] {
	return func(env *shardlake.Env, next shardlake.Emit[B]) (shardlake.Emit[A], error) {
		g, err := guarded(env, "async", f)
		if err != nil {
			return nil, err
		}
		if n < 1 {
			return nil, fmt.Errorf("stage %s: %d calls at once: want 1 or more", env.Name(g.name), n)
		}
		return newAsync(g, next, n, func(ctx context.Context, j job[A, B]) (B, error) {
			return f(ctx, j.fl.in.Rows[j.i])
		}), nil
	}
}

// newAsync starts the n workers of a lane.
func newAsync[A, B any](g guard, next shardlake.Emit[B], n int, call func(context.Context, job[A, B]) (B, error)) *async[A, B] {
	a := &async[A, B]{next: next, guard: g, answer: call, jobs: make(chan job[A, B])}
	for range n {
		g.env.Go(a.work)
	}
	return a
}

type async[A, B any] struct {
	guard
	next   shardlake.Emit[B]
	answer func(context.Context, job[A, B]) (B, error)
	jobs   chan job[A, B]
	queue  []*flight[A, B] // oldest first; only the lane touches it
}

// maxFlights is how many batches may be under way when a batch or a plain mark
// has been taken.
const maxFlights = 2

// flight is one batch on its way, with the mark that follows it, if any.
type flight[A, B any] struct {
	in   shardlake.Batch[A]
	out  []B
	errs []error
	done chan struct{} // one token per finished row; never full
	left int
	mark *shardlake.Mark
}

type job[A, B any] struct {
	fl *flight[A, B]
	i  int
}

func (a *async[A, B]) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-a.jobs:
			a.call(ctx, j)
		}
	}
}

func (a *async[A, B]) call(ctx context.Context, j job[A, B]) {
	returned := false
	defer func() {
		if p := recover(); p != nil {
			j.fl.errs[j.i] = fmt.Errorf("panic: %v", p)
		} else if !returned {
			j.fl.errs[j.i] = errEnded
			a.env.Go(a.work) // the rows behind this one need a worker in its place
		}
		j.fl.done <- struct{}{}
	}()
	j.fl.out[j.i], j.fl.errs[j.i] = a.answer(ctx, j)
	returned = true
}

func (a *async[A, B]) Push(ctx context.Context, b shardlake.Batch[A]) error {
	if err := a.deliver(ctx, maxFlights-1); err != nil {
		return err
	}
	n := len(b.Rows)
	fl := &flight[A, B]{in: b.Clone(), out: make([]B, n), errs: make([]error, n), done: make(chan struct{}, n), left: n}
	a.queue = append(a.queue, fl)
	for i := range n {
		select {
		case a.jobs <- job[A, B]{fl, i}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func (a *async[A, B]) Mark(ctx context.Context, m shardlake.Mark) error {
	keep := maxFlights // a plain mark queues up behind the rows it follows
	if m.Commit {
		keep = 0
	}
	if err := a.deliver(ctx, keep); err != nil {
		return err
	}
	if n := len(a.queue); n > 0 {
		a.queue[n-1].mark = &m // a later watermark replaces an earlier one
		return nil
	}
	return a.next.Mark(ctx, m)
}

// deliver pushes finished flights, and waits while more than keep are queued.
func (a *async[A, B]) deliver(ctx context.Context, keep int) error {
	for len(a.queue) > 0 {
		fl := a.queue[0]
		landed, err := fl.await(ctx, len(a.queue) > keep)
		if err != nil || !landed {
			return err
		}
		a.queue[0], a.queue = nil, a.queue[1:]
		if err := a.push(ctx, fl); err != nil {
			return err
		}
	}
	return nil
}

// await counts finished rows and tells whether all are; it blocks if told to.
func (fl *flight[A, B]) await(ctx context.Context, block bool) (bool, error) {
	for ; fl.left > 0; fl.left-- {
		select {
		case <-fl.done:
			continue
		default:
		}
		if !block {
			return false, nil
		}
		select {
		case <-fl.done:
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
	return true, nil
}

func (a *async[A, B]) push(ctx context.Context, fl *flight[A, B]) error {
	n, in := 0, fl.in
	for i, err := range fl.errs {
		if err != nil {
			if err := settle(ctx, &a.guard, fl.in, i, err); err != nil {
				return err
			}
			continue
		}
		fl.out[n], in.Origins[n] = fl.out[i], in.Origins[i]
		n++
	}
	if n > 0 {
		if err := a.next.Push(ctx, shardlake.Batch[B]{Rows: fl.out[:n], Origins: in.Origins[:n], Records: in.Records}); err != nil {
			return err
		}
	}
	if fl.mark != nil {
		return a.next.Mark(ctx, *fl.mark)
	}
	return nil
}
