package balance

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/shardlake/shardlake/pipeline/lease"
)

// mine is a lane that this worker runs.
func mine(lane string) Lane {
	return Lane{Row: lease.Row{Lane: lane, Owner: "me", Fence: 1}, Ready: true, Running: true}
}

// of is a lane of another owner, or of none.
func of(owner, lane string) Lane {
	return Lane{Row: lease.Row{Lane: lane, Owner: owner, Fence: 1}, Ready: true}
}

func asked(l Lane, want string) Lane {
	l.Row.Want = want
	return l
}

// unready is a lane that nobody can work on.
func unready(l Lane) Lane {
	l.Ready = false
	return l
}

func ended(l Lane) Lane {
	l.Row.Ended, l.Row.Unread = true, true
	return l
}

// TestDecide: what one worker does at its first look, 1 second and so on, with
// every owner alive.
func TestDecide(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		o     Options
		lanes []Lane
		take  []string // in this order
		ask   string
	}{
		"nothing there": {},
		"unseen, it shows itself with one lane": {
			lanes: []Lane{ended(of("", "a")), of("", "b"), of("", "c")}, take: []string{"a"}},
		"unseen, it asks for one lane": {
			lanes: []Lane{of("you", "a"), ended(of("you", "b")), ended(of("you", "c")), ended(of("you", "d"))}, ask: "a"},
		"what has ended comes first": {
			lanes: []Lane{mine("a"), of("", "b"), of("", "c"), ended(of("", "d"))}, take: []string{"d"}},
		"no more than its share": {
			lanes: []Lane{mine("a"), of("you", "b"), of("", "c"), of("he", "d"), of("he", "e")}, take: []string{"c"}},
		"at its share it leaves the rest": {
			lanes: []Lane{mine("a"), mine("b"), of("you", "c"), of("", "d")}},
		"what is not ready counts for nothing": {
			lanes: []Lane{mine("a"), of("you", "b"), unready(of("you", "c")), unready(of("", "d")), unready(of("you", "e"))}},
		"it asks whoever has most": {
			lanes: []Lane{mine("a"), of("you", "b"), of("you", "c"), of("he", "d"), of("he", "e"), of("he", "f"), ended(of("he", "g"))}, ask: "e"},
		"what has ended is not asked for": {
			lanes: []Lane{mine("a"), ended(of("you", "b")), ended(of("you", "c")), ended(of("you", "d"))}},
		"between the two shares nothing moves": {
			lanes: []Lane{mine("a"), of("you", "b"), of("you", "c")}},
		"nothing is asked for while something is free": {
			lanes: []Lane{mine("a"), of("", "b"), of("you", "c"), of("you", "d"), of("you", "e"), of("you", "f")}, take: []string{"b"}},
		"what it has asked for is its own": {
			lanes: []Lane{mine("a"), asked(of("you", "b"), "me"), of("you", "c"), of("you", "d")}},
		"and is taken first, all at once": {
			lanes: []Lane{asked(of("", "a"), "me"), asked(of("", "b"), "me"), of("you", "c"), of("you", "d"), of("", "e")}, take: []string{"a", "b", "e"}},
		"what another has asked for is left to it": {
			lanes: []Lane{asked(of("", "a"), "you"), of("you", "b"), asked(of("", "c"), "new"), of("he", "d")}, ask: "b"},
		"an asker that owns nothing is counted": {
			lanes: []Lane{mine("a"), asked(of("you", "b"), "new"), of("you", "c"), of("you", "d"), mine("e")}},
		"a lane that it ends is not taken": {
			lanes: []Lane{{Row: lease.Row{Lane: "a"}, Ready: true, Running: true}, mine("b")}},
		"an earlier life of a lane is free at once": {
			lanes: []Lane{of("me", "a"), of("you", "b")}, take: []string{"a"}},
		"a lane that it hands over is not its own": {
			lanes: []Lane{asked(mine("a"), "you"), of("you", "b"), of("you", "c"), of("", "d")}, take: []string{"d"}},
		"no more than MaxLanes": {
			o: Options{MaxLanes: 1}, lanes: []Lane{mine("a"), of("", "b"), of("you", "c"), of("you", "d"), of("you", "e")}},
		"no asking beyond MaxLanes": {
			o: Options{MaxLanes: 1}, lanes: []Lane{mine("a"), of("you", "c"), of("you", "d"), of("you", "e")}},
		"alone, every owner is dead": {
			o: Options{Alone: true}, lanes: []Lane{ended(of("you", "a")), mine("b"), unready(of("", "c")), asked(of("he", "d"), "you")}, take: []string{"a", "d"}},
		"alone, MaxLanes holds": {
			o: Options{Alone: true, MaxLanes: 2}, lanes: []Lane{ended(of("you", "a")), mine("b"), of("he", "d")}, take: []string{"a"}},
	} {
		w := open(t, c.o)
		rows := []lease.Row{}
		for _, l := range c.lanes {
			rows = append(rows, l.Row)
		}
		w.See(rows, start)
		p := w.Decide(c.lanes)
		take := []string{}
		for _, r := range p.Take {
			take = append(take, r.Lane)
		}
		if !slices.Equal(take, c.take) || names(p.Ask) != c.ask {
			t.Errorf("%s: take %q and ask for %q, want %q and %q", name, take, names(p.Ask), c.take, c.ask)
		}
		slices.Reverse(c.lanes)
		if q := w.Decide(c.lanes); fmt.Sprint(q) != fmt.Sprint(p) {
			t.Errorf("%s: the order of the lanes matters", name)
		}
	}
}

// TestLongestFirst: what has had no owner for longer is more urgent, by whole
// lease times.
func TestLongestFirst(t *testing.T) {
	t.Parallel()
	w := open(t, Options{})
	old := []Lane{mine("mine"), of("", "a"), of("", "b"), of("", "c")}
	rows := []lease.Row{}
	for _, l := range old {
		rows = append(rows, l.Row)
	}
	w.See(rows, start)
	for i := range 30 {
		l := of("", fmt.Sprint("new-", i))
		old, rows = append(old, l), append(rows, l.Row)
	}
	w.See(rows, start.Add(11*time.Second))
	p := w.Decide(old)
	if len(p.Take) != 5 || names(p.Take[:3]) != "a b c" {
		t.Errorf("take %q, want 5 of 34, and a, b and c first", names(p.Take))
	}
}

// TestForce: a want is fulfilled by force once the hand-over and a lease time are
// over and the owner still beats; not before, and not if the share is reached.
func TestForce(t *testing.T) {
	t.Parallel()
	w := open(t, Options{})
	lanes := []Lane{mine("a"), asked(of("you", "b"), "me"), of("you", "c"), of("you", "d")}
	look := func(after time.Duration) Plan {
		rows := []lease.Row{}
		for i := range lanes {
			lanes[i].Row.Beat++
			rows = append(rows, lanes[i].Row)
		}
		w.See(rows, start.Add(after))
		return w.Decide(lanes)
	}
	for _, s := range []int{0, 9, 18, 27, 36, 40} {
		if p := look(time.Duration(s) * time.Second); len(p.Take)+len(p.Ask) != 0 {
			t.Fatalf("after %d s: take %q, ask for %q", s, names(p.Take), names(p.Ask))
		}
	}
	if p := look(41 * time.Second); names(p.Take) != "b" || len(p.Ask) != 0 {
		t.Errorf("in the end: take %q, ask for %q", names(p.Take), names(p.Ask))
	}
	lanes = append(lanes, mine("e"))
	if p := look(42 * time.Second); len(p.Take)+len(p.Ask) != 0 {
		t.Errorf("with its share: take %q, ask for %q", names(p.Take), names(p.Ask))
	}
}

// TestReservation: a free lane waits for its asker one lease time, and for a dead
// one not at all.
func TestReservation(t *testing.T) {
	t.Parallel()
	w := open(t, Options{})
	a, b := asked(of("", "a"), "you"), of("you", "b")
	rows := func() []lease.Row { b.Row.Beat++; return []lease.Row{a.Row, b.Row} }
	w.See(rows(), start)
	w.See(rows(), start.Add(10*time.Second))
	if p := w.Decide([]Lane{a, b}); len(p.Take) != 0 {
		t.Errorf("took %q from a live asker", names(p.Take))
	}
	w.See(rows(), start.Add(11*time.Second))
	if p := w.Decide([]Lane{a, b}); names(p.Take) != "a" {
		t.Errorf("take %q, want a: its asker does not take it", names(p.Take))
	}

	// After a crash as well: from when its owner was known to be dead.
	w, a.Row.Owner = open(t, Options{}), "he"
	w.See(rows(), start)
	for _, s := range []int{9, 11, 20, 21} {
		w.See(rows(), start.Add(time.Duration(s)*time.Second))
		if p := w.Decide([]Lane{a, b}); len(p.Take) == 1 != (s == 21) {
			t.Errorf("after %d s: take %q", s, names(p.Take))
		}
	}

	w, a.Row.Owner = open(t, Options{}), ""
	w.See([]lease.Row{b.Row}, start)
	w.See([]lease.Row{a.Row, b.Row}, start.Add(11*time.Second))
	if p := w.Decide([]Lane{a, b}); len(p.Take) != 1 || p.Workers != 1 {
		t.Errorf("took %q of %d workers: the asker is dead", names(p.Take), p.Workers)
	}
}

// TestAllAtOnce: workers that see the same rows ask for what is too much, and not
// each for all of it.
func TestAllAtOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lanes []int // of each worker
		moves int
	}{
		"ten relieve one":           {[]int{4, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3}, 1},
		"three lack what one has":   {[]int{9, 1, 1, 1}, 6},
		"one lacks what three have": {[]int{4, 4, 4, 1}, 2},
		"balanced":                  {[]int{3, 2, 3, 2}, 0},
	} {
		rows := []lease.Row{}
		for i, n := range c.lanes {
			for range n {
				rows = append(rows, lease.Row{Lane: fmt.Sprint("lane-", len(rows)), Owner: fmt.Sprint("worker-", i)})
			}
		}
		asked := map[string]bool{}
		for i := range c.lanes {
			me := fmt.Sprint("worker-", i)
			w, err := New(me, Options{})
			if err != nil {
				t.Fatal(err)
			}
			w.See(rows, start)
			lanes := []Lane{}
			for _, r := range rows {
				lanes = append(lanes, Lane{Row: r, Ready: true, Running: r.Owner == me})
			}
			for _, r := range w.Decide(lanes).Ask {
				if asked[r.Lane] {
					t.Errorf("%s: two ask for %s", name, r.Lane)
				}
				asked[r.Lane] = true
			}
		}
		if len(asked) != c.moves {
			t.Errorf("%s: %d asked for, want %d", name, len(asked), c.moves)
		}
	}
}
