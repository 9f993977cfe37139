package kinesis_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardlake/shardlake/codec"
	"github.com/shardlake/shardlake/source"
	"github.com/shardlake/shardlake/source/kinesis"
	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

// traffic is what readers of one shard made of it.
type traffic struct {
	calls, refused atomic.Int64 // of GetRecords
	mu             sync.Mutex
	records        []int // by reader
	longest        time.Duration
}

func (x *traffic) event(e kinesistest.Event) {
	if e.Op != "GetRecords" {
		return
	}
	x.calls.Add(1)
	if e.Code != "" {
		x.refused.Add(1)
	}
}

// read lets readers read shard 0 for a while, each as if it were alone.
func (x *traffic) read(t *testing.T, srv *kinesistest.Server, readers int, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	x.records = make([]int, readers)
	var wg sync.WaitGroup
	for i := range readers {
		src := kinesis.Source(config(srv), codec.JSON[click], nil)
		l, err := src.Lanes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		f, err := src.Open(l.Lanes[0], source.Start{Begin: l.Begin})
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for {
				c, err := f.Fetch(ctx)
				x.mu.Lock()
				x.records[i] += len(c.Records)
				for _, r := range c.Records {
					x.longest = max(x.longest, time.Since(r.Arrived.Time()))
				}
				x.mu.Unlock()
				if err != nil {
					if !errors.Is(err, context.DeadlineExceeded) {
						t.Error(err)
					}
					return
				}
			}
		})
	}
	wg.Wait()
}

// write puts a record every so often until the function that it returns is called,
// which returns how many it put.
func write(t *testing.T, srv *kinesistest.Server, every time.Duration, bytes int) (end func() int) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	put, data := 0, make([]byte, bytes)
	wg.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if _, _, err := srv.Put("clicks", "k", data); err != nil {
					t.Error(err)
					return
				}
				put++
			}
		}
	})
	return func() int { cancel(); wg.Wait(); return put }
}

// Calls of an hour of one shard, by how it is written to: few where nothing comes,
// and nothing waits for a second.
func TestCallsAnHour(t *testing.T) {
	for _, test := range []struct {
		name        string
		every       time.Duration
		bytes       int
		measure     time.Duration
		least, most int64
	}{
		{"nothing is written", 0, 0, 10 * time.Minute, 3_950, 4_010},
		{"a record a minute", time.Minute, 100, 10 * time.Minute, 3_950, 4_100},
		{"a record a second", time.Second, 100, 10 * time.Minute, 4_000, 8_100},
		{"a hundred records a second", 10 * time.Millisecond, 100, time.Minute, 7_900, 8_100},
		{"1 MB a second", 100 * time.Millisecond, 100_000, 20 * time.Second, 7_000, 8_100},
	} {
		synctest.Test(t, func(t *testing.T) {
			var x traffic
			srv := service(t, kinesistest.Config{Limits: true, TrimOldest: true, OnEvent: x.event}, 1)
			end := func() int { return 0 }
			if test.every > 0 {
				end = write(t, srv, test.every, test.bytes)
			}
			x.read(t, srv, 1, test.measure)
			put := end()
			hourly := x.calls.Load() * int64(time.Hour/test.measure)
			t.Logf("%s: %d calls an hour, the longest wait of a record %v", test.name, hourly, x.longest)
			if hourly < test.least || hourly > test.most || x.longest >= time.Second || x.refused.Load() > 0 || x.records[0] < put-put/20-1 {
				t.Errorf("%d calls of which %d refused, want %d to %d; %d of %d records, the longest wait %v", hourly, x.refused.Load(), test.least, test.most, x.records[0], put, x.longest)
			}
		})
	}
}

// Readers that do not know of each other share what a shard gives, and none of
// them starves or hammers.
func TestReadersShareAShard(t *testing.T) {
	for _, readers := range []int{2, 5} {
		synctest.Test(t, func(t *testing.T) {
			var x traffic
			srv := service(t, kinesistest.Config{Limits: true, TrimOldest: true, OnEvent: x.event}, 1)
			end := write(t, srv, 10*time.Millisecond, 100)
			x.read(t, srv, readers, 2*time.Minute)
			put := end()
			t.Logf("%d readers: %d calls an hour, %d%% refused, records %v of %d, the longest wait %v",
				readers, x.calls.Load()*30, 100*x.refused.Load()/x.calls.Load(), x.records, put, x.longest)
			for i, n := range x.records {
				if n < put-1_000 {
					t.Errorf("reader %d of %d has %d of %d records", i, readers, n, put)
				}
			}
			if 4*x.refused.Load() > x.calls.Load() || x.longest > 15*time.Second {
				t.Errorf("%d of %d calls were refused, a record waited for %v", x.refused.Load(), x.calls.Load(), x.longest)
			}
		})
	}
}

// An answer of 10 MiB is followed by five seconds in which the shard refuses
// calls: none is made.
func TestPenaltyOfALargeAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var x traffic
		srv := service(t, kinesistest.Config{Limits: true, OnEvent: x.event}, 1)
		for range 30 {
			if _, _, err := srv.Put("clicks", "k", make([]byte, 1<<20-1)); err != nil {
				t.Fatal(err)
			}
		}
		x.read(t, srv, 1, 14*time.Second)
		if x.records[0] < 27 || x.calls.Load() > 5 || x.refused.Load() > 0 {
			t.Errorf("%d of 30 records by %d calls, %d refused", x.records[0], x.calls.Load(), x.refused.Load())
		}
	})
}

// A server that gives nothing although there is more is not asked without end.
func TestEmptyAnswersWithLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var x traffic
		srv := service(t, kinesistest.Config{OnEvent: x.event}, 1)
		put(t, srv, 1, 0, 1)
		srv.Fault(kinesistest.Fault{Op: "GetRecords", Kind: kinesistest.EmptyAnswer, Times: 100})
		x.read(t, srv, 1, time.Minute)
		if x.records[0] != 1 || x.calls.Load() > 160 {
			t.Errorf("%d records by %d calls in a minute", x.records[0], x.calls.Load())
		}
	})
}
