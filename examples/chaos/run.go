//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/shardlake/shardlake/examples/chaos/proxy"
)

// run is one run of chaos.
type run struct {
	options
	deck     []kind
	say      func(format string, args ...any)
	fail     context.CancelCauseFunc // ends the run
	streams  []*stream               // the one that the producer writes to, and one between two groups
	producer *producer
	fleet    *fleet
	frames   frames
	oracle   *oracle
	began    time.Time
	wg       sync.WaitGroup
}

// all goes from the making of the stream to the verdict.
func (r *run) all(ctx context.Context) (err error) {
	for _, s := range r.streams {
		if err := s.create(ctx, r.shards); err != nil {
			return err
		}
	}
	if err := r.oracle.start(ctx, r.fail); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.oracle.close()) }()

	background, endBackground := context.WithCancel(ctx)
	defer r.wg.Wait()
	defer endBackground()
	for _, g := range r.fleet.groups {
		r.wg.Go(func() { g.watch.run(background) })
	}
	producing, endProducing := context.WithCancel(ctx)
	defer endProducing()
	produced := make(chan error, 1)
	r.wg.Go(func() {
		err := r.producer.run(producing, r.rate, r.hop)
		if err != nil {
			r.fail(err)
		}
		produced <- err
	})
	r.began = time.Now()
	// All at the same instant: the table is made by whoever comes first.
	for _, s := range r.fleet.slots {
		if err := s.start(); err != nil {
			return err
		}
	}
	if err := r.disturb(ctx); err != nil {
		return err
	}
	endProducing()
	if err := <-produced; err != nil {
		return err
	}
	if err := r.calm(ctx); err != nil {
		return err
	}
	endBackground()
	verdict, err := r.oracle.verdict(ctx)
	r.figures(verdict)
	if err != nil {
		return err
	}
	if failed := r.fleet.failures(); len(failed) > 0 {
		return fmt.Errorf("%d things happened that must not: %s", len(failed), failed[0])
	}
	return nil
}

// disturb follows the plan and returns when the last fault is over.
func (r *run) disturb(ctx context.Context) error {
	var steps sync.WaitGroup
	defer steps.Wait()
	revived, endRevived := context.WithCancel(ctx)
	defer endRevived()
	steps.Go(func() { r.revive(revived) })
	for _, st := range plan(r.seed, r.deck, r.length, len(r.fleet.slots), r.times.lease, r.gap) {
		if err := sleep(ctx, time.Until(r.began.Add(st.at))); err != nil {
			return err
		}
		steps.Go(func() {
			err := r.step(ctx, st)
			if err != nil && ctx.Err() == nil {
				r.fail(fmt.Errorf("%v: %w", st, err))
			}
		})
	}
	return sleep(ctx, time.Until(r.began.Add(r.length)))
}

func (r *run) step(ctx context.Context, st step) error {
	s := r.streams[st.pick>>32%uint64(len(r.streams))]
	do := s.split
	switch st.kind {
	case split:
	case merge:
		do = s.merge
	case outage:
		r.fleet.outage(ctx, st)
		return nil
	default:
		return r.fleet.do(ctx, st)
	}
	what, err := do(ctx, st.pick)
	r.fleet.mu.Lock()
	defer r.fleet.mu.Unlock()
	switch {
	case errors.Is(err, errEnough):
		r.fleet.passed++
	case err != nil:
		// The service may refuse, for instance while the stream is still changing.
		r.fleet.passed++
		r.say("%s was refused: %v", st.kind, err)
	default:
		r.fleet.done[st.kind]++
		r.say("%s %s of %s", st.kind, what, s.name)
	}
	return nil
}

// revive starts a worker in each place whose process has ended by itself, so that
// the run can go on; that it ended is noted already.
func (r *run) revive(ctx context.Context) {
	for pause(ctx, time.Second) {
		for _, s := range r.fleet.slots {
			s.mu.Lock()
			busy := s.busy
			s.mu.Unlock()
			if busy || s.current() != nil {
				continue
			}
			if len(r.fleet.failures()) > maxFailures {
				r.fail(fmt.Errorf("more than %d failures: %s", maxFailures, r.fleet.failures()[0]))
				return
			}
			if err := s.start(); err != nil {
				r.fail(err)
				return
			}
		}
	}
}

// maxFailures bounds a run in which everything fails.
const maxFailures = 30

// calm lets the undisturbed fleet finish, one group after the other.
func (r *run) calm(ctx context.Context) error {
	for _, s := range r.fleet.slots {
		for _, p := range s.proxies {
			p.Set(proxy.Fault{Mode: proxy.Pass})
		}
		if s.current() == nil {
			if err := s.start(); err != nil {
				return err
			}
		}
	}
	r.say("the faults and the producer have stopped")
	_, last := r.producer.state()
	for i, g := range r.fleet.groups {
		if i > 0 {
			// Whoever writes to the next stream has ended.
			var err error
			if r.frames, err = r.streams[i].read(ctx); err != nil {
				return err
			}
			last = r.frames.last
		}
		if err := r.finish(ctx, g, last); err != nil {
			return err
		}
	}
	return nil
}

// finish lets a group finish, stops it, and lets one more worker have everything: it
// publishes and sweeps what is left, and must find nothing to read.
func (r *run) finish(ctx context.Context, g *group, last map[string]string) error {
	began := time.Now()
	if err := r.until(ctx, r.drain, func() error { return g.watch.drained(last) }); err != nil {
		return fmt.Errorf("after %v without faults not all of %s is committed and visible: %w", r.drain, g.stream, err)
	}
	r.say("all of %s is committed and visible after %v", g.stream, time.Since(began).Round(100*time.Millisecond))
	if err := r.fleet.endAll(g); err != nil {
		return err
	}
	s := r.fleet.of(g)[0]
	if err := s.start(); err != nil {
		return err
	}
	if err := r.until(ctx, r.drain, func() error {
		l := s.current()
		if l == nil {
			return errors.New("the last worker has ended by itself")
		}
		if has, all := g.watch.owned(l.name); has < all || all == 0 {
			return fmt.Errorf("worker %s has %d of %d lanes", l.name, has, all)
		}
		return g.watch.drained(last)
	}); err != nil {
		return fmt.Errorf("one more worker, alone: %w", err)
	}
	// What others left is swept beside the reading.
	if err := sleep(ctx, 2*r.times.lease); err != nil {
		return err
	}
	return r.fleet.endAll(g)
}

// until asks again until it is so, for some time.
func (r *run) until(ctx context.Context, within time.Duration, so func() error) error {
	end := time.Now().Add(within)
	for {
		err := so()
		if err == nil || time.Now().After(end) {
			return err
		}
		if err := sleep(ctx, watchEvery); err != nil {
			return err
		}
	}
}
