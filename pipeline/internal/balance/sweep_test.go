package balance

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/shardlake/shardlake/pipeline/lease"
)

// TestSweep lets a thousand small fleets live through random events, and then
// leaves each alone: it must come to rest with all lanes running, shared evenly,
// and stay so.
func TestSweep(t *testing.T) {
	t.Parallel()
	rounds, worst := map[int]int{}, 0
	for seed := range uint64(1000) {
		f := newFleet(t, seed, 1+int(seed%12))
		f.spread(1+f.rng.IntN(5), every)
		for range 20 {
			f.disturb()
			f.run(time.Duration(f.rng.Int64N(int64(2 * every))))
		}
		f.heal()
		f.run(2 * every) // late answers of slow calls
		n := 2 + f.settle(10)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		rounds[n]++
		worst = max(worst, n)
		f.quiet(10)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("fleets by rounds to rest: %v; %d at most", rounds, worst)
}

// disturb does one thing that happens to fleets.
func (f *fleet) disturb() {
	w := f.workers[f.rng.IntN(len(f.workers))]
	switch f.rng.IntN(10) {
	case 0, 1:
		if len(f.workers) < 12 {
			f.join(time.Duration(f.rng.Int64N(int64(every))), Options{})
		}
	case 2:
		if w.alive {
			w.leave()
		}
	case 3:
		w.crash()
	case 4:
		w.latency = func() time.Duration { return time.Duration(f.rng.Int64N(int64(leaseTime * 9 / 10))) }
	case 5:
		w.throttle = func(string) bool { return f.rng.IntN(10) < 7 }
	case 6:
		w.deaf = true
	case 7:
		w.hand = time.Duration(f.rng.Int64N(int64(handOver)))
	case 8:
		f.reshard()
	case 9:
		f.run(handOver + leaseTime) // time in which what is stuck is taken
	}
}

// reshard splits a shard, or merges two.
func (f *fleet) reshard() {
	rows := f.byLane()
	open := rows[:0:0]
	for _, r := range rows {
		child := slices.ContainsFunc(rows, func(c lease.Row) bool { return slices.Contains(c.Parents, r.Lane) })
		if !child && ready(r, rows) {
			open = append(open, r)
		}
	}
	next := func(i int) string { return fmt.Sprintf("shardId-%012d", len(rows)+i) }
	switch n := len(open); {
	case n == 0 || n > 12:
	case n == 1 || f.rng.IntN(2) == 0:
		i := f.rng.IntN(n)
		f.create(next(0), open[i].Lane)
		f.create(next(1), open[i].Lane)
	default:
		i := f.rng.IntN(n - 1)
		f.create(next(0), open[i].Lane, open[i+1].Lane)
	}
}

// heal puts an end to all disturbances, brings up a worker if none is left, and
// lets parents end.
func (f *fleet) heal() {
	alive := false
	for _, w := range f.workers {
		w.latency = func() time.Duration {
			return 5*time.Millisecond + time.Duration(f.rng.Int64N(int64(95*time.Millisecond)))
		}
		w.throttle = func(string) bool { return false }
		w.deaf, w.hand = false, 2*time.Second
		alive = alive || w.alive
	}
	if !alive {
		f.join(0, Options{})
	}
	for range 200 {
		rows, waits := f.byLane(), false
		for _, r := range rows {
			if slices.ContainsFunc(rows, func(c lease.Row) bool { return slices.Contains(c.Parents, r.Lane) }) && !r.Finished() {
				waits = true
				f.finish(r.Lane)
			}
		}
		if !waits {
			return
		}
		f.run(every)
	}
	f.t.Fatal("parents are never read to their end")
}
