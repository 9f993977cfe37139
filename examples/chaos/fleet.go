//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/shardlake/shardlake/examples/chaos/proxy"
)

// times are the settings of the workers that decide how often lanes change hands.
type times struct{ lease, commit, stop, handOver time.Duration }

// exitGrace is what a worker gets beyond its stop budget: a lane whose context has
// ended has 3 seconds to return, and its lease 2 to be given up.
const exitGrace = 6 * time.Second

// fleet is the workers and what was done to them.
type fleet struct {
	binary, dir         string
	bucket              string
	groups              []*group
	kinesis, dynamo, s3 string // host:port of the first two; URL of s3
	times               times
	slots               []*slot
	say                 func(format string, args ...any)

	mu     sync.Mutex
	done   map[kind]int    // faults
	passed int             // faults that found no worker
	exits  []time.Duration // from SIGTERM to the exit, undisturbed
	cuts   []time.Duration // the same while a service did not answer
	blamed []string
}

// open makes the slots and their proxies.
func (f *fleet) open(s3 string) error {
	f.done = map[kind]int{}
	var all []*group // one for each worker
	for _, g := range f.groups {
		all = append(all, slices.Repeat([]*group{g}, g.workers)...)
	}
	for i, g := range all {
		s := &slot{fleet: f, group: g, index: i, proxies: map[service]*proxy.Proxy{}, trouble: map[service]time.Time{}}
		f.slots = append(f.slots, s)
		for svc, target := range map[service]string{toKinesis: f.kinesis, toDynamo: f.dynamo, toS3: s3} {
			p, err := proxy.Listen(target)
			if err != nil {
				return err
			}
			s.proxies[svc] = p
		}
	}
	return nil
}

// close kills what still runs, in case of a failure, and closes the proxies.
func (f *fleet) close() error {
	var errs []error
	for _, s := range f.slots {
		if l := s.current(); l != nil {
			errs = append(errs, l.kill())
		}
		for _, p := range s.proxies {
			errs = append(errs, p.Close())
		}
	}
	return errors.Join(errs...)
}

// blame notes something that must not happen. The run goes on, and fails.
func (f *fleet) blame(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.blamed = append(f.blamed, fmt.Sprintf(format, args...))
	f.say("FAIL "+format, args...)
}

// claim returns the slot that a step names, or the next one that runs and has no
// other fault.
func (f *fleet) claim(worker int) (*slot, *life) {
	for i := range f.slots {
		s := f.slots[(worker+i)%len(f.slots)]
		s.mu.Lock()
		free := !s.busy
		s.busy = true
		s.mu.Unlock()
		if !free {
			continue
		}
		if l := s.current(); l != nil {
			return s, l
		}
		s.free()
	}
	return nil, nil
}

func (s *slot) free() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy = false
}

// do does one step to a worker, from its beginning to its end.
func (f *fleet) do(ctx context.Context, st step) error {
	s, l := f.claim(st.worker)
	f.mu.Lock()
	if s == nil {
		f.passed++
	} else {
		f.done[st.kind]++
	}
	f.mu.Unlock()
	if s == nil {
		return nil
	}
	defer s.free()
	st.worker = s.index
	f.say("%v: %s", st, l.name)
	switch st.kind {
	case kill:
		return f.kill(ctx, s, l, st.length)
	case killCut:
		pass := s.disturb(st.service, st.fault())
		defer pass()
		pause(ctx, f.times.commit)
		if err := l.kill(); err != nil {
			return err
		}
		s.group.watch.killed(l.name)
		// Others have its lanes when the bytes that were held back go on.
		if !pause(ctx, st.length) {
			return nil // the run ends
		}
		pass()
		return s.start()
	case stop:
		return f.stop(ctx, s, l, st.length)
	case stopCut:
		pass := s.disturb(st.service, st.fault())
		defer pass()
		took, code, err := l.stop(f.times.stop + exitGrace)
		// Without Kinesis a worker that does not write there can still commit.
		f.ended(l, took, code, slices.Contains(s.group.needs, st.service) || s.troubled())
		if err != nil {
			return err
		}
		pass()
		return s.start()
	case freeze:
		if err := l.signal(syscall.SIGSTOP); err != nil {
			return err
		}
		pause(ctx, st.length)
		return l.signal(syscall.SIGCONT)
	}
	pass := s.disturb(st.service, st.fault())
	pause(ctx, st.length)
	pass()
	return nil
}

// kill kills a worker, and starts another one after a while.
func (f *fleet) kill(ctx context.Context, s *slot, l *life, wait time.Duration) error {
	if err := l.kill(); err != nil {
		return err
	}
	s.group.watch.killed(l.name)
	if !pause(ctx, wait) {
		return nil // the run ends
	}
	return s.start()
}

// outage takes a service from all workers. A fault of one worker that ends
// meanwhile gives it back to that one.
func (f *fleet) outage(ctx context.Context, st step) {
	f.mu.Lock()
	f.done[st.kind]++
	f.mu.Unlock()
	f.say("%v", st)
	var ends []func()
	for _, s := range f.slots {
		ends = append(ends, s.disturb(st.service, st.fault()))
	}
	pause(ctx, st.length)
	for _, pass := range ends {
		pass()
	}
}

// stop stops a worker in good order, and starts another one after a while. One
// that still waits because of an earlier fault, or has a new one, must end in time.
func (f *fleet) stop(ctx context.Context, s *slot, l *life, wait time.Duration) error {
	before := s.troubled()
	took, code, err := l.stop(f.times.stop + exitGrace)
	f.ended(l, took, code, before || s.troubled())
	if err != nil || !pause(ctx, wait) {
		return err // or the run ends
	}
	return s.start()
}

// ended judges how a worker ended that was asked to.
func (f *fleet) ended(l *life, took time.Duration, code int, troubled bool) {
	f.mu.Lock()
	if troubled {
		f.cuts = append(f.cuts, took)
	} else {
		f.exits = append(f.exits, took)
	}
	f.mu.Unlock()
	switch {
	case code == -1:
		f.blame("worker %s had not ended %v after SIGTERM", l.name, took)
	case code != 0 && !troubled:
		f.blame("worker %s was stopped in good order and ended with %d after %v: %s", l.name, code, took.Round(time.Millisecond), l.lastLine())
	}
}

// of lists the slots of a group.
func (f *fleet) of(g *group) (slots []*slot) {
	for _, s := range f.slots {
		if s.group == g {
			slots = append(slots, s)
		}
	}
	return slots
}

// endAll stops all workers of a group at once, when nothing has disturbed them for a
// while.
func (f *fleet) endAll(g *group) error {
	slots := f.of(g)
	errs := make(chan error, len(slots))
	for _, s := range slots {
		go func() {
			l := s.current()
			if l == nil {
				errs <- nil
				return
			}
			took, code, err := l.stop(f.times.stop + exitGrace)
			f.ended(l, took, code, false)
			errs <- err
		}()
	}
	var all []error
	for range slots {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

// failures returns what must not have happened.
func (f *fleet) failures() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.blamed...)
}
