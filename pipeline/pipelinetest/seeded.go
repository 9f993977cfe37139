package pipelinetest

import (
	"time"
)

// dice are the numbers of a seed: splitmix64, which will not change with the
// version of Go, so that a seed that once failed stays the same run.
type dice struct{ state uint64 }

// IntN is a number from 0 to n-1.
func (d *dice) IntN(n int) int {
	d.state += 0x9e3779b97f4a7c15
	z := d.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return int((z ^ z>>31) >> 1 % uint64(n))
}

// seeded is the policy of a run: all that happens follows from one number.
type seeded struct {
	rng    dice
	faults Faults
	until  int // faults happen before this turn
}

func newSeeded(seed uint64, f Faults) *seeded {
	p := &seeded{rng: dice{seed}, faults: f}
	// A world in which everything goes wrong at once explores less than many in
	// which some things do.
	for _, chance := range []*int{&p.faults.Refused, &p.faults.Unanswered, &p.faults.Late, &p.faults.Slow, &p.faults.Crash, &p.faults.Stop, &p.faults.Pause, &p.faults.Jump, &p.faults.Trim, &p.faults.Vanish} {
		if p.rng.IntN(5) < 2 {
			*chance = 0
		}
	}
	p.until = 60 + p.rng.IntN(400)
	return p
}

// draw returns a number below n.
func (p *seeded) draw(n int) int { return p.rng.IntN(n) }

func (p *seeded) chance(permille int) bool { return permille > 0 && p.rng.IntN(1000) < permille }

func (p *seeded) seconds(n int) time.Duration {
	return time.Duration(1+p.rng.IntN(n*1000)) * time.Millisecond
}

// sizes are small, and never those of the start before.
func (p *seeded) sizes() Sizes {
	s := Sizes{
		Fetch: 1 + p.rng.IntN(12), Part: 64 << p.rng.IntN(4), FileBytes: int64(250 + p.rng.IntN(1500)),
		MaxOpen: 1 + p.rng.IntN(6), CommitEvery: 2*time.Second + p.seconds(25), Ahead: 1 + p.rng.IntN(3),
	}
	if p.rng.IntN(4) > 0 {
		s.CommitRecords = 1 + p.rng.IntN(16)
	}
	return s
}

// before lets the world change.
func (p *seeded) before(w *world) {
	for _, g := range w.groups {
		p.flow(g)
	}
	if w.turn >= p.until {
		if w.calm.IsZero() {
			w.calm = time.Now()
			w.trace.add("the faults end")
		}
		return
	}
	if p.chance(p.faults.Jump) {
		d := p.seconds(300)
		w.trace.add("the clock jumps by %v", d)
		w.report.Faults["jump"]++
		for _, c := range w.bus.sorted() {
			c.held = time.Now().Add(d)
		}
	}
	for _, g := range w.groups {
		p.disturb(g)
	}
}

// flow lets rows come in, and shards split and merge.
func (p *seeded) flow(g *group) {
	switch {
	case g.input < g.rows && (g.turn >= p.until || p.rng.IntN(6) == 0):
		g.put(1 + p.rng.IntN(8))
	case g.input == g.rows && g.reshards == 0 && !g.stream.ended && g.turn >= p.until && (g.ready == nil || g.ready()):
		g.stream.ended = true
		g.trace.add("the stream%s ends", g.of())
	}
	if g.reshards > 0 && (g.turn >= p.until || p.chance(p.faults.Reshard)) {
		p.reshard(g)
	}
}

// disturb is what befalls a group of workers.
func (p *seeded) disturb(g *group) {
	if p.chance(p.faults.Trim) && g.oracle.trim() {
		g.report.Faults["trim"]++
	}
	if g.config.Repair && p.chance(p.faults.Vanish) && g.oracle.vanish() {
		g.report.Faults["vanish"]++
	}
	for i := range g.slots {
		s := &g.slots[i]
		if s.now == nil {
			continue
		}
		switch {
		case !s.now.stopped && p.chance(p.faults.Stop):
			g.trace.add("%s is told to stop", s.now.name)
			g.report.Faults["stop"]++
			s.now.stopped = true
			s.now.cancel()
		case p.chance(p.faults.Pause):
			d := p.seconds(60)
			g.trace.add("%s stands still for %v", s.now.name, d)
			g.report.Faults["pause"]++
			s.now.paused = time.Now().Add(d)
			if p.rng.IntN(2) == 0 { // it is taken for dead
				s.now, s.next = nil, time.Now().Add(p.seconds(20))
			}
		}
	}
}

// reshard splits a shard, or merges two.
func (p *seeded) reshard(g *group) {
	g.reshards--
	live := g.stream.live()
	if n := p.rng.IntN(len(live)); len(live) > 1 && p.rng.IntN(2) == 0 {
		n = min(n, len(live)-2)
		g.trace.add("%s and %s%s merge", short(live[n].id), short(live[n+1].id), g.of())
		g.stream.merge(n)
	} else if g.stream.split(live[n], p.share(g)) {
		g.trace.add("%s%s splits", short(live[n].id), g.of())
	}
	g.report.Faults["reshard"]++
}

// share is how much of a shard's range the lower child gets, of 1,024 parts.
func (p *seeded) share(g *group) uint64 {
	if !g.uneven {
		return 512
	}
	return uint64(1 + p.rng.IntN(1023))
}

// choose picks any call, and what goes wrong with it.
func (p *seeded) choose(w *world, ready []*call) action {
	a := action{call: p.rng.IntN(len(ready))}
	if w.turn >= p.until {
		return a
	}
	n := p.rng.IntN(1000)
	for _, f := range []struct {
		kind   fault
		chance int
	}{
		{refused, p.faults.Refused}, {unanswered, p.faults.Unanswered}, {late, p.faults.Late}, {slow, p.faults.Slow},
		{crashBefore, p.faults.Crash / 2}, {crashAfter, p.faults.Crash - p.faults.Crash/2},
	} {
		if n -= f.chance; n < 0 {
			a.fault = f.kind
			p.delay(&a)
			return a
		}
	}
	return a
}

// delay is in turns as often as in time: time stands still while anything is
// ready, so that what is late by time alone arrives at quiet moments only.
func (p *seeded) delay(a *action) {
	switch {
	case a.fault != late && a.fault != slow:
	case p.rng.IntN(2) == 0:
		a.turns = 1 + p.rng.IntN(60)
	case a.fault == slow:
		a.time = p.seconds(20)
	case p.rng.IntN(8) == 0:
		a.time = p.seconds(1800) // when others may have begun a repair
	default:
		a.time = p.seconds(90)
	}
}

// begin lets the first worker start at once.
func (p *seeded) begin(slot int) time.Duration {
	return time.Duration(p.rng.IntN(3000*slot+1)) * time.Millisecond
}

// stop never leaves a run off.
func (p *seeded) stop() bool { return false }

// patient waits for what is late: it may do harm.
func (p *seeded) patient() bool { return true }
