package stage_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/stage"
)

func TestAsyncKeepsOrderIsBoundedAndDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var busy, most, calls atomic.Int64
		l := open(t, stage.Async(4, func(_ context.Context, n int) (int, error) {
			now := busy.Add(1)
			defer busy.Add(-1)
			for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
			}
			calls.Add(1)
			time.Sleep(time.Duration(rand.IntN(1000)) * time.Millisecond)
			return n * 10, nil
		}), nil)
		var want []int
		for i := range 100 {
			check(t, l.Push(at(i), i, i, -i), nil)
			check(t, l.Mark(mark(i)), nil)
			want = append(want, i*10, i*10, -i*10)
			if n := len(l.Marks); n > 0 && len(l.Rows) < 3*int(l.Marks[n-1].Watermark/1e6+1) {
				t.Fatal("a mark overtook its rows")
			}
			if 3*(i+1)-len(l.Rows) > 6 {
				t.Fatal("more than two batches wait")
			}
		}
		check(t, l.Mark(shardlake.Mark{Watermark: 99e6, Commit: true}), nil)
		check(t, busy.Load(), int64(0)) // the commit mark returned: nothing is in flight
		check(t, calls.Load(), int64(300))
		check(t, l.Rows, want)
		check(t, most.Load(), int64(4))
		for i, m := range l.Marks[1:] {
			if m.Watermark < l.Marks[i].Watermark || l.Marks[i].Commit {
				t.Fatal(l.Marks)
			}
		}
		check(t, l.Marks[len(l.Marks)-1], shardlake.Mark{Watermark: 99e6, Commit: true})
	})
}

func TestAsyncPlainMarkDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := open(t, stage.Async(1, func(ctx context.Context, n int) (int, error) {
			time.Sleep(time.Hour)
			return n, nil
		}), nil)
		start := time.Now()
		check(t, l.Push(at(0), 1), nil)
		check(t, l.Mark(mark(1)), nil)
		check(t, l.Mark(mark(2)), nil)
		check(t, time.Since(start), time.Duration(0))
		check(t, len(l.Marks), 0) // behind the row, and not before it
		time.Sleep(2 * time.Hour)
		check(t, l.Mark(mark(3)), nil) // a later mark brings what has finished
		check(t, l.Rows, []int{1})
		check(t, l.Marks, []shardlake.Mark{mark(2), mark(3)})
	})
}

// The calls end with the lane, and a push that waits for them gives the cause.
func TestAsyncIsCancelledWithTheLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("the lease is lost")
		ctx, cancel := context.WithCancelCause(t.Context())
		env := shardlake.NewEnv(ctx, shardlake.Host{Lane: "test"})
		var ended atomic.Int64
		in, err := stage.Async(2, func(ctx context.Context, n int) (int, error) {
			<-ctx.Done()
			ended.Add(1)
			return 0, ctx.Err()
		})(env, &batches[int]{})
		check(t, err, nil)
		b := shardlake.Batch[int]{Rows: make([]int, 5), Origins: make([]shardlake.Origin, 5), Records: make([]shardlake.Record, 1)}
		pushed := make(chan error, 1)
		go func() { pushed <- in.Push(ctx, b) }()
		synctest.Wait() // two calls run, the third row waits
		cancel(cause)
		// The worker that is set free and the lane race for the next row: either way
		// the push ends, and never with success before the commit.
		err = <-pushed
		if err == nil {
			err = in.Mark(ctx, shardlake.Mark{Commit: true})
		}
		if !errors.Is(err, cause) && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		env.Close() // returns: no goroutine is left
		if ended.Load() < 2 {
			t.Fatal("calls did not end")
		}
	})
}

// A function that ends its goroutine must not pass for one that answered.
func TestAsyncGoexitIsAnError(t *testing.T) {
	l := open(t, stage.Async(2, func(context.Context, int) (int, error) { runtime.Goexit(); return 1, nil }), nil)
	err := errors.Join(l.Push(at(0), 1), l.Mark(shardlake.Mark{Commit: true}))
	if err == nil || !strings.Contains(err.Error(), "position 1.0: the function ended its goroutine") {
		t.Fatal(err, l.Rows)
	}
}
