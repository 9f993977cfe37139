package pipeline_test

import (
	"context"
	"errors"
	"maps"
	"path"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/sink"
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

// lateComplete is a store in which, once, a Complete gets no answer for as long as
// a repair takes, and has its effect after it; meanwhile the other upload of the
// same commit vanishes.
type lateComplete struct {
	sink.Store
	late   time.Duration
	forget bool // Abort has no effect: a repair that does not abort first

	mu  sync.Mutex
	cid string // of the commit that is hit
	n   int    // Completes of it
}

func (s *lateComplete) At(string) (sink.Store, error) { return s, nil }

func cidOf(key string) string { return strings.Split(path.Base(key), "-")[5] }

// Prepare comes before any Complete of the commit.
func (s *lateComplete) Prepare(ctx context.Context, key, id string, parts []sink.Part) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cid == "" && strings.HasPrefix(key, "sums/") {
		s.cid = cidOf(key)
	}
	return s.Store.Prepare(ctx, key, id, parts)
}

func (s *lateComplete) Complete(ctx context.Context, key, id string, parts []sink.Part) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case cidOf(key) != s.cid:
		return s.Store.Complete(ctx, key, id, parts)
	case strings.HasPrefix(key, "sums/"):
		if s.n++; s.n == 1 {
			time.AfterFunc(s.late, func() {
				if err := s.Store.Complete(context.WithoutCancel(ctx), key, id, parts); err != nil && !errors.Is(err, sink.ErrNoUpload) {
					panic(err)
				}
			})
		}
		return errors.New("no answer")
	}
	return errors.Join(sink.ErrNoUpload, s.Store.Abort(ctx, key, id))
}

func (s *lateComplete) Abort(ctx context.Context, key, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.forget && cidOf(key) == s.cid {
		return nil
	}
	return s.Store.Abort(ctx, key, id)
}

// A Complete that was sent before a repair arrives after it. The repair has
// aborted the upload before it went back, so nothing appears; a repair that only
// deletes is found out.
func TestRepairAbortsFirst(t *testing.T) {
	for _, forget := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			in := events(60, 1)
			w := newWorld(t)
			p := &process{world: w}
			store := &lateComplete{Store: p.store(), late: 40 * time.Minute, forget: forget}
			run := func(cfg pipeline.Config, d time.Duration) error {
				ctx, cancel := context.WithTimeout(t.Context(), d)
				defer cancel()
				cfg.Leases, cfg.Repair = p.table(), true
				pipe := pipeline.New(cfg)
				build(pipe, endless{source.Lanes(in).At(event.when).Fetching(5), time.Second}, func(prefix string) sink.Folder {
					return sink.Folder{Store: store, Prefix: prefix, FileBytes: 700}
				})
				return pipe.Run(ctx)
			}
			if err := run(pipeline.Config{CommitRecords: 20}, 2*time.Hour); err != nil {
				t.Fatal(err)
			}
			twice := 0
			for row, n := range rows(w.lake.Objects()) {
				if n > want(in)[row] {
					twice++
				}
			}
			if (twice > 0) != forget {
				t.Errorf("abort forgotten: %v; %d rows are there too often", forget, twice)
			}
		})
	}
}

// shortlived no longer holds what was read.
type shortlived struct{ *source.Slices[event] }

func (shortlived) Holds(context.Context, shardlake.Instant) (bool, error) { return false, nil }

// An upload is lost, and the stream no longer holds its records: nothing is
// deleted, the lane goes on behind it, and a dead letter says what is lost, in the
// commit that leaves the upload out.
func TestLostForGood(t *testing.T) {
	lanes := [][]event{events(40, 1)}
	for kill := 1; ; kill++ {
		killed := false
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			ctx, cancel := context.WithCancel(t.Context())
			p := &process{world: w, die: cancel}
			pipe := pipeline.New(pipeline.Config{Leases: diesAfterCommit{p.table(), p}, CommitRecords: 20})
			build(pipe, source.Lanes(lanes...).At(event.when).Fetching(5), p.folder)
			if err := pipe.Run(ctx); !p.dead {
				t.Fatal(err)
			}
			gone := ""
			for u, err := range w.lake.Uploads(t.Context(), "raw/") {
				if err == nil {
					err = w.lake.Abort(t.Context(), u.Key, u.ID)
				}
				if err != nil {
					t.Fatal(err)
				}
				gone = u.Key
				break
			}
			for n, at := range []int{kill, 0} {
				ctx, cancel := context.WithCancel(t.Context())
				q := &process{world: w, die: cancel, killAt: at, after: kill%2 == 0}
				pipe := pipeline.New(pipeline.Config{Leases: q.table(), Repair: true, CommitRecords: 7 + n})
				build(pipe, shortlived{source.Lanes(lanes...).At(event.when).Fetching(4)}, q.folder)
				if err := pipe.Run(ctx); err != nil && !q.dead {
					t.Fatal(err)
				}
				killed = killed || q.dead
			}
			got, wanted, lost, told := rows(w.lake.Objects()), want(lanes...), 0, 0
			for row, n := range wanted {
				if got[row] == 0 && strings.HasPrefix(row, "raw") {
					lost++
				} else if got[row] != n {
					t.Errorf("killed at %d: %d times %s", kill, got[row], row)
				}
				delete(got, row)
			}
			for row, n := range got {
				if n != 1 || !strings.Contains(row, gone) {
					t.Errorf("killed at %d: %d times %s", kill, n, row)
				}
				told++
			}
			if lost == 0 || told != 1 {
				t.Errorf("killed at %d: %d rows are lost, and %d dead letters say so", kill, lost, told)
			}
		})
		if t.Failed() || !killed {
			t.Logf("%d kill points", kill-1)
			return
		}
	}
}
