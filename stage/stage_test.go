package stage_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/stage"
	"github.com/shardlake/shardlake/stage/stagetest"
)

func even(n int) bool           { return n%2 == 0 }
func explode(n int) int         { return 8 / (n - 4) }
func at(s int) time.Time        { return time.Unix(int64(s), 0) }
func mark(s int) shardlake.Mark { return shardlake.Mark{Watermark: shardlake.At(at(s))} }

func check(t *testing.T, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %#v\nwant %#v", got, want)
	}
}

func open[A, B any](t *testing.T, st stage.Stage[A, B], state map[string][]byte) *stagetest.Lane[A, B] {
	t.Helper()
	l, err := stagetest.Open(st, state)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

var errBroken = errors.New("broken")

// answer gives each of the answers that a user function may give.
func answer(n int) (int, error) {
	switch n {
	case 2:
		return 7, shardlake.ErrSkip
	case 3:
		return 7, fmt.Errorf("wrapped: %w", shardlake.ErrSkip)
	case 4:
		return 7, shardlake.Reject(errors.New("four"))
	case 5:
		return 7, fmt.Errorf("wrapped: %w", shardlake.Reject(errors.New("five")))
	case 6:
		return 7, errBroken
	case 7:
		return 7, fmt.Errorf("wrapped: %w", errBroken)
	case 8:
		panic("boom")
	}
	return n, nil
}

func answering() map[string]stage.Stage[int, int] {
	return map[string]stage.Stage[int, int]{
		"map":    stage.TryMap(answer),
		"filter": stage.TryFilter(func(n int) (bool, error) { _, err := answer(n); return true, err }),
		"flatmap": stage.TryFlatMap(func(n int, emit func(int)) error {
			emit(n) // dropped where an error follows
			_, err := answer(n)
			return err
		}),
		"async": stage.Async(2, func(_ context.Context, n int) (int, error) { return answer(n) }),
	}
}

func TestAnswers(t *testing.T) {
	for verb, st := range answering() {
		t.Run(verb, func(t *testing.T) {
			l := open(t, stage.Named("answers", st), nil)
			check(t, l.Push(at(5), 1, 2, 3, 4, 5, 9), nil)
			check(t, l.Mark(shardlake.Mark{Commit: true}), nil)
			check(t, l.Rows, []int{1, 9})
			check(t, l.Times, []shardlake.Instant{5e6, 5e6})
			var dead []string
			for _, d := range l.Dead {
				dead = append(dead, d.Stage+" "+d.Lane+" "+d.Seq+" "+d.Reason+" "+string(d.Data))
			}
			check(t, dead, []string{"answers test 4 four 4", "answers test 5 five 5"})
			for _, bad := range []int{6, 7, 8} {
				l := open(t, stage.Named("answers", st), nil)
				err := errors.Join(l.Push(at(0), 1, bad), l.Mark(shardlake.Mark{Commit: true}))
				e, ok := errors.AsType[*shardlake.Error](err)
				if !ok || e.Stage != "answers" || e.Lane != "test" || e.Pos.Seq != "2" || e.Remedy == "" {
					t.Fatalf("%d: %v", bad, err)
				}
				if bad < 8 && !errors.Is(err, errBroken) || bad == 8 && !strings.Contains(err.Error(), "panic: boom") {
					t.Fatalf("%d: %v", bad, err)
				}
			}
		})
	}
}

// A panic of any verb without a name is told by verb and function.
func TestPanicNamesStageLanePosition(t *testing.T) {
	total := 0
	for verb, st := range map[string]stage.Stage[int, int]{
		"map":     stage.Map(explode),
		"filter":  stage.Filter(func(n int) bool { return explode(n) != 99 }),
		"flatmap": stage.FlatMap(func(n int, emit func(int)) { emit(explode(n)) }),
		"inspect": stage.Inspect(func(n int) { total += explode(n) }),
		"async":   stage.Async(1, func(_ context.Context, n int) (int, error) { return explode(n), nil }),
	} {
		_, err := stagetest.Run(stage.Filter(even).Then(st), 1, 2, 4)
		if err == nil || !strings.HasPrefix(err.Error(), "stage "+verb+"(stage_test.") || !strings.Contains(err.Error(), "lane test, position 3.0: panic: ") {
			t.Errorf("%s: %v", verb, err)
		}
	}
}

func TestThenComposesAndKeepsOrder(t *testing.T) {
	var seen []int
	st := stage.Inspect(func(n int) { seen = append(seen, n) }).Then(stage.Filter(even)).
		Then(stage.Map(func(n int) float64 { return float64(n) / 2 })).
		Then(stage.FlatMap(func(v float64, emit func(string)) { emit(fmt.Sprint(v)); emit("+") }))
	l := open(t, st, nil)
	check(t, l.Push(at(1), 1, 2, 3), nil)
	check(t, l.Push(at(-2), 4), nil)
	check(t, l.Push(at(3), 5), nil) // nothing passes: no empty batch, no trouble
	check(t, l.Mark(mark(3)), nil)
	check(t, seen, []int{1, 2, 3, 4, 5})
	check(t, l.Rows, []string{"1", "+", "2", "+"})
	check(t, l.Times, []shardlake.Instant{1e6, 1e6, -2e6, -2e6})
	check(t, l.Marks, []shardlake.Mark{mark(3)})
}

// batches records what arrives, with the record each row is made of.
type batches[T any] struct {
	sizes []int
	from  []string
	rows  []T
}

func (s *batches[T]) Push(_ context.Context, b shardlake.Batch[T]) error {
	s.sizes = append(s.sizes, len(b.Rows))
	for i := range b.Rows {
		s.from = append(s.from, b.From(i).Pos.Seq)
	}
	s.rows = append(s.rows, b.Rows...)
	_ = append(b.Rows, b.Rows[0]) // the receiver owns the batch: this must hurt nobody
	return nil
}
func (s *batches[T]) Mark(context.Context, shardlake.Mark) error { return nil }

// tap makes sink the end of st.
func tap[A, B any](st stage.Stage[A, B], sink shardlake.Emit[B]) stage.Stage[A, B] {
	return st.Then(func(*shardlake.Env, shardlake.Emit[B]) (shardlake.Emit[B], error) { return sink, nil })
}

func TestFlatMapFanOutIsBoundedInBatches(t *testing.T) {
	var got batches[int]
	l := open(t, tap(stage.FlatMap(func(n int, emit func(int)) {
		for i := range n {
			emit(i)
		}
	}), &got), nil)
	check(t, l.Push(at(0), 3, 100_000, 0, 2), nil)
	check(t, len(got.rows), 100_005)
	for _, n := range got.sizes {
		if n < 1 || n > 1024 {
			t.Fatalf("a batch of %d rows", n)
		}
	}
	for i, v := range got.rows {
		wantRow, from := i, "1"
		switch {
		case i >= 100_003:
			wantRow, from = i-100_003, "4"
		case i >= 3:
			wantRow, from = i-3, "2"
		}
		if v != wantRow || got.from[i] != from {
			t.Fatalf("row %d is %d of record %s", i, v, got.from[i])
		}
	}
}

func TestOriginsFollowRows(t *testing.T) {
	for verb, st := range answering() {
		var got batches[int]
		l := open(t, tap(st, &got), nil)
		check(t, l.Push(at(0), 2, 1, 4, 9, 3), nil)
		check(t, l.Mark(shardlake.Mark{Commit: true}), nil)
		if !reflect.DeepEqual(got.from, []string{"2", "4"}) {
			t.Errorf("%s: %v", verb, got.from)
		}
	}
}

func TestNilFunctionsAndEmptyNamesAreErrors(t *testing.T) {
	for name, st := range map[string]stage.Stage[int, int]{
		"filter":    stage.Filter[int](nil),
		"tryfilter": stage.TryFilter[int](nil),
		"map":       stage.Map[int, int](nil),
		"trymap":    stage.TryMap[int, int](nil),
		"flatmap":   stage.FlatMap[int, int](nil),
		"inspect":   stage.Inspect[int](nil),
		"async":     stage.Async[int, int](1, nil),
		"none":      stage.Async(0, func(_ context.Context, n int) (int, error) { return n, nil }),
		"then nil":  stage.Map(explode).Then[int](nil),
		"nil then":  stage.Stage[int, int](nil).Then(stage.Map(explode)),
		"named nil": stage.Named[int, int]("n", nil),
		"name":      stage.Named("", stage.Map(explode)),
	} {
		if l, err := stagetest.Open(st, nil); err == nil {
			l.Close()
			t.Errorf("%s: no error", name)
		}
	}
}
