package pipelinetest

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardlake/shardlake/pipeline/lease"
)

// Bounds of an exploration: how much may go wrong in one run.
type Bounds struct {
	Crashes int // of workers, before or after any of their calls that change something
	Late    int // requests whose caller is told that they failed, and that arrive at any later moment or never
	Runs    int // at most; 10,000 if 0
	// Sizes are those of every worker; the zero value stands for one record a fetch
	// and a commit each.
	Sizes Sizes
}

// Exploration tells how far Explore got.
type Exploration struct {
	Runs      int
	States    int  // different ones in which there was a choice
	Complete  bool // all that the bounds allow was explored
	Violation error
	Trace     []string // of the run that broke a promise
}

// Explore runs a scenario again and again, each time with another order of calls,
// another crash or another late request, until it has gone through all that the
// bounds allow: a depth-first search without stored worlds, which leaves off where
// the world, what each worker has heard, what is asked and the time are those of
// a run before. Questions to the stream, which does not change, have their turn at
// once.
//
// All rows are in the stream from the beginning; Faults and Reshards of the
// scenario do not count. It fails the test, with the trace, when a promise is
// broken. Two workers, two rows and one crash are 60,000 runs of half a
// millisecond: mind the bounds.
func Explore[T any](t *testing.T, b Bounds, s Scenario[T]) Exploration {
	t.Helper()
	e := Search(t, b, s)
	if e.Violation != nil {
		for _, l := range e.Trace {
			t.Log(l)
		}
		t.Errorf("run %d: %v", e.Runs, e.Violation)
	}
	return e
}

// Search is Explore for a pipeline that may be wrong: it reports, and fails the
// test only if the scenario is incomplete.
func Search[T any](t *testing.T, b Bounds, s Scenario[T]) (e Exploration) {
	t.Helper()
	s.check(t)
	b.Runs = cmp.Or(b.Runs, 10_000)
	if b.Sizes == (Sizes{}) {
		b.Sizes = Sizes{Fetch: 1, Part: 1 << 10, FileBytes: 1 << 20, MaxOpen: 4, CommitRecords: 1, CommitEvery: time.Minute, Ahead: 1}
	}
	seen := map[uint64]bool{}
	var path []int
	for e.Runs < b.Runs {
		p := &search{bounds: b, path: path, seen: seen}
		var w *world
		synctest.Test(t, func(*testing.T) {
			w = newWorld(p)
			newGroup(w, s)
			w.run()
		})
		e.Runs++
		if w.report.Violation != nil {
			e.Violation, e.Trace = w.report.Violation, w.report.Trace
			break
		}
		// The last choice of which there is another one.
		n := len(p.taken)
		for n > 0 && p.taken[n-1]+1 >= p.widths[n-1] {
			n--
		}
		if n == 0 {
			e.Complete = true
			break
		}
		path = slices.Clone(p.taken[:n])
		path[n-1]++
	}
	e.States = len(seen)
	return e
}

// search is the policy of one run of an exploration.
type search struct {
	bounds Bounds
	path   []int // choices to be made; behind them, the first each
	seen   map[uint64]bool

	taken, widths []int
	crashes, late int // so far
	known         bool
}

// draw is the highest: what it decides is not explored.
func (p *search) draw(n int) int          { return n - 1 }
func (p *search) sizes() Sizes            { return p.bounds.Sizes }
func (p *search) begin(int) time.Duration { return 0 }
func (p *search) stop() bool              { return p.known }
func (p *search) patient() bool           { return false }

// before fills the stream.
func (p *search) before(w *world) {
	for _, g := range w.groups {
		if !g.stream.ended {
			g.put(g.rows)
			g.stream.ended, w.calm = true, time.Now()
		}
	}
}

// choose takes the next way.
func (p *search) choose(w *world, ready []*call) action {
	var ways []action
	if !slices.ContainsFunc(ready, func(c *call) bool { return !slices.Contains(w.late, c) }) {
		ways = append(ways, action{call: -1}) // what is late may be later still
	}
	for i, c := range ready {
		// The stream does not change: when it is asked makes no difference to others.
		if c.op == "fetch" || c.op == "shards" || c.op == "open" {
			return action{call: i}
		}
		if i > 0 && ready[i-1].by == c.by && ready[i-1].compare(c) == 0 {
			continue // they have their turn together
		}
		ways = append(ways, action{call: i})
		if c.read || c.gone || slices.Contains(w.late, c) {
			continue
		}
		if p.crashes < p.bounds.Crashes {
			ways = append(ways, action{call: i, fault: crashBefore}, action{call: i, fault: crashAfter})
		}
		if p.late < p.bounds.Late {
			ways = append(ways, action{call: i, fault: late})
		}
	}
	a := ways[0]
	if len(ways) > 1 {
		n, at := 0, len(p.taken)
		if at < len(p.path) {
			n = p.path[at]
		} else if h := p.state(w); p.seen[h] {
			p.known = true
		} else {
			p.seen[h] = true
		}
		p.taken, p.widths = append(p.taken, n), append(p.widths, len(ways))
		a = ways[n]
	}
	switch a.fault {
	case crashBefore, crashAfter:
		p.crashes++
	case late:
		p.late++
	}
	return a
}

// state is a hash of all that decides what may follow.
func (p *search) state(w *world) uint64 {
	var b strings.Builder
	note := func(what ...any) { fmt.Fprintln(&b, what...) }
	note(p.crashes, p.late, time.Since(w.trace.begun))
	for _, g := range w.groups {
		rows, err := g.table.List(context.Background())
		slices.SortFunc(rows, func(a, b lease.Row) int { return cmp.Compare(a.Lane, b.Lane) })
		note(err)
		for _, r := range rows {
			note(r.Lane, numbers(r), r.Beat, r.Owner, r.Want, r.Pos, r.Ended, len(r.Pending), r.Prev != nil, len(r.State))
		}
		var uploads []string
		for _, u := range g.oracle.uploads {
			uploads = append(uploads, fmt.Sprintln(plainKey(u.key), u.complete, u.aborted))
		}
		slices.Sort(uploads)
		note(uploads)
	}
	for _, x := range w.procs {
		note(x.name, x.history, x.running())
	}
	for _, c := range w.bus.sorted() {
		note(c, c.gone)
	}
	for _, c := range w.late {
		note("late", c)
	}
	h := fnv.New64a()
	h.Write([]byte(b.String()))
	return h.Sum64()
}
