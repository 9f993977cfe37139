package pipeline_test

import (
	"context"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/source"
)

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
