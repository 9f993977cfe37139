package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/internal/spread"
	"github.com/shardlake/shardlake/pipeline/internal/balance"
	"github.com/shardlake/shardlake/pipeline/internal/lineage"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/source"
)

// fleet is what a worker knows of the others and of the shards, from round to
// round. Only the runner's own goroutine uses it, but for told, which is guarded
// by runner.mu.
type fleet struct {
	watch    *balance.Watch
	listings []source.Listing // of each source, as last asked
	listed   time.Time
	fresh    bool              // listings are younger than the rows read last
	known    map[string]string // lanes that were listed or had a row then
	begun    map[int]bool      // sources of which a lane has ever been acquired
	holes    map[int]int       // rounds for which a source has had a hole
	told     map[string]bool   // warnings that are in the log already
}

func newFleet(p *Pipeline) (*fleet, error) {
	w, err := balance.New(p.cfg.Owner, balance.Options{LeaseTime: p.cfg.LeaseTime, HandOver: p.cfg.HandOver,
		MaxLanes: p.cfg.MaxLanes, Alone: !p.cfg.Leases.Shared()})
	return &fleet{watch: w, begun: map[int]bool{}, holes: map[int]int{}, told: map[string]bool{}}, err
}

// listedLane is a lane of a listing with the source that lists it.
type listedLane struct {
	source.Lane
	src       reader
	stream    string
	identity  string
	heirs     []string // that go on where the lane ended, if it is gone from the stream
	scattered bool     // source.Listing.Scattered
}

// round looks at everything once and starts what this worker shall have. It says
// when the next round is due, and whether anything runs or waits anywhere.
func (r *runner) round(ctx context.Context) (next time.Duration, busy bool, err error) {
	// Read before the rows: a lane that ends in between counts as running, and its
	// end calls for another round.
	running := r.lanes()
	rows, err := r.rows(ctx)
	if err != nil {
		return 0, false, err
	}
	if err := r.list(ctx, rows); err != nil {
		return 0, false, err
	}
	w, err := r.decide(ctx, rows)
	if err != nil {
		return 0, false, err
	}
	if len(w.held) > 0 && len(w.ready)+w.waiting+len(running) == 0 && !r.p.cfg.Leases.Shared() {
		return 0, false, heldError(w.held)
	}
	next = r.share(ctx, w, running)
	return next, w.busy || r.any(), nil
}

// work is what all sources together have to do.
type work struct {
	rows    []lease.Row
	ready   []lease.Row
	lanes   map[string]listedLane
	held    map[string]string   // why, by lane
	gone    map[string][]string // lanes that are ready and gone from the stream, with their heirs
	waiting int
	busy    bool
}

// holeRounds is how many rounds a hole in the hash space may stay before it is told.
const holeRounds = 3

// decide finds out which lanes may run, and makes rows that are missing.
func (r *runner) decide(ctx context.Context, rows []lease.Row) (w work, err error) {
	holes := make([][]shardlake.HashRange, len(r.fleet.listings))
	// Not for ever: a list may be older than the rows that were just made.
	for n, again := 0, true; again && n < 4; n++ {
		if n > 0 && !r.fleet.fresh {
			if err := r.listNow(ctx, rows); err != nil {
				return w, err
			}
		}
		again, w = false, work{rows: rows, lanes: map[string]listedLane{}, held: map[string]string{}, gone: map[string][]string{}}
		for i, l := range r.fleet.listings {
			d, err := lineage.Plan(l, rows)
			if err != nil {
				return w, err
			}
			if d.First && r.fleet.begun[i] {
				return w, fmt.Errorf("the rows of %s are gone from the lease store, all of them, while the application ran: restore them, for without them the whole stream would be read again", l.Name)
			}
			r.fleet.begun[i] = r.fleet.begun[i] || !d.First
			if !r.fleet.fresh && len(d.Create)+len(d.Delete) > 0 {
				again = true // look again by a listing that is younger than the rows
				break
			}
			for _, warning := range d.Warnings {
				r.tell(warning)
			}
			holes[i] = d.Holes
			for _, row := range d.Create {
				if err := r.p.cfg.Leases.Create(ctx, row); err != nil {
					return w, fmt.Errorf("create the row of %s: %w: %w", row.Lane, errTable, err)
				}
				again = true
			}
			for _, row := range d.Delete {
				if err := r.p.cfg.Leases.Delete(ctx, row); err != nil && !errors.Is(err, lease.ErrLost) {
					r.p.cfg.Log.Warn("the row of a shard that is gone was not deleted; the next round tries again", "lane", row.Lane, "error", err)
				}
			}
			r.p.reads[i].meet(abreast(l, rows))
			for _, lane := range l.Lanes {
				w.lanes[lane.ID] = listedLane{lane, r.p.reads[i], l.Name, l.Identity, nil, l.Scattered}
			}
			maps.Copy(w.held, d.Held)
			maps.Copy(w.gone, d.Gone)
			w.ready, w.waiting, w.busy = append(w.ready, d.Ready...), w.waiting+len(d.Waiting), w.busy || d.Busy
		}
		if again && r.fleet.fresh {
			if rows, err = r.rows(ctx); err != nil { // with what was made
				return w, err
			}
		}
	}
	for i, h := range holes {
		// One that a listing shows which is a little behind goes away by itself.
		if r.fleet.holes[i]++; len(h) == 0 {
			r.fleet.holes[i] = 0
		} else if r.fleet.holes[i] > holeRounds {
			r.tell(fmt.Sprintf("no lane of %s reads the hash keys %v to %v: what is written there is not read", r.fleet.listings[i].Name, h[0].From, h[0].To))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(w.held)) {
		r.tell(fmt.Sprintf("lane %s is held: %s", id, w.held[id]))
	}
	return w, nil
}

func heldError(held map[string]string) error {
	var errs []error
	for _, id := range slices.Sorted(maps.Keys(held)) {
		errs = append(errs, fmt.Errorf("lane %s is held: %s", id, held[id]))
	}
	return errors.Join(errs...)
}

// share takes what this worker shall have of the lanes that are ready, and asks
// others for what it lacks.
func (r *runner) share(ctx context.Context, w work, running map[string]bool) (next time.Duration) {
	isReady := map[string]bool{}
	for _, row := range w.ready {
		isReady[row.Lane] = true
	}
	all := make([]balance.Lane, len(w.rows))
	for i, row := range w.rows {
		all[i] = balance.Lane{Row: row, Ready: isReady[row.Lane], Running: running[row.Lane]}
	}
	plan := r.fleet.watch.Decide(all)
	if plan.Spill > 0 {
		r.tell(fmt.Sprintf("%d lanes wait for a worker, because of Config.MaxLanes", plan.Spill))
	}
	for _, row := range plan.Ask {
		if err := r.p.cfg.Leases.Ask(ctx, row, r.p.cfg.Owner); err != nil && !errors.Is(err, lease.ErrLost) {
			r.p.cfg.Log.Warn("a lane was not asked for; the next round tries again", "lane", row.Lane, "error", err)
		}
	}
	r.take(ctx, plan.Take, w)
	switch {
	case !r.p.cfg.Leases.Shared():
		return r.p.cfg.Discover
	case plan.First && len(plan.Take) > 0:
		// Others that start with this one have to be seen before it takes its share.
	case len(plan.Take) > 0, len(plan.Ask) > 0, r.awaits(w.rows):
		return min(r.p.cfg.Balance, soon) // lanes are changing hands
	}
	next = time.Duration((0.9 + 0.2*spread.Of(r.p.cfg.Owner, 0)) * float64(r.p.cfg.Balance))
	if at, ok := r.fleet.watch.Expiry(); ok {
		next = max(minRound, min(next, time.Until(at)))
	}
	return next
}

// awaits tells whether a lane that this worker has asked for is on its way.
func (r *runner) awaits(rows []lease.Row) bool {
	return slices.ContainsFunc(rows, func(row lease.Row) bool { return row.Want == r.p.cfg.Owner && !row.Finished() })
}

// minRound bounds how often the rows are read.
const minRound = 200 * time.Millisecond

// soon is the pause between rounds while lanes are changing hands.
const soon = time.Second

// acquiring bounds the acquisitions under way in one process.
const acquiring = 8

// take acquires lanes and starts each that it got. One that it did not get is
// looked at again in the next round.
func (r *runner) take(ctx context.Context, want []lease.Row, w work) {
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, acquiring)
	for _, seen := range want {
		l, ok := w.lanes[seen.Lane]
		if !ok {
			if l, ok = r.gone(seen, w.gone[seen.Lane]); !ok {
				continue
			}
		}
		select {
		case <-r.stop:
			return
		default:
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if row, sent, ok := r.acquire(ctx, seen); ok {
				r.launch(acquired{l, row, sent})
			}
		})
	}
}

// gone stands for a shard that has a row and is not listed any more: its source
// can still publish what it left, and say what of it is lost.
func (r *runner) gone(row lease.Row, heirs []string) (listedLane, bool) {
	for i, l := range r.fleet.listings {
		if l.Identity == row.Source || row.Source == "" && len(r.fleet.listings) == 1 {
			return listedLane{source.Lane{ID: row.Lane, Parents: row.Parents, Range: row.Range}, r.p.reads[i], l.Name, l.Identity, heirs, l.Scattered}, true
		}
	}
	return listedLane{}, false
}

// acquireTries is how often an acquisition is repeated within a round when its
// outcome is not known. If it was made after all, the next round finds a lane of
// this worker that does not run, and acquires it anew.
const acquireTries = 4

// acquire takes one lane, if nobody was faster. sent is when the request that
// succeeded was sent.
func (r *runner) acquire(ctx context.Context, seen lease.Row) (row lease.Row, sent time.Time, ok bool) {
	log := r.p.cfg.Log.With("lane", seen.Lane)
	token := lease.NewID()
	r.mu.Lock()
	r.tokens[seen.Lane] = append(r.tokens[seen.Lane], token)
	if n := len(r.tokens[seen.Lane]) - maxTokens; n > 0 {
		r.tokens[seen.Lane] = r.tokens[seen.Lane][n:]
	}
	r.mu.Unlock()
	for try := 1; ; try++ {
		sent = time.Now()
		row, err := r.p.cfg.Leases.Acquire(ctx, seen, r.p.cfg.Owner, token)
		switch {
		case err == nil && row.Hold != "":
			r.tell(fmt.Sprintf("lane %s is held: %s", row.Lane, row.Hold))
			if err := r.p.cfg.Leases.Release(ctx, row); err != nil {
				log.Warn("a lane that is held was not released", "error", err)
			}
			return row, sent, false
		case err == nil:
			return row, sent, true
		case errors.Is(err, lease.ErrLost) && r.p.cfg.Leases.Shared():
			log.Debug("another worker was faster", "error", err)
			return row, sent, false
		case errors.Is(err, lease.ErrLost), errors.Is(err, lease.ErrUncertain):
			r.fail(&Error{Stage: "acquire", Lane: seen.Lane, Pos: seen.Pos, Err: err})
			return row, sent, false
		}
		log.Warn("a lane was not acquired; trying again", "error", err, "try", try)
		if try == acquireTries || !pause(ctx, try, r.p.cfg.Owner+seen.Lane) {
			return row, sent, false
		}
	}
}

// maxTokens is how many acquisitions of a lane are remembered, to tell a late one
// of this worker from that of a twin.
const maxTokens = 16

// twin looks whether another process acquires lanes under this worker's name. The
// two would take each other's lanes for their own, and take them for ever.
func (r *runner) twin(ctx context.Context, id string) error {
	row, err := r.p.cfg.Leases.Get(ctx, id)
	if err != nil || row.Owner != r.p.cfg.Owner {
		return nil // whoever has it, it is not a twin; an error shows elsewhere
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.Contains(r.tokens[id], row.Token) {
		return nil
	}
	return &Error{Stage: "lease", Lane: id, Pos: row.Pos, Err: fmt.Errorf("another process uses the worker id %q", r.p.cfg.Owner),
		Remedy: "leave Config.Owner empty, or make it new for each start of a process"}
}

// lanes are those that run here.
func (r *runner) lanes() map[string]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.running)
}

// any tells whether a lane runs here.
func (r *runner) any() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.running) > 0
}

// tell writes a warning to the log, once.
func (r *runner) tell(warning string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.fleet.told[warning] && len(r.fleet.told) < maxTold {
		r.fleet.told[warning] = true
		r.p.cfg.Log.Warn(warning)
	}
}

// maxTold bounds what is remembered of warnings.
const maxTold = 10_000
