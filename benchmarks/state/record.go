package main

import (
	"context"
	"runtime"
	"syscall"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/stage"
)

// Cost is time that passed, in nanoseconds: of the process on all CPUs, user and system,
// garbage collection included, and on the wall.
type Cost struct{ CPU, Wall int64 }

// Commit is one commit and what came before it.
type Commit struct {
	Ended    bool  // the last of the stream, which closes the windows
	Push     Cost  // from the commit before, or the first Fetch, to the mark
	All      Cost  // from the mark until the commit is durable
	Close    Cost  // the stage's part of the mark
	Snapshot Cost  // taking the states; at least what it takes without any
	Write    Cost  // in the lease store
	Bytes    int64 // of the states that are new in it
	Whole    bool  // none of it was carried over
}

// Spot is the memory at a commit mark, before the states are taken.
type Spot struct {
	Stretch string
	Heap    int64 // bytes alive after garbage collection
	Says    int64 // what the states say they hold
}

// recorder looks at a pipeline from the places that a stage, a sink and a lease store
// have. But for the first Fetch all calls come from the lane's goroutine.
type recorder struct {
	plan    plan
	Commits []Commit
	Spots   []Spot
	Open    Cost // making the stage, which restores its state
	First   Cost // from Run to the first Fetch

	env     *shardlake.Env
	done    int // commits that earlier processes made
	began   moment
	opening moment
	last    moment // the commit before
	marked  moment
	sealed  moment
	cur     Commit
	wake    chan struct{}
	stop    func() // ends the run
	stopAt  int    // after so many commits; 0 for never
	err     error
}

type moment struct {
	cpu  int64
	wall time.Time
}

// now keeps the first error of the clock.
func (r *recorder) now() moment {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil && r.err == nil {
		r.err = err
	}
	return moment{u.Utime.Nano() + u.Stime.Nano(), time.Now()}
}

func (r *recorder) since(m moment) Cost {
	n := r.now()
	return Cost{n.cpu - m.cpu, n.wall.Sub(m.wall).Nanoseconds()}
}

// met is the first Fetch.
func (r *recorder) met() {
	r.First = r.since(r.began)
	r.last = r.now()
}

// probe is a stage that tells when marks pass.
type probe[T any] struct {
	shardlake.Emit[T]
	mark func(shardlake.Mark)
}

// Mark tells, then passes the mark on.
func (p probe[T]) Mark(ctx context.Context, m shardlake.Mark) error {
	p.mark(m)
	return p.Emit.Mark(ctx, m)
}

// before stands in front of the measured stage, and is opened right after it.
func (r *recorder) before() stage.Stage[Event, Event] {
	return func(env *shardlake.Env, next shardlake.Emit[Event]) (shardlake.Emit[Event], error) {
		r.env, r.Open = env, r.since(r.opening)
		return probe[Event]{next, r.markBefore}, nil
	}
}

// behind stands behind it, and is opened right before it.
func (r *recorder) behind() stage.Stage[Totals, Totals] {
	return func(_ *shardlake.Env, next shardlake.Emit[Totals]) (shardlake.Emit[Totals], error) {
		r.opening = r.now()
		return probe[Totals]{next, r.markBehind}, nil
	}
}

func (r *recorder) markBefore(m shardlake.Mark) {
	if !m.Commit {
		return
	}
	r.cur = Commit{Ended: m.End != nil, Push: r.since(r.last)}
	if c := r.done + len(r.Commits); m.End == nil && r.plan.closes(c) {
		at, _ := r.plan.at(c)
		r.Spots = append(r.Spots, Spot{at.name, alive(), r.env.StateBytes()})
	}
	r.marked = r.now()
}

func (r *recorder) markBehind(m shardlake.Mark) {
	if m.Commit {
		r.cur.Close = r.since(r.marked)
	}
}

// seal is called by the last sink.
func (r *recorder) seal() { r.sealed = r.now() }

// store is a lease store that tells what its commits hold.
type store struct {
	*lease.File
	r *recorder
}

// Commit counts the states, and wakes the source behind it.
func (s store) Commit(ctx context.Context, next lease.Row) error {
	r := s.r
	r.cur.Snapshot = r.since(r.sealed)
	r.cur.Whole = true
	for _, b := range next.State {
		r.cur.Bytes += int64(len(b))
		r.cur.Whole = r.cur.Whole && b != nil
	}
	begin := r.now()
	if err := s.File.Commit(ctx, next); err != nil {
		return err
	}
	r.cur.Write, r.cur.All = r.since(begin), r.since(r.marked)
	r.Commits = append(r.Commits, r.cur)
	if len(r.Commits) == r.stopAt {
		r.stop()
	}
	if r.plan.closes(r.done + len(r.Commits) - 1) {
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
	r.last = r.now()
	return nil
}

// alive is the heap after garbage collection: repeated, since the first one leaves what
// pools hold and what is cleaned up behind it.
func alive() (least int64) {
	var s runtime.MemStats
	for i := range 4 {
		runtime.GC()
		runtime.ReadMemStats(&s)
		if n := int64(s.HeapAlloc); i == 0 || n < least {
			least = n
		}
	}
	return least
}
