package stage_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/shardlake/shardlake/stage"
	"github.com/shardlake/shardlake/stage/window"
)

// pane is a row of a window: the IDs of what was folded into it.
type pane struct {
	Key      string
	From, To int
	Pane     int
	IDs      []int
}

func (p *pane) Merge(o pane) { p.IDs = append(p.IDs, o.IDs...) }

// SetWindow is told the final span.
func (p *pane) SetWindow(s window.Span) { p.From, p.To = int(s.Start/1e6), int(s.End/1e6) }

func seedPane(k string, s window.Span) pane {
	return pane{k, int(s.Start / 1e6), int(s.End / 1e6), s.Pane, nil}
}
func foldPane(p *pane, i input) { p.IDs = append(p.IDs, i.id) }

func (i input) user() string { return i.key }

// Hopping windows against a loop over each row and each span that holds it.
func TestHoppingAgainstPlainLoop(t *testing.T) {
	seeds(t, 25, func(t *testing.T, r *rand.Rand) {
		hop := 1 + r.IntN(30)
		size, grace := hop*(1+r.IntN(6)), r.IntN(60)
		in := disorder(r, 150, 3, 70)
		want, late := map[string][]int{}, []int(nil)
		for _, v := range in {
			missed := false
			for from := -10_000 * hop; from <= v.at; from += hop {
				switch {
				case v.at >= from+size:
				case v.high >= from+size+grace:
					missed = true
				default:
					k := fmt.Sprint(v.key, from, from+size)
					want[k] = append(want[k], v.id)
				}
			}
			if missed {
				late = append(late, v.id)
			}
		}
		o := same(t, r, stage.Aggregate(window.Hopping(seconds(size), seconds(hop)).Grace(seconds(grace)), input.user, seedPane, foldPane), in, ownKey)
		got := map[string][]int{}
		for i, p := range o.rows {
			k := fmt.Sprint(p.Key, p.From, p.To)
			if got[k] != nil || o.times[i] != sec(p.To)-1 || i > 0 && o.times[i] < o.times[i-1] {
				t.Fatalf("%v at %v", p, o.times[i])
			}
			got[k] = p.IDs
		}
		check(t, got, want)
		check(t, o.late, late)
	})
}

// Panes: those of a key and span come in the order of their numbers, none twice, and
// all that was not late is in exactly one of them.
func TestPanesAddUp(t *testing.T) {
	seeds(t, 40, func(t *testing.T, r *rand.Rand) {
		size := 10 + r.IntN(60)
		w := window.Tumbling(seconds(size)).Grace(seconds(r.IntN(40)))
		if r.IntN(4) > 0 {
			w = w.Early(seconds(1 + r.IntN(size)))
		}
		if r.IntN(4) > 0 {
			w = w.Late(seconds(r.IntN(100)))
		}
		in := disorder(r, 200, 3, 120)
		o := same(t, r, stage.Aggregate(w, input.user, seedPane, foldPane), in, ownKey)
		last, seen := map[string]int{}, map[int]bool{}
		for _, id := range o.late {
			seen[id] = true
		}
		for _, p := range o.rows {
			k := fmt.Sprint(p.Key, p.From)
			if before, ok := last[k]; ok && before >= p.Pane {
				t.Fatalf("%s: pane %d follows %d", k, p.Pane, before)
			}
			last[k] = p.Pane
			for _, id := range p.IDs {
				if v := in[id]; seen[id] || v.key != p.Key || v.at < p.From || v.at >= p.To {
					t.Fatalf("%v in %v", v, p)
				}
				seen[id] = true
			}
		}
		check(t, len(seen), len(in))
		for _, id := range o.late {
			v := in[id]
			if s := w.Span(sec(v.at)); !w.Closed(s, sec(v.high)) {
				t.Fatalf("%v is late for %v", v, s)
			}
		}
	})
}

// plainVisit is a session in the plain loop.
type plainVisit struct {
	first, last int
	ids         []int
}

// Sessions against a loop that keeps every session of every key for ever.
func TestSessionsAgainstPlainLoop(t *testing.T) {
	seeds(t, 60, func(t *testing.T, r *rand.Rand) {
		gap, grace := 1+r.IntN(40), r.IntN(60)
		in := disorder(r, 150, 3, 60)
		want, late := map[string][]*plainVisit{}, []int(nil)
		for _, v := range in {
			at := &plainVisit{v.at, v.at, []int{v.id}}
			var apart, met []*plainVisit
			for _, o := range want[v.key] {
				if v.at-o.last < gap && o.first-v.at < gap && v.high < o.last+gap+grace {
					met = append(met, o)
				} else {
					apart = append(apart, o)
				}
			}
			if len(met) == 0 && v.high >= v.at+gap+grace {
				late = append(late, v.id)
				continue
			}
			for _, o := range met {
				at.first, at.last, at.ids = min(at.first, o.first), max(at.last, o.last), append(at.ids, o.ids...)
			}
			want[v.key] = append(apart, at)
		}
		plain := map[string]bool{}
		for k, all := range want {
			for _, v := range all {
				slices.Sort(v.ids)
				plain[fmt.Sprint(k, v.first, v.last+gap, v.ids)] = true
			}
		}
		o := same(t, r, stage.Aggregate(window.Sessions(seconds(gap)).Grace(seconds(grace)), input.user, seedPane, foldPane), in, ownKey)
		got := map[string]bool{}
		for _, p := range o.rows {
			slices.Sort(p.IDs)
			got[fmt.Sprint(p.Key, p.From, p.To, p.IDs)] = true
		}
		check(t, got, plain)
		check(t, o.late, late)
		check(t, len(o.rows), len(plain))
		check(t, slices.IsSorted(o.times), true)
	})
}

// No session is longer than Longest, and none loses a row to that; a key that never
// rests has sessions all the same. Keys come under several partition keys here.
func TestLongestSessions(t *testing.T) {
	seeds(t, 40, func(t *testing.T, r *rand.Rand) {
		gap := 5 + r.IntN(40)
		longest := gap + r.IntN(60)
		in := disorder(r, 200, 2, 50)
		part := func(i input) string { return fmt.Sprint(i.id % 3) }
		o := same(t, r, stage.AggregatePartial(window.Sessions(seconds(gap)).Longest(seconds(longest)).Grace(seconds(r.IntN(50))), input.user, seedPane, foldPane), in, part)
		seen := len(o.late)
		for _, p := range o.rows {
			if p.To-gap-p.From > longest {
				t.Fatalf("%v is longer than %d", p, longest)
			}
			for _, id := range p.IDs {
				if v := in[id]; v.key != p.Key || v.at < p.From || v.at > p.To-gap {
					t.Fatalf("%v in %v", v, p)
				}
			}
			seen += len(p.IDs)
		}
		check(t, seen, len(in))
	})
	// In order, it is a plain cut.
	in := make([]input, 100)
	for i := range in {
		in[i] = input{i, i, i, "a"}
	}
	o := run(t, rand.New(rand.NewPCG(1, 1)), stage.Aggregate(window.Sessions(seconds(2)).Longest(seconds(9)).Grace(0), input.user, seedPane, foldPane), in, ownKey, course{1, 1, 1, 1})
	for i, p := range o.rows {
		check(t, []int{p.From, p.To, len(p.IDs)}, []int{10 * i, 10*i + 11, 10})
	}
	check(t, len(o.rows), 10)
}

// Aggregates feed aggregates: nothing is late for the second that was not for the
// first, and totals are those of a loop.
func TestAggregateOfAggregateAgainstPlainLoop(t *testing.T) {
	seeds(t, 20, func(t *testing.T, r *rand.Rand) {
		minute, grace := 2+r.IntN(10), r.IntN(30)
		w := window.Tumbling(seconds(minute)).Grace(seconds(grace))
		if r.IntN(2) == 0 {
			w = w.Early(seconds(1)).Late(seconds(r.IntN(20)))
		}
		in := disorder(r, 200, 3, 40)
		st := stage.Aggregate(w, input.user, seedPane, foldPane).Then(stage.Named("hours", stage.Aggregate(window.Tumbling(seconds(minute*6)).Grace(0),
			func(p pane) string { return p.Key }, seedPane, func(h *pane, p pane) { h.IDs = append(h.IDs, p.IDs...) })))
		o := same(t, r, st, in, ownKey)
		want := map[string][]int{}
		late := map[int]bool{}
		for _, id := range o.late {
			late[id] = true
		}
		for _, v := range in {
			if !late[v.id] {
				from := int(window.Tumbling(seconds(minute*6)).Grace(0).Span(sec(v.at)).Start / 1e6)
				k := fmt.Sprint(v.key, from)
				want[k] = append(want[k], v.id)
			}
		}
		got := map[string][]int{}
		for _, p := range o.rows {
			slices.Sort(p.IDs)
			k := fmt.Sprint(p.Key, p.From)
			if got[k] != nil {
				t.Fatalf("%s came out twice", k)
			}
			got[k] = p.IDs
		}
		check(t, maps.EqualFunc(got, want, slices.Equal), true)
	})
}

// A program that comes back with another grace closes what is open by the new one.
func TestGraceMayChange(t *testing.T) {
	for name, of := range map[string]func(grace int) stage.Stage[input, pane]{
		"tumbling": func(g int) stage.Stage[input, pane] {
			return stage.Aggregate(window.Tumbling(seconds(10)).Grace(seconds(g)), input.user, seedPane, foldPane)
		},
		"sessions": func(g int) stage.Stage[input, pane] {
			return stage.Aggregate(window.Sessions(seconds(10)).Grace(seconds(g)), input.user, seedPane, foldPane)
		},
	} {
		for _, g := range []struct{ old, new int }{{100, 0}, {0, 100}, {30, 50}} {
			l := open(t, of(g.old), nil)
			check(t, l.Push(at(0), input{0, 0, 0, "a"}), nil)
			state, err := l.Snapshot()
			check(t, err, nil)
			l = open(t, of(g.new), state)
			check(t, l.Mark(mark(9+g.new)), nil)
			check(t, len(l.Rows), 0)
			check(t, l.Mark(mark(10+g.new)), nil)
			if len(l.Rows) != 1 {
				t.Errorf("%s: %v: %v", name, g, l.Rows)
			}
		}
	}
}

// Early counts panes: another step is another state.
func TestEarlyMayNotChange(t *testing.T) {
	of := func(early int) stage.Stage[input, pane] {
		return stage.Aggregate(window.Tumbling(seconds(60)).Grace(0).Early(seconds(early)), input.user, seedPane, foldPane)
	}
	l := open(t, of(10), nil)
	check(t, l.Push(at(0), input{key: "a"}), nil)
	state, err := l.Snapshot()
	check(t, err, nil)
	check(t, reopen(of(10))(state), nil)
	if err := reopen(of(20))(state); err == nil {
		t.Error("the panes of another step were taken")
	}
}
