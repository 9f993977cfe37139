package kinesis_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/kinesis"
	"github.com/shardlake/shardlake/source"
	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
	"github.com/shardlake/shardlake/stage"
)

// elsewhere is a service whose answers name a shard that it never lists.
type elsewhere struct{ srv *kinesistest.Server }

func (e elsewhere) Do(r *http.Request) (*http.Response, error) {
	resp, err := e.srv.Client().Do(r)
	if err != nil || !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".PutRecords") {
		return resp, err
	}
	b, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	b = bytes.ReplaceAll(b, []byte("shardId-000000000"), []byte("shardId-000000999"))
	resp.Body = io.NopCloser(bytes.NewReader(b))
	return resp, nil
}

func keyOf(n int) string { return fmt.Sprint("key-", n%7) }

func encode(dst []byte, n int, id kinesis.ID) ([]byte, error) {
	return id.Append(append(strconv.AppendInt(dst, int64(n), 10), ' ')), nil
}

// run runs a pipeline of numbers into the stream.
func run(t *testing.T, leases lease.Store, k sink.Sink[int], dead sink.Sink[shardlake.DeadLetter], numbers ...int) error {
	t.Helper()
	p := pipeline.New(pipeline.Config{Leases: leases, CommitEvery: time.Second, Log: nil})
	s := p.Read(source.Values(numbers...))
	s.Via(stage.FlatMap(func(n int, emit func(int)) { emit(n); emit(n) })).Into(k)
	if dead != nil {
		p.Dead().Into(dead)
	}
	return p.Run(t.Context())
}

func count(n int) (all []int) {
	for i := range n {
		all = append(all, i)
	}
	return all
}

func payloads(t *testing.T, srv *kinesistest.Server) (all []string) {
	for _, u := range stream(t, srv) {
		all = append(all, u.data)
	}
	slices.Sort(all)
	return all
}

// A run puts each row once; rows of one record have names of their own.
func TestSink(t *testing.T) {
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := service(t, kinesistest.Config{}, 3)
				cfg := config(srv)
				mode(&cfg)
				leases := new(lease.Memory)
				k := kinesis.Sink(cfg, keyOf, encode)
				for range 2 { // the second has nothing to do
					if err := run(t, leases, k, nil, count(5000)...); err != nil {
						t.Fatal(err)
					}
				}
				got := payloads(t, srv)
				if len(got) != 10_000 || len(slices.Compact(slices.Clone(got))) != 10_000 {
					t.Fatalf("%d rows, such as %q", len(got), got[:min(2, len(got))])
				}
				n := 0
				for _, p := range got {
					if strings.HasPrefix(p, "4711 values/values-0/") && (strings.HasSuffix(p, ".0/0") || strings.HasSuffix(p, ".0/1")) {
						n++
					}
				}
				if n != 2 {
					t.Errorf("%d rows of one record are named after it", n)
				}
			})
		})
	}
}

// The service takes a request and never answers: the rows are there twice, under
// the same names.
func TestTakenAndNeverAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, kinesistest.Config{}, 1)
		hit := srv.Fault(kinesistest.Fault{Op: "PutRecords", Kind: kinesistest.SlowBody, Delay: 24 * time.Hour})
		if err := run(t, new(lease.Memory), kinesis.Sink(config(srv), func(n int) string { return strconv.Itoa(n) }, encode), nil, 42); err != nil {
			t.Fatal(err)
		}
		got := payloads(t, srv)
		names := slices.Compact(slices.Clone(got))
		if hit.Hits() != 1 || len(got) != 3 || len(names) != 2 {
			t.Errorf("%q", got) // the second row of the key waited behind the first
		}
	})
}

// A process that dies before its commit puts the rows again, under the same names.
func TestNamesAreTheSameInEachAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, kinesistest.Config{}, 2)
		f := srv.Fault(kinesistest.Fault{Op: "PutRecords", Shard: "shardId-000000000001", Kind: kinesistest.InternalError, Times: kinesistest.Forever})
		leases := new(lease.Memory)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		p := pipeline.New(pipeline.Config{Leases: leases, CommitEvery: time.Second, StopTimeout: time.Second})
		p.Read(source.Values(count(100)...)).Into(kinesis.Sink(config(srv), keyOf, encode))
		if err := p.Run(ctx); err == nil {
			t.Fatal("the first run came to its end")
		}
		some := payloads(t, srv)
		f.Remove()
		time.Sleep(time.Minute)
		q := pipeline.New(pipeline.Config{Leases: leases, CommitEvery: time.Second})
		q.Read(source.Values(count(100)...)).Into(kinesis.Sink(config(srv), keyOf, encode))
		if err := q.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := payloads(t, srv)
		if len(some) == 0 || len(got) != 100+len(some) || len(slices.Compact(got)) != 100 {
			t.Errorf("%d rows, %d before the end of the first run", len(got), len(some))
		}
	})
}

// Rows that no stream takes are dead letters with their reason; what the encoder
// says counts as in a stage.
func TestDeadLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, kinesistest.Config{}, 1)
		cfg := config(srv)
		cfg.MaxRecord = 1000
		key := func(n int) string {
			return map[int]string{0: "", 1: strings.Repeat("é", 257)}[n] + map[bool]string{true: "key"}[n > 1]
		}
		var dead sink.Collect[shardlake.DeadLetter]
		k := kinesis.Sink(cfg, key, func(dst []byte, n int, _ kinesis.ID) ([]byte, error) {
			switch n {
			case 2:
				return append(dst, make([]byte, 998)...), nil
			case 3:
				return nil, shardlake.Reject(errors.New("not this one"))
			case 4:
				return nil, shardlake.ErrSkip
			}
			return append(dst, 'x'), nil
		})
		if err := run(t, new(lease.Memory), k, &dead, count(6)...); err != nil {
			t.Fatal(err)
		}
		reasons := ""
		for _, d := range dead.Rows() {
			if d.Stage != "write to out" {
				t.Errorf("%+v", d)
			}
			reasons += d.Reason + "\n"
		}
		if n := len(dead.Rows()); n != 8 || len(payloads(t, srv)) != 2 {
			t.Errorf("%d dead letters, %q", n, payloads(t, srv))
		}
		for _, want := range []string{"empty", "257 characters", "Config.MaxRecord is 1000", "not this one"} {
			if strings.Count(reasons, want) != 2 {
				t.Errorf("%q is not told twice:\n%s", want, reasons)
			}
		}
	})
}

// An error of the service ends the lane with lane, place and remedy, and without a
// commit.
func TestLaneThatCannotWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, kinesistest.Config{}, 1)
		cfg := config(srv)
		cfg.Stream = "no-such-stream"
		err := run(t, new(lease.Memory), kinesis.Sink(cfg, keyOf, encode), nil, 1)
		for _, want := range []string{"values-0", "write to no-such-stream", "look at the name", "nothing is lost"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("no word of %q: %v", want, err)
			}
		}
	})
}

func TestMistakesOfTheSink(t *testing.T) {
	err := run(t, new(lease.Memory), kinesis.Sink[int](kinesis.Config{Stream: "a b"}, nil, nil), nil, 1)
	if err == nil || !strings.Contains(err.Error(), "Stream") || !strings.Contains(err.Error(), "key function") {
		t.Error(err)
	}
}
