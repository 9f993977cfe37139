package kinesis_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/source"
	"github.com/shardlake/shardlake/source/kinesis"
	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

type click struct {
	Key string
	N   int
}

func config(srv *kinesistest.Server) kinesis.Config {
	return kinesis.Config{Stream: "clicks", Region: "us-east-1", Endpoint: srv.URL(), HTTPClient: srv.Client(), AllowHTTP: true,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")}
}

// service is a Kinesis with a stream of so many shards, in the time of the bubble.
func service(t *testing.T, cfg kinesistest.Config, shards int) *kinesistest.Server {
	t.Helper()
	srv := kinesistest.New(cfg)
	if err := srv.CreateStream("clicks", shards); err != nil {
		t.Fatal(err)
	}
	return srv
}

// put writes n clicks of each of so many keys, numbered from from on.
func put(t *testing.T, srv *kinesistest.Server, keys, from, n int) {
	t.Helper()
	for i := from; i < from+n; i++ {
		for k := range keys {
			c := click{fmt.Sprint("key-", k), i}
			b, err := json.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := srv.Put("clicks", c.Key, b); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// seen are clicks in the order in which they came.
type seen struct {
	mu  sync.Mutex
	got []click
}

func (s *seen) Kind() string                                      { return "seen" }
func (s *seen) Publish(context.Context, shardlake.Pending) error  { return nil }
func (s *seen) Open(*shardlake.Env) (sink.Writer[click], error)   { return s, nil }
func (s *seen) Seal(context.Context) ([]shardlake.Pending, error) { return nil, nil }
func (s *seen) Buffered() int64                                   { return 0 }
func (s *seen) Close() error                                      { return nil }
func (s *seen) Write(_ context.Context, b shardlake.Batch[click]) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, b.Rows...)
	return nil
}

// check wants clicks 0 to n-1 of each key, once and in order.
func (s *seen) check(t *testing.T, keys, n int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	next := map[string]int{}
	for _, c := range s.got {
		if c.N != next[c.Key] {
			t.Fatalf("%s: click %d came when %d was due", c.Key, c.N, next[c.Key])
		}
		next[c.Key]++
	}
	for k := range keys {
		if key := fmt.Sprint("key-", k); next[key] != n {
			t.Errorf("%s: %d clicks came, want %d", key, next[key], n)
		}
	}
}

// read runs a pipeline for a while.
func read(t *testing.T, cfg kinesis.Config, store lease.Store, into *seen, d time.Duration) (pipeline.Status, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	p := pipeline.New(pipeline.Config{Leases: store, CommitEvery: time.Second})
	p.Read(kinesis.Source(cfg, codec.JSON[click], nil)).Into(into)
	err := p.Run(ctx)
	return p.Status(), err
}

func TestReadsEverythingOnceInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, kinesistest.Config{}, 3)
		put(t, srv, 7, 0, 50)
		var got seen
		store := new(lease.Memory)
		status, err := read(t, config(srv), store, &got, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		got.check(t, 7, 50)
		for _, l := range status.Lanes {
			if l.Behind != 0 || l.Source != "clicks" || !strings.HasPrefix(l.Lane, "shardId-") {
				t.Errorf("%+v", l)
			}
		}
		// A second run goes on where the first stopped.
		put(t, srv, 7, 50, 10)
		if _, err := read(t, config(srv), store, &got, 5*time.Second); err != nil {
			t.Fatal(err)
		}
		got.check(t, 7, 60)
	})
}

// Whatever goes wrong with a call, nothing is skipped and nothing comes twice.
func TestFaults(t *testing.T) {
	for _, kind := range []kinesistest.Kind{kinesistest.Throttle, kinesistest.InternalError, kinesistest.ExpiredIterator,
		kinesistest.CutBefore, kinesistest.LostAnswer, kinesistest.CutBody, kinesistest.SlowAnswer, kinesistest.SlowBody, kinesistest.Hang,
		kinesistest.EmptyAnswer, kinesistest.Overlap, kinesistest.OutOfOrder, kinesistest.FalseEnd} {
		for _, op := range []string{"GetRecords", "GetShardIterator", "ListShards", "DescribeStreamSummary"} {
			synctest.Test(t, func(t *testing.T) {
				srv := service(t, kinesistest.Config{}, 2)
				put(t, srv, 5, 0, 40)
				cfg := config(srv)
				cfg.Limit = 7
				nth := 1
				if op == "GetRecords" {
					nth = 4
				}
				fault := srv.Fault(kinesistest.Fault{Op: op, Nth: nth, Times: 3, Kind: kind})
				var got seen
				if _, err := read(t, cfg, nil, &got, 3*time.Minute); err != nil {
					t.Fatalf("%v of %s: %v", kind, op, err)
				}
				got.check(t, 5, 40)
				if fault.Hits() == 0 && (op == "GetRecords" || kind < 200 && kind != kinesistest.ExpiredIterator) {
					t.Errorf("%v of %s: the fault did not strike", kind, op)
				}
			})
		}
	}
}

// Encryption that fails holds the lane, and tells what to do; it does not end it.
func TestKMS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, kinesistest.Config{}, 1)
		put(t, srv, 1, 0, 5)
		srv.Fault(kinesistest.Fault{Op: "GetRecords", Times: 3, Kind: kinesistest.ErrorAnswer, Code: "KMSAccessDeniedException"})
		var got seen
		if _, err := read(t, config(srv), nil, &got, 5*time.Minute); err != nil {
			t.Fatal(err)
		}
		got.check(t, 1, 5)
	})
}

// What repeating will not mend ends the run within seconds, and says what to do.
func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		fault  *kinesistest.Fault
		stream string
		want   string
	}{
		"no stream":     {nil, "absent", "look at the name, the region and the account"},
		"no permission": {&kinesistest.Fault{Kind: kinesistest.AccessDenied, Times: kinesistest.Forever, Op: "GetRecords"}, "clicks", "allow kinesis:GetRecords"},
		"no listing":    {&kinesistest.Fault{Kind: kinesistest.AccessDenied, Times: kinesistest.Forever, Op: "ListShards"}, "clicks", "allow kinesis:ListShards"},
		"bad keys":      {&kinesistest.Fault{Kind: kinesistest.ErrorAnswer, Code: "UnrecognizedClientException", Times: kinesistest.Forever}, "clicks", "credentials"},
	} {
		synctest.Test(t, func(t *testing.T) {
			srv := service(t, kinesistest.Config{}, 1)
			if c.fault != nil {
				srv.Fault(*c.fault)
			}
			cfg := config(srv)
			cfg.Stream = c.stream
			began := time.Now()
			_, err := read(t, cfg, nil, new(seen), time.Hour)
			if err == nil || !strings.Contains(err.Error(), c.want) || time.Since(began) > 10*time.Second {
				t.Errorf("%s: after %v: %v", name, time.Since(began), err)
			}
		})
	}
}

// A shard gives 5 calls and 2 MiB a second. The fetcher keeps to it by itself:
// the service has nothing to throttle.
func TestPacing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttled := 0
		srv := service(t, kinesistest.Config{MaxBytes: 512 << 20, OnEvent: func(e kinesistest.Event) {
			if e.Code == "ProvisionedThroughputExceededException" {
				throttled++
			}
		}}, 1)
		big := bytes.Repeat([]byte("x"), 1<<20-1)
		for range 40 {
			if _, _, err := srv.Put("clicks", "k", big); err != nil {
				t.Fatal(err)
			}
		}
		p := pipeline.New(pipeline.Config{Memory: 64 << 20})
		n := 0
		cfg := config(srv)
		src := kinesis.Source(cfg, codec.Func(func(r *shardlake.Record) (click, error) { n++; return click{}, nil }), nil)
		p.Read(src).Into(sink.Discard[click]{})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := p.Run(ctx); err != nil {
			t.Fatal(err)
		}
		// 10 s at 2 MiB a second, and the answer that the first call gets at once.
		if n < 18 || n > 32 {
			t.Errorf("%d records of 1 MiB in 10 s, want about 20 to 30", n)
		}
		if throttled > 0 {
			t.Errorf("throttled %d times", throttled)
		}
	})
}

// An idle shard is asked once a Poll, and an answer without records is no reason
// to hurry.
func TestIdleShardsAreAskedSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, kinesistest.Config{}, 1)
		if _, err := read(t, config(srv), nil, new(seen), time.Minute); err != nil {
			t.Fatal(err)
		}
		if n := srv.Calls("GetRecords", ""); n < 60 || n > 70 {
			t.Errorf("%d calls in a minute, want about 67", n)
		}
	})
}

// Records of 10 MiB come through a budget of 64 MiB (case D5).
func TestLargeRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, kinesistest.Config{MaxBytes: 512 << 20}, 4)
		client := sdk.New(sdk.Options{Region: "us-east-1", BaseEndpoint: aws.String(srv.URL()), HTTPClient: srv.Client(),
			Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})
		if _, err := client.UpdateMaxRecordSize(t.Context(), &sdk.UpdateMaxRecordSizeInput{
			StreamARN: aws.String("arn:aws:kinesis:us-east-1:000000000000:stream/clicks"), MaxRecordSizeInKiB: aws.Int32(10240)}); err != nil {
			t.Fatal(err)
		}
		big := bytes.Repeat([]byte("x"), 10<<20-8)
		for i := range 20 {
			if _, _, err := srv.Put("clicks", fmt.Sprint("k", i), big); err != nil {
				t.Fatal(err)
			}
		}
		var mu sync.Mutex
		n := 0
		src := kinesis.Source(config(srv), codec.Func(func(r *shardlake.Record) (click, error) {
			mu.Lock()
			defer mu.Unlock()
			if len(r.Data) == len(big) {
				n++
			}
			return click{}, nil
		}), nil)
		p := pipeline.New(pipeline.Config{Memory: 64 << 20})
		p.Read(src).Into(sink.Discard[click]{})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		if err := p.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if peak := p.Status().MemoryPeak; n != 20 || peak > 64<<20 {
			t.Errorf("%d records of 10 MiB, %d bytes at the peak", n, peak)
		}
	})
}

// Splits and merges while records flow: each key's clicks come once and in order,
// since children wait for every parent.
func TestReshard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, kinesistest.Config{}, 2)
		var got seen
		done := make(chan struct{})
		go func() {
			defer close(done)
			put(t, srv, 9, 0, 20)
			for round, change := range []func() error{
				func() error { _, _, err := srv.Split("clicks", "shardId-000000000000"); return err },
				func() error { _, _, err := srv.Split("clicks", "shardId-000000000001"); return err },
				func() error {
					_, err := srv.Merge("clicks", "shardId-000000000003", "shardId-000000000004")
					return err
				},
				func() error {
					_, err := srv.Merge("clicks", "shardId-000000000002", "shardId-000000000006")
					return err
				},
			} {
				time.Sleep(1700 * time.Millisecond)
				if err := change(); err != nil {
					t.Error(err)
				}
				put(t, srv, 9, 20+10*round, 10)
			}
		}()
		cfg := config(srv)
		cfg.Limit = 10
		if _, err := read(t, cfg, nil, &got, 5*time.Minute); err != nil {
			t.Fatal(err)
		}
		<-done
		got.check(t, 9, 60)
	})
}

// Latest begins at the first listing, and a crash before the first commit does
// not move it.
func TestLatest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, kinesistest.Config{}, 2)
		put(t, srv, 3, 0, 10)
		time.Sleep(time.Minute)
		cfg := config(srv)
		cfg.Begin = kinesis.Latest()
		store := new(lease.Memory)
		// The first run dies before it can read, let alone commit.
		broken := cfg
		broken.HTTPClient = onlyLists{srv.Client()}
		if _, err := read(t, broken, store, new(seen), 3*time.Second); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		put(t, srv, 3, 10, 5)
		var got seen
		if _, err := read(t, cfg, store, &got, 10*time.Second); err != nil {
			t.Fatal(err)
		}
		if len(got.got) != 15 || slices.ContainsFunc(got.got, func(c click) bool { return c.N < 10 }) {
			t.Errorf("want the 15 clicks put after the first start: %v", got.got)
		}
	})
}

// onlyLists is a service whose GetRecords and GetShardIterator never answer.
type onlyLists struct{ aws.HTTPClient }

func TestAtTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, kinesistest.Config{}, 2)
		put(t, srv, 3, 0, 10)
		time.Sleep(time.Hour)
		at := time.Now()
		time.Sleep(time.Hour)
		put(t, srv, 3, 10, 5)
		cfg := config(srv)
		cfg.Begin = kinesis.AtTime(at)
		var got seen
		if _, err := read(t, cfg, nil, &got, 10*time.Second); err != nil {
			t.Fatal(err)
		}
		if len(got.got) != 15 || slices.ContainsFunc(got.got, func(c click) bool { return c.N < 10 }) {
			t.Errorf("want the 15 clicks put after %v: %v", at, got.got)
		}
	})
}

// A listing of many pages has every shard once.
func TestManyShards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, kinesistest.Config{}, 2300)
		l, err := kinesis.Source(config(srv), codec.JSON[click], nil).Lanes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ids := map[string]bool{}
		for _, lane := range l.Lanes {
			ids[lane.ID] = true
		}
		if len(l.Lanes) != 2300 || len(ids) != 2300 || srv.Calls("ListShards", "") != 3 {
			t.Errorf("%d lanes, %d of them different, in %d calls", len(l.Lanes), len(ids), srv.Calls("ListShards", ""))
		}
		if l.Name != "clicks" || !strings.Contains(l.Identity, ":stream/clicks@") {
			t.Errorf("%q %q", l.Name, l.Identity)
		}
	})
}

func TestMultiStreamLaneIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, kinesistest.Config{}, 1)
		put(t, srv, 1, 0, 3)
		cfg := config(srv)
		cfg.MultiStream = true
		var got seen
		status, err := read(t, cfg, nil, &got, 5*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		got.check(t, 1, 3)
		if id := status.Lanes[0].Lane; !strings.HasPrefix(id, "000000000000:clicks:") || !strings.HasSuffix(id, ":shardId-000000000000") {
			t.Error(id)
		}
	})
}

func TestConfigMistakes(t *testing.T) {
	err := kinesis.Source[click](kinesis.Config{Stream: "a b", Poll: time.Millisecond, Limit: 20_000, Endpoint: "http://203.0.113.1:4567", Begin: kinesis.AtTime(time.Unix(-1, 0))}, nil, nil).Check()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`Stream "a b"`, "Poll is 1ms", "Limit is 20000", "in the clear", "Begin is", "no codec"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not tell of %q: %v", want, err)
		}
	}
	for _, ok := range []string{"clicks", "a.b-c_D9", "arn:aws:kinesis:eu-west-1:123456789012:stream/clicks"} {
		if err := kinesis.Source(kinesis.Config{Stream: ok}, codec.JSON[click], nil).Check(); err != nil {
			t.Errorf("%s: %v", ok, err)
		}
	}
}

var _ source.Source[click] = kinesis.Source(kinesis.Config{}, codec.JSON, func(click) time.Time { return time.Time{} })

var errNoAnswer = errors.New("no answer")
