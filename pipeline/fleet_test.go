package pipeline_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/source"
)

// shared is a table that a fleet uses.
type shared struct{ lease.Store }

func (shared) Shared() bool { return true }

// worker is one process of a fleet.
type worker struct {
	*process
	name string
	pipe *pipeline.Pipeline
	stop context.CancelFunc
	err  error
	wg   sync.WaitGroup
}

const (
	leaseTime = 10 * time.Second
	poll      = 200 * time.Millisecond
)

// join starts a worker of a fleet that reads lanes which never end.
func (w *world) join(name string, lanes [][]event, change func(*pipeline.Config)) *worker {
	p := &worker{process: &process{world: w}, name: name}
	var ctx context.Context
	ctx, p.stop = context.WithCancel(context.Background())
	p.die = p.stop
	cfg := pipeline.Config{Leases: shared{p.table()}, Owner: name, CommitEvery: 5 * time.Second, LeaseTime: leaseTime}
	if change != nil {
		change(&cfg)
	}
	p.pipe = pipeline.New(cfg)
	build(p.pipe, endless{source.Lanes(lanes...).At(event.when).Fetching(3), poll}, p.folder)
	p.wg.Go(func() { p.err = p.pipe.Run(ctx) })
	return p
}

// leave stops a worker in good order.
func (w *worker) leave(t *testing.T) {
	t.Helper()
	w.stop()
	w.wg.Wait()
	if w.err != nil {
		t.Errorf("worker %s: %v", w.name, w.err)
	}
}

// crash kills a worker: it has no effects any more.
func (w *worker) crash() {
	w.process.mu.Lock()
	w.dead = true
	w.process.mu.Unlock()
	w.stop()
	w.wg.Wait()
}

// owned counts the lanes of each worker in the table.
func (w *world) owned() map[string]int {
	rows, err := w.leases.List(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	n := map[string]int{}
	for _, r := range rows {
		n[r.Owner]++
	}
	return n
}

func many(lanes, each int) (out [][]event) {
	for n := range lanes {
		out = append(out, events(each, n+1))
	}
	return out
}

// raw counts the visible raw rows, and reports any that is there twice.
func (w *world) raw(t *testing.T) (n int) {
	t.Helper()
	for row, times := range rows(w.lake.Objects()) {
		if row[:3] != "raw" {
			continue
		}
		n++
		if times != 1 {
			t.Errorf("%d times %s", times, row)
		}
	}
	return n
}

// Workers come and go, in good order and not; each has its share soon after, and
// at no moment is a row visible twice or uncommitted.
func TestFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, lanes := newWorld(t), many(12, 400)
		share := func(after time.Duration, want map[string]int) {
			t.Helper()
			time.Sleep(after)
			if got := w.owned(); !maps.Equal(got, want) {
				t.Errorf("after %v: lanes by owner %v, want %v", after, got, want)
			}
		}
		a := w.join("a", lanes, nil)
		share(15*time.Second, map[string]int{"a": 12})
		b, c := w.join("b", lanes, nil), w.join("c", lanes, nil)
		share(40*time.Second, map[string]int{"a": 4, "b": 4, "c": 4})
		b.leave(t)
		share(15*time.Second, map[string]int{"a": 6, "c": 6})
		c.crash()
		share(leaseTime+15*time.Second, map[string]int{"a": 12})
		d := w.join("d", lanes, nil)
		share(40*time.Second, map[string]int{"a": 6, "d": 6})
		a.leave(t)
		d.leave(t)
		if n := w.raw(t); n < 12*350 {
			t.Errorf("only %d rows are visible", n)
		}
		e := w.join("e", lanes, nil)
		time.Sleep(2 * time.Minute)
		e.leave(t)
		if n := w.raw(t); n != 12*400 {
			t.Errorf("%d rows are visible, want all %d", n, 12*400)
		}
	})
}

// A lane that was asked for is committed, published and released at once, and its
// successor reads on within one poll of the rows.
func TestHandOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, lanes := newWorld(t), many(2, 2000)
		// The crash tests' sums are by minute: nothing else may differ between workers.
		a := w.join("a", lanes, nil)
		time.Sleep(20 * time.Second)
		var asked, taken atomic.Int64
		began := time.Now()
		now := func() int64 { return 1 + int64(time.Since(began)) }
		b := w.join("b", lanes, func(c *pipeline.Config) {
			c.Leases = &spied{Store: c.Leases, ask: func() { asked.Store(now()) }, acquire: func() { taken.Store(now()) }}
		})
		given := int64(0)
		for taken.Load() == 0 {
			if given == 0 && asked.Load() > 0 && w.owned()[""] > 0 {
				given = now()
			}
			time.Sleep(10 * time.Millisecond)
		}
		giving, taking := time.Duration(given-asked.Load()), time.Duration(taken.Load()-given)
		if asked.Load() == 0 || giving > leaseTime/3+time.Second || taking > time.Second+50*time.Millisecond {
			t.Errorf("given after %v, taken after %v more", giving, taking)
		}
		t.Logf("given up %v after the wish was written, taken %v later", giving, taking)
		rows, err := w.leases.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if r.Owner == "b" && (r.Number == 0 || len(r.Pending) > 0) {
				t.Errorf("handed over uncommitted or unpublished: %+v", r)
			}
		}
		a.leave(t)
		b.leave(t)
		w.raw(t)
	})
}

// spied tells when calls succeed.
type spied struct {
	lease.Store
	ask, acquire func()
}

func (s *spied) Ask(ctx context.Context, seen lease.Row, want string) error {
	err := s.Store.Ask(ctx, seen, want)
	if err == nil {
		s.ask()
	}
	return err
}
func (s *spied) Acquire(ctx context.Context, seen lease.Row, owner, token string) (lease.Row, error) {
	r, err := s.Store.Acquire(ctx, seen, owner, token)
	if err == nil {
		s.acquire()
	}
	return r, err
}

// After a crash the lanes of the dead go on within the lease time and one round.
func TestCrashRecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, lanes := newWorld(t), many(4, 5000)
		a, b := w.join("a", lanes, nil), w.join("b", lanes, nil)
		time.Sleep(40 * time.Second)
		if got := w.owned(); got["a"] != 2 || got["b"] != 2 {
			t.Fatalf("lanes by owner %v", got)
		}
		b.crash()
		died := time.Now()
		for w.owned()["a"] < 4 && time.Since(died) < time.Hour {
			time.Sleep(10 * time.Millisecond)
		}
		if d := time.Since(died); d > leaseTime+2*leaseTime/2 {
			t.Errorf("the lanes went on after %v; the lease time is %v, a round %v", d, leaseTime, leaseTime/2)
		} else {
			t.Logf("the lanes of the dead went on after %v", d)
		}
		a.leave(t)
		w.raw(t)
	})
}

// A worker that is cut off from the table gives its lanes up at the lease time,
// before others may have them, and goes on when the table is back.
func TestCutOffFromTheTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, lanes := newWorld(t), many(4, 5000)
		cut := &cutStore{}
		a := w.join("a", lanes, func(c *pipeline.Config) { cut.Store = c.Leases; c.Leases = cut })
		time.Sleep(20 * time.Second)
		b := w.join("b", lanes, nil)
		time.Sleep(40 * time.Second)
		cut.set(true)
		time.Sleep(3 * leaseTime)
		if got := w.owned(); got["b"] != 4 {
			t.Errorf("lanes by owner %v", got)
		}
		for _, l := range a.pipe.Status().Lanes {
			if l.State == "running" {
				t.Errorf("lane %s still runs at a worker that has lost it", l.Lane)
			}
		}
		cut.set(false)
		time.Sleep(40 * time.Second)
		if got := w.owned(); got["a"] != 2 || got["b"] != 2 {
			t.Errorf("lanes by owner %v", got)
		}
		a.leave(t)
		b.leave(t)
		w.raw(t)
	})
}

type cutStore struct {
	lease.Store
	mu  sync.Mutex
	cut bool
}

var errCut = errors.New("no route to the table")

func (c *cutStore) set(cut bool) { c.mu.Lock(); c.cut = cut; c.mu.Unlock() }
func (c *cutStore) err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		return errCut
	}
	return nil
}
func (c *cutStore) List(ctx context.Context) ([]lease.Row, error) {
	if err := c.err(); err != nil {
		return nil, err
	}
	return c.Store.List(ctx)
}
func (c *cutStore) Renew(ctx context.Context, r lease.Row) (lease.Row, error) {
	if err := c.err(); err != nil {
		return lease.Row{}, err
	}
	return c.Store.Renew(ctx, r)
}
func (c *cutStore) Commit(ctx context.Context, r lease.Row) error {
	if err := c.err(); err != nil {
		return err
	}
	return c.Store.Commit(ctx, r)
}
func (c *cutStore) Acquire(ctx context.Context, seen lease.Row, owner, token string) (lease.Row, error) {
	if err := c.err(); err != nil {
		return lease.Row{}, err
	}
	return c.Store.Acquire(ctx, seen, owner, token)
}

// A worker whose stage hangs cannot keep its lanes for ever.
func TestStuckHandOverEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, lanes := newWorld(t), many(2, 5000)
		hang := make(chan struct{})
		a := w.join("a", lanes, func(c *pipeline.Config) {
			c.HandOver = 20 * time.Second
			c.Leases = hangingCommits{c.Leases, hang}
		})
		time.Sleep(20 * time.Second)
		b := w.join("b", lanes, func(c *pipeline.Config) { c.HandOver = 20 * time.Second })
		time.Sleep(20*time.Second + 3*leaseTime)
		if got := w.owned(); got["b"] == 0 {
			t.Errorf("lanes by owner %v: the hand-over has no end", got)
		}
		close(hang)
		b.leave(t)
		a.stop()
		a.wg.Wait()
		w.raw(t)
	})
}

// hangingCommits are answered when hang is closed.
type hangingCommits struct {
	lease.Store
	hang chan struct{}
}

func (h hangingCommits) Commit(ctx context.Context, r lease.Row) error {
	select {
	case <-h.hang:
		return h.Store.Commit(ctx, r)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// What a lane tells of itself is in its row.
func TestVitals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a := w.join("a", many(1, 100_000), nil)
		time.Sleep(time.Minute)
		rows, err := w.leases.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if v := rows[0].Vitals; v.Records < 10 || v.Records > 20 || v.Busy > 0.5 {
			t.Errorf("3 records in 200 ms are %+v", v)
		}
		a.leave(t)
	})
}

// Publish makes visible what a fleet left that was stopped between a commit and
// its publishing.
func TestPublishAfterwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, lanes := newWorld(t), [][]event{events(40, 1)}
		p := &process{world: w}
		ctx, cancel := context.WithCancel(t.Context())
		p.die = cancel
		pipe := pipeline.New(pipeline.Config{Leases: diesAfterCommit{p.table(), p}, CommitRecords: 20})
		build(pipe, source.Lanes(lanes...).At(event.when).Fetching(5), p.folder)
		if err := pipe.Run(ctx); !p.dead {
			t.Fatal(err)
		}
		if n := w.raw(t); n != 0 {
			t.Fatalf("%d rows are visible before", n)
		}
		alive := &process{world: w}
		cfg := pipeline.Config{Leases: alive.table(), Publishers: publishers(alive)}
		for range 2 { // again does no harm
			if n, err := pipeline.Publish(t.Context(), cfg); err != nil || n == 0 {
				t.Errorf("%d files: %v", n, err)
			}
		}
		if n := w.raw(t); n != 20 {
			t.Errorf("%d rows are visible, want the 20 that were committed", n)
		}
		(&process{world: w}).run(boundaries{3, 7}, lanes...)
		if got, want := rows(w.lake.Objects()), want(lanes...); !maps.Equal(got, want) {
			t.Error(diff(got, want))
		}
	})
}

// An upload that a commit lists is aborted by somebody, when others of the commit
// are visible already. Repair reads the records again; no row is there twice, nor
// lost.
func TestRepair(t *testing.T) {
	for _, setting := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w, lanes := newWorld(t), [][]event{events(40, 1)}
			ctx, cancel := context.WithCancel(t.Context())
			p := &process{world: w, die: cancel}
			pipe := pipeline.New(pipeline.Config{Leases: diesAfterCommit{p.table(), p}, CommitRecords: 20})
			build(pipe, source.Lanes(lanes...).At(event.when).Fetching(5), p.folder)
			if err := pipe.Run(ctx); !p.dead {
				t.Fatal(err)
			}
			aborted := false
			for u, err := range w.lake.Uploads(t.Context(), "raw/") {
				if err != nil {
					t.Fatal(err)
				}
				if !aborted {
					aborted = true
					if err := w.lake.Abort(t.Context(), u.Key, u.ID); err != nil {
						t.Fatal(err)
					}
				}
			}
			again := &process{world: w}
			cfg := pipeline.Config{Leases: again.table(), Publishers: publishers(again), Repair: setting, CommitRecords: 9}
			began := time.Now()
			if !setting {
				if err := pipeline.Repair(t.Context(), cfg, "values-0"); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took < 15*time.Minute {
					t.Errorf("the verdict took %v", took)
				}
				if n := w.raw(t); n != 0 {
					t.Errorf("%d rows of the commit that was given up are visible", n)
				}
			}
			pipe = pipeline.New(cfg)
			build(pipe, source.Lanes(lanes...).At(event.when).Fetching(4), again.folder)
			if err := pipe.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got, want := rows(w.lake.Objects()), want(lanes...); !maps.Equal(got, want) {
				t.Error(diff(got, want))
			}
		})
	}
}

// A repair is interrupted at each of its steps, and the next owner finishes it.
func TestRepairIsRepeatable(t *testing.T) {
	for kill := 1; ; kill++ {
		killed := false
		synctest.Test(t, func(t *testing.T) {
			w, lanes := newWorld(t), [][]event{events(40, 1)}
			ctx, cancel := context.WithCancel(t.Context())
			p := &process{world: w, die: cancel}
			pipe := pipeline.New(pipeline.Config{Leases: diesAfterCommit{p.table(), p}, CommitRecords: 20})
			build(pipe, source.Lanes(lanes...).At(event.when).Fetching(5), p.folder)
			if err := pipe.Run(ctx); !p.dead {
				t.Fatal(err)
			}
			for u, err := range w.lake.Uploads(t.Context(), "") {
				if err == nil {
					err = w.lake.Abort(t.Context(), u.Key, u.ID)
				}
				if err != nil {
					t.Fatal(err)
				}
				break
			}
			wanted := want(lanes...)
			w.check = func(visible map[string][]byte) error { return within(rows(visible), wanted) }
			for n, at := range []int{kill, 0} {
				ctx, cancel := context.WithCancel(t.Context())
				q := &process{world: w, die: cancel, killAt: at, after: kill%2 == 0}
				pipe := pipeline.New(pipeline.Config{Leases: q.table(), Repair: true, CommitRecords: 7 + n})
				build(pipe, source.Lanes(lanes...).At(event.when).Fetching(4), q.folder)
				if err := pipe.Run(ctx); err != nil && !q.dead {
					t.Fatal(err)
				}
				killed = killed || q.dead
			}
			if got := rows(w.lake.Objects()); !maps.Equal(got, wanted) {
				t.Errorf("killed at %d:%s", kill, diff(got, wanted))
			}
		})
		if t.Failed() || !killed {
			t.Logf("%d kill points", kill-1)
			return
		}
	}
}

// Two processes under one worker id would take each other's lanes for ever.
func TestTwins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, lanes := newWorld(t), many(4, 5000)
		a := w.join("same", lanes, nil)
		time.Sleep(30 * time.Second)
		b := w.join("same", lanes, nil)
		time.Sleep(time.Minute)
		a.stop()
		b.stop()
		a.wg.Wait()
		b.wg.Wait()
		if err := errors.Join(a.err, b.err); err == nil || !strings.Contains(err.Error(), "another process uses the worker id") {
			t.Error(err)
		}
		w.raw(t)
	})
}

// A row is deleted under a running worker: the lane stops at once, and its row is
// not made anew at the beginning, which would double everything.
func TestRowDeletedUnderAWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, lanes := newWorld(t), many(3, 5000)
		gone := &forgetful{Store: shared{w.leases}}
		a := w.join("a", lanes, func(c *pipeline.Config) { gone.Store = c.Leases; c.Leases = gone })
		time.Sleep(20 * time.Second)
		gone.forget("values-1")
		before := w.raw(t)
		time.Sleep(5 * time.Minute)
		for _, l := range a.pipe.Status().Lanes {
			if (l.State == "lost") != (l.Lane == "values-1") {
				t.Errorf("lane %s is %s", l.Lane, l.State)
			}
		}
		if after := w.raw(t); after <= before {
			t.Errorf("%d rows, then %d: the other lanes stand still", before, after)
		}
		a.leave(t)
	})
}

// forgetful is a table of which somebody has deleted a row by hand.
type forgetful struct {
	lease.Store
	mu   sync.Mutex
	gone string
}

func (f *forgetful) forget(lane string) { f.mu.Lock(); f.gone = lane; f.mu.Unlock() }
func (f *forgetful) is(lane string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return lane == f.gone
}
func (f *forgetful) List(ctx context.Context) ([]lease.Row, error) {
	rows, err := f.Store.List(ctx)
	return slices.DeleteFunc(rows, func(r lease.Row) bool { return f.is(r.Lane) }), err
}
func (f *forgetful) Get(ctx context.Context, lane string) (lease.Row, error) {
	if f.is(lane) {
		return lease.Row{}, lease.ErrNoRow
	}
	return f.Store.Get(ctx, lane)
}
func (f *forgetful) Renew(ctx context.Context, r lease.Row) (lease.Row, error) {
	if f.is(r.Lane) {
		return lease.Row{}, lease.ErrNoRow
	}
	return f.Store.Renew(ctx, r)
}
func (f *forgetful) Commit(ctx context.Context, r lease.Row) error {
	if f.is(r.Lane) {
		return lease.ErrNoRow
	}
	return f.Store.Commit(ctx, r)
}
func (f *forgetful) Acquire(ctx context.Context, seen lease.Row, owner, token string) (lease.Row, error) {
	if f.is(seen.Lane) {
		return lease.Row{}, lease.ErrNoRow
	}
	return f.Store.Acquire(ctx, seen, owner, token)
}
func (f *forgetful) Create(ctx context.Context, r lease.Row) error {
	if f.is(r.Lane) && r.Hold == "" {
		return errors.New("a row that was lost is made anew")
	}
	return f.Store.Create(ctx, r)
}
