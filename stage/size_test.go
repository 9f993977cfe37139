package stage_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/stage"
	"github.com/shardlake/shardlake/stage/stagetest"
	"github.com/shardlake/shardlake/stage/window"
)

// thrown is an end that keeps nothing.
type thrown[T any] struct{ rows int }

func (s *thrown[T]) Push(_ context.Context, b shardlake.Batch[T]) error {
	s.rows += len(b.Rows)
	return nil
}
func (*thrown[T]) Mark(context.Context, shardlake.Mark) error { return nil }

// weighed gives a stage n rows with keys of their own, and returns what its state says
// that it takes, and what it takes.
func weighed[In, Row any](t *testing.T, st stage.Stage[In, Row], n int, row func(int) In) (says, takes int64) {
	t.Helper()
	live := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	env := shardlake.NewEnv(t.Context(), shardlake.Host{})
	defer env.Close()
	out := &thrown[Row]{}
	in, err := st(env, out)
	check(t, err, nil)
	before := live()
	for i := 0; i < n; i += 1000 {
		var b shardlake.Batch[In]
		for j := range 1000 {
			b.Rows = append(b.Rows, row(i+j))
			b.Origins = append(b.Origins, shardlake.Origin{Record: int32(j)})
			b.Records = append(b.Records, shardlake.Record{Key: fmt.Sprintf("user-%012d", i+j)})
		}
		check(t, in.Push(t.Context(), b), nil)
	}
	takes = live() - before
	says = env.StateBytes()
	check(t, in.Mark(t.Context(), end), nil) // in a time that is not the square of n
	runtime.KeepAlive(in)
	return says, takes
}

// The task's budget is kept by what states say: that is within a factor of two of what
// they take, before anything has been committed.
func TestBytesIsWhatIsTaken(t *testing.T) {
	type row struct {
		Key string
		N   int
	}
	w := window.Tumbling(time.Minute).Grace(0)
	user := func(i int) string { return fmt.Sprintf("user-%012d", i) }
	self := func(s string) string { return s }
	number := func(i int) int { return i }
	long := strings.Repeat("x", 4000)
	for name, of := range map[string]func() (says, takes int64){
		"strings": func() (int64, int64) {
			return weighed(t, stage.Aggregate(w, self, func(k string, _ window.Span) row { return row{Key: k} }, func(r *row, _ string) { r.N++ }), 100_000, user)
		},
		"numbers": func() (int64, int64) {
			return weighed(t, stage.Aggregate(w, number, func(int, window.Span) int { return 0 }, func(n *int, _ int) { *n++ }), 100_000, number)
		},
		"dedup": func() (int64, int64) { return weighed(t, stage.Dedup(self, time.Hour), 100_000, user) },
		"keyed": func() (int64, int64) {
			return weighed(t, stage.Keyed(self, func(c *stage.Cell[string, int, int], _ string) error { *c.State()++; return nil }, nil), 100_000, user)
		},
		"sessions": func() (int64, int64) {
			return weighed(t, stage.Aggregate(window.Sessions(time.Minute).Grace(0), self, seedPane, func(*pane, string) {}), 50_000, user)
		},
		"long keys": func() (int64, int64) {
			return weighed(t, stage.Dedup(self, time.Hour), 10_000, func(i int) string { return fmt.Sprint(i, long) })
		},
	} {
		says, takes := of()
		t.Logf("%s: says %d, takes %d", name, says, takes)
		if says > 2*takes || takes > 2*says {
			t.Errorf("%s: says %d bytes, and takes %d", name, says, takes)
		}
	}
}

// Many keys, of which all that was kept goes at once: neither the mark nor what is
// noted for the next commit takes a time that grows with the square.
func TestManyKeysGoAtOnce(t *testing.T) {
	st := stage.AggregatePartial(window.Tumbling(time.Minute).Grace(0), func(n int) int { return n },
		func(int, window.Span) int { return 0 }, func(n *int, _ int) { *n++ })
	env := shardlake.NewEnv(t.Context(), shardlake.Host{})
	defer env.Close()
	out := &thrown[int]{}
	in, err := st(env, out)
	check(t, err, nil)
	const n = 250_000
	var b shardlake.Batch[int]
	b.Records = make([]shardlake.Record, 1)
	for i := range n {
		b.Rows, b.Origins = append(b.Rows, i), append(b.Origins, shardlake.Origin{})
	}
	check(t, in.Push(t.Context(), b), nil)
	kept, err := env.Snapshot()
	check(t, err, nil)
	check(t, in.Mark(t.Context(), mark(60)), nil)
	check(t, out.rows, n)
	next, err := env.Snapshot()
	check(t, err, nil)
	check(t, len(kept) == 1 && len(next) == 2, true)
}

type spot struct {
	Name string
	At   [2]int32
	When time.Time
	Flag bool
}

// Keys of all kinds find their cells again.
func TestKeysOfAllKinds(t *testing.T) {
	day := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	found(t, "", "\x00", "é", strings.Repeat("k", 1<<20))
	found(t, spot{}, spot{"a", [2]int32{1, -2}, day, true}, spot{"a", [2]int32{-2, 1}, day, true})
	found(t, [3]string{}, [3]string{"", "", "a"}, [3]string{"", "a"})
	found(t, day, time.Time{}, day.Add(time.Microsecond))
	found(t, int64(-1<<63), 1<<63-1, 0)
	found(t, uint64(1<<64-1), 0)
	found(t, 0.1, -1e300, 0)
	found(t, true, false)
	found(t, struct{}{})
	found(t, time.Duration(1), time.Hour)
}

func found[K comparable](t *testing.T, keys ...K) {
	t.Helper()
	type count struct {
		Key K
		N   int
	}
	st := stage.Named("s", stage.Aggregate(window.Tumbling(time.Minute).Grace(0), func(k K) K { return k },
		func(k K, _ window.Span) count { return count{Key: k} }, func(c *count, _ K) { c.N++ }).Then(stage.Map(func(c count) count { return c })))
	var state shardlake.Kept
	for range 3 {
		l := open(t, st, state)
		check(t, l.Push(at(0), keys...), nil)
		var err error
		state, err = l.Snapshot()
		check(t, err, nil)
	}
	heir, err := shardlake.Divide([]shardlake.Parent{{State: state}}, shardlake.HashRange{})
	check(t, err, nil)
	l := open(t, st, heir)
	check(t, l.Mark(end), nil)
	check(t, len(l.Rows), len(keys))
	for i, c := range l.Rows {
		if c.Key != keys[i] || c.N != 3 {
			t.Errorf("%.50v: %d", c.Key, c.N)
		}
	}
}

// A long key does not push the cause out of an error.
func TestErrorsWithLongKeys(t *testing.T) {
	key := strings.Repeat("k", 1<<20)
	env := shardlake.NewEnv(t.Context(), shardlake.Host{Lane: "lane"})
	defer env.Close()
	in, err := stage.Aggregate(window.Tumbling(time.Minute).Grace(0), func(string) string { return key }, seedPane, func(*pane, string) {})(env, &thrown[pane]{})
	check(t, err, nil)
	err = in.Push(t.Context(), shardlake.Batch[string]{Rows: []string{"a", "b"}, Origins: []shardlake.Origin{{}, {Record: 1}}, Records: []shardlake.Record{{Key: "a"}, {Key: "b"}}})
	wants(t, err, "kkk... (1048576 bytes)", `"a" and "b"`, "stage.AggregatePartial")
	l := open(t, by(key+"\xff", 0), nil)
	check(t, l.Push(at(0), 1), nil)
	_, err = l.Snapshot()
	wants(t, err, "kkk... (1048", "UTF-8")
	if len(err.Error()) > 1000 {
		t.Errorf("%d bytes of error", len(err.Error()))
	}
}

// fuse is a row whose methods panic.
type fuse struct {
	N   int
	Bad string
}

func (f *fuse) Merge(o fuse) {
	if f.Bad == "Merge" {
		panic("of Merge")
	}
}

// SetWindow may panic.
func (f *fuse) SetWindow(window.Span) {
	if f.Bad == "SetWindow" {
		panic("of SetWindow")
	}
}

// A panic in a method of a row is told with stage, lane, position and method.
func TestPanicsOfRowMethods(t *testing.T) {
	of := func(w window.Window, bad string) stage.Stage[input, fuse] {
		return stage.Aggregate(w, input.user, func(string, window.Span) fuse { return fuse{Bad: bad} }, func(*fuse, input) {})
	}
	sessions, tumbling := window.Sessions(seconds(10)).Grace(seconds(100)), window.Tumbling(seconds(10)).Grace(0)
	for name, w := range map[string]window.Window{"sessions": sessions, "tumbling": tumbling} {
		l := open(t, of(w, "SetWindow"), nil)
		check(t, l.Push(at(0), input{key: "a"}, input{key: "b"}), nil)
		err := l.Mark(end)
		wants(t, err, "stage aggregate(", "lane test, position 2.0", "panic: of SetWindow", "the method SetWindow")
		var e *shardlake.Error
		if !errors.As(err, &e) || e.Remedy == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	l := open(t, of(sessions, "Merge"), nil)
	wants(t, errors.Join(l.Push(at(0), input{key: "a"}), l.Push(at(15), input{key: "a"}), l.Push(at(8), input{key: "a"})), "stage aggregate(", "position 3.0", "panic: of Merge")

	partial := stage.Named("s", stage.AggregatePartial(tumbling, input.user, func(string, window.Span) fuse { return fuse{Bad: "Merge"} }, func(*fuse, input) {}))
	state, err := shardlake.Divide(parted(t, partial), shardlake.HashRange{})
	check(t, err, nil)
	wants(t, reopen(partial)(state), `"s"`, `"k":"k"`, "panic: of Merge", "the method Merge")
	_, err = stagetest.Run(of(tumbling, ""), input{key: "a"})
	check(t, err, nil)
}
