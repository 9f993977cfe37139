//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/shardlake/shardlake/pipeline/lease"
)

// watch looks at the lease rows from outside, for the figures and to know when all
// is committed. What it sees judges nothing: that is the oracle's.
type watch struct {
	store lease.Store
	say   func(format string, args ...any)

	mu       sync.Mutex
	rows     map[string]lease.Row
	changes  int // owners that were seen to change
	open     []recovery
	recovers []time.Duration
	looks    int
	failed   int
}

// recovery is a lane whose owner was killed.
type recovery struct {
	lane   string
	number uint64
	at     time.Time
}

// slowRecovery is worth a line: the next owner had troubles of its own.
const slowRecovery = 10 * time.Second

const watchEvery = 250 * time.Millisecond

// run looks until ctx ends.
func (w *watch) run(ctx context.Context) {
	for pause(ctx, watchEvery) {
		tctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		rows, err := w.store.List(tctx)
		cancel()
		w.mu.Lock()
		w.looks++
		if err != nil {
			w.failed++
		} else {
			w.see(rows, time.Now())
		}
		w.mu.Unlock()
	}
}

// see takes one look.
func (w *watch) see(rows []lease.Row, now time.Time) {
	next := make(map[string]lease.Row, len(rows))
	for _, r := range rows {
		next[r.Lane] = r
		if old, ok := w.rows[r.Lane]; ok && r.Fence > old.Fence && old.Owner != r.Owner && old.Fence > 0 {
			w.changes++
		}
	}
	w.rows = next
	var open []recovery
	for _, o := range w.open {
		r, ok := next[o.lane]
		switch {
		case ok && r.Number > o.number:
			w.recovers = append(w.recovers, now.Sub(o.at))
			if took := now.Sub(o.at); took > slowRecovery && w.say != nil {
				w.say("%s had no commit for %.1f s after its worker was killed; %s has it", o.lane, took.Seconds(), r.Owner)
			}
		case ok && !r.Ended:
			open = append(open, o)
		}
	}
	w.open = open
}

// killed says that a worker has just been killed: its lanes' next commits are
// waited for.
func (w *watch) killed(owner string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	for id, r := range w.rows {
		if r.Owner == owner && !r.Ended {
			w.open = append(w.open, recovery{id, r.Number, now})
		}
	}
}

// drained tells what is still missing until each shard is committed up to its last
// record and all of it is visible.
func (w *watch) drained(last map[string]string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var errs []error
	for shard, seq := range last {
		r, ok := w.rows[shard]
		switch {
		case !ok:
			errs = append(errs, fmt.Errorf("%s has no row", shard))
		case less(r.Pos.Seq, seq):
			errs = append(errs, fmt.Errorf("%s is committed up to %q by %q (commit %d), and its last record is %s", shard, r.Pos.Seq, r.Owner, r.Number, seq))
		}
	}
	for _, r := range w.rows {
		if len(r.Pending) > 0 || r.Unread {
			errs = append(errs, fmt.Errorf("%s has files that are committed and not visible", r.Lane))
		}
	}
	return errors.Join(errs...)
}

// owned tells how many lanes that are not ended an owner has, and how many there are.
func (w *watch) owned(owner string) (has, all int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.rows {
		if r.Finished() {
			continue
		}
		all++
		if r.Owner == owner {
			has++
		}
	}
	return has, all
}

// sums are the acquisitions and commits of all rows there are.
func (w *watch) sums() (lanes int, acquired, commits uint64, changes int, recovers []time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.rows {
		acquired += r.Fence
		commits += r.Number
	}
	return len(w.rows), acquired, commits, w.changes, append([]time.Duration(nil), w.recovers...)
}

// less compares sequence numbers: decimal numbers without leading zeros.
func less(a, b string) bool { return len(a) < len(b) || len(a) == len(b) && a < b }
