package kinesis_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/source"
	"github.com/shardlake/shardlake/source/kinesis"
	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

// graves keeps dead letters in order.
type graves struct{ got []shardlake.DeadLetter }

func (g *graves) Kind() string                                                   { return "graves" }
func (g *graves) Publish(context.Context, shardlake.Pending) error               { return nil }
func (g *graves) Open(*shardlake.Env) (sink.Writer[shardlake.DeadLetter], error) { return g, nil }
func (g *graves) Seal(context.Context) ([]shardlake.Pending, error)              { return nil, nil }
func (g *graves) Buffered() int64                                                { return 0 }
func (g *graves) Close() error                                                   { return nil }
func (g *graves) Write(_ context.Context, b shardlake.Batch[shardlake.DeadLetter]) error {
	g.got = append(g.got, b.Rows...)
	return nil
}

// visit runs a pipeline with a place for dead letters for a while.
func visit(t *testing.T, srv *kinesistest.Server, store lease.Store, lossy bool, d time.Duration) (*seen, *graves, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	into, dead := new(seen), new(graves)
	p := pipeline.New(pipeline.Config{Leases: store, CommitEvery: time.Second, Lossy: lossy})
	p.Read(kinesis.Source(config(srv), codec.JSON[click], nil)).Into(into)
	p.Dead().Into(dead)
	err := p.Run(ctx)
	return into, dead, err
}

// The fleet stood still for longer than the stream keeps its records, and records
// came and went meanwhile: by default the lane stops and says so; on request it
// goes on and says what is lost.
func TestTrimmedPosition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, store := service(t, kinesistest.Config{}, 1), new(lease.Memory)
		put(t, srv, 1, 0, 5)
		if into, _, err := visit(t, srv, store, false, 10*time.Second); err != nil || len(into.got) != 5 {
			t.Fatalf("%d clicks, %v", len(into.got), err)
		}
		put(t, srv, 1, 5, 3)
		time.Sleep(25 * time.Hour)
		put(t, srv, 1, 8, 2)
		into, _, err := visit(t, srv, store, false, 10*time.Second)
		gone, ok := errors.AsType[*source.TrimmedError](err)
		if !ok || len(into.got) != 0 || gone.After.IsStart() || gone.Until.Sub(24*time.Hour) < gone.Known || !strings.Contains(err.Error(), "Config.Lossy") {
			t.Fatalf("%d clicks, %v", len(into.got), err)
		}
		into, dead, err := visit(t, srv, store, true, 10*time.Second)
		if err != nil || len(into.got) != 2 || into.got[0].N != 8 {
			t.Fatalf("%v, %v", into.got, err)
		}
		if len(dead.got) != 1 || dead.got[0].Stage != "fetch" || dead.got[0].Seq != gone.After.Seq || !strings.Contains(dead.got[0].Reason, "may be lost") {
			t.Errorf("dead letters %+v", dead.got)
		}
		if into, dead, err = visit(t, srv, store, false, 10*time.Second); err != nil || len(into.got)+len(dead.got) != 0 {
			t.Errorf("afterwards: %v %v %v", into.got, dead.got, err)
		}
	})
}

// A lane that had nothing to read for longer than the retention has lost nothing.
func TestIdleForLongerThanTheRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, kinesistest.Config{Retention: time.Hour}, 1)
		store := fleetOfOne{new(lease.Memory)}
		put(t, srv, 1, 0, 5)
		if into, _, err := visit(t, srv, store, false, 90*time.Minute); err != nil || len(into.got) != 5 {
			t.Fatalf("%d clicks, %v", len(into.got), err)
		}
		put(t, srv, 1, 5, 2)
		if into, _, err := visit(t, srv, store, false, time.Minute); err != nil || len(into.got) != 2 {
			t.Errorf("%d clicks, %v", len(into.got), err)
		}
	})
}

// fleetOfOne is a shared store, in which heartbeats tell how far a lane has seen.
type fleetOfOne struct{ *lease.Memory }

func (fleetOfOne) Shared() bool { return true }

// A shard was split while the fleet stood still, and is gone with all its records.
func TestVanishedShard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, store := service(t, kinesistest.Config{}, 1), new(lease.Memory)
		put(t, srv, 2, 0, 5)
		if into, _, err := visit(t, srv, store, false, 10*time.Second); err != nil || len(into.got) != 10 {
			t.Fatalf("%d clicks, %v", len(into.got), err)
		}
		put(t, srv, 2, 5, 1)
		if _, _, err := srv.Split("clicks", "shardId-000000000000"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(26 * time.Hour)
		put(t, srv, 2, 6, 3)
		_, _, err := visit(t, srv, store, false, 10*time.Second)
		if _, ok := errors.AsType[*source.TrimmedError](err); !ok {
			t.Fatalf("without Lossy: %v", err)
		}
		into, dead, err := visit(t, srv, store, true, 10*time.Second)
		if err != nil || len(into.got) != 6 || len(dead.got) != 1 || !strings.Contains(dead.got[0].Reason, "gone from the stream") {
			t.Errorf("%d clicks, dead letters %+v, %v", len(into.got), dead.got, err)
		}
	})
}

func TestRangesOfLanes(t *testing.T) {
	srv := service(t, kinesistest.Config{}, 3)
	l, err := kinesis.Source(config(srv), codec.JSON[click], nil).Lanes(t.Context())
	if err != nil || len(l.Lanes) != 3 {
		t.Fatal(l, err)
	}
	if r := l.Lanes[0].Range; r.From != (shardlake.Hash{}) || r.To.String() != "113427455640312821154458202477256070484" {
		t.Errorf("%v to %v", r.From, r.To)
	}
	if r := l.Lanes[2].Range; r.To != shardlake.MaxHash {
		t.Errorf("%v to %v", r.From, r.To)
	}
}

func TestHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, kinesistest.Config{}, 1)
		src, ok := kinesis.Source(config(srv), codec.JSON[click], nil).(source.Keeper)
		if !ok {
			t.Fatal("a stream is no Keeper")
		}
		for hours, want := range map[int]bool{1: true, 23: true, 25: false} {
			if got, err := src.Holds(t.Context(), shardlake.At(time.Now()).Sub(time.Duration(hours)*time.Hour)); got != want || err != nil {
				t.Errorf("records of %d hours ago are held: %v, %v", hours, got, err)
			}
		}
	})
}
