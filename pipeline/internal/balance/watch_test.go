package balance

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shardlake/shardlake/pipeline/lease"
)

var start = time.Unix(1, 0)

// open makes a watch with the default times, 10 and 30 seconds.
func open(t *testing.T, o Options) *Watch {
	t.Helper()
	w, err := New("me", o)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// see shows rows to w so long after start, and decides with all lanes ready.
func see(w *Watch, after time.Duration, rows ...lease.Row) Plan {
	w.See(rows, start.Add(after))
	lanes := []Lane{}
	for _, r := range rows {
		lanes = append(lanes, Lane{Row: r, Ready: true})
	}
	return w.Decide(lanes)
}

func names(rows []lease.Row) string {
	s := []string{}
	for _, r := range rows {
		s = append(s, r.Lane)
	}
	slices.Sort(s)
	return strings.Join(s, " ")
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	_, err := New("", Options{LeaseTime: -1, MaxLanes: -1})
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("%v, want three reasons", err)
	}
}

// TestExpiry: an owner lives while its row changes; the age of a row counts from
// the first look, or the last change, by the local clock.
func TestExpiry(t *testing.T) {
	t.Parallel()
	const s = time.Second
	row := lease.Row{Lane: "a", Owner: "you", Fence: 3, Beat: 7}
	type step struct {
		at    time.Duration
		edit  func(*lease.Row)
		taken bool
	}
	for name, steps := range map[string][]step{
		"stands still":            {{0, nil, false}, {10 * s, nil, false}, {10*s + 1, nil, true}},
		"beats":                   {{0, nil, false}, {8 * s, func(r *lease.Row) { r.Beat++ }, false}, {18 * s, nil, false}, {18*s + 1, nil, true}},
		"is acquired":             {{0, nil, false}, {8 * s, func(r *lease.Row) { r.Fence++; r.Owner = "he" }, false}, {18 * s, nil, false}, {19 * s, nil, true}},
		"is restored from a copy": {{0, nil, false}, {8 * s, func(r *lease.Row) { r.Beat = 2 }, false}, {18 * s, nil, false}, {19 * s, nil, true}},
		"is made again":           {{0, nil, false}, {8 * s, func(r *lease.Row) { r.Inc = "new" }, false}, {18 * s, nil, false}, {19 * s, nil, true}},
		"a want is no beat":       {{0, nil, false}, {8 * s, func(r *lease.Row) { r.Want = "he" }, false}, {11 * s, func(r *lease.Row) { r.Want = "" }, true}},
		"a commit's other fields": {{0, nil, false}, {8 * s, func(r *lease.Row) { r.Number++ }, false}, {11 * s, nil, true}},
		"is released":             {{0, nil, false}, {1 * s, func(r *lease.Row) { r.Owner = "" }, true}},
		"the clock steps back":    {{10 * s, nil, false}, {0, nil, false}, {20 * s, nil, false}, {21 * s, nil, true}},
	} {
		w, r := open(t, Options{}), row
		for i, st := range steps {
			if st.edit != nil {
				st.edit(&r)
			}
			if p := see(w, st.at, r); (len(p.Take) == 1) != st.taken {
				t.Errorf("%s, step %d: take %q, want taken %v", name, i, names(p.Take), st.taken)
			}
		}
	}
}

// TestForgotten: a row that vanishes and comes back counts anew.
func TestForgotten(t *testing.T) {
	t.Parallel()
	w := open(t, Options{})
	r := lease.Row{Lane: "a", Owner: "you"}
	see(w, 0, r)
	see(w, 9*time.Second)
	if p := see(w, 11*time.Second, r); len(p.Take) != 0 {
		t.Errorf("took %q of an owner that was seen just now", names(p.Take))
	}
	if p := see(w, 22*time.Second, r); len(p.Take) != 1 {
		t.Error("left a lane whose owner is dead")
	}
}

// TestOneLiveRow: a worker lives as long as one of its rows does, and is counted;
// its other rows are free nevertheless.
func TestOneLiveRow(t *testing.T) {
	t.Parallel()
	w := open(t, Options{})
	a, b := lease.Row{Lane: "a", Owner: "you"}, lease.Row{Lane: "b", Owner: "you"}
	see(w, 0, a, b)
	b.Beat++
	p := see(w, 11*time.Second, a, b)
	if p.Workers != 2 || names(p.Take) != "a" {
		t.Errorf("%d workers, take %q; want 2 and a", p.Workers, names(p.Take))
	}
	// Also if the row that lives is no work.
	w.See([]lease.Row{a, b}, start.Add(12*time.Second))
	if p := w.Decide([]Lane{{Row: a, Ready: true}, {Row: b}}); p.Workers != 2 || p.Lanes != 1 {
		t.Errorf("%d workers and %d lanes, want 2 and 1", p.Workers, p.Lanes)
	}
}
