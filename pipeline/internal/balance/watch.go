// Package balance shares the lanes of a fleet among its workers without a
// coordinator. Each worker lists the lease rows once a round, shows them to its
// Watch, and does what Decide says with the conditional writes of a lease.Store;
// what two workers decide at once, the store settles.
//
// The package is pure: it has no goroutine, no clock and no randomness. Ties are
// broken by a hash of worker and lane, so workers reach for different lanes, and
// the same rows give the same plan.
//
// How it works is that of the Kinesis Client Library 2.x (each worker takes what
// it lacks), with its known mistakes left out: lanes that nobody can read do not
// count, a live owner is asked instead of robbed, and a worker that nobody can
// see yet shows itself with one lane before it claims a share.
package balance

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/shardlake/shardlake/pipeline/lease"
)

// Options of a Watch. The zero value is ready.
type Options struct {
	// LeaseTime is how long a row must stand still before its owner counts as
	// dead; 10 seconds by default. It is the same in the whole fleet.
	LeaseTime time.Duration
	// HandOver is how long an owner may take to commit and give up a lane that it
	// was asked for; 30 seconds by default. One LeaseTime later the lane may be
	// taken by force.
	HandOver time.Duration
	// MaxLanes is how many lanes this worker runs at most; 0 means no bound.
	MaxLanes int
	// Alone says that the store is not shared: every owner but this worker is
	// dead, and all lanes are taken at once.
	Alone bool
}

// Watch is what one worker has seen of the rows of a fleet, and when, by the
// worker's own clock. Times of different workers are never compared. It is not
// safe for concurrent use: whoever runs the rounds of a worker owns it.
type Watch struct {
	me   string
	opt  Options
	now  time.Time
	rows map[string]sight
}

// sight is what is remembered of one row.
type sight struct {
	inc, owner  string
	fence, beat uint64
	changed     time.Time // when one of these was last seen to differ, or the row first seen
	want        string
	asked       time.Time // when want was first seen in the row
}

// New makes the watch of the worker me, which is its Owner in the rows and is
// new for each start of a process. It refuses an empty me and negative options.
func New(me string, o Options) (*Watch, error) {
	var errs []error
	if me == "" {
		errs = append(errs, errors.New("balance: the worker has no name"))
	}
	if o.LeaseTime < 0 || o.HandOver < 0 {
		errs = append(errs, fmt.Errorf("balance: LeaseTime is %v and HandOver is %v: want positive durations, or 0 for the defaults", o.LeaseTime, o.HandOver))
	}
	if o.MaxLanes < 0 {
		errs = append(errs, fmt.Errorf("balance: MaxLanes is %d: want a positive number, or 0 for no bound", o.MaxLanes))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	o.LeaseTime = cmp.Or(o.LeaseTime, 10*time.Second)
	o.HandOver = cmp.Or(o.HandOver, 30*time.Second)
	return &Watch{me: me, opt: o, rows: map[string]sight{}}, nil
}

// See takes note of a full listing of the rows. now is read from the worker's
// monotonic clock after the answer has arrived: a row that differs has then been
// written before now, so an owner is never thought dead too early, however slow
// the answer was. (An owner in turn counts its own lease from before its request.)
// A now before the last one counts as the last one. Rows that are missing are
// forgotten.
func (w *Watch) See(rows []lease.Row, now time.Time) {
	if now.Before(w.now) {
		now = w.now
	}
	w.now = now
	seen := make(map[string]sight, len(rows))
	for i := range rows {
		seen[rows[i].Lane] = w.sight(&rows[i])
	}
	w.rows = seen
}

// sight is what is known of a row that looks like r now. A row that was not seen
// before counts from now: its owner may have written it the moment before.
func (w *Watch) sight(r *lease.Row) sight {
	s := sight{inc: r.Inc, owner: r.Owner, fence: r.Fence, beat: r.Beat, changed: w.now, want: r.Want, asked: w.now}
	old, ok := w.rows[r.Lane]
	if !ok {
		return s
	}
	// Any difference is a sign of life, also a step back: a row that was restored
	// from a copy has an owner as well.
	if old.inc == s.inc && old.owner == s.owner && old.fence == s.fence && old.beat == s.beat {
		s.changed = old.changed
	}
	if old.inc == s.inc && old.want == s.want {
		s.asked = old.asked
	}
	return s
}

// expired tells whether a row with an owner has stood still for the lease time.
func (w *Watch) expired(s sight) bool {
	return w.now.Sub(s.changed) > w.opt.LeaseTime
}

// overdue is the age at which a want has failed: the hand-over is not over,
// although its time is, and the owner, if it were dead, would have expired.
func (w *Watch) overdue() time.Duration { return w.opt.HandOver + w.opt.LeaseTime }

// Expiry is when the first owner will count as dead of those that gave no new sign
// by the last See; ok is false if there is none. Looking then, and not a round
// later, brings the lanes of the dead back sooner.
func (w *Watch) Expiry() (at time.Time, ok bool) {
	for _, s := range w.rows {
		if s.owner == "" || s.owner == w.me || w.opt.Alone || w.expired(s) || !s.changed.Before(w.now) {
			continue
		}
		if t := s.changed.Add(w.opt.LeaseTime + 1); !ok || t.Before(at) {
			at, ok = t, true
		}
	}
	return at, ok
}
