package pipelinetest

import (
	"hash/fnv"
	"slices"
	"time"
)

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
		c.by.oracle.disturbed(c)
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
	h.Write([]byte(c.String() + answer + time.Since(w.trace.begun).String()))
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
	c.by.oracle.disturbed(c)
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
	for i := range p.slots {
		if s := &p.slots[i]; s.now == p {
			s.now, s.next = nil, time.Now().Add(w.pause(20*time.Second))
		}
	}
}
