package stage_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/stage"
)

// Several calls at once, which fail, hang and take any time, make what a plain loop
// makes, with each mark behind its rows and at most a few commits' worth held back.
func TestBatchConfigIsThePlainLoop(t *testing.T) {
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			var want, got journal[int]
			size, calls := []int{1, 2, 3, 7, 16, 33, 100}[seed%7], 1+int(seed%4)
			drive(t, rand.New(rand.NewPCG(seed, 3)), openTo(t, stage.TryMap(func(n int) (int, error) { return 10 * n, refuseSome(n) }), &want))
			var tries, busy, most atomic.Int64
			st := stage.BatchConfig{Size: size, Async: stage.AsyncConfig{Calls: calls, Timeout: time.Second, Retries: 20}}.Stage(func(ctx context.Context, rows []int) ([]int, error) {
				raise(&most, busy.Add(1))
				defer busy.Add(-1)
				if len(rows) == 0 || len(rows) > size {
					t.Errorf("%d rows, not 1 to %d", len(rows), size)
				}
				time.Sleep(time.Duration(rows[0]*7919%700) * time.Millisecond)
				n := tries.Add(1)
				errs := stage.RowsError{}
				for i, row := range rows { // in place: another try must see what this one saw
					rows[i], errs[i] = 10*row, refuseSome(row)
				}
				switch n % 5 {
				case 1:
					return nil, errAway
				case 2:
					<-ctx.Done()
					return nil, ctx.Err()
				}
				return rows, errs
			})
			drive(t, rand.New(rand.NewPCG(seed, 3)), openTo(t, st, &got))
			check(t, rowsAndCommits(got), rowsAndCommits(want))
			check(t, watermarksHold(got, want), true)
			if most.Load() > int64(calls) {
				t.Errorf("%d calls at once, not %d", most.Load(), calls)
			}
		})
	}
}

// rowsAndCommits leaves out plain marks: of several in a row the last one stands
// for all.
func rowsAndCommits(j journal[int]) []string {
	return slices.DeleteFunc(slices.Clone(j), func(s string) bool { return strings.HasPrefix(s, "mark") && strings.HasSuffix(s, "false") })
}

// watermarksHold tells whether no mark of got comes before a row that it follows in
// want.
func watermarksHold(got, want journal[int]) bool {
	before := map[string]int{} // rows before each mark
	rows := 0
	for _, s := range want {
		if before[s] = rows; !strings.HasPrefix(s, "mark") {
			rows++
		}
	}
	rows = 0
	for _, s := range got {
		if !strings.HasPrefix(s, "mark") {
			rows++
		} else if rows < before[s] {
			return false
		}
	}
	return true
}

func TestBatchConfigAnswers(t *testing.T) {
	run := func(c stage.AsyncConfig, f func(context.Context, []int) ([]int, error)) (rows []int, dead []string, err error) {
		synctest.Test(t, func(t *testing.T) {
			l := open(t, stage.Named("score", stage.BatchConfig{Size: 2, Async: c}.Stage(f)), nil)
			err = errors.Join(l.Push(at(0), 0, 1, 2), l.Push(at(0), 3, 4), l.Mark(shardlake.Mark{Commit: true}))
			for _, d := range l.Dead {
				dead = append(dead, d.Seq+" "+d.Reason)
			}
			rows = l.Rows
			l.Close()
		})
		return rows, dead, err
	}
	// A call that fails for good is the answer for each of its rows, and no other.
	away := func(ctx context.Context, rows []int) ([]int, error) {
		if slices.Contains(rows, 2) {
			return nil, errAway
		}
		return tenfold(ctx, rows)
	}
	rows, dead, err := run(stage.AsyncConfig{Retries: 1, GiveUp: shardlake.Reject}, away)
	check(t, err, nil)
	check(t, rows, []int{0, 10, 40})
	if len(dead) != 2 || !strings.HasPrefix(dead[0], "3 2 attempts in ") || !strings.HasPrefix(dead[1], "4 2 attempts in ") {
		t.Fatal(dead)
	}
	rows, dead, err = run(stage.AsyncConfig{GiveUp: func(error) error { return shardlake.ErrSkip }}, away)
	check(t, err, nil)
	check(t, rows, []int{0, 10, 40})
	check(t, len(dead), 0)
	for name, c := range map[string]struct {
		f    func(context.Context, []int) ([]int, error)
		want string
	}{
		"error":  {away, "stage score, lane test, position 3.0: 2 rows from here to 4.0: 10 attempts in "},
		"reject": {func(context.Context, []int) ([]int, error) { return nil, shardlake.Reject(errBroken) }, "position 1.0: 2 rows from here to 2.0: rejected: broken: of which row?"},
		"skip":   {func(context.Context, []int) ([]int, error) { return nil, shardlake.ErrSkip }, "2 rows from here to 2.0: skip this row: of which row?"},
		"count":  {func(_ context.Context, rows []int) ([]int, error) { return rows[1:], nil }, "2 rows from here to 2.0: 1 results for 2 rows"},
		"no row": {func(_ context.Context, r []int) ([]int, error) { return r, stage.RowsError{2: errBroken} }, "refuses rows [2] of 2"},
		"panic":  {func(context.Context, []int) ([]int, error) { panic("boom") }, "position 1.0: 2 rows from here to 2.0: panic: boom"},
		"row":    {func(_ context.Context, r []int) ([]int, error) { return r, stage.RowsError{len(r) - 1: errBroken} }, "position 2.0: broken"},
	} {
		if _, dead, err := run(stage.AsyncConfig{Retries: 9}, c.f); err == nil || !strings.Contains(err.Error(), c.want) || dead != nil {
			t.Errorf("%s: %v %v", name, err, dead)
		}
	}
	for _, c := range []stage.BatchConfig{{}, {Size: -1}, {Size: 1 << 20, Async: stage.AsyncConfig{Calls: 2}}, {Size: 1, Async: stage.AsyncConfig{Calls: -1}}} {
		if try(c.Stage(tenfold))() == nil {
			t.Errorf("%+v: no error", c)
		}
	}
	if try(stage.BatchConfig{Size: 1}.Stage[int, int](nil))() == nil {
		t.Error("no error")
	}
}
