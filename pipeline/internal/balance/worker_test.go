package balance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/shardlake/shardlake/pipeline/lease"
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
		pause := every
		moving := len(p.Take)+len(p.Ask) > 0 || slices.ContainsFunc(rows, func(r lease.Row) bool {
			return r.Want == w.name && !r.Finished()
		})
		if moving && !p.First {
			pause = w.soon
		}
		w.after(max(0, start+pause-w.now), w.round)
	})
}

func ready(r lease.Row, rows []lease.Row) bool {
	if r.Finished() || r.Hold != "" {
		return false
	}
	for _, id := range r.Parents {
		i := slices.IndexFunc(rows, func(p lease.Row) bool { return p.Lane == id })
		if i >= 0 && !rows[i].Finished() {
			return false
		}
	}
	return true
}

func (w *worker) take(seen lease.Row) {
	if w.watch.look(&Lane{Row: seen}).live {
		w.forced[seen.Lane] = w.now + 3*leaseTime
	}
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
// on to think so: nobody else may, unless the lane was taken by force.
func (w *worker) believe(lane string) {
	for _, o := range w.workers {
		if h := o.lanes[lane]; o != w && o.alive && h != nil && h.acquired && w.now-h.sent < leaseTime && w.now > w.forced[lane] {
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
