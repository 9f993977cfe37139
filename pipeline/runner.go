package pipeline

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/shardlake/shardlake/internal/spread"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/sink"
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

	fleet *fleet

	mu      sync.Mutex
	running map[string]bool
	relist  bool                // a shard ended: its children are to be found
	tokens  map[string][]string // of this worker's acquisitions, by lane
	errs    []error
}

// errStopTimeout ends lanes that did not stop in time.
var errStopTimeout = errors.New("stopping took longer than Config.StopTimeout; what was not committed is read again by the next run")

func newRunner(p *Pipeline) (*runner, error) {
	f, err := newFleet(p)
	return &runner{p: p, stop: make(chan struct{}), poke: make(chan struct{}, 1), running: map[string]bool{}, tokens: map[string][]string{}, fleet: f}, err
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
		for _, id := range slices.Sorted(maps.Keys(r.running)) {
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

// discover looks at the source and at the rows from time to time, and starts
// lanes, until every lane is read to its end or the run stops.
func (r *runner) discover(ctx context.Context) {
	if err := r.open(ctx); err != nil {
		if ctx.Err() == nil {
			r.fail(err)
		}
		return
	}
	for failed := 0; ; {
		next, busy, err := r.round(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			failed = 0
		case !errors.Is(err, errTable) || failed >= tableTries:
			r.fail(err)
			return
		default:
			failed++
			r.p.cfg.Log.Warn("the lease store did not answer; trying again", "error", err, "try", failed)
			next = time.Duration((1 + spread.Of(r.p.cfg.Owner, failed)) * float64(time.Second))
		}
		if err == nil && !busy {
			return // every lane of every source is read to its end
		}
		t := time.NewTimer(next)
		select {
		case <-r.stop:
		case <-r.poke:
		case <-t.C:
		}
		t.Stop()
		select {
		case <-r.stop:
			return
		default:
		}
	}
}

// errTable is the kind of error that may pass: the lease store did not answer.
var errTable = errors.New("the lease store did not answer")

// tableTries is how often in a row, one to two seconds apart, the rows may not be
// readable before the run fails. Lanes that run look after their own leases.
const tableTries = 60

// openTries is how often it is tried to open the lease store.
const openTries = 8

// open asks the lease store whether it can be worked with.
func (r *runner) open(ctx context.Context) error {
	for try := 1; ; try++ {
		err := r.p.cfg.Leases.Open(ctx)
		if err == nil {
			return nil
		}
		if errors.Is(err, lease.ErrRefused) || try == openTries || !pause(ctx, try, r.p.cfg.Owner) {
			return &Error{Stage: "open leases", Lane: "all", Err: err}
		}
		r.p.cfg.Log.Warn("the lease store was not opened; trying again", "error", err, "try", try)
	}
}

// ended notes that a lane has ended, and why.
func (r *runner) ended(id string, err error) {
	switch {
	case err == nil, errors.Is(err, errNotYet):
	case r.p.cfg.Leases.Shared() && errors.Is(err, lease.ErrLost):
		// In a fleet that happens; whoever has the lane now goes on with it.
		r.p.cfg.Log.Warn("a lane was lost to another worker", "lane", id, "error", err)
		r.p.is(id, "lost")
		if err := r.twin(r.work, id); err != nil {
			r.fail(err)
		}
	case r.p.cfg.Repair && errors.Is(err, sink.ErrLostUpload):
		r.p.cfg.Log.Error("a lane begins again, to repair a commit", "lane", id, "error", err)
	default:
		r.fail(err)
	}
	r.mu.Lock()
	delete(r.running, id)
	r.relist = true
	r.mu.Unlock()
	select {
	case r.poke <- struct{}{}:
	default:
	}
}

// acquired is a lane that this worker has got.
type acquired struct {
	listedLane
	row  lease.Row
	sent time.Time // when the request that succeeded was sent
}

// launch runs one lane on its own goroutine.
func (r *runner) launch(a acquired) {
	r.mu.Lock()
	r.running[a.ID] = true
	r.mu.Unlock()
	r.wg.Go(func() { r.ended(a.ID, a.src.run(r.work, r, a)) })
}
