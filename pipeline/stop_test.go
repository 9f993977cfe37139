package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/source"
	"github.com/shardlake/shardlake/stage"
)

// endless is a source whose lane never ends: what a live stream looks like.
type endless struct {
	*source.Slices[event]
	each time.Duration
}

func (e endless) Open(l source.Lane, from source.Start) (source.Fetcher, error) {
	f, err := e.Slices.Open(l, from)
	return &endlessFetcher{f, e.each}, err
}

// Lanes share the hash space, as shards do.
func (e endless) Lanes(ctx context.Context) (source.Listing, error) {
	l, err := e.Slices.Lanes(ctx)
	n := 256 / len(l.Lanes)
	for i := range l.Lanes {
		r := &l.Lanes[i].Range
		r.From[0], r.To = byte(i*n), shardlake.MaxHash
		if i < len(l.Lanes)-1 {
			r.To[0] = byte((i+1)*n - 1)
		}
	}
	return l, err
}

type endlessFetcher struct {
	source.Fetcher
	each time.Duration
}

func (f *endlessFetcher) Fetch(ctx context.Context) (source.Chunk, error) {
	t := time.NewTimer(f.each)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return source.Chunk{}, ctx.Err()
	case <-t.C:
	}
	c, err := f.Fetcher.Fetch(ctx)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return c, err
}

// When the context ends, what was read is committed, published and released, and
// Run returns nil. Nothing is read twice afterwards.
func TestStopCommitsWhatItHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		src := endless{source.Values(events(40, 1)...).At(event.when).Fetching(3), 100 * time.Millisecond}
		ctx, cancel := context.WithTimeout(t.Context(), 550*time.Millisecond)
		defer cancel()
		p := pipeline.New(pipeline.Config{Leases: w.leases})
		p.Read(src).Write(w.lake.Folder("raw"), jsonl)
		if err := p.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if got := rows(w.lake.Objects()); len(got) != 15 {
			t.Errorf("%d rows are visible, want the 15 that were read", len(got))
		}
		all, err := w.leases.List(t.Context())
		if err != nil || len(all) != 1 || all[0].Owner != "" || all[0].Pos.Seq != "15" || len(all[0].Pending) != 0 {
			t.Errorf("%+v %v", all, err)
		}
		if st := p.Status(); st.Lanes[0].State != "released" {
			t.Errorf("%+v", st)
		}
	})
}

// With the store out, a stop ends within its budget, with an error and without a
// false position.
func TestStopWithTheStoreOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		down := &process{world: w, fail: 1}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		p := pipeline.New(pipeline.Config{Leases: w.leases, StopTimeout: 10 * time.Second})
		p.Read(source.Source[event](endless{source.Values(events(40, 1)...).At(event.when).Fetching(3), 100 * time.Millisecond})).
			Write(down.folder("raw"), jsonl)
		began := time.Now()
		err := p.Run(ctx)
		if took := time.Since(began); err == nil || took > 15*time.Second {
			t.Errorf("after %v: %v", took, err)
		}
		all, _ := w.leases.List(t.Context())
		if !all[0].Pos.IsStart() {
			t.Errorf("the position moved to %v though nothing is stored", all[0].Pos)
		}
	})
}

// User code that ignores its context cannot hold the process.
func TestStopWithUserCodeThatHangs(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	ctx, cancel := context.WithCancel(t.Context())
	p := pipeline.New(pipeline.Config{StopTimeout: time.Millisecond})
	p.Read(source.Values(1)).Via(stage.Map(func(n int) int { cancel(); <-hang; return n })).Into(sink.Discard[int]{})
	if err := p.Run(ctx); err == nil || !strings.Contains(err.Error(), "does not return") {
		t.Error(err)
	}
}

// One lane's failure stops the run, but the others commit what they hold.
func TestOneLaneFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		p := pipeline.New(pipeline.Config{Leases: w.leases})
		p.Read(source.Source[event](endless{source.Lanes(events(3, 1), events(9, 2)).At(event.when).Fetching(3), time.Second})).
			Via(stage.TryFilter(func(e event) (bool, error) {
				if e.ID == 2006 {
					return false, errors.New("bad luck")
				}
				return true, nil
			})).
			Write(w.lake.Folder("raw"), jsonl)
		if err := p.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "bad luck") {
			t.Fatal(err)
		}
		if got := rows(w.lake.Objects()); len(got) != 3 {
			t.Errorf("%d rows of the good lane are visible, want 3", len(got))
		}
	})
}

// A worker that slept while another took the lane commits nothing.
func TestZombie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wanted := want(events(40, 1))
		w := newWorld(t)
		w.check = func(visible map[string][]byte) error { return within(rows(visible), wanted) }
		zombie := &process{world: w}
		slept := false
		p := pipeline.New(pipeline.Config{Leases: sleepy{zombie.table(), func() {
			if !slept {
				slept = true
				(&process{world: w}).run(boundaries{3, 4}, events(40, 1))
			}
		}}, CommitRecords: 10})
		build(p, source.Lanes(events(40, 1)).At(event.when).Fetching(5), zombie.folder)
		if err := p.Run(t.Context()); !errors.Is(err, lease.ErrLost) {
			t.Fatal(err)
		}
		if got := rows(w.lake.Objects()); !maps.Equal(got, wanted) {
			t.Fatal(diff(got, wanted))
		}
	})
}

type sleepy struct {
	lease.Store
	sleep func()
}

func (s sleepy) Commit(ctx context.Context, r lease.Row) error {
	s.sleep()
	return s.Store.Commit(ctx, r)
}

// The committed watermark, not the rows read since, makes a row late.
func TestWatermarkIsPartOfTheCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := []event{{ID: 1, Sec: 0}, {ID: 2, Sec: 200}, {ID: 3, Sec: 10}}
		w := newWorld(t)
		first := &process{world: w}
		ctx, cancel := context.WithCancel(t.Context())
		first.die = cancel
		p := pipeline.New(pipeline.Config{Leases: diesAfterCommit{first.table(), first}, CommitRecords: 2})
		build(p, source.Lanes(in).At(event.when).Fetching(2), first.folder)
		if err := p.Run(ctx); !first.dead {
			t.Fatal(err)
		}
		(&process{world: w}).run(boundaries{1, 1}, in)
		got := rows(w.lake.Objects())
		if !maps.Equal(got, want(in)) || got[fmt.Sprintf("dead values-0 3 %v", shardlake.ErrLate)] != 1 {
			t.Error(got)
		}
	})
}

type diesAfterCommit struct {
	lease.Store
	p *process
}

func (s diesAfterCommit) Commit(ctx context.Context, r lease.Row) error {
	err := s.Store.Commit(ctx, r)
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.p.dead = true
	s.p.die()
	return err
}
