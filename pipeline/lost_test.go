package pipeline_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/pipeline/lease"
)

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
