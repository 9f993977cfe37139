package stage_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/stage"
)

func tenfold(_ context.Context, rows []int) ([]int, error) {
	out := make([]int, len(rows))
	for i, n := range rows {
		out[i] = 10 * n
	}
	return out, nil
}

// journal writes down what arrives: rows with their time and record, and marks.
type journal[T any] []string

func (j *journal[T]) Push(_ context.Context, b shardlake.Batch[T]) error {
	for i, v := range b.Rows {
		r := b.From(i)
		*j = append(*j, fmt.Sprint(v, " at ", int64(b.Origins[i].Time), " of ", r.Pos, " ", string(r.Data), " ", int64(r.Watermark)))
	}
	_, _ = append(b.Rows, b.Rows[0]), append(b.Origins, b.Origins[0]) // the receiver owns the batch
	clear(b.Rows)
	clear(b.Origins)
	return nil
}

func (j *journal[T]) Mark(_ context.Context, m shardlake.Mark) error {
	*j = append(*j, fmt.Sprint("mark ", int64(m.Watermark), m.Commit))
	return nil
}

// drive gives emit rows in batches of any size over records of any number of rows,
// with marks anywhere, and says nothing about it but by r.
func drive(t *testing.T, r *rand.Rand, in shardlake.Emit[int]) {
	t.Helper()
	rows, origins := make([]int, 40), make([]shardlake.Origin, 40)
	for seq, row := 0, 0; row < 400; {
		n := 1 + r.IntN(40)
		b := shardlake.Batch[int]{Rows: rows[:n], Origins: origins[:n]} // re-used, as a lane does
		for i := range n {
			if i == 0 || r.IntN(3) > 0 {
				for range 1 + r.IntN(2) { // now and then a record without rows
					seq++
					b.Records = append(b.Records, shardlake.Record{Pos: shardlake.Position{Seq: strconv.Itoa(seq)}, Data: []byte(strconv.Itoa(-seq)), Watermark: shardlake.Instant(seq)})
				}
			}
			b.Rows[i], b.Origins[i] = row, shardlake.Origin{Time: shardlake.Instant(r.IntN(1000)), Record: int32(len(b.Records) - 1)}
			row++
		}
		check(t, in.Push(t.Context(), b), nil)
		if r.IntN(3) == 0 {
			check(t, in.Mark(t.Context(), shardlake.Mark{Watermark: shardlake.Instant(seq), Commit: r.IntN(2) == 0}), nil)
		}
	}
	check(t, in.Mark(t.Context(), shardlake.Mark{Watermark: shardlake.Forever, Commit: true}), nil)
}

// refuseSome is an answer for some rows.
func refuseSome(n int) error {
	switch {
	case n%11 == 3:
		return shardlake.ErrSkip
	case n%13 == 5:
		return shardlake.Reject(errBroken)
	}
	return nil
}

// openTo opens a stage in front of sink.
func openTo(t *testing.T, st stage.Stage[int, int], sink shardlake.Emit[int]) shardlake.Emit[int] {
	t.Helper()
	env := shardlake.NewEnv(t.Context(), shardlake.Host{Lane: "test", Dead: func(context.Context, *shardlake.Record, shardlake.DeadLetter) error { return nil }})
	t.Cleanup(env.Close)
	in, err := st(env, sink)
	check(t, err, nil)
	return in
}

// Wherever batches are cut and marks stand, what leaves is what a plain loop over
// rows makes: rows, their times, their records, and marks between the same rows.
func TestBatchIsThePlainLoop(t *testing.T) {
	for seed := range uint64(60) {
		var want, got journal[int]
		size := []int{1, 2, 3, 7, 16, 33, 100, 1000}[seed%8]
		drive(t, rand.New(rand.NewPCG(seed, 2)), openTo(t, stage.TryMap(func(n int) (int, error) { return 10 * n, refuseSome(n) }), &want))
		calls, full := 0, 0
		st := stage.Batch(size, func(ctx context.Context, rows []int) ([]int, error) {
			calls++
			if len(rows) == size {
				full++
			}
			if len(rows) == 0 || len(rows) > size {
				t.Fatalf("%d rows, not 1 to %d", len(rows), size)
			}
			_ = append(rows, -1) // must not write into what waits behind
			errs := stage.RowsError{}
			out := rows // the same slice, every second time
			if calls%2 == 0 {
				out = make([]int, len(rows))
			}
			for i, n := range rows {
				out[i] = 10 * n
				errs[i] = refuseSome(n)
			}
			return out, fmt.Errorf("some: %w", errs)
		})
		drive(t, rand.New(rand.NewPCG(seed, 2)), openTo(t, st, &got))
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d, size %d:\ngot  %q\nwant %q", seed, size, got, want)
		}
		if size <= 3 && full < calls/2 {
			t.Errorf("of %d calls only %d are full", calls, full)
		}
	}
}

// Rows of several batches come together, and the rest with the next mark.
func TestBatchGathersUntilTheMark(t *testing.T) {
	var sizes []int
	l := open(t, stage.Batch(4, func(ctx context.Context, rows []int) ([]int, error) {
		sizes = append(sizes, len(rows))
		return tenfold(ctx, rows)
	}), nil)
	check(t, l.Push(at(1), 1, 2, 3), nil)
	check(t, len(l.Rows), 0)
	check(t, l.Push(at(2), 4, 5), nil)
	check(t, l.Rows, []int{10, 20, 30, 40})
	check(t, l.Push(at(3), 6, 7, 8, 9, 10, 11, 12, 13), nil)
	check(t, l.Mark(mark(3)), nil)
	check(t, l.Mark(mark(4)), nil) // no call without rows
	check(t, sizes, []int{4, 4, 4, 1})
	check(t, l.Rows, []int{10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120, 130})
	check(t, l.Times[2:6], []shardlake.Instant{1e6, 2e6, 2e6, 3e6})
	check(t, l.Marks, []shardlake.Mark{mark(3), mark(4)})
}

// Single rows are refused by their place among the rows of several batches.
func TestBatchRefusesSingleRows(t *testing.T) {
	l := open(t, stage.Named("score", stage.Batch(10, func(ctx context.Context, rows []int) ([]int, error) {
		out, err := tenfold(ctx, rows)
		return out, errors.Join(err, stage.RowsError{}) // joined: not taken for the answer about rows
	})), nil)
	err := errors.Join(l.Push(at(0), 1), l.Mark(mark(1)))
	if err == nil || !strings.Contains(err.Error(), "no rows are refused") {
		t.Fatal(err)
	}
	answers := stage.RowsError{1: shardlake.ErrSkip, 2: nil, 3: shardlake.Reject(errors.New("no score")), 4: errBroken}
	check(t, answers.Error(), "3 rows are refused, the first of them row 1: skip this row")
	st := stage.Named("score", stage.Batch(10, func(ctx context.Context, rows []int) ([]int, error) {
		out, err := tenfold(ctx, rows)
		errs := stage.RowsError{}
		for i := range rows {
			errs[i] = cmp.Or(err, answers[rows[i]])
		}
		return out, errs
	}))
	l = open(t, st, nil)
	check(t, l.Push(at(0), 0, 1), nil)
	check(t, l.Push(at(0), 2, 3), nil)
	check(t, l.Mark(mark(1)), nil)
	check(t, l.Rows, []int{0, 20})
	check(t, []string{l.Dead[0].Stage, l.Dead[0].Seq, l.Dead[0].Reason}, []string{"score", "4", "no score"})
	check(t, l.Push(at(0), 0, 5), nil)
	check(t, l.Push(at(0), 4), nil)
	err = l.Mark(mark(1))
	if e, ok := errors.AsType[*shardlake.Error](err); !ok || !errors.Is(err, errBroken) || e.Pos.Seq != "7" || e.Stage != "score" {
		t.Fatal(err)
	}
	check(t, open(t, st, nil).Push(at(0), slices.Repeat([]int{1}, 10)...), nil) // all rows are dropped: nothing is pushed
}

// Whatever goes wrong stops the lane, names the first of the rows, and says what to
// do.
func TestBatchStops(t *testing.T) {
	for name, c := range map[string]struct {
		f    func(context.Context, []int) ([]int, error)
		want string
	}{
		"error":    {func(context.Context, []int) ([]int, error) { return nil, errBroken }, "3 rows from here to 3.0: broken"},
		"reject":   {func(context.Context, []int) ([]int, error) { return nil, shardlake.Reject(errBroken) }, "3 rows from here to 3.0: rejected: broken: of which row?"},
		"skip":     {func(context.Context, []int) ([]int, error) { return nil, shardlake.ErrSkip }, "answer single rows through stage.RowsError"},
		"fewer":    {func(_ context.Context, rows []int) ([]int, error) { return rows[1:], nil }, "2 results for 3 rows: want one for each"},
		"more":     {func(_ context.Context, rows []int) ([]int, error) { return append(rows, 1), nil }, "4 results for 3 rows"},
		"none":     {func(context.Context, []int) ([]int, error) { return nil, nil }, "0 results for 3 rows"},
		"too few":  {func(context.Context, []int) ([]int, error) { return nil, stage.RowsError{0: shardlake.ErrSkip} }, "0 results for 3 rows"},
		"no row":   {func(_ context.Context, r []int) ([]int, error) { return r, stage.RowsError{3: errBroken} }, "refuses rows [3] of 3: they count from 0"},
		"negative": {func(_ context.Context, r []int) ([]int, error) { return r, stage.RowsError{-1: errBroken} }, "refuses rows [-1] of 3"},
		"panic":    {func(context.Context, []int) ([]int, error) { panic("boom") }, "panic: boom"},
	} {
		l := open(t, stage.Named("score", stage.Batch(8, c.f)), nil)
		check(t, l.Push(at(0), 1, 2), nil)
		check(t, l.Push(at(0), 3), nil)
		err := l.Mark(mark(0))
		e, ok := errors.AsType[*shardlake.Error](err)
		if !ok || e.Stage != "score" || e.Pos.Seq != "1" || !strings.Contains(err.Error(), c.want) || e.Remedy == "" {
			t.Errorf("%s: %v", name, err)
		}
		check(t, len(l.Marks), 0)
	}
	for _, err := range []error{try(stage.Batch(0, tenfold))(), try(stage.Batch(1<<20+1, tenfold))(), try(stage.Batch[int, int](1, nil))()} {
		if err == nil {
			t.Error("no error")
		}
	}
}
