package balance

import (
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
	acquire int                 // acquisitions so far
	last    map[string]string   // who last acquired a lane
	plans   func(*worker, Plan) // sees each plan, if set
	lossy   bool                // two may believe: lanes are taken by force

	moves, refused, asks, lost int
}

const (
	leaseTime = 10 * time.Second
	handOver  = 30 * time.Second
	every     = leaseTime / 2 // between two rounds of a worker
	beat      = leaseTime / 3 // between two renewals of a lane
)

// worker is one process. Its knobs may be changed while the fleet runs.
type worker struct {
	*fleet
	name     string
	watch    *Watch
	skew     time.Duration // of its clock
	latency  func() time.Duration
	hand     time.Duration          // how long it takes to hand a lane over
	deaf     bool                   // it never does
	throttle func(lane string) bool // whether a renewal is refused for now
	alive    bool
	lanes    map[string]*held
}

// held is a lane of a worker, from before Acquire until it is given up.
type held struct {
	row      lease.Row
	acquired bool
	sent     time.Duration // before the last request that was answered: the lease counts from here
	handing  bool
}

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
	f := &fleet{t: t, rng: rand.New(rand.NewPCG(seed, 1)), store: new(lease.Memory), last: map[string]string{}}
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

func (f *fleet) rows() []lease.Row {
	rows, err := f.store.List(context.Background())
	if err != nil {
		f.t.Fatal(err)
	}
	slices.SortFunc(rows, func(a, b lease.Row) int { // Memory lists in no order
		if a.Lane < b.Lane {
			return -1
		}
		return 1
	})
	return rows
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

// call runs effect in the store and then answer at the worker, unless the worker
// is dead by then. What is under way when a worker dies still takes effect.
func (w *worker) call(effect, answer func()) {
	d := w.latency()
	w.after(d/2, effect)
	w.after(d, func() {
		if w.alive {
			answer()
		}
	})
}

// round is one round of a worker.
func (w *worker) round() {
	if !w.alive {
		return
	}
	start := w.now
	var rows []lease.Row
	w.call(func() { rows = w.rows() }, func() {
		w.watch.See(rows, time.Unix(0, 0).Add(w.now+w.skew))
		lanes := make([]Lane, len(rows))
		for i, r := range rows {
			_, running := w.lanes[r.Lane]
			lanes[i] = Lane{Row: r, Ready: ready(r, rows), Running: running}
		}
		p := w.watch.Decide(lanes)
		if w.plans != nil {
			w.plans(w, p)
		}
		for _, r := range p.Take {
			w.take(r)
		}
		for _, r := range p.Ask {
			w.ask(r)
		}
		w.after(max(0, start+every-w.now), w.round)
	})
}

func ready(r lease.Row, rows []lease.Row) bool {
	if r.Finished() || r.Hold != "" {
		return false
	}
	for _, p := range rows {
		if slices.Contains(r.Parents, p.Lane) && !p.Finished() {
			return false
		}
	}
	return true
}

func (w *worker) take(seen lease.Row) {
	h := &held{sent: w.now}
	w.lanes[seen.Lane] = h
	w.fleet.acquire++
	token := fmt.Sprint("token-", w.fleet.acquire)
	var err error
	w.call(func() {
		if h.row, err = w.store.Acquire(context.Background(), seen, w.name, token); err == nil {
			if old := w.last[seen.Lane]; old != "" && old != w.name {
				w.moves++
			}
			w.last[seen.Lane] = w.name
		}
	}, func() {
		switch {
		case errors.Is(err, lease.ErrLost):
			w.refused++
			delete(w.lanes, seen.Lane)
		case err != nil:
			w.t.Fatal(err)
		case w.now-h.sent > leaseTime:
			w.lost++
			delete(w.lanes, seen.Lane)
		default:
			h.acquired = true
			w.believe(seen.Lane)
			w.after(max(0, h.sent+beat-w.now), func() { w.renew(seen.Lane, h) })
			w.after(h.sent+leaseTime-w.now, func() { w.lapse(seen.Lane, h) })
		}
	})
}

func (w *worker) ask(seen lease.Row) {
	w.asks++
	var err error
	w.call(func() { err = w.store.Ask(context.Background(), seen, w.name) }, func() {
		if errors.Is(err, lease.ErrLost) {
			w.refused++
		} else if err != nil {
			w.t.Fatal(err)
		}
	})
}

// holds tells whether h is still the worker's life of the lane.
func (w *worker) holds(lane string, h *held) bool { return w.alive && w.lanes[lane] == h }

func (w *worker) renew(lane string, h *held) {
	if !w.holds(lane, h) {
		return
	}
	sent, refused := w.now, w.throttle(lane)
	var r lease.Row
	var err error
	w.call(func() {
		if !refused {
			r, err = w.store.Renew(context.Background(), h.row)
		}
	}, func() {
		switch {
		case !w.holds(lane, h):
			return
		case errors.Is(err, lease.ErrLost):
			w.lost++
			delete(w.lanes, lane)
			return
		case err != nil:
			w.t.Fatal(err)
		case !refused:
			h.sent = sent
			w.believe(lane)
			w.after(max(0, h.sent+leaseTime-w.now), func() { w.lapse(lane, h) })
			if r.Want != "" && r.Want != w.name && !h.handing && !w.deaf {
				h.handing = true
				w.after(w.hand, func() { w.release(lane, h) })
			}
		}
		w.after(max(0, sent+beat-w.now), func() { w.renew(lane, h) })
	})
}

// lapse gives a lane up whose renewals were not answered in time.
func (w *worker) lapse(lane string, h *held) {
	if w.holds(lane, h) && w.now-h.sent >= leaseTime {
		w.lost++
		delete(w.lanes, lane)
	}
}

func (w *worker) release(lane string, h *held) {
	if !w.holds(lane, h) {
		return
	}
	delete(w.lanes, lane)
	w.call(func() {
		if err := w.store.Release(context.Background(), h.row); err != nil {
			w.t.Fatal(err)
		}
	}, func() {})
}

// believe is called when a worker comes to think that a lane is its own, or goes
// on to think so: nobody else may.
func (w *worker) believe(lane string) {
	for _, o := range w.workers {
		if h := o.lanes[lane]; o != w && o.alive && h != nil && h.acquired && w.now-h.sent < leaseTime && !w.lossy {
			w.t.Errorf("%v: %s and %s both think that %s is theirs", w.now, w.name, o.name, lane)
		}
	}
}

// crash ends a worker without a word.
func (w *worker) crash() {
	w.alive = false
	clear(w.lanes)
}

// leave ends a worker in order: it releases what it holds.
func (w *worker) leave() {
	lanes := []string{}
	for l, h := range w.lanes {
		if h.acquired {
			lanes = append(lanes, l)
		}
	}
	slices.Sort(lanes)
	for _, l := range lanes {
		w.release(l, w.lanes[l])
	}
	w.crash()
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
		if r.Want != "" {
			return false
		}
	}
	return f.even()
}

func (f *fleet) even() bool {
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
			f.t.Fatalf("not balanced after %d rounds: %v, %d idle", most, by, idle)
		}
		f.run(every)
	}
}

// quiet runs the fleet for so many rounds in which no lane may move.
func (f *fleet) quiet(rounds int) {
	f.t.Helper()
	moves, asks, refused, takes := f.moves, f.asks, f.refused, f.fleetTakes()
	f.run(time.Duration(rounds) * every)
	if f.moves != moves || f.asks != asks || f.refused != refused || f.fleetTakes() != takes {
		f.t.Errorf("in %d rounds of a balanced fleet: %d moves, %d asked for, %d refused, %d taken",
			rounds, f.moves-moves, f.asks-asks, f.refused-refused, f.fleetTakes()-takes)
	}
}

func (f *fleet) fleetTakes() int { return f.acquire }

// figures logs and returns what changed since the last call.
func (f *fleet) figures(what string, rounds int) (moves, refused int) {
	moves, refused = f.moves, f.refused
	f.t.Logf("%-28s %2d rounds, %3d moves, %3d refused, %3d asked for", what, rounds, moves, refused, f.asks)
	f.moves, f.refused, f.asks, f.lost = 0, 0, 0, 0
	return moves, refused
}
