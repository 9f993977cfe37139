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
	"github.com/shardlake/shardlake/stage/stagetest"
)

// numbered makes a table of one row, whose value is the number of its loading.
func numbered(t *testing.T, c stage.TableConfig[int, string], load func(ctx context.Context, n int64) error) (*stage.Table[int, string], *atomic.Int64) {
	t.Helper()
	var loads atomic.Int64
	c.Load = func(ctx context.Context) (map[int]string, error) {
		n := loads.Add(1)
		if err := load(ctx, n); err != nil {
			return nil, err
		}
		return map[int]string{1: fmt.Sprint("v", n)}, nil
	}
	table, err := stage.NewTable(c)
	check(t, err, nil)
	return table, &loads
}

func joined(table *stage.Table[int, string]) stage.Stage[int, string] {
	return stage.Lookup(table, func(n int) int { return n }, func(n int, v string, found bool) (string, error) {
		switch {
		case n == 9:
			return "", shardlake.Reject(errBroken)
		case n == 8:
			return "", shardlake.ErrSkip
		case n == 7:
			panic("boom")
		case n == 6:
			return "", errBroken
		case !found:
			return "none", nil
		}
		return v, nil
	})
}

func TestLookupJoins(t *testing.T) {
	table, loads := numbered(t, stage.TableConfig[int, string]{}, func(context.Context, int64) error { return nil })
	l := open(t, stage.Named("join", joined(table)), nil)
	check(t, loads.Load(), int64(0)) // opening does no I/O
	check(t, table.Status(), stage.TableStatus{})
	check(t, l.Push(at(1), 1, 2, 9, 8), nil)
	check(t, l.Push(at(2), 1), nil)
	check(t, l.Push(at(2), 8), nil) // nothing is left
	check(t, l.Mark(mark(2)), nil)
	check(t, l.Rows, []string{"v1", "none", "v1"})
	check(t, l.Times, []shardlake.Instant{1e6, 1e6, 2e6})
	check(t, l.Marks, []shardlake.Mark{mark(2)})
	check(t, []string{l.Dead[0].Stage, l.Dead[0].Seq, l.Dead[0].Reason}, []string{"join", "3", "broken"})
	check(t, loads.Load(), int64(1))
	s := table.Status()
	check(t, []int64{s.Version, int64(s.Rows), s.Failures}, []int64{1, 1, 0})
	for n, want := range map[int]string{7: "panic: boom", 6: "broken"} {
		err := open(t, stage.Named("join", joined(table)), nil).Push(at(0), 1, n)
		if err == nil || !strings.HasPrefix(err.Error(), "stage join, lane test, position 2.0: "+want) {
			t.Errorf("%d: %v", n, err)
		}
	}
}

// All lanes that open at once share one load, whichever of them ends meanwhile.
func TestLookupLanesShareOneLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var busy, most atomic.Int64
		table, loads := numbered(t, stage.TableConfig[int, string]{Attempts: 1}, func(ctx context.Context, _ int64) error {
			raise(&most, busy.Add(1))
			defer busy.Add(-1)
			select {
			case <-time.After(10 * time.Second):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		first, done := open(t, joined(table), nil), make(chan error)
		ended := make(chan error)
		ctx, cancel := context.WithCancel(t.Context())
		env := shardlake.NewEnv(ctx, shardlake.Host{Lane: "first"})
		in, err := joined(table)(env, &batches[string]{})
		check(t, err, nil)
		go func() {
			ended <- in.Push(ctx, shardlake.Batch[int]{Rows: []int{1}, Origins: make([]shardlake.Origin, 1), Records: make([]shardlake.Record, 1)})
		}()
		synctest.Wait() // this lane loads
		check(t, loads.Load(), int64(1))
		for i := range 20 {
			l := first
			if i > 0 {
				l = open(t, joined(table), nil)
			}
			go func() { done <- l.Push(at(0), 1) }()
		}
		time.Sleep(5 * time.Second)
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		env.Close()
		start := time.Now()
		for range 20 {
			check(t, <-done, nil)
		}
		check(t, time.Since(start), 10*time.Second) // another took over at once
		check(t, []int64{loads.Load(), most.Load(), table.Status().Failures}, []int64{2, 1, 0})
		check(t, first.Rows, []string{"v2"})
	})
}

// A table that is due is loaded again beside the batches, once, and each batch sees
// one version.
func TestLookupRefreshesUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table, loads := numbered(t, stage.TableConfig[int, string]{Refresh: time.Minute}, func(context.Context, int64) error {
			time.Sleep(10 * time.Second)
			return nil
		})
		const lanes, rounds = 4, 600
		done := make(chan error)
		for range lanes {
			l := open(t, joined(table), nil)
			go func() {
				err := l.Push(at(0), 1, 1, 1)
				for range rounds {
					time.Sleep(time.Second)
					start := time.Now()
					err = errors.Join(err, l.Push(at(0), 1, 1, 1))
					if took := time.Since(start); took != 0 {
						err = errors.Join(err, fmt.Errorf("a batch waited %v", took))
					}
				}
				for i := 0; i < len(l.Rows); i += 3 {
					if a, b, c := l.Rows[i], l.Rows[i+1], l.Rows[i+2]; a != b || b != c || i > 0 && a < l.Rows[i-1] && len(a) <= len(l.Rows[i-1]) {
						err = errors.Join(err, fmt.Errorf("a batch sees %v after %s", l.Rows[i:i+3], l.Rows[max(0, i-1)]))
					}
				}
				done <- err
			}()
		}
		for range lanes {
			check(t, <-done, nil)
		}
		if n := loads.Load(); n < rounds/72 || n > rounds/52+2 {
			t.Errorf("%d loads in %d seconds", n, rounds)
		}
		check(t, table.Status().Err, nil)
	})
}

// A refresh that fails leaves the old table in use until it is too old; then lanes
// wait for a new one, and stop without it.
func TestLookupGoesOnWithTheOldTableForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var away atomic.Bool
		table, loads := numbered(t, stage.TableConfig[int, string]{Refresh: time.Minute, MaxAge: 10 * time.Minute, Attempts: 2}, func(context.Context, int64) error {
			if away.Load() {
				return errAway
			}
			return nil
		})
		l := open(t, joined(table), nil)
		check(t, l.Push(at(0), 1), nil)
		away.Store(true)
		start := time.Now()
		for time.Since(start) < 10*time.Minute {
			check(t, l.Push(at(0), 1), nil)
			time.Sleep(time.Second)
		}
		check(t, l.Rows[len(l.Rows)-1], "v1")
		s := table.Status()
		if !errors.Is(s.Err, errAway) || s.Failures < 30 || s.Failures > 42 || s.Version != 1 { // each quarter of a minute
			t.Fatal(s)
		}
		time.Sleep(time.Second)
		before := loads.Load()
		err := l.Push(at(0), 1)
		if !errors.Is(err, errAway) || !strings.Contains(err.Error(), "load the table: 2 attempts in ") || loads.Load() != before+2 {
			t.Fatal(err, loads.Load()-before)
		}
		away.Store(false) // and the next lane finds it well
		l = open(t, joined(table), nil)
		check(t, l.Push(at(0), 1), nil)
		check(t, l.Rows, []string{fmt.Sprint("v", loads.Load())})
		check(t, table.Status().Err, nil)

		time.Sleep(24 * time.Hour) // a quiet night: the first batch waits for a new one
		check(t, l.Push(at(0), 1), nil)
		check(t, l.Rows[1], fmt.Sprint("v", loads.Load()))
	})
}

// A table that cannot be loaded stops the lane after its attempts, in bounded time
// whatever Load does.
func TestLookupWithoutATable(t *testing.T) {
	for what, load := range map[string]func(context.Context) (map[int]string, error){
		"3 attempts in ": func(context.Context) (map[int]string, error) { return nil, errAway },
		"no answer within 10s: context deadline exceeded": func(ctx context.Context) (map[int]string, error) {
			<-ctx.Done()
			time.Sleep(time.Nanosecond)
			return nil, ctx.Err()
		},
		"all 1 calls":                        func(context.Context) (map[int]string, error) { time.Sleep(time.Hour); return nil, errAway },
		"panic: boom":                        func(context.Context) (map[int]string, error) { panic("boom") },
		"the function ended its goroutine":   func(context.Context) (map[int]string, error) { runtime.Goexit(); return nil, nil },
		"no map and no error came from Load": func(context.Context) (map[int]string, error) { return nil, nil },
	} {
		synctest.Test(t, func(t *testing.T) {
			table, err := stage.NewTable(stage.TableConfig[int, string]{Load: load, Timeout: 10 * time.Second, Attempts: 3})
			check(t, err, nil)
			start := time.Now()
			l := open(t, stage.Named("join", joined(table)), nil)
			err = l.Push(at(0), 1)
			e, ok := errors.AsType[*shardlake.Error](err)
			if !ok || e.Stage != "join" || e.Pos.Seq != "1" || !strings.Contains(err.Error(), what) || !strings.Contains(err.Error(), "load the table") {
				t.Errorf("%s: %v", what, err)
			}
			if took := time.Since(start); took > 35*time.Second {
				t.Errorf("%s: after %v", what, took)
			}
			check(t, table.Status().Failures, int64(1))
			if l.Push(at(0), 1) == nil { // it is tried again
				t.Error("no error")
			}
		})
	}
}

func TestLookupMistakesAreToldTogether(t *testing.T) {
	_, err := stage.NewTable(stage.TableConfig[int, int]{Refresh: -1, MaxAge: -1, Timeout: -1, Attempts: -1})
	for _, want := range []string{"Load is nil", "Refresh is -1ns", "MaxAge is -1ns", "Timeout is -1ns", "Attempts is -1"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	load := func(context.Context) (map[int]string, error) { return map[int]string{}, nil }
	for _, c := range []stage.TableConfig[int, string]{{Load: load, MaxAge: 1}, {Load: load, Refresh: 2, MaxAge: 1}} {
		if _, err := stage.NewTable(c); err == nil {
			t.Errorf("%v: no error", c)
		}
	}
	table, err := stage.NewTable(stage.TableConfig[int, string]{Load: load})
	check(t, err, nil)
	key, join := func(n int) int { return n }, func(int, string, bool) (int, error) { return 0, nil }
	for _, st := range []stage.Stage[int, int]{stage.Lookup(nil, key, join), stage.Lookup(table, nil, join), stage.Lookup[int, string, int, int](table, key, nil)} {
		if l, err := stagetest.Open(st, nil); err == nil {
			l.Close()
			t.Error("no error")
		}
	}
	rows, err := stagetest.Run(stage.Lookup(table, key, join), 1) // an empty table is one
	check(t, err, nil)
	check(t, rows, []int{0})
}

// Rows keep their times and records, whatever is dropped between them.
func TestLookupIsThePlainLoop(t *testing.T) {
	table, err := stage.NewTable(stage.TableConfig[int, int]{Load: func(context.Context) (map[int]int, error) {
		tens := map[int]int{}
		for n := range 500 {
			tens[n] = 10 * n
		}
		return tens, nil
	}})
	check(t, err, nil)
	for seed := range uint64(10) {
		var want, got journal[int]
		drive(t, rand.New(rand.NewPCG(seed, 4)), openTo(t, stage.TryMap(func(n int) (int, error) { return 10 * n, refuseSome(n) }), &want))
		drive(t, rand.New(rand.NewPCG(seed, 4)), openTo(t, stage.Lookup(table, func(n int) int { return n }, func(n, v int, found bool) (int, error) {
			return v, refuseSome(n)
		}), &got))
		check(t, got, want)
	}
}
