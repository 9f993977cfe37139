package pipelinetest

import (
	"slices"
	"testing/synctest"
	"time"
)

// Bounds of a run. Whoever needs more is stuck.
const (
	maxTurns = 50_000
	// patience is how long after the last fault everything must be in the lake: a
	// lost upload is believed after 15 minutes, and a wait between tries is at most
	// half a minute.
	patience = 40 * time.Minute
	// grace is how long a process may take to return from Run once it is dead.
	grace = 5 * time.Minute
)

// fault is what happens in the turn of a call.
type fault int

const (
	none fault = iota
	refused
	unanswered
	late
	slow
	crashBefore
	crashAfter
)

var faultNames = [...]string{"", "refused", "unanswered", "late", "slow", "crash", "crash"}

// action is a policy's choice: a call, by its index, or -1 to let time pass; what
// goes wrong; and for how long, in time and in turns, where that matters.
type action struct {
	call  int
	fault fault
	time  time.Duration
	turns int
}

// policy decides everything that is not decided by the pipeline.
type policy interface {
	// draw returns a number below n.
	draw(n int) int
	// sizes are those of a process that starts.
	sizes() Sizes
	// begin is when the first process of a slot starts.
	begin(slot int) time.Duration
	// before a turn, the world may change: rows come in, workers come and go.
	before(w *world)
	// choose one of the calls that are ready. It is never empty.
	choose(w *world, ready []*call) action
	// stop tells whether the run is to be left off.
	stop() bool
	// patient tells whether a late request is waited for in the end.
	patient() bool
}

// run is the whole life of a world.
func (w *world) run() {
	w.trace.begun = time.Now()
	for _, g := range w.groups {
		for i := range g.slots {
			g.slots[i].next = time.Now().Add(w.policy.begin(i))
		}
	}
	for {
		synctest.Wait()
		w.reap()
		if w.report.Violation != nil || w.policy.stop() || w.over() {
			break
		}
		w.policy.before(w)
		w.startDue()
		synctest.Wait()
		ready, next := w.ready()
		if len(ready) == 0 {
			w.sleep(next)
			continue
		}
		if w.turn++; w.turn > maxTurns {
			w.violate("no end after %d calls", w.turn)
			break
		}
		a := w.policy.choose(w, ready)
		if a.call < 0 {
			w.sleep(next)
			continue
		}
		w.act(ready, a)
	}
	w.end()
}

// over tells whether all is done, and looks for what is missing then.
func (w *world) over() bool {
	if !w.calm.IsZero() && time.Since(w.calm) > patience {
		w.violate("no end %v after the last fault: %s", patience, w.state())
		return true
	}
	if slices.ContainsFunc(w.groups, func(g *group) bool { return !g.over() }) {
		return false
	}
	// Processes that stood still and late requests may still do harm.
	if len(w.late) > 0 && w.policy.patient() || slices.ContainsFunc(w.procs, (*process).running) {
		return false
	}
	for _, g := range w.groups {
		if err := g.oracle.final(g.want()); err != nil {
			w.violate("%w", err)
		}
	}
	return true
}

// over tells whether all that is in the group's stream is done with.
func (g *group) over() bool {
	return g.stream.ended && !slices.ContainsFunc(g.slots, func(s slot) bool { return !s.over })
}

// quiet tells whether nobody of the group can do anything any more.
func (g *group) quiet() bool {
	of := func(c *call) bool { return c.by.group == g }
	return g.over() && !slices.ContainsFunc(g.late, of) && !slices.ContainsFunc(g.procs, func(p *process) bool { return p.group == g && p.running() })
}

// reap takes note of processes that have ended.
func (w *world) reap() {
	for _, g := range w.groups {
		g.reap()
	}
}

func (g *group) reap() {
	for i := range g.slots {
		s := &g.slots[i]
		if s.now == nil {
			continue
		}
		done, err := s.now.ended()
		if !done {
			continue
		}
		p := s.now
		s.now = nil
		g.checkMemory(p)
		switch {
		case err == nil && !p.stopped:
			s.over = true
			g.trace.add("%s ends: nothing is left to do", p.name)
			if !g.stream.ended {
				g.violate("%s found nothing left to do, and the stream goes on", p.name)
			}
			continue
		case err == nil:
			g.trace.add("%s has stopped", p.name)
		default:
			g.report.Failed++
			g.trace.add("%s failed", p.name)
			g.trace.note("%s: %v", p.name, err)
			if !g.calm.IsZero() && time.Since(g.calm) > patience/2 {
				g.violate("%s failed long after the last fault: %w", p.name, err)
			}
		}
		s.next = time.Now().Add(g.pause(10 * time.Second))
	}
}

// checkMemory looks at the budget of a process that has ended.
func (w *world) checkMemory(p *process) {
	st := p.pipe.Status()
	if st.Memory != 0 {
		w.violate("%s has ended, and still counts %d bytes as in use", p.name, st.Memory)
	}
	if st.MemoryPeak > st.MemoryLimit {
		w.violate("%s had %d bytes in use, with a budget of %d", p.name, st.MemoryPeak, st.MemoryLimit)
	}
}

func (w *world) pause(most time.Duration) time.Duration {
	return time.Duration(w.policy.draw(int(most/time.Millisecond))) * time.Millisecond
}

func (w *world) startDue() {
	for _, g := range w.groups {
		for i := range g.slots {
			s := &g.slots[i]
			if s.now == nil && !s.over && !time.Now().Before(s.next) {
				s.now = g.start(i)
			}
		}
	}
}

// ready lists the calls whose turn it may be, sorted, and when the next of the
// others is ready.
func (w *world) ready() (ready []*call, next time.Time) {
	now := time.Now()
	soonest := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	var soon []*call // held for some more turns
	waiting := w.bus.sorted()
	for _, c := range slices.Concat(waiting, w.late) {
		from := c.held
		if c.by.paused.After(from) && !slices.Contains(w.late, c) {
			from = c.by.paused
		}
		switch {
		case from.After(now):
			soonest(from)
		case c.after > w.turn:
			soon = append(soon, c)
		default:
			ready = append(ready, c)
		}
	}
	if len(ready) == 0 && len(soon) > 0 {
		if w.policy.draw(3) == 0 {
			return soon, next
		}
		soonest(now.Add(time.Second)) // who knows what comes first
	}
	for _, g := range w.groups {
		for _, s := range g.slots {
			if s.now == nil && !s.over {
				soonest(s.next)
			}
		}
	}
	return ready, next
}

// sleep lets time pass until something comes up, or until an instant.
func (w *world) sleep(until time.Time) {
	select {
	case <-w.bus.notify: // of a call that waits already, or of one that is over
		return
	default:
	}
	wake := time.Minute
	if !until.IsZero() {
		wake = min(wake, time.Until(until))
	}
	t := time.NewTimer(wake)
	defer t.Stop()
	select {
	case <-t.C:
	case <-w.bus.notify:
	}
}

// end kills what is left and waits until every goroutine is gone.
func (w *world) end() {
	w.report.Virtual = time.Since(w.trace.begun)
	w.report.Turns = w.turn
	for _, g := range w.groups {
		w.report.Files += len(g.oracle.files)
		w.report.Leftover += len(g.oracle.leftover())
	}
	w.report.Trace, w.report.Hash = w.trace.lines, w.trace.hash
	for _, p := range w.procs {
		w.bus.kill(p)
		p.cancel()
	}
	for begun := time.Now(); time.Since(begun) < grace; w.sleep(time.Now().Add(time.Second)) {
		synctest.Wait()
		if !slices.ContainsFunc(w.procs, func(p *process) bool { done, _ := p.ended(); return !done }) {
			return
		}
	}
	w.violate("a worker does not end %v after its death", grace)
}
