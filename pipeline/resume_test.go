package pipeline_test

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/sinktest"
	"github.com/shardlake/shardlake/source"
	"github.com/shardlake/shardlake/stage"
)

// State that no stage claims stops the lane: it is not dropped in silence. So does one
// that is damaged, or of another version.
func TestOrphanedState(t *testing.T) {
	run := func(store lease.Store, build func(pipeline.Stream[int])) error {
		p := pipeline.New(pipeline.Config{Leases: store})
		build(p.Read(source.Values(1)))
		return p.Run(t.Context())
	}
	keep := stage.Keyed(func(n int) int { return n }, func(c *stage.Cell[int, int, int], n int) error { c.Emit(n); return nil }, nil)
	none := func(s pipeline.Stream[int]) { s.Into(sink.Discard[int]{}) }
	first := new(lease.Memory)
	if err := run(first, func(s pipeline.Stream[int]) { s.Via(stage.Named("old", keep)).Into(sink.Discard[int]{}) }); err != nil {
		t.Fatal(err)
	}
	row, err := first.Get(t.Context(), "values-0")
	if err != nil || len(row.State) == 0 {
		t.Fatal(row, err)
	}
	for key, state := range row.State {
		for name, kept := range map[string]map[string][]byte{
			"old":            {key: state},
			"damaged":        {key: state[:len(state)-1]},
			"has no number":  {"old": state},
			"is of version ": {key: endSegment(append([]byte{9}, state[1:len(state)-4]...))},
		} {
			store := new(lease.Memory)
			if err := store.Create(t.Context(), lease.Row{Lane: "values-0", Source: "values", Begin: shardlake.Never, State: kept}); err != nil {
				t.Fatal(err)
			}
			if err := run(store, none); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// endSegment adds the checksum that a segment ends with.
func endSegment(b []byte) []byte { return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b)) }

// A pending upload whose sink has left the program is published by any store of
// its kind; without one the lane says so.
func TestPendingWithoutItsSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		first := &process{world: w}
		ctx, cancel := context.WithCancel(t.Context())
		first.die = cancel
		p := pipeline.New(pipeline.Config{Leases: diesAfterCommit{first.table(), first}})
		p.Read(source.Lanes(events(5, 1)).At(event.when)).Write(first.folder("old"), jsonl)
		if err := p.Run(ctx); !first.dead || len(w.lake.Objects()) != 0 {
			t.Fatal(err, w.lake.Objects())
		}
		again := func(pubs ...sink.Publisher) error {
			p := pipeline.New(pipeline.Config{Leases: w.leases, Publishers: pubs})
			p.Read(source.Lanes(events(5, 1)).At(event.when)).Into(sink.Discard[event]{})
			return p.Run(t.Context())
		}
		if err := again(); err == nil || !strings.Contains(err.Error(), "Config.Publishers") {
			t.Fatal(err)
		}
		if err := again(sink.Publish(w.lake)); err != nil {
			t.Fatal(err)
		}
		if got := rows(w.lake.Objects()); len(got) != 5 {
			t.Error(got)
		}
	})
}

// A committed upload that somebody aborted stops the lane, but not at once:
// another process may have been completing it.
func TestLostUpload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		proc := &process{world: w}
		p := pipeline.New(pipeline.Config{Leases: abortsAfterCommit{proc.table(), w}})
		p.Read(source.Lanes(events(5, 1)).At(event.when)).Write(proc.folder("raw"), jsonl)
		began := time.Now()
		err := p.Run(t.Context())
		if !errors.Is(err, sink.ErrLostUpload) || time.Since(began) < 15*time.Minute {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

type abortsAfterCommit struct {
	lease.Store
	w *world
}

func (s abortsAfterCommit) Commit(ctx context.Context, r lease.Row) error {
	err := s.Store.Commit(ctx, r)
	for u, uerr := range s.w.lake.Uploads(ctx, "") {
		err = errors.Join(err, uerr, s.w.lake.Abort(ctx, u.Key, u.ID))
	}
	return err
}

// Rows of a file carry the range they came from.
func TestFileNamesAndPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lake := &sinktest.Memory{}
		p := pipeline.New(pipeline.Config{Application: "app"})
		p.Read(source.Values(events(3, 1)...)).Write(lake.Folder("x").By(sink.Day("dt")), jsonl)
		if err := p.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		for key := range lake.Objects() {
			if !strings.HasPrefix(key, "x/dt=1970-01-01/sl-") || !strings.HasSuffix(key, ".jsonl") {
				t.Error(key)
			}
		}
	})
}
