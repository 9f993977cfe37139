package pipeline_test

import (
	"context"
	"maps"
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
		if d := time.Since(died); d > leaseTime+leaseTime/2+time.Second {
			t.Errorf("the lanes went on after %v; the lease time is %v, a round %v", d, leaseTime, leaseTime/2)
		} else {
			t.Logf("the lanes of the dead went on after %v", d)
		}
		a.leave(t)
		w.raw(t)
	})
}
