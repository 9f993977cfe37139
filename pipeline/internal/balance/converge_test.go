package balance

import (
	"fmt"
	"testing"
	"time"
)

// within fails if a figure passes its bound.
func within(t *testing.T, what string, got, most int) {
	t.Helper()
	if got > most {
		t.Errorf("%s: %d, want at most %d", what, got, most)
	}
}

func TestHotStart(t *testing.T) {
	t.Parallel()
	for soon, quiet := range map[time.Duration]int{time.Second: 100, every: 10} {
		f := newFleet(t, 1, 200)
		f.soon = soon
		f.spread(20, every)
		n := f.settle(4)
		moves, refused := f.figures(fmt.Sprintf("20 workers, 200 lanes, %v", soon), n)
		within(t, "moves", moves, 10)
		within(t, "refused", refused, 40)
		f.quiet(quiet)
	}
}

// TestHotStartAtOnce: the worst instant, all in step for ever.
func TestHotStartAtOnce(t *testing.T) {
	t.Parallel()
	for _, soon := range []time.Duration{time.Second, every} {
		f := newFleet(t, 1, 200)
		f.soon = soon
		for range 20 {
			f.join(0, Options{})
		}
		n := f.settle(8)
		moves, refused := f.figures(fmt.Sprintf("20 workers in step, %v", soon), n)
		within(t, "moves", moves, 10)
		within(t, "refused", refused, 120)
		f.quiet(10)
	}
}

// TestHotStartOverAMinute: whoever comes first has all lanes for a while.
func TestHotStartOverAMinute(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1, 200)
	f.spread(20, time.Minute)
	f.run(time.Minute)
	n := f.settle(4)
	moves, refused := f.figures("20 workers within a minute", n)
	within(t, "moves", moves, 350)
	within(t, "refused", refused, 40)
	f.quiet(10)
}

func TestOneWorker(t *testing.T) {
	t.Parallel()
	for _, lanes := range []int{1, 4, 8, 200} {
		f := newFleet(t, 1, lanes)
		f.spread(1, every)
		n := f.settle(5)
		f.figures(fmt.Sprintf("one worker, %d lanes", lanes), n)
		f.quiet(10)
	}
}

// TestJoinLeaveCrash: what happens to a fleet moves no more lanes than it must.
func TestJoinLeaveCrash(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2, 200)
	f.spread(20, every)
	f.settle(4)
	f.figures("start", 0)
	for _, c := range []struct {
		what          string
		event         func()
		rounds, moves int
	}{
		{"one joins", func() { f.spread(1, every) }, 5, 10},
		{"one leaves", func() { f.workers[3].leave() }, 3, 10},
		{"one crashes", func() { f.workers[7].crash() }, 5, 10},
		{"five join", func() { f.spread(5, every) }, 6, 50},
		{"most crash", func() {
			for _, w := range f.workers[:15] {
				w.crash()
			}
		}, 8, 130},
	} {
		c.event()
		n := f.settle(c.rounds)
		moves, _ := f.figures(c.what, n)
		within(t, c.what+": moves", moves, c.moves)
		f.quiet(10)
	}
}
