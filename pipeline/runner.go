package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/source"
)

// runner is one Run: it finds lanes, starts each when its parents are finished,
// and stops all of them when the context ends or one fails.
type runner struct {
	p    *Pipeline
	work context.Context // of the lanes; ends when the stop budget is spent
	kill context.CancelCauseFunc
	stop chan struct{} // closed when the lanes shall finish what they hold
	once sync.Once
	wg   sync.WaitGroup
	poke chan struct{} // capacity 1: a lane ended, look for others

	mu      sync.Mutex
	running map[string]bool
	errs    []error
}

// errStopTimeout ends lanes that did not stop in time.
var errStopTimeout = errors.New("stopping took longer than Config.StopTimeout; what was not committed is read again by the next run")

func newRunner(p *Pipeline) *runner {
	return &runner{p: p, stop: make(chan struct{}), poke: make(chan struct{}, 1), running: map[string]bool{}}
}

func (r *runner) run(ctx context.Context) error {
	// The lanes outlive ctx, to commit what they hold.
	r.work, r.kill = context.WithCancelCause(context.WithoutCancel(ctx))
	defer r.kill(nil)
	unwatch := context.AfterFunc(ctx, r.halt)
	defer unwatch()

	r.discover(ctx)
	r.halt()
	r.wait()

	r.mu.Lock()
	defer r.mu.Unlock()
	return errors.Join(r.errs...)
}

// wait gives the lanes their stop budget, then ends them. A lane whose user code
// does not return even then is left behind: a process that shall exit must.
func (r *runner) wait() {
	done := make(chan struct{})
	go func() { r.wg.Wait(); close(done) }()
	budget := time.NewTimer(r.p.cfg.StopTimeout)
	defer budget.Stop()
	select {
	case <-done:
		return
	case <-budget.C:
	}
	r.kill(errStopTimeout)
	budget.Reset(killGrace)
	select {
	case <-done:
	case <-budget.C:
		r.mu.Lock()
		defer r.mu.Unlock()
		for id := range r.running {
			r.errs = append(r.errs, &Error{Stage: "stop", Lane: id, Err: errors.New("user code does not return although its context has ended"),
				Remedy: "functions given to stages must return when their context ends"})
		}
	}
}

// killGrace is what a lane gets to return once its context has ended.
const killGrace = 3 * time.Second

func (r *runner) halt() { r.once.Do(func() { close(r.stop) }) }

func (r *runner) fail(err error) {
	r.mu.Lock()
	r.errs = append(r.errs, err)
	r.mu.Unlock()
	r.halt()
}

// discover starts lanes until nothing is left to start and none is running, or
// until the run stops.
func (r *runner) discover(ctx context.Context) {
	tick := time.NewTicker(r.p.cfg.Discover)
	defer tick.Stop()
	for {
		busy, err := r.round(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			r.fail(err)
			return
		}
		if !busy {
			return // every lane of every source is read to its end
		}
		select {
		case <-r.stop:
			return
		case <-r.poke:
		case <-tick.C:
		}
	}
}

// round lists every source once and starts what is ready. busy tells whether
// anything runs or waits.
func (r *runner) round(ctx context.Context) (busy bool, err error) {
	seen := map[string]string{}
	for i, src := range r.p.reads {
		listing, err := src.list(ctx)
		if err != nil {
			return false, &Error{Stage: "list shards", Lane: fmt.Sprintf("all of source %d", i+1), Err: err}
		}
		for _, l := range listing.Lanes {
			if other, dup := seen[l.ID]; dup && l.ID != "" {
				return false, fmt.Errorf("lane %q is listed by %s and by %s: their positions would be mixed up; give each source its own lane names", l.ID, other, listing.Name)
			}
			seen[l.ID] = listing.Name
		}
		some, err := r.start(ctx, src, listing)
		if err != nil {
			return false, err
		}
		busy = busy || some
	}
	return busy, nil
}

// start makes missing rows and starts the lanes of one source that are ready.
func (r *runner) start(ctx context.Context, src reader, listing source.Listing) (busy bool, err error) {
	// Read before the rows: a lane that ends in between counts as running, and its
	// end calls for another round.
	r.mu.Lock()
	running := make(map[string]bool, len(r.running))
	for id := range r.running {
		running[id] = true
	}
	r.mu.Unlock()
	rows, err := r.rows(ctx, listing)
	if err != nil {
		return false, err
	}
	listed := map[string]bool{}
	for _, l := range listing.Lanes {
		listed[l.ID] = true
	}
	for _, l := range listing.Lanes {
		row := rows[l.ID]
		switch {
		case running[l.ID]:
			busy = true
		case row.Finished():
		case !parentsDone(l, rows, listed):
			busy = true
		default:
			busy = true
			r.launch(src, listing.Name, l)
		}
	}
	return busy, nil
}

// parentsDone tells whether a lane may start. A parent that is neither listed
// nor has a row is gone from the stream, and nobody waits for it.
func parentsDone(l source.Lane, rows map[string]lease.Row, listed map[string]bool) bool {
	for _, id := range l.Parents {
		row, ok := rows[id]
		if ok && !row.Finished() || !ok && listed[id] {
			return false
		}
	}
	return true
}

// rows returns the rows of a listing's lanes by id, after making those that are
// missing.
//
// All lanes of an application begin at the same instant, that of its first run:
// a shard made later holds nothing older, so one rule fits both, and a restart
// in the middle of making rows changes nothing.
func (r *runner) rows(ctx context.Context, listing source.Listing) (map[string]lease.Row, error) {
	all, err := r.p.cfg.Leases.List(ctx)
	if err != nil {
		return nil, &Error{Stage: "list leases", Lane: "all", Err: err}
	}
	rows, begin := map[string]lease.Row{}, listing.Begin
	for _, row := range all {
		rows[row.Lane] = row
		if row.Source == listing.Identity {
			begin = row.Begin
		}
	}
	for _, l := range listing.Lanes {
		row, ok := rows[l.ID]
		if ok && row.Source != listing.Identity {
			return nil, fmt.Errorf("lane %s: its lease row is of %q, the source is %q now: the stream was deleted and made again, or another stream has the same lane names; positions of one mean nothing in the other: use another Application with leases of its own", l.ID, row.Source, listing.Identity)
		}
		if ok {
			continue
		}
		row = lease.Row{Lane: l.ID, Parents: slices.Clone(l.Parents), Source: listing.Identity, Begin: begin, Watermark: shardlake.Never}
		if err := r.p.cfg.Leases.Create(ctx, row); err != nil {
			return nil, &Error{Stage: "create lease", Lane: l.ID, Err: err}
		}
		rows[l.ID] = row
	}
	return rows, nil
}

// launch runs one lane on its own goroutine.
func (r *runner) launch(src reader, stream string, l source.Lane) {
	select {
	case <-r.stop:
		return
	default:
	}
	r.mu.Lock()
	r.running[l.ID] = true
	r.mu.Unlock()
	r.wg.Go(func() {
		err := src.run(r.work, r, stream, l)
		if err != nil {
			r.fail(err)
		}
		r.mu.Lock()
		delete(r.running, l.ID)
		r.mu.Unlock()
		select {
		case r.poke <- struct{}{}:
		default:
		}
	})
}

// stopped tells why a lane that was killed ended.
func (r *runner) stopped(err error) error {
	return cmp.Or(context.Cause(r.work), err)
}
