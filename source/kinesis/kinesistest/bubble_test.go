package kinesistest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

// bubble runs a test in fake time, where a goroutine left behind is an error.
func bubble(t *testing.T, test func(w *world)) {
	synctest.Test(t, func(t *testing.T) {
		srv := kinesistest.New(kinesistest.Config{})
		test(&world{T: t, srv: srv, client: newClient(srv, true), ctx: t.Context()})
	})
}

func TestSlowAnswersTakeFakeTime(t *testing.T) {
	bubble(t, func(w *world) {
		it := faulty(w)
		for _, kind := range []kinesistest.Kind{kinesistest.SlowAnswer, kinesistest.SlowBody} {
			w.srv.Fault(kinesistest.Fault{Op: "GetRecords", Kind: kind, Delay: 90 * time.Second})
			begin := time.Now()
			w.equal(len(w.get(it).Records), 30)
			w.equal(time.Since(begin), 90*time.Second)
		}
		time.Sleep(5 * time.Minute)
		w.fails(w.fetch(it), "ExpiredIteratorException")
	})
}

func TestDeadlinesEndHeldAnswers(t *testing.T) {
	bubble(t, func(w *world) {
		it := faulty(w)
		for _, kind := range []kinesistest.Kind{kinesistest.Hang, kinesistest.SlowAnswer, kinesistest.SlowBody} {
			w.srv.Fault(kinesistest.Fault{Op: "GetRecords", Kind: kind, Delay: time.Hour})
			ctx, cancel := context.WithTimeout(w.ctx, 30*time.Second)
			begin := time.Now()
			_, err := w.client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: &it})
			if !errors.Is(err, context.DeadlineExceeded) {
				w.Errorf("%v: %v", kind, err)
			}
			w.equal(time.Since(begin), 30*time.Second)
			cancel()
		}
	})
}

// A response whose body is closed unread, or never read before its context ends,
// leaves nothing behind.
func TestUnreadBodiesEnd(t *testing.T) {
	bubble(t, func(w *world) {
		it := faulty(w)
		do := func(ctx context.Context) *http.Response {
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.srv.URL(), strings.NewReader(`{"ShardIterator":"`+it+`"}`))
			w.must(err)
			r.Header.Set("X-Amz-Target", "Kinesis_20131202.GetRecords")
			resp, err := w.srv.Client().Do(r)
			w.must(err)
			return resp
		}
		resp := do(w.ctx)
		w.must(resp.Body.Close())

		ctx, cancel := context.WithCancel(w.ctx)
		resp = do(ctx)
		b := make([]byte, 10)
		if n, err := io.ReadFull(resp.Body, b); err != nil {
			w.Errorf("%d bytes, %v", n, err)
		}
		cancel()
		synctest.Wait()
		if _, err := io.ReadAll(resp.Body); !errors.Is(err, context.Canceled) {
			w.Errorf("reading after the end of the context: %v", err)
		}
		w.must(resp.Body.Close())

		ended, cancel := context.WithCancel(w.ctx)
		cancel()
		r, err := http.NewRequestWithContext(ended, http.MethodPost, w.srv.URL(), http.NoBody)
		w.must(err)
		if resp, err := w.srv.Client().Do(r); !errors.Is(err, context.Canceled) {
			w.Errorf("%v, %v", resp, err)
		}
		w.equal(w.srv.Calls("", ""), 3)
	})
}

// A poller under the limits of a shard, in no time.
func TestPollingInFakeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := kinesistest.New(kinesistest.Config{Limits: true})
		w := &world{T: t, srv: srv, client: newClient(srv, true), ctx: t.Context()}
		w.createStream("s", 1)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 100 {
				if _, _, err := srv.Put("s", "k", []byte("x")); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Second)
			}
		}()
		it := w.iterator("s", shardID(0), types.ShardIteratorTypeTrimHorizon, "")
		n := 0
		for n < 100 {
			out := w.get(it)
			n += len(out.Records)
			it = *out.NextShardIterator
			time.Sleep(200 * time.Millisecond)
		}
		<-done
	})
}
