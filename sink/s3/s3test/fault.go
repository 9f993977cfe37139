package s3test

import (
	"context"
	"strings"
	"sync"
)

// script is the faults of a server, in the order they were added.
type script struct {
	mu    sync.Mutex
	rules []*Rule
}

// Rule is a fault at work. It is safe for concurrent use.
type Rule struct {
	script  *script
	fault   Fault
	reached chan struct{}

	// guarded by script.mu
	seen, hits int
	held       []*heldCall
}

// heldCall is a request of Late or Held that was not released yet.
type heldCall struct {
	call *Call
	done chan struct{} // closed when the effect took place
}

// Fault adds a fault to the script and returns its rule. Each rule counts the
// requests that it matches; of the rules that are due for a request, the one
// that was added first acts, alone.
func (s *Server) Fault(f Fault) *Rule {
	if f.Nth <= 0 {
		f.Nth = 1
	}
	if f.Times == 0 {
		f.Times = 1
	}
	if f.Delay <= 0 {
		f.Delay = defaultDelay(f.Kind)
	}
	r := &Rule{script: &s.faults, fault: f, reached: make(chan struct{})}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.rules = append(s.faults.rules, r)
	return r
}

// ClearFaults removes all rules. What Late and Held hold stays held.
func (s *Server) ClearFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.rules = nil
}

// Seen is how many requests matched so far, also those that were not hit.
func (r *Rule) Seen() int {
	r.script.mu.Lock()
	defer r.script.mu.Unlock()
	return r.seen
}

// Hits is how many requests the fault acted on so far.
func (r *Rule) Hits() int {
	r.script.mu.Lock()
	defer r.script.mu.Unlock()
	return r.hits
}

// Reached is closed when the fault acts for the first time, before its effect.
func (r *Rule) Reached() <-chan struct{} { return r.reached }

// Held is how many requests Late or Held hold back at present.
func (r *Rule) Held() int {
	r.script.mu.Lock()
	defer r.script.mu.Unlock()
	return len(r.held)
}

// Release carries out the requests that Late or Held hold back, in the order
// they arrived, and returns how many there were. Their effects have taken place
// when it returns. It does not end the rule.
func (r *Rule) Release() int {
	r.script.mu.Lock()
	held := r.held
	r.held = nil
	r.script.mu.Unlock()
	for _, h := range held {
		h.call.apply()
		h.call.drop()
		close(h.done)
	}
	return len(held)
}

// Drop forgets the requests that Late or Held hold back, as if they had been
// lost on the way, and returns how many there were. A client that still waits
// for one finds its connection cut.
func (r *Rule) Drop() int {
	r.script.mu.Lock()
	held := r.held
	r.held = nil
	r.script.mu.Unlock()
	for _, h := range held {
		h.call.once.Do(func() {}) // its done stays nil: never carried out
		h.call.drop()
		close(h.done)
	}
	return len(held)
}

// Remove ends the rule. What it holds stays held.
func (r *Rule) Remove() {
	r.script.mu.Lock()
	defer r.script.mu.Unlock()
	for i, other := range r.script.rules {
		if other == r {
			r.script.rules = append(r.script.rules[:i:i], r.script.rules[i+1:]...)
			return
		}
	}
}

// hold keeps c until Release or Drop.
func (r *Rule) hold(c *Call) *heldCall {
	c.held.Store(true)
	h := &heldCall{call: c, done: make(chan struct{})}
	r.script.mu.Lock()
	defer r.script.mu.Unlock()
	r.held = append(r.held, h)
	return h
}

// matches says whether a fault is about a request.
func (f *Fault) matches(c *Call) bool {
	return (f.Op == "" || f.Op == c.Op) &&
		(f.Bucket == "" || f.Bucket == c.Bucket) &&
		strings.Contains(c.Key, f.KeyContains) &&
		(f.Match == nil || f.Match(c))
}

// due finds the rule that acts on c, if any, and counts.
func (s *script) due(c *Call) *Rule {
	s.mu.Lock()
	rules := s.rules[:len(s.rules):len(s.rules)]
	s.mu.Unlock()
	// Match is the test's code: it runs without the lock.
	matched := make([]*Rule, 0, len(rules))
	for _, r := range rules {
		if r.fault.matches(c) {
			matched = append(matched, r)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var acting *Rule
	for _, r := range matched {
		r.seen++
		if acting == nil && r.seen >= r.fault.Nth && (r.fault.Times < 0 || r.hits < r.fault.Times) {
			acting = r
			r.hits++
			if r.hits == 1 {
				close(r.reached)
			}
		}
	}
	return acting
}

// act lets the script have its way with c. After nil the call is carried out, if
// it was not yet, and answered.
func (s *script) act(ctx context.Context, c *Call) error {
	r := s.due(c)
	if r == nil {
		return nil
	}
	if r.fault.Func != nil {
		return r.fault.Func(ctx, c)
	}
	return r.play(ctx, c)
}
