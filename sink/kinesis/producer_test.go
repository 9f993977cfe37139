package kinesis_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardlake/shardlake/sink/kinesis"
	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

func TestOnceAndInOrder(t *testing.T) {
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := service(t, kinesistest.Config{}, 4)
				cfg := config(srv)
				mode(&cfg)
				p := producer(t, cfg)
				put(t, p, 700, 0, 10)
				flush(t, p)
				put(t, p, 3, 10, 50)
				flush(t, p)
				if err := p.Flush(t.Context()); err != nil {
					t.Error("flushed again:", err)
				}
				all := stream(t, srv)
				for i := range all {
					if k, err := strconv.Atoi(all[i].key[4:]); err != nil || k >= 3 {
						all[i].key = "other-" + all[i].key
					}
					if !all[i].whole {
						t.Fatalf("%+v is in the wrong shard", all[i])
					}
				}
				inOrder(t, all, 3, 60, false)
				if got := p.Stats(); len(all) != 7150 || got.Records != 7150 || p.Buffered() != 0 || got.Repeated+got.Throttled+got.Misplaced != 0 {
					t.Errorf("%d records, %+v, %d bytes held", len(all), got, p.Buffered())
				}
				p.Close()
				p.Close()
				if err := p.Put(t.Context(), "k", nil); !errors.Is(err, kinesis.ErrClosed) {
					t.Error("closed:", err)
				}
			})
		})
	}
}

// Without order, a request takes many records of a key.
func TestUnordered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, kinesistest.Config{}, 2)
		cfg := config(srv)
		cfg.Unordered = true
		p := producer(t, cfg)
		put(t, p, 1, 0, 1000)
		flush(t, p)
		if n := srv.Calls("PutRecords", ""); len(stream(t, srv)) != 1000 || n > 4 {
			t.Errorf("%d records in %d calls", len(stream(t, srv)), n)
		}
	})
}

// Whatever fails, each record comes, and none of a key before those ahead of it.
func TestFaults(t *testing.T) {
	first := "shardId-000000000000"
	for name, test := range map[string]struct {
		fault   kinesistest.Fault
		repeats bool // the service took what it did not acknowledge
	}{
		"a call is throttled":      {kinesistest.Fault{Kind: kinesistest.Throttle, Times: 5}, false},
		"a shard is throttled":     {kinesistest.Fault{Kind: kinesistest.Throttle, Shard: first, Times: 5}, false},
		"a shard fails":            {kinesistest.Fault{Kind: kinesistest.InternalError, Shard: first, Nth: 2, Times: 3}, false},
		"the service fails":        {kinesistest.Fault{Kind: kinesistest.InternalError, Times: 20}, false},
		"cut before":               {kinesistest.Fault{Kind: kinesistest.CutBefore, Nth: 2, Times: 3}, false},
		"hanging":                  {kinesistest.Fault{Kind: kinesistest.Hang, Times: 2}, false},
		"the answer is lost":       {kinesistest.Fault{Kind: kinesistest.LostAnswer, Times: 2}, true},
		"the answer is torn":       {kinesistest.Fault{Kind: kinesistest.CutBody, Nth: 2, Times: 2}, true},
		"taken and never answered": {kinesistest.Fault{Kind: kinesistest.SlowBody, Delay: time.Hour}, true},
		"credentials expire":       {kinesistest.Fault{Kind: kinesistest.ErrorAnswer, Code: "ExpiredTokenException"}, false},
		"a clock that is off":      {kinesistest.Fault{Kind: kinesistest.ErrorAnswer, Code: "InvalidSignatureException", Times: 2}, false},
	} {
		for mode, set := range modes {
			t.Run(name+", "+mode, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					srv := service(t, kinesistest.Config{}, 3)
					cfg := config(srv)
					set(&cfg)
					test.fault.Op = "PutRecords"
					hit := srv.Fault(test.fault)
					p := producer(t, cfg)
					for i := range 10 {
						put(t, p, 20, 5*i, 5)
						time.Sleep(50 * time.Millisecond)
					}
					flush(t, p)
					inOrder(t, stream(t, srv), 20, 50, test.repeats)
					if hit.Hits() == 0 {
						t.Error("the fault did not strike")
					}
				})
			})
		}
	}
}

// A shard that takes nothing holds up its own keys alone.
func TestOneShardIsThrottledForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, kinesistest.Config{}, 4)
		f := srv.Fault(kinesistest.Fault{Op: "PutRecords", Shard: "shardId-000000000003", Times: kinesistest.Forever})
		p := producer(t, config(srv))
		put(t, p, 100, 0, 20)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		byShard := map[string]int{}
		for _, u := range stream(t, srv) {
			byShard[u.shard]++
		}
		if p.Stats().Throttled == 0 || len(byShard) != 3 {
			t.Errorf("%v, %+v", byShard, p.Stats())
		}
		if n := srv.Calls("PutRecords", ""); n > 600 {
			t.Errorf("%d calls within 10 seconds", n)
		}
		f.Remove()
		flush(t, p)
		inOrder(t, stream(t, srv), 100, 20, false)
	})
}

// The limits of real shards refuse large records and take small ones behind them.
func TestOrderUnderLimits(t *testing.T) {
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := service(t, kinesistest.Config{Limits: true}, 2)
				cfg := config(srv)
				mode(&cfg)
				p := producer(t, cfg)
				for i := range 30 {
					for k := range 10 {
						data := strings.Repeat("x", i*k*997%100_000) + strconv.Itoa(i)
						if err := p.Put(t.Context(), fmt.Sprint("key-", k), []byte(data)); err != nil {
							t.Fatal(err)
						}
					}
				}
				flush(t, p)
				inOrder(t, stream(t, srv), 10, 30, false)
				if p.Stats().Throttled == 0 {
					t.Error("nothing was throttled")
				}
			})
		})
	}
}

// What waits for others waits no longer than Linger.
func TestLinger(t *testing.T) {
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := service(t, kinesistest.Config{}, 1)
				cfg := config(srv)
				mode(&cfg)
				p := producer(t, cfg)
				hang := srv.Fault(kinesistest.Fault{Op: "PutRecords", Kind: kinesistest.SlowAnswer, Delay: 5 * time.Second})
				for i := range 3 { // the second while the first is on its way
					if err := p.Put(t.Context(), fmt.Sprint("key-", i), []byte("0")); err != nil {
						t.Fatal(err)
					}
					time.Sleep(150 * time.Millisecond)
				}
				synctest.Wait()
				if n, calls := len(stream(t, srv)), srv.Calls("PutRecords", ""); hang.Hits() != 1 || name == "plain" && (n != 2 || calls != 3) {
					t.Errorf("%d records after %d calls", n, calls)
				}
				time.Sleep(10 * time.Second)
				synctest.Wait()
				if n := len(stream(t, srv)); n != 3 {
					t.Errorf("%d records at the end", n)
				}
			})
		})
	}
}

// A service that takes nothing stops who puts, and the memory with it.
func TestBackPressure(t *testing.T) {
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := service(t, kinesistest.Config{}, 2)
				cfg := config(srv)
				mode(&cfg)
				cfg.Buffer = 1 << 20
				p := producer(t, cfg)
				put(t, p, 1, 0, 1)
				flush(t, p)
				f := srv.Fault(kinesistest.Fault{Op: "PutRecords", Kind: kinesistest.InternalError, Times: kinesistest.Forever})
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
				defer cancel()
				n, data := 0, make([]byte, 1000)
				for ; ; n++ {
					if err := p.Put(ctx, fmt.Sprint("key-", n), data); err != nil {
						if !errors.Is(err, context.DeadlineExceeded) {
							t.Fatal(err)
						}
						break
					}
					if p.Buffered() > cfg.Buffer {
						t.Fatalf("%d bytes are held", p.Buffered())
					}
				}
				if n < 500 || n > 1100 {
					t.Errorf("%d records were taken", n)
				}
				if calls := srv.Calls("PutRecords", ""); calls > 200 {
					t.Errorf("%d calls within 2 minutes", calls)
				}
				f.Remove()
				flush(t, p)
				if got := len(stream(t, srv)); got != n+1 {
					t.Errorf("%d records of %d", got, n+1)
				}
			})
		})
	}
}

// Records of 10 MiB and full requests pass over a socket, each once.
func TestLargeRecordsOverASocket(t *testing.T) {
	srv, err := kinesistest.Listen(kinesistest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	}()
	cfg := config(srv)
	cfg.HTTPClient, cfg.MaxRecord = nil, 10<<20
	client := sdk.New(sdk.Options{Region: cfg.Region, BaseEndpoint: &cfg.Endpoint, Credentials: cfg.Credentials})
	if _, err := client.CreateStream(t.Context(), &sdk.CreateStreamInput{StreamName: &cfg.Stream, ShardCount: aws.Int32(2), MaxRecordSizeInKiB: aws.Int32(10 << 10)}); err != nil {
		t.Fatal(err)
	}
	p := producer(t, cfg)
	var want []int
	for i := range 32 {
		size := 10<<20>>(i%16) - 10
		want = append(want, size)
		if err := p.Put(t.Context(), fmt.Sprintf("key-%06d", i), make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		if held := p.Buffered(); held > 26<<20 {
			t.Fatalf("%d bytes are held", held)
		}
	}
	flush(t, p)
	var got []int
	for _, u := range stream(t, srv) {
		got = append(got, len(u.data))
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) || p.Stats().Repeated > 0 {
		t.Errorf("%d records: %v, %+v", len(got), got, p.Stats())
	}
}
