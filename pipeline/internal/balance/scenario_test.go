package balance

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/shardlake/shardlake/pipeline/lease"
)

// want checks how many lanes each worker that lives runs, the most first.
func want(t *testing.T, f *fleet, lanes ...int) {
	t.Helper()
	by, idle := f.counts()
	got := []int{}
	for _, n := range by {
		got = append(got, n)
	}
	slices.SortFunc(got, func(a, b int) int { return b - a })
	if idle != 0 || !slices.Equal(got, lanes) {
		t.Errorf("workers run %v, %d idle; want %v", got, idle, lanes)
	}
}

// TestReshard: four shards are split in two each. Parents that are finished and
// children that wait are no work, so each worker ends with half of what can be
// read, and on the way there none has nearly all of it.
func TestReshard(t *testing.T) {
	t.Parallel()
	for _, same := range []bool{true, false} {
		f := newFleet(t, 3, 4)
		f.spread(2, every)
		f.settle(6)
		want(t, f, 2, 2)
		parents := f.byLane()
		for i, p := range parents {
			f.create(fmt.Sprintf("shardId-%012d", 4+2*i), p.Lane)
			f.create(fmt.Sprintf("shardId-%012d", 5+2*i), p.Lane)
		}
		f.run(3 * every)
		want(t, f, 2, 2) // the children wait
		if same {
			// Worst: those of one worker end first, and its children are free while
			// the other still reads.
			slices.SortFunc(parents, func(a, b lease.Row) int { return cmp.Compare(a.Owner, b.Owner) })
		}
		for _, p := range parents {
			f.finish(p.Lane)
			f.run(every)
		}
		n := 0
		for ; !f.balanced() && n < 12; n++ {
			by, _ := f.counts()
			for w, lanes := range by {
				within(t, w, lanes, 5)
			}
			f.run(every)
		}
		want(t, f, 4, 4)
		f.figures("reshard 4 to 8, 2 workers", n)
		f.quiet(100)
	}
}

func TestSeveralJoinAtOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		lanes, first, more int
		end                []int
	}{
		{12, 2, 4, []int{2, 2, 2, 2, 2, 2}},
		{12, 1, 3, []int{3, 3, 3, 3}},
		{7, 1, 2, []int{3, 2, 2}},
		{10, 6, 2, []int{2, 2, 1, 1, 1, 1, 1, 1}},
	} {
		f := newFleet(t, 4, c.lanes)
		f.spread(c.first, every)
		f.settle(6)
		f.figures(fmt.Sprintf("%d lanes, %d workers", c.lanes, c.first), 0)
		f.spread(c.more, every)
		n := f.settle(6)
		want(t, f, c.end...)
		moves, _ := f.figures(fmt.Sprintf("and %d join", c.more), n)
		within(t, "moves", moves, c.lanes)
		f.quiet(100)
	}
}

// TestMaxLanes: what one worker may not run goes to the others, beyond their
// share; what nobody may run is told of and stays.
func TestMaxLanes(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 5, 12)
	f.join(0, Options{MaxLanes: 2})
	f.join(time.Second, Options{})
	f.join(2*time.Second, Options{})
	f.run(30 * every)
	by, idle := f.counts()
	if idle != 0 || by["worker-0"] != 2 || max(by["worker-1"], by["worker-2"]) > 6 {
		t.Errorf("workers run %v, %d idle; want 2, 5 and 5", by, idle)
	}
	f.quiet(50)

	f = newFleet(t, 5, 12)
	spill := map[string]int{}
	f.plans = func(w *worker, p Plan) { spill[w.name] = p.Spill }
	for i := range 3 {
		f.join(time.Duration(i)*time.Second, Options{MaxLanes: 3})
	}
	f.run(30 * every)
	by, idle = f.counts()
	if idle != 3 || by["worker-0"] != 3 || by["worker-1"] != 3 || by["worker-2"] != 3 {
		t.Errorf("workers run %v, %d idle; want 3 each, and 3 idle", by, idle)
	}
	for w, n := range spill {
		if n != 3 {
			t.Errorf("%s reports a spill of %d lanes, want 3", w, n)
		}
	}
	f.quiet(50)
	f.join(0, Options{MaxLanes: 3}) // the remedy
	f.settle(5)
	want(t, f, 3, 3, 3, 3)
}

func TestMoreWorkersThanLanes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ lanes, workers int }{{1, 20}, {3, 8}, {7, 8}, {8, 8}} {
		f := newFleet(t, 6, c.lanes)
		f.spread(c.workers, every)
		n := f.settle(4)
		f.figures(fmt.Sprintf("%d lanes, %d workers", c.lanes, c.workers), n)
		f.quiet(100)
		for _, w := range f.workers {
			if len(w.lanes) > 0 {
				w.crash() // an idle one steps in
				break
			}
		}
		n = f.settle(4)
		f.figures("and one crashes", n)
		f.quiet(20)
	}
}

// TestSlowReplies: the answers of one worker's calls take 0.9 of the lease time.
// It counts its own lease from before its requests, and the age of others from
// after the answers, so it gives up in time and takes nothing too early.
func TestSlowReplies(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 7, 6)
	f.spread(2, every)
	slow := f.join(every, Options{})
	slow.latency = func() time.Duration { return leaseTime * 9 / 10 }
	f.run(200 * every)
	if slow.lost == 0 {
		t.Error("no lease of the slow worker has ever run out: the test tests nothing")
	}
	f.figures("replies of 0.9 lease times", 200)
	slow.latency = f.workers[0].latency
	n := f.settle(6)
	want(t, f, 2, 2, 2)
	f.figures("and fast again", n)
	f.quiet(20)

	// A whole fleet on a slow table.
	f = newFleet(t, 7, 6)
	f.spread(3, every)
	for _, w := range f.workers {
		w.latency = func() time.Duration { return leaseTime/2 + time.Duration(f.rng.Int64N(int64(leaseTime*4/10))) }
	}
	f.run(200 * every)
	if f.lost == 0 {
		t.Error("no lease has run out: the test tests nothing")
	}
	f.figures("all slow", 200)
}

// TestThrottledRenewals: a table that refuses most renewals costs lanes, but never
// has two owners, and all is well once it answers again.
func TestThrottledRenewals(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 8, 30)
	f.spread(5, every)
	f.settle(6)
	f.figures("start", 0)
	for _, w := range f.workers {
		w.throttle = func(string) bool { return f.rng.IntN(10) < 7 }
	}
	f.run(24 * every)
	t.Logf("%d leases ran out", f.lost)
	if f.lost == 0 {
		t.Error("no lease has run out: the test tests nothing")
	}
	f.figures("7 of 10 renewals refused", 24)
	for _, w := range f.workers {
		w.throttle = func(string) bool { return false }
	}
	n := f.settle(6)
	f.figures("and answered again", n)
	f.quiet(50)
}

// TestStuckHandOver: an owner that beats and never hands over loses what is not
// its share once the hand-over and one lease time are over.
func TestStuckHandOver(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 9, 4)
	f.spread(1, every)
	f.settle(6)
	f.workers[0].deaf = true
	f.spread(1, every)
	f.run(handOver)
	want(t, f, 4, 0)
	n := f.settle(6)
	f.run(every) // the owner finds out
	want(t, f, 2, 2)
	if f.lost != 2 {
		t.Errorf("the owner lost %d lanes, want 2", f.lost)
	}
	f.figures("stuck, after the hand-over", n)
	f.quiet(100)
}

// TestDeadAsker: a lane that was handed over to a worker that has died waits for it
// one lease time, and no longer.
func TestDeadAsker(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 10, 12)
	f.spread(2, every)
	f.settle(6)
	for _, w := range f.workers {
		w.hand = 2 * leaseTime
	}
	joiner := f.join(0, Options{})
	f.run(every + every/2)
	if f.asks == 0 || len(joiner.lanes) > 0 {
		t.Fatalf("asked %d times, runs %d lanes: the test tests nothing", f.asks, len(joiner.lanes))
	}
	joiner.crash()
	n := f.settle(int((2*leaseTime+leaseTime)/every) + 3) // hand-over, reservation, and the rounds
	want(t, f, 6, 6)
	f.figures("asker dies", n)
	f.quiet(100)
}

// TestDeadFleet: a fleet that starts on the rows of one that was killed waits for
// one lease time and then has all lanes soon.
func TestDeadFleet(t *testing.T) {
	t.Parallel()
	f := newFleet(t, 11, 200)
	f.spread(20, every)
	f.settle(6)
	for _, w := range f.workers {
		w.crash()
	}
	f.figures("start", 0)
	f.spread(20, every)
	n := f.settle(6)
	f.figures("20 workers after 20 dead", n)
	f.quiet(50)
}
