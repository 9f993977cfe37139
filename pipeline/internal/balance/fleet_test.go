package balance

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/shardlake/shardlake/pipeline/lease"
)

// fleet is a simulation of workers around one lease store. Time is a number, and
// everything happens in one goroutine in the order of its instants, so a seed
// always gives the same run. Each worker has its own clock, its own rounds and
// its own latency; a call takes effect half way between its start and its answer.
type fleet struct {
	t       *testing.T
	rng     *rand.Rand
	now     time.Duration
	events  queue
	store   *lease.Memory
	workers []*worker
	acquire int                      // acquisitions so far
	last    map[string]string        // who last acquired a lane
	plans   func(*worker, Plan)      // sees each plan, if set
	forced  map[string]time.Duration // until when two may believe, since the lane was taken by force

	soon time.Duration // between two rounds while lanes change hands

	moves, refused, asks, lost int
}

const (
	leaseTime = 10 * time.Second
	handOver  = 30 * time.Second
	every     = leaseTime / 2 // between two rounds of a worker
	beat      = leaseTime / 3 // between two renewals of a lane
)

type event struct {
	at  time.Duration
	seq int
	do  func()
}

type queue struct {
	list []event
	seq  int
}

func (q *queue) Len() int { return len(q.list) }
func (q *queue) Less(i, j int) bool {
	a, b := q.list[i], q.list[j]
	return a.at < b.at || a.at == b.at && a.seq < b.seq
}
func (q *queue) Swap(i, j int) { q.list[i], q.list[j] = q.list[j], q.list[i] }
func (q *queue) Push(x any)    { q.list = append(q.list, x.(event)) }
func (q *queue) Pop() any {
	e := q.list[len(q.list)-1]
	q.list = q.list[:len(q.list)-1]
	return e
}

func newFleet(t *testing.T, seed uint64, lanes int) *fleet {
	t.Helper()
	f := &fleet{t: t, rng: rand.New(rand.NewPCG(seed, 1)), store: new(lease.Memory), last: map[string]string{}, forced: map[string]time.Duration{}, soon: time.Second}
	for i := range lanes {
		f.create(fmt.Sprintf("shardId-%012d", i))
	}
	return f
}

func (f *fleet) create(lane string, parents ...string) {
	f.t.Helper()
	if err := f.store.Create(context.Background(), lease.Row{Lane: lane, Parents: parents}); err != nil {
		f.t.Fatal(err)
	}
}

// rows are those of the store, in no order.
func (f *fleet) rows() []lease.Row {
	rows, err := f.store.List(context.Background())
	if err != nil {
		f.t.Fatal(err)
	}
	return rows
}

// byLane are the rows in the order of their lanes, for events that pick one.
func (f *fleet) byLane() []lease.Row {
	return slices.SortedFunc(slices.Values(f.rows()), func(a, b lease.Row) int { return cmp.Compare(a.Lane, b.Lane) })
}

func (f *fleet) after(d time.Duration, do func()) {
	f.events.seq++
	heap.Push(&f.events, event{f.now + d, f.events.seq, do})
}

// run lets d pass.
func (f *fleet) run(d time.Duration) {
	end := f.now + d
	for len(f.events.list) > 0 && f.events.list[0].at <= end {
		e := heap.Pop(&f.events).(event)
		f.now = e.at
		e.do()
	}
	f.now = end
}

// join starts a worker whose first round is so much later.
func (f *fleet) join(in time.Duration, o Options) *worker {
	f.t.Helper()
	o.LeaseTime, o.HandOver = leaseTime, handOver
	name := fmt.Sprintf("worker-%d", len(f.workers))
	watch, err := New(name, o)
	if err != nil {
		f.t.Fatal(err)
	}
	w := &worker{
		fleet: f, name: name, watch: watch, alive: true, lanes: map[string]*held{}, hand: 2 * time.Second,
		skew: time.Duration(f.rng.Int64N(int64(time.Hour))),
		latency: func() time.Duration {
			return 5*time.Millisecond + time.Duration(f.rng.Int64N(int64(95*time.Millisecond)))
		},
		throttle: func(string) bool { return false },
	}
	f.workers = append(f.workers, w)
	f.after(in, w.round)
	return w
}

// spread starts n workers whose rounds are spread over the time between two.
func (f *fleet) spread(n int, over time.Duration) {
	for range n {
		f.join(time.Duration(f.rng.Int64N(int64(over))), Options{})
	}
}

// finish reads a lane to its end, whoever runs it.
func (f *fleet) finish(lane string) {
	for _, w := range f.workers {
		h := w.lanes[lane]
		if h == nil || !h.acquired || !w.alive {
			continue
		}
		r := h.row
		f.acquire++
		r.Number, r.CommitID, r.Ended = r.Number+1, fmt.Sprint("commit-", f.acquire), true
		if err := f.store.Commit(context.Background(), r); err != nil && !errors.Is(err, lease.ErrLost) {
			f.t.Fatal(err)
		}
		w.release(lane, h)
	}
}

// counts are the lanes that each worker that lives really runs, and those that
// nobody does.
func (f *fleet) counts() (byWorker map[string]int, idle int) {
	byWorker = map[string]int{}
	for _, w := range f.workers {
		if w.alive {
			byWorker[w.name] = 0
		}
	}
	rows := f.rows()
	for _, r := range rows {
		if !ready(r, rows) {
			continue
		}
		i := slices.IndexFunc(f.workers, func(w *worker) bool { return w.name == r.Owner })
		if i >= 0 && f.workers[i].alive && f.workers[i].lanes[r.Lane] != nil && f.workers[i].lanes[r.Lane].acquired {
			byWorker[r.Owner]++
		} else {
			idle++
		}
	}
	return byWorker, idle
}

// balanced tells whether each ready lane runs, no two workers differ by more than
// one lane, and nobody waits for anything.
func (f *fleet) balanced() bool {
	for _, r := range f.rows() {
		if r.Want != "" && !r.Finished() {
			return false
		}
	}
	for _, w := range f.workers {
		for _, h := range w.lanes {
			if !h.acquired {
				return false
			}
		}
	}
	by, idle := f.counts()
	low, high := 1<<30, 0
	for _, n := range by {
		low, high = min(low, n), max(high, n)
	}
	return idle == 0 && high-low <= 1
}

// settle runs the fleet until it is balanced, and returns the number of rounds.
func (f *fleet) settle(most int) int {
	f.t.Helper()
	for n := 0; ; n++ {
		if f.balanced() {
			return n
		}
		if n == most {
			by, idle := f.counts()
			for _, r := range f.byLane() {
				f.t.Logf("%s: owner %s, want %q, fence %d, beat %d, ended %v", r.Lane, r.Owner, r.Want, r.Fence, r.Beat, r.Ended)
			}
			f.t.Fatalf("not balanced after %d rounds: %v, %d idle", most, by, idle)
		}
		f.run(every)
	}
}

// quiet runs the fleet for so many rounds in which no lane may move.
func (f *fleet) quiet(rounds int) {
	f.t.Helper()
	moves, asks, refused, takes := f.moves, f.asks, f.refused, f.acquire
	f.run(time.Duration(rounds) * every)
	if f.moves != moves || f.asks != asks || f.refused != refused || f.acquire != takes {
		f.t.Errorf("in %d rounds of a balanced fleet: %d moves, %d asked for, %d refused, %d taken",
			rounds, f.moves-moves, f.asks-asks, f.refused-refused, f.acquire-takes)
	}
}

// figures logs and returns what changed since the last call.
func (f *fleet) figures(what string, rounds int) (moves, refused int) {
	moves, refused = f.moves, f.refused
	f.t.Logf("%-28s %2d rounds, %3d moves, %3d refused, %3d asked for", what, rounds, moves, refused, f.asks)
	f.moves, f.refused, f.asks, f.lost = 0, 0, 0, 0
	return moves, refused
}
