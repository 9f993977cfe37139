package pipelinetest

import (
	"fmt"
	"hash/fnv"
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
	for i := range w.slots {
		w.slots[i].next = time.Now().Add(w.policy.begin(i))
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
	if !w.stream.ended || slices.ContainsFunc(w.slots, func(s slot) bool { return !s.over }) {
		return false
	}
	// Processes that stood still and late requests may still do harm.
	if len(w.late) > 0 && w.policy.patient() || slices.ContainsFunc(w.procs, (*process).running) {
		return false
	}
	if err := w.oracle.final(w.want()); err != nil {
		w.violate("%w", err)
	}
	return true
}

// reap takes note of processes that have ended.
func (w *world) reap() {
	for i := range w.slots {
		s := &w.slots[i]
		if s.now == nil {
			continue
		}
		done, err := s.now.ended()
		if !done {
			continue
		}
		p := s.now
		s.now = nil
		w.checkMemory(p)
		switch {
		case err == nil && !p.stopped:
			s.over = true
			w.trace.add("%s ends: nothing is left to do", p.name)
			if !w.stream.ended {
				w.violate("%s found nothing left to do, and the stream goes on", p.name)
			}
			continue
		case err == nil:
			w.trace.add("%s has stopped", p.name)
		default:
			w.report.Failed++
			w.trace.add("%s failed", p.name)
			w.trace.note("%s: %v", p.name, err)
			if !w.calm.IsZero() && time.Since(w.calm) > patience/2 {
				w.violate("%s failed long after the last fault: %w", p.name, err)
			}
		}
		s.next = time.Now().Add(w.pause(10 * time.Second))
	}
}

// checkMemory looks at the budget of a process that has ended.
func (w *world) checkMemory(p *process) {
	st := p.pipe.Status()
	w.report.Unreturned += st.Memory
	if st.MemoryPeak > st.MemoryLimit {
		w.violate("%s had %d bytes in use, with a budget of %d", p.name, st.MemoryPeak, st.MemoryLimit)
	}
}

func (w *world) pause(most time.Duration) time.Duration {
	return time.Duration(w.policy.draw(int(most/time.Millisecond))) * time.Millisecond
}

func (w *world) startDue() {
	for i := range w.slots {
		s := &w.slots[i]
		if s.now == nil && !s.over && !time.Now().Before(s.next) {
			s.now = w.start(i)
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
	for _, s := range w.slots {
		if s.now == nil && !s.over {
			soonest(s.next)
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

// act performs one turn.
func (w *world) act(ready []*call, a action) {
	c := ready[a.call]
	if i := slices.Index(w.late, c); i >= 0 {
		w.late = slices.Delete(w.late, i, i+1)
		w.trace.add("%4d %s arrives late%s", w.turn, c, outcome(c.effect()))
		return
	}
	if c.gone {
		w.leave(c)
		return
	}
	// Calls that nothing tells apart are reads of the same; they have one turn, so
	// that it does not matter which goroutine made which.
	group := []*call{c}
	for _, o := range ready {
		if o != c && o.by == c.by && o.compare(c) == 0 && !o.gone {
			group = append(group, o)
		}
	}
	if a.fault != none {
		w.report.Faults[faultNames[a.fault]]++
	}
	switch a.fault {
	case slow:
		for _, c := range group {
			c.held, c.after = time.Now().Add(a.time), w.turn+a.turns
		}
		w.trace.add("%4d %s takes %v and %d turns", w.turn, c, a.time, a.turns)
	case refused:
		w.trace.add("%4d %s: refused", w.turn, c)
		for _, c := range group {
			w.bus.answer(c, errRefused)
		}
	case late:
		w.trace.add("%4d %s: no answer, and will arrive in %v and %d turns", w.turn, c, a.time, a.turns)
		for _, c := range group {
			w.heard(c, "?")
			w.bus.answer(c, errUnanswered)
		}
		w.postpone(c, a.time, a.turns)
	case crashBefore:
		w.trace.add("%4d %s: dies before it", w.turn, c)
		w.crash(c.by)
	default:
		for _, c := range group {
			err := c.effect()
			switch a.fault {
			case none:
				w.trace.add("%4d %s%s", w.turn, c, outcome(err))
				w.heard(c, outcome(err))
				w.bus.answer(c, err)
			case unanswered:
				w.trace.add("%4d %s%s, not answered", w.turn, c, outcome(err))
				w.bus.answer(c, errUnanswered)
			case crashAfter:
				w.trace.add("%4d %s%s, and dies", w.turn, c, outcome(err))
				w.bus.answer(c, errDead)
			}
		}
		if a.fault == crashAfter {
			w.crash(c.by)
		}
	}
}

// heard adds an answer to what a process has come to know. Answers of one instant
// are taken to lead to the same in any order, as far as what is asked next and
// what the world holds are the same too.
func (w *world) heard(c *call, answer string) {
	h := fnv.New64a()
	fmt.Fprint(h, c, answer, time.Since(w.trace.begun))
	c.by.history += h.Sum64()
}

func outcome(err error) string {
	if err == nil {
		return ""
	}
	return ": " + plainError(err)
}

// leave ends a call whose caller has gone: it is lost, or arrives later.
func (w *world) leave(c *call) {
	w.bus.mu.Lock()
	w.bus.remove(c)
	w.bus.mu.Unlock()
	if c.read || w.policy.draw(2) == 0 {
		w.trace.add("%4d %s: its caller has gone, it is lost", w.turn, c)
		return
	}
	w.trace.add("%4d %s: its caller has gone, it is on its way", w.turn, c)
	w.postpone(c, w.pause(30*time.Second), 0)
}

// postpone lets an effect happen later. Who asked for it may be dead by then.
func (w *world) postpone(c *call, d time.Duration, turns int) {
	if c.read {
		return
	}
	c.held, c.after = time.Now().Add(d), w.turn+turns
	w.late = append(w.late, c)
}

// crash ends a process between two instructions. What it has asked for may be on
// its way.
func (w *world) crash(p *process) {
	for _, c := range w.bus.kill(p) {
		if !c.read && w.policy.draw(4) == 0 {
			w.postpone(c, w.pause(60*time.Second), 0)
			w.trace.add("     %s is on its way", c)
		}
	}
	p.cancel()
	for i := range w.slots {
		if s := &w.slots[i]; s.now == p {
			s.now, s.next = nil, time.Now().Add(w.pause(20*time.Second))
		}
	}
}

// end kills what is left and waits until every goroutine is gone.
func (w *world) end() {
	w.report.Virtual = time.Since(w.trace.begun)
	w.report.Turns, w.report.Files = w.turn, len(w.oracle.files)
	w.report.Leftover = len(w.oracle.leftover())
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
