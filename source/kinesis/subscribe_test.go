package kinesis_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
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

func fanOut(srv *kinesistest.Server) kinesis.Config {
	cfg := config(srv)
	cfg.Consumer = "lake"
	return cfg
}

func TestFanOutReadsEverythingOnceInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, kinesistest.Config{StatusDelay: 3 * time.Second}, 3)
		time.Sleep(5 * time.Second)
		put(t, srv, 7, 0, 50)
		var got seen
		store := new(lease.Memory)
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := range 40 {
				time.Sleep(20 * time.Second) // over more than two lives of a subscription
				put(t, srv, 7, 50+i, 1)
			}
		})
		status, err := read(t, fanOut(srv), store, &got, 15*time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		got.check(t, 7, 90)
		for _, l := range status.Lanes {
			if l.Behind != 0 || l.Counts != (source.Counts{}) {
				t.Errorf("%+v", l)
			}
		}
		if n := srv.Calls("SubscribeToShard", ""); n < 9 || n > 12 {
			t.Errorf("%d subscriptions, want three for each of three shards", n)
		}
		if n := srv.Calls("GetRecords", ""); n != 0 {
			t.Errorf("%d polls", n)
		}
		// From one way of reading to the other, and back, nothing is missed or doubled.
		for i, cfg := range []kinesis.Config{config(srv), fanOut(srv), config(srv)} {
			put(t, srv, 7, 90+10*i, 10)
			if _, err := read(t, cfg, store, &got, time.Minute); err != nil {
				t.Fatal(err)
			}
			got.check(t, 7, 100+10*i)
		}
	})
}

func TestFanOutFaults(t *testing.T) {
	for _, f := range []kinesistest.Fault{
		{Kind: kinesistest.ErrorAnswer, Code: "ResourceInUseException", Times: 3}, // case D6
		{Kind: kinesistest.ErrorAnswer, Code: "LimitExceededException", Times: 5},
		{Kind: kinesistest.InternalError, Times: 5},
		{Kind: kinesistest.CutBefore, Times: 3},
		{Kind: kinesistest.Hang, Times: 2},
		{Kind: kinesistest.SlowAnswer, Delay: 10 * time.Second, Times: 2},
		{Kind: kinesistest.CutEvents, Times: 3},
		{Kind: kinesistest.CutEvents, After: 2, Times: 3},
		{Kind: kinesistest.Silence, Times: 2},
		{Kind: kinesistest.Silence, After: 3, Times: 2},
		{Kind: kinesistest.ErrorEvent, After: 1, Code: "InternalFailureException", Times: 3},
		{Kind: kinesistest.ErrorEvent, After: 1, Code: "ResourceInUseException", Times: 2},
		{Kind: kinesistest.ErrorEvent, After: 1, Code: "KMSThrottlingException", Times: 2},
		{Kind: kinesistest.ErrorEvent, After: 1, Code: "KMSAccessDeniedException", Times: 2},
		{Kind: kinesistest.RepeatEvent, After: 2, Times: 3},
		{Kind: kinesistest.FalseEnd, After: 1, Times: 2},
		{Kind: kinesistest.LostAnswer, Times: 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			srv := service(t, kinesistest.Config{}, 2)
			put(t, srv, 5, 0, 20)
			f.Op = "SubscribeToShard"
			injected := srv.Fault(f)
			var wg sync.WaitGroup
			wg.Go(func() {
				for i := range 60 {
					time.Sleep(5 * time.Second)
					put(t, srv, 5, 20+i, 1)
				}
			})
			var got seen
			if _, err := read(t, fanOut(srv), nil, &got, 7*time.Minute); err != nil {
				t.Errorf("%v: %v", f.Kind, err)
			}
			wg.Wait()
			got.check(t, 5, 80)
			if injected.Hits() != f.Times {
				t.Errorf("%v after %d events: struck %d times", f.Kind, f.After, injected.Hits())
			}
			if n := srv.Calls("SubscribeToShard", ""); n > 40 {
				t.Errorf("%v: %d subscriptions", f.Kind, n)
			}
		})
	}
}

// Children are read when their parents have been, both of them after a merge.
func TestFanOutReshard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, kinesistest.Config{}, 1)
		put(t, srv, 9, 0, 30)
		var wg sync.WaitGroup
		wg.Go(func() {
			time.Sleep(10 * time.Second)
			lower, upper, err := srv.Split("clicks", "shardId-000000000000")
			if err != nil {
				t.Error(err)
				return
			}
			put(t, srv, 9, 30, 30)
			time.Sleep(10 * time.Second)
			if _, err := srv.Merge("clicks", lower, upper); err != nil {
				t.Error(err)
			}
			put(t, srv, 9, 60, 30)
		})
		var got seen
		if _, err := read(t, fanOut(srv), nil, &got, 3*time.Minute); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		got.check(t, 9, 90)
	})
}

// Aggregates and the beginning of an application are the same as for polling.
func TestFanOutPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, kinesistest.Config{}, 1)
		putRaw(t, srv, "a", aggregate("k", "x", "y", "z"))
		time.Sleep(time.Minute)
		putRaw(t, srv, "a", aggregate("k", "u", "v"))
		all, _, counts := fetchAll(t, fanOut(srv), 0, shardlake.Position{})
		if len(all) != 5 || counts.Aggregates != 2 {
			t.Errorf("%+v, %+v", seenOf(all), counts)
		}
		for i := range all {
			time.Sleep(10 * time.Second) // the last subscription is young for 5 seconds
			if rest, _, _ := fetchAll(t, fanOut(srv), 0, all[i].Pos); len(rest) != 4-i {
				t.Errorf("behind %v: %+v", all[i].Pos, seenOf(rest))
			}
		}
	})
}

// Many starts register one consumer, and no task removes it (case D6).
func TestOneConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, kinesistest.Config{StatusDelay: 2 * time.Second}, 1)
		time.Sleep(3 * time.Second)
		store := sharedMemory{new(lease.Memory)}
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if _, err := read(t, fanOut(srv), store, new(seen), 30*time.Second); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		all, err := kinesis.Consumers(t.Context(), config(srv))
		if err != nil || len(all) != 1 || all[0].Name != "lake" || all[0].Status != "ACTIVE" {
			t.Fatalf("%+v, %v", all, err)
		}
		if err := kinesis.RemoveConsumer(t.Context(), fanOut(srv)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if all, err := kinesis.Consumers(t.Context(), config(srv)); err != nil || len(all) != 0 {
			t.Errorf("%+v, %v", all, err)
		}
	})
}

// A consumer that somebody removes while it is read by is registered again: the
// stream is there, and so is the wish to read it.
func TestConsumerRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, kinesistest.Config{}, 1)
		put(t, srv, 1, 0, 5)
		var wg sync.WaitGroup
		wg.Go(func() {
			time.Sleep(30 * time.Second)
			if err := kinesis.RemoveConsumer(t.Context(), fanOut(srv)); err != nil {
				t.Error(err)
			}
			put(t, srv, 1, 5, 5)
		})
		var got seen
		if _, err := read(t, fanOut(srv), nil, &got, 3*time.Minute); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		got.check(t, 1, 10)
	})
}

// gate takes no row until it is opened.
type gate struct {
	seen
	open chan struct{}
}

func (g *gate) Open(*shardlake.Env) (sink.Writer[click], error) { return g, nil }

func (g *gate) Write(ctx context.Context, b shardlake.Batch[click]) error {
	select {
	case <-g.open:
		return g.seen.Write(ctx, b)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sharedMemory is a lease store that a fleet would use.
type sharedMemory struct{ lease.Store }

func (sharedMemory) Shared() bool { return true }

// Sixty-four shards whose rows nobody takes for ten minutes, and which are written
// to all the while: what is fetched is a few events a shard and not what is there,
// no lane changes hands, nobody subscribes without end, and afterwards everything
// comes, once (bento issue 1012).
func TestFanOutUnderBackPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const shards, rounds, size = 64, 40, 5_000
		srv := service(t, kinesistest.Config{}, shards)
		all, err := srv.Shards("clicks")
		if err != nil {
			t.Fatal(err)
		}
		into := &gate{open: make(chan struct{})}
		p := pipeline.New(pipeline.Config{CommitEvery: time.Second, Memory: 32 << 20, Leases: sharedMemory{new(lease.Memory)}})
		p.Read(kinesis.Source(fanOut(srv), codec.JSON[click], nil)).Into(into)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			large := strings.Repeat("x", size)
			for n := range rounds {
				time.Sleep(15 * time.Second)
				for i, s := range all {
					if _, _, err := srv.PutHash("clicks", "k", s.StartingHashKey, fmt.Appendf(nil, `{"Key":"key-%d","N":%d,"x":%q}`, i, n, large)); err != nil {
						t.Error(err)
					}
				}
			}
			s := p.Status()
			// One being written, two that wait, one on its way to them; all there is are 40.
			if most := int64(shards * 5 * 2 * size); s.MemoryPeak > most || s.MemoryPeak < shards*size {
				t.Errorf("%d bytes are held at the peak, want at most %d of the %d that are there", s.MemoryPeak, most, shards*rounds*size)
			}
			if n := srv.Calls("SubscribeToShard", ""); n != shards {
				t.Errorf("%d subscriptions of %d shards while all wait", n, shards)
			}
			for _, l := range s.Lanes {
				if l.State != "running" {
					t.Errorf("%s is %s", l.Lane, l.State)
				}
			}
			close(into.open)
		})
		if err := p.Run(ctx); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		into.check(t, shards, rounds)
	})
}
