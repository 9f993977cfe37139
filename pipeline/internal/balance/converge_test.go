package balance

import (
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
	f := newFleet(t, 1, 200)
	f.spread(20, every)
	n := f.settle(12)
	moves, refused := f.figures("20 workers, 200 lanes", n)
	within(t, "moves", moves, 10)
	within(t, "refused", refused, 40)
	f.quiet(100)
}

// TestHotStartAtOnce: the worst instant, all in step for ever.
func TestHotStartAtOnce(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1, 200)
	for range 20 {
		f.join(0, Options{})
	}
	n := f.settle(12)
	f.figures("20 workers in step", n)
	f.quiet(20)
}

func TestHotStartOverAMinute(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 1, 200)
	f.spread(20, time.Minute)
	f.run(time.Minute)
	n := f.settle(30)
	f.figures("20 workers within a minute", n)
	f.quiet(20)
}

func TestOneWorker(t *testing.T) {
	t.Parallel()
	for _, lanes := range []int{1, 4, 8, 200} {
		f := newFleet(t, 1, lanes)
		f.spread(1, every)
		n := f.settle(10)
		f.figures("one worker", n)
		f.quiet(20)
	}
}

func TestJoinLeaveCrash(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 2, 200)
	f.spread(20, every)
	f.settle(12)
	f.figures("start", 0)

	f.spread(1, every)
	n := f.settle(12)
	f.figures("one joins", n)
	f.quiet(20)

	f.workers[3].leave()
	n = f.settle(12)
	f.figures("one leaves", n)
	f.quiet(20)

	f.workers[7].crash()
	n = f.settle(12)
	f.figures("one crashes", n)
	f.quiet(20)

	f.spread(5, every)
	n = f.settle(20)
	f.figures("five join", n)
	f.quiet(20)

	for _, w := range f.workers[:15] {
		w.crash()
	}
	n = f.settle(20)
	f.figures("most crash", n)
	f.quiet(20)
}
