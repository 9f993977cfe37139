//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
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
	binary, dir           string
	stream, table, bucket string
	kinesis, dynamo, s3   string // host:port of the first two; URL of s3
	times                 times
	slots                 []*slot
	watch                 *watch
	say                   func(format string, args ...any)

	mu     sync.Mutex
	done   map[kind]int    // faults
	passed int             // faults that found no worker
	exits  []time.Duration // from SIGTERM to the exit, undisturbed
	cuts   []time.Duration // the same while a service did not answer
	blamed []string
}

// open makes the slots and their proxies.
func (f *fleet) open(workers int, s3 string) error {
	f.done = map[kind]int{}
	for i := range workers {
		s := &slot{fleet: f, index: i, proxies: map[service]*proxy.Proxy{}}
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
		p := s.proxies[st.service]
		p.Set(st.fault())
		defer p.Set(proxy.Fault{Mode: proxy.Pass})
		pause(ctx, f.times.commit)
		if err := l.kill(); err != nil {
			return err
		}
		f.watch.killed(l.name)
		// Others have its lanes when the bytes that were held back go on.
		if !pause(ctx, st.length) {
			return nil // the run ends
		}
		p.Set(proxy.Fault{Mode: proxy.Pass})
		return s.start()
	case stop:
		return f.stop(ctx, s, l, st.length)
	case stopCut:
		p := s.proxies[st.service]
		p.Set(st.fault())
		defer p.Set(proxy.Fault{Mode: proxy.Pass})
		took, code, err := l.stop(f.times.stop + exitGrace)
		switch {
		case code == -1:
			f.blame("worker %s, whose %s did not answer (%s), had not ended %v after SIGTERM", l.name, st.service, st.fault().Mode, took)
		case code != 0 && st.service == toKinesis:
			f.blame("worker %s could commit what it had read when it was stopped, and ended with %d: %s", l.name, code, l.lastLine())
		}
		f.mu.Lock()
		f.cuts = append(f.cuts, took)
		f.mu.Unlock()
		if err != nil {
			return err
		}
		p.Set(proxy.Fault{Mode: proxy.Pass})
		return s.start()
	case freeze:
		if err := l.signal(syscall.SIGSTOP); err != nil {
			return err
		}
		pause(ctx, st.length)
		return l.signal(syscall.SIGCONT)
	}
	p := s.proxies[st.service]
	p.Set(st.fault())
	pause(ctx, st.length)
	p.Set(proxy.Fault{Mode: proxy.Pass})
	return nil
}

// kill kills a worker, and starts another one after a while.
func (f *fleet) kill(ctx context.Context, s *slot, l *life, wait time.Duration) error {
	if err := l.kill(); err != nil {
		return err
	}
	f.watch.killed(l.name)
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
	for _, s := range f.slots {
		s.proxies[st.service].Set(st.fault())
	}
	pause(ctx, st.length)
	for _, s := range f.slots {
		s.proxies[st.service].Set(proxy.Fault{Mode: proxy.Pass})
	}
}

// stop stops a worker in good order, and starts another one after a while.
func (f *fleet) stop(ctx context.Context, s *slot, l *life, wait time.Duration) error {
	if err := f.end(l); err != nil {
		return err
	}
	if !pause(ctx, wait) {
		return nil // the run ends
	}
	return s.start()
}

// end stops one worker that nothing disturbs: it must exit with 0, in time.
func (f *fleet) end(l *life) error {
	took, code, err := l.stop(f.times.stop + exitGrace)
	f.mu.Lock()
	f.exits = append(f.exits, took)
	f.mu.Unlock()
	switch {
	case code == -1:
		f.blame("worker %s had not ended %v after SIGTERM", l.name, took)
	case code != 0:
		f.blame("worker %s was stopped in good order and ended with %d after %v: %s", l.name, code, took.Round(time.Millisecond), l.lastLine())
	}
	return err
}

// endAll stops all workers at once.
func (f *fleet) endAll() error {
	errs := make(chan error, len(f.slots))
	for _, s := range f.slots {
		go func() {
			if l := s.current(); l != nil {
				errs <- f.end(l)
				return
			}
			errs <- nil
		}()
	}
	var all []error
	for range f.slots {
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
