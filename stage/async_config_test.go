package stage_test

import (
	"context"
	"errors"
	"fmt"
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

// errAway is what a service gives that is away for a moment.
var errAway = errors.New("service unavailable")

// raise makes v at least n.
func raise(v *atomic.Int64, n int64) {
	for old := v.Load(); n > old && !v.CompareAndSwap(old, n); old = v.Load() {
	}
}

// Calls that fail now and then, hang now and then and take any time at all: rows
// still leave in order, marks behind their rows, and a commit has all of them.
func TestAsyncConfigRepeatsInOrder(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			left := make([]atomic.Int64, 300) // failures still to come, by row
			for i := range left {
				left[i].Store(int64(r.IntN(4)))
			}
			l := open(t, stage.AsyncConfig{Calls: 3, Timeout: time.Second, Retries: 3}.Stage(func(ctx context.Context, n int) (int, error) {
				time.Sleep(time.Duration(n*7919%500) * time.Millisecond)
				if left[n].Add(-1) >= 0 {
					if n%3 == 0 {
						<-ctx.Done() // hangs
						return 0, ctx.Err()
					}
					return 0, errAway
				}
				return 10 * n, nil
			}), nil)
			var want []int
			for next := 0; next < len(left); {
				rows := make([]int, 0, 20)
				for range min(1+r.IntN(20), len(left)-next) {
					rows, want = append(rows, next), append(want, 10*next)
					next++
				}
				check(t, l.Push(at(next), rows...), nil)
				m := mark(next)
				m.Commit = r.IntN(4) == 0
				check(t, l.Mark(m), nil)
				if n := len(l.Marks); m.Commit && (len(l.Rows) != next || l.Marks[n-1] != m) {
					t.Fatalf("a commit after %d rows has %d", next, len(l.Rows))
				}
			}
			check(t, l.Mark(shardlake.Mark{Commit: true}), nil)
			check(t, l.Rows, want)
		})
	}
}

// Waits double, are at most halved, and end at the bound; they differ between rows
// and not between runs.
func TestAsyncConfigBackoff(t *testing.T) {
	tries := func() (all [2][]time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			last := [2]time.Time{time.Now(), time.Now()}
			l := open(t, stage.AsyncConfig{Retries: 6, Backoff: time.Second, MaxBackoff: 5 * time.Second}.Stage(func(_ context.Context, n int) (int, error) {
				all[n] = append(all[n], time.Since(last[n]))
				last[n] = time.Now()
				return 0, errAway
			}), nil)
			err := errors.Join(l.Push(at(0), 0, 1), l.Mark(shardlake.Mark{Commit: true}))
			if !errors.Is(err, errAway) || !strings.Contains(err.Error(), "position 1.0: 7 attempts in ") {
				t.Fatal(err)
			}
			l.Close()
		})
		return all
	}
	got := tries()
	for _, waits := range got {
		check(t, len(waits), 7)
		for i, seconds := range []int{0, 1, 2, 4, 5, 5, 5} {
			if most := time.Duration(seconds) * time.Second; waits[i] < most/2 || waits[i] > most {
				t.Errorf("wait %d is %v, of %v", i, waits[i], most)
			}
		}
	}
	if got[0][1] == got[1][1] {
		t.Error("two rows come again at the same instant")
	}
	check(t, tries(), got)
}

// A function that never looks at its context does not hold a commit for ever, and
// there are never more calls than allowed.
func TestAsyncConfigCallThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var busy, most atomic.Int64
		l := open(t, stage.AsyncConfig{Calls: 2, Timeout: time.Second, Retries: 2, Backoff: time.Second,
			GiveUp: shardlake.Reject}.Stage(func(_ context.Context, n int) (int, error) {
			raise(&most, busy.Add(1))
			defer busy.Add(-1)
			if n < 0 {
				<-release
			}
			return n, nil
		}), nil)
		start := time.Now()
		check(t, l.Push(at(0), -1, 1, -2, 3, 4), nil)
		check(t, l.Mark(shardlake.Mark{Commit: true}), nil)
		if took := time.Since(start); took > 20*time.Second {
			t.Fatal(took)
		}
		check(t, most.Load(), int64(2))
		if len(l.Dead) < 2 || len(l.Rows)+len(l.Dead) != 5 {
			t.Fatal(l.Rows, l.Dead)
		}
		if !strings.HasPrefix(l.Dead[0].Reason, "3 attempts in ") {
			t.Fatal(l.Dead[0].Reason)
		}
		close(release) // the slots come back
		synctest.Wait()
		l.Rows = nil
		check(t, l.Push(at(0), 5, 6), nil)
		check(t, l.Mark(shardlake.Mark{Commit: true}), nil)
		check(t, l.Rows, []int{5, 6})
	})
}

// When the last attempt has failed, the lane stops unless GiveUp says otherwise.
func TestAsyncConfigGiveUp(t *testing.T) {
	broken := func(_ context.Context, n int) (int, error) {
		if n == 1 {
			return 0, errAway
		}
		return n, nil
	}
	run := func(c stage.AsyncConfig, f func(context.Context, int) (int, error)) (rows []int, dead int, err error) {
		synctest.Test(t, func(t *testing.T) {
			l := open(t, c.Stage(f), nil)
			err = errors.Join(l.Push(at(0), 0, 1, 2), l.Mark(shardlake.Mark{Commit: true}))
			rows, dead = l.Rows, len(l.Dead)
			l.Close()
		})
		return rows, dead, err
	}
	_, _, err := run(stage.AsyncConfig{Retries: 1}, broken)
	e, ok := errors.AsType[*shardlake.Error](err)
	if !ok || !errors.Is(err, errAway) || e.Pos.Seq != "2" || !strings.HasPrefix(e.Err.Error(), "2 attempts in ") || !strings.HasSuffix(e.Err.Error(), ": service unavailable") {
		t.Fatal(err)
	}
	_, _, err = run(stage.AsyncConfig{GiveUp: func(error) error { return nil }}, broken)
	if !errors.Is(err, errAway) || !strings.Contains(err.Error(), "1 attempt in 0s") {
		t.Fatal(err)
	}
	rows, dead, err := run(stage.AsyncConfig{GiveUp: shardlake.Reject}, broken)
	check(t, err, nil)
	check(t, rows, []int{0, 2})
	check(t, dead, 1)
	rows, dead, err = run(stage.AsyncConfig{GiveUp: func(error) error { return shardlake.ErrSkip }}, broken)
	check(t, err, nil)
	check(t, rows, []int{0, 2})
	check(t, dead, 0)

	// Retry is asked about errors, and not about answers.
	var calls, asked atomic.Int64
	_, _, err = run(stage.AsyncConfig{Retries: 9, Retry: func(error) bool { return asked.Add(1) < 3 }}, func(context.Context, int) (int, error) {
		calls.Add(1)
		return 0, errAway
	})
	if !errors.Is(err, errAway) || asked.Load() != 2+3 || calls.Load() != asked.Load() {
		t.Fatal(err, asked.Load(), calls.Load())
	}
	for _, answer := range []error{shardlake.ErrSkip, fmt.Errorf("wrapped: %w", shardlake.Reject(errAway))} {
		_, _, err = run(stage.AsyncConfig{Retries: 9, Retry: func(error) bool { panic("asked") }, GiveUp: func(error) error { panic("asked") }},
			func(context.Context, int) (int, error) { return 0, answer })
		check(t, err, nil)
	}
	_, _, err = run(stage.AsyncConfig{Retry: func(error) bool { panic("what?") }, Retries: 1}, broken)
	if err == nil || !strings.Contains(err.Error(), "position 2.0: panic: what?") {
		t.Fatal(err)
	}
}

// A mistake in the program is told at once, with the row.
func TestAsyncConfigCrashIsNotRepeated(t *testing.T) {
	for what, crash := range map[string]func(){"panic: boom": func() { panic("boom") }, "the function ended its goroutine": runtime.Goexit} {
		for _, c := range []stage.AsyncConfig{{Calls: 1, Retries: 9, GiveUp: shardlake.Reject}, {Calls: 4, Retries: 9}} {
			var calls atomic.Int64
			l := open(t, c.Stage(func(_ context.Context, n int) (int, error) {
				if n == 0 {
					calls.Add(1)
					crash()
				}
				return n, nil
			}), nil)
			err := errors.Join(l.Push(at(0), 1, 0, 2, 3), l.Mark(shardlake.Mark{Commit: true}))
			if err == nil || !strings.Contains(err.Error(), "position 2.0: "+what) || calls.Load() != 1 {
				t.Fatal(err, calls.Load())
			}
		}
	}
}

// A worker whose goroutine a function ended is replaced: rows behind are not stuck.
func TestAsyncGoexitDoesNotStickRowsBehind(t *testing.T) {
	l := open(t, stage.Async(1, func(_ context.Context, n int) (int, error) {
		if n == 0 {
			runtime.Goexit()
		}
		return n, nil
	}), nil)
	err := errors.Join(l.Push(at(0), 0, 1, 2), l.Mark(shardlake.Mark{Commit: true}))
	if err == nil || !strings.Contains(err.Error(), "position 1.0: the function ended its goroutine") {
		t.Fatal(err)
	}
}

// The limit holds over lanes, and those who wait for it in vain say so.
func TestAsyncConfigSharedLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := stage.NewLimit(3)
		var busy, most, calls atomic.Int64
		st := stage.AsyncConfig{Calls: 8, Shared: limit, Timeout: time.Second}.Stage(func(_ context.Context, n int) (int, error) {
			raise(&most, busy.Add(1))
			defer busy.Add(-1)
			calls.Add(1)
			time.Sleep(900 * time.Millisecond) // with the queue, far more than Timeout
			return n, nil
		})
		done := make(chan error)
		for range 2 {
			l := open(t, st, nil)
			go func() {
				err := errors.Join(l.Push(at(0), make([]int, 40)...), l.Mark(shardlake.Mark{Commit: true}))
				if err == nil && len(l.Rows) != 40 {
					err = fmt.Errorf("%d rows", len(l.Rows))
				}
				done <- err
			}()
		}
		check(t, <-done, nil)
		check(t, <-done, nil)
		check(t, most.Load(), int64(3))
		check(t, calls.Load(), int64(80))
		check(t, limit.InUse(), 0)
	})
	synctest.Test(t, func(t *testing.T) {
		limit, release := stage.NewLimit(1), make(chan struct{})
		st := stage.AsyncConfig{Shared: limit, Timeout: time.Second}.Stage(func(_ context.Context, n int) (int, error) { <-release; return n, nil })
		a, b := open(t, st, nil), open(t, st, nil)
		err := errors.Join(a.Push(at(0), 1), a.Mark(shardlake.Mark{Commit: true}))
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no answer within 1s") {
			t.Fatal(err)
		}
		check(t, []int{limit.InUse(), limit.Overdue(), limit.Size()}, []int{1, 1, 1})
		err = errors.Join(b.Push(at(0), 1), b.Mark(shardlake.Mark{Commit: true}))
		if err == nil || !strings.Contains(err.Error(), "all 1 calls that may be made at once have overrun their time") {
			t.Fatal(err)
		}
		close(release)
		synctest.Wait()
		check(t, []int{limit.InUse(), limit.Overdue()}, []int{0, 0})
	})
}

// The end of the lane ends calls, waits between attempts and waits for the limit.
func TestAsyncConfigIsCancelledWithTheLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := stage.NewLimit(1)
		cause := errors.New("the lease is lost")
		ctx, cancel := context.WithCancelCause(t.Context())
		env := shardlake.NewEnv(ctx, shardlake.Host{Lane: "test"})
		in, err := stage.AsyncConfig{Calls: 3, Shared: limit, Timeout: time.Hour, Retries: 100, Backoff: time.Hour, MaxBackoff: time.Hour}.Stage(func(ctx context.Context, n int) (int, error) {
			if n == 0 {
				return 0, errAway // waits for its repetition
			}
			<-ctx.Done()
			return 0, ctx.Err()
		})(env, &batches[int]{})
		check(t, err, nil)
		b := shardlake.Batch[int]{Rows: []int{0, 1, 2}, Origins: make([]shardlake.Origin, 3), Records: make([]shardlake.Record, 1)}
		check(t, in.Push(ctx, b), nil)
		synctest.Wait()
		cancel(cause)
		if err := in.Mark(ctx, shardlake.Mark{Commit: true}); !errors.Is(err, cause) {
			t.Fatal(err)
		}
		env.Close() // returns: no goroutine is left
		check(t, []int{limit.InUse(), limit.Overdue()}, []int{0, 0})
	})
}

func TestAsyncConfigMistakesAreToldTogether(t *testing.T) {
	c := stage.AsyncConfig{Calls: -1, Shared: stage.NewLimit(0), Timeout: -1, Retries: -1, Backoff: -1, MaxBackoff: -2}
	err := try(stage.Named("enrich", c.Stage(func(_ context.Context, n int) (int, error) { return n, nil })))()
	for _, want := range []string{"stage enrich", "Calls is -1", "Shared", "Timeout is -1ns", "Retries is -1", "Backoff is -1ns", "MaxBackoff is -2ns"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if try(stage.AsyncConfig{Backoff: 2, MaxBackoff: 1}.Stage(func(_ context.Context, n int) (int, error) { return n, nil }))() == nil ||
		try(stage.AsyncConfig{}.Stage[int, int](nil))() == nil {
		t.Error("no error")
	}
}
