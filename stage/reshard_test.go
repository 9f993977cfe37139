package stage_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/stage"
	"github.com/shardlake/shardlake/stage/window"
)

// sharded is a stream whose shards are split and merged while it is read. All have one
// watermark: what floors do is the business of package pipeline.
type sharded[Out any] struct {
	t     *testing.T
	st    stage.Stage[input, Out]
	open  []*shard[Out]
	ended []*outcome[Out]
}

// shard is one of them.
type shard[Out any] struct {
	of  shardlake.HashRange
	out *outcome[Out]
	in  shardlake.Emit[input]
}

func (s *sharded[Out]) begin(of shardlake.HashRange, parents ...shardlake.Parent) {
	s.t.Helper()
	state, err := shardlake.Divide(parents, of)
	check(s.t, err, nil)
	next := &shard[Out]{of: of, out: &outcome[Out]{}}
	next.in = next.out.open(s.t, s.st, state)
	// The first commit, before the first record, is what was adopted; and then another
	// owner may be first to do anything.
	next.out.env.Close()
	next.in = next.out.open(s.t, s.st, state)
	s.open = append(s.open, next)
}

// end makes the last commit of shard i.
func (s *sharded[Out]) end(i int, high shardlake.Instant) shardlake.Parent {
	s.t.Helper()
	l := s.open[i]
	s.open = slices.Delete(s.open, i, i+1)
	check(s.t, l.in.Mark(s.t.Context(), shardlake.Mark{Watermark: high, Commit: true}), nil)
	state := commit(s.t, l.out.env, nil)
	l.out.env.Close()
	s.ended = append(s.ended, l.out)
	return shardlake.Parent{State: state, Range: l.of}
}

// halve splits a range in its middle.
func halve(of shardlake.HashRange) (a, b shardlake.HashRange) {
	mid, carry := shardlake.Hash{}, 0
	for i := range mid {
		sum := carry<<8 + int(of.From[i]) + int(of.To[i])
		mid[i], carry = byte(sum/2), sum%2
		if sum/2 > 255 {
			mid[i-1]++
		}
	}
	next, _ := mid.Next()
	return shardlake.HashRange{From: of.From, To: mid}, shardlake.HashRange{From: next, To: of.To}
}

// reshards gives in to a stream that is divided at random, and returns all that came
// out, in the order in which each shard gave it, parents first.
func reshards[Out any](t *testing.T, r *rand.Rand, st stage.Stage[input, Out], in []input, part partitionOf) (rows []Out, late []int) {
	t.Helper()
	s := &sharded[Out]{t: t, st: st}
	s.begin(shardlake.HashRange{To: shardlake.MaxHash})
	high := shardlake.Never
	for _, v := range in {
		for _, l := range s.open {
			if l.of.Contains(shardlake.HashOf(part(v))) {
				high = sec(v.high)
				check(t, l.in.Push(t.Context(), shardlake.Batch[input]{Rows: []input{v}, Origins: []shardlake.Origin{{Time: sec(v.at)}},
					Records: []shardlake.Record{{Pos: shardlake.Position{Seq: "1", Sub: v.id}, Key: part(v), Watermark: high}}}), nil)
			}
		}
		for _, l := range s.open {
			if r.IntN(3) == 0 {
				check(t, l.in.Mark(t.Context(), shardlake.Mark{Watermark: high}), nil)
			}
		}
		switch i := r.IntN(len(s.open)); {
		case r.IntN(12) == 0 && len(s.open) < 6:
			a, b := halve(s.open[i].of)
			p := s.end(i, high)
			s.begin(a, p)
			s.begin(b, p)
		case r.IntN(12) == 0:
			for j, o := range s.open {
				if next, ok := s.open[i].of.To.Next(); ok && o.of.From == next {
					both := shardlake.HashRange{From: s.open[i].of.From, To: o.of.To}
					p := s.end(max(i, j), high)
					q := s.end(min(i, j), high)
					s.begin(both, p, q)
					break
				}
			}
		}
	}
	for len(s.open) > 0 {
		l := s.open[0]
		check(t, l.in.Mark(t.Context(), shardlake.Mark{Watermark: high}), nil)
		s.end(0, shardlake.Forever)
	}
	for _, o := range s.ended {
		rows, late = append(rows, o.rows...), append(late, o.late...)
	}
	slices.Sort(late)
	return rows, late
}

// bag is rows without their order.
func bag[T any](rows []T) map[string]int {
	m := map[string]int{}
	for _, r := range rows {
		m[fmt.Sprint(r)]++
	}
	return m
}

// What comes out of a stream that is split and merged at random is what comes out of
// one that is not.
func TestReshardsChangeNothing(t *testing.T) {
	row, wake := whims()
	seeds(t, 25, func(t *testing.T, r *rand.Rand) {
		in := disorder(r, 150, 9, 50)
		g := seconds(r.IntN(40))
		for name, st := range map[string]stage.Stage[input, pane]{
			"hopping":  stage.Aggregate(window.Hopping(seconds(30), seconds(10)).Grace(g), input.user, seedPane, foldPane),
			"panes":    stage.Aggregate(window.Tumbling(seconds(30)).Grace(g).Early(seconds(7)).Late(seconds(20)), input.user, seedPane, foldPane),
			"sessions": stage.Aggregate(window.Sessions(seconds(25)).Longest(seconds(90)).Grace(g), input.user, seedPane, foldPane),
		} {
			once := run(t, r, st, in, ownKey, courses(r)[0])
			rows, late := reshards(t, r, st, in, ownKey)
			slices.Sort(once.late)
			if !maps.Equal(bag(rows), bag(once.rows)) || !slices.Equal(late, once.late) {
				t.Fatalf("%s:\n%v %v, want\n%v %v", name, rows, late, once.rows, once.late)
			}
		}
		once := run(t, r, stage.Dedup(input.user, seconds(20)), in, ownKey, courses(r)[0])
		rows, _ := reshards(t, r, stage.Dedup(input.user, seconds(20)), in, ownKey)
		check(t, bag(rows), bag(once.rows))
		keyed := stage.Keyed(input.user, row, wake)
		told, _ := reshards(t, r, keyed, in, ownKey)
		check(t, bag(told), bag(run(t, r, keyed, in, ownKey, courses(r)[0]).rows))
	})
}

// bare is a pane that cannot take in another.
type bare struct {
	Key  string
	From int
	Pane int
	IDs  []int
}

// A key whose records lie in several shards: all rows of it, of whichever shards, add
// up; two that were merged make one if the row can take in another, else they come out
// side by side.
func TestPartialRowsAddUpThroughMerges(t *testing.T) {
	anyPart := func(i input) string { return fmt.Sprint("part ", i.id%7) }
	seeds(t, 25, func(t *testing.T, r *rand.Rand) {
		in := disorder(r, 200, 2, 40)
		w := window.Tumbling(seconds(60)).Grace(seconds(30))
		if r.IntN(2) == 0 {
			w = w.Early(seconds(13)).Late(seconds(20))
		}
		want, wantLate := map[string][]int{}, run(t, r, stage.AggregatePartial(w, input.user, seedPane, foldPane), in, anyPart, courses(r)[0]).late
		slices.Sort(wantLate)
		for _, v := range in {
			if _, late := slices.BinarySearch(wantLate, v.id); !late {
				k := fmt.Sprint(v.key, int(w.Span(sec(v.at)).Start/1e6))
				want[k] = append(want[k], v.id)
			}
		}
		total := func(add func(yield func(string, int, []int))) map[string][]int {
			sum := map[string][]int{}
			add(func(k string, from int, ids []int) {
				k = fmt.Sprint(k, from)
				sum[k] = append(sum[k], ids...)
				slices.Sort(sum[k])
			})
			return sum
		}
		rows, late := reshards(t, r, stage.AggregatePartial(w, input.user, seedPane, foldPane), in, anyPart)
		check(t, late, wantLate)
		check(t, total(func(yield func(string, int, []int)) {
			for _, p := range rows {
				yield(p.Key, p.From, p.IDs)
			}
		}), want)
		apart, late := reshards(t, r, stage.AggregatePartial(w, input.user,
			func(k string, s window.Span) bare { return bare{k, int(s.Start / 1e6), s.Pane, nil} }, func(b *bare, i input) { b.IDs = append(b.IDs, i.id) }), in, anyPart)
		check(t, late, wantLate)
		check(t, total(func(yield func(string, int, []int)) {
			for _, p := range apart {
				yield(p.Key, p.From, p.IDs)
			}
		}), want)
	})
}

// parted are two parents that have both seen the key k, at the watermark 0, and end.
func parted[Out any](t *testing.T, st stage.Stage[input, Out]) []shardlake.Parent {
	t.Helper()
	low, high := halve(shardlake.HashRange{To: shardlake.MaxHash})
	var parents []shardlake.Parent
	for i, of := range []shardlake.HashRange{low, high} {
		part := "0"
		for n := 0; !of.Contains(shardlake.HashOf(part)); n++ {
			part = fmt.Sprint(n)
		}
		o := &outcome[Out]{}
		in := o.open(t, st, nil)
		check(t, in.Push(t.Context(), shardlake.Batch[input]{Rows: []input{{id: i, key: "k"}}, Origins: []shardlake.Origin{{Time: sec(i)}},
			Records: []shardlake.Record{{Key: part, Watermark: sec(i)}}}), nil)
		parents = append(parents, shardlake.Parent{State: commit(t, o.env, nil), Range: of})
		o.env.Close()
	}
	return parents
}

// Two parents had one key: windows make one row or two, Dedup remembers the later, and
// Keyed makes one of two or says what it needs.
func TestOneKeyOfTwoParents(t *testing.T) {
	w := window.Tumbling(seconds(60)).Grace(0)
	partial := stage.Named("s", stage.AggregatePartial(w, input.user, seedPane, foldPane))
	state, err := shardlake.Divide(parted(t, partial), shardlake.HashRange{})
	check(t, err, nil)
	l := open(t, partial, state)
	check(t, l.Mark(end), nil)
	check(t, l.Rows, []pane{{"k", 0, 60, 0, []int{0, 1}}})

	two := stage.Named("s", stage.AggregatePartial(w, input.user,
		func(k string, s window.Span) bare { return bare{Key: k} }, func(b *bare, i input) { b.IDs = append(b.IDs, i.id) }))
	state, err = shardlake.Divide(parted(t, two), shardlake.HashRange{})
	check(t, err, nil)
	side := open(t, two, state)
	check(t, side.Push(at(2), input{id: 2, key: "k"}), nil)
	kept, err := side.Snapshot() // both are kept on
	check(t, err, nil)
	side = open(t, two, kept)
	check(t, side.Mark(end), nil)
	check(t, side.Rows, []bare{{Key: "k", IDs: []int{0, 2}}, {Key: "k", IDs: []int{1}}})

	dedup := stage.Named("s", stage.Dedup(input.user, seconds(10)))
	turned := parted(t, dedup)
	slices.Reverse(turned)
	for name, parents := range map[string][]shardlake.Parent{"in order": parted(t, dedup), "turned round": turned} {
		state, err = shardlake.Divide(parents, shardlake.HashRange{})
		check(t, err, nil)
		d := open(t, dedup, state)
		check(t, d.Push(at(10), input{key: "k"}), nil) // 10 s after the first, 9 after the second
		if len(d.Rows) > 0 {
			t.Errorf("%s: a copy within 10 s passed", name)
		}
		check(t, d.Push(at(11), input{key: "k"}), nil)
		check(t, len(d.Rows), 1)
	}

	keyed := func() stage.Stage[input, int] {
		return stage.Named("s", stage.Keyed(input.user, func(c *stage.Cell[string, int, int], _ input) error { *c.State()++; return nil }, nil))
	}
	state, err = shardlake.Divide(parted(t, keyed()), shardlake.HashRange{})
	check(t, err, nil)
	err = reopen(keyed())(state)
	wants(t, err, `"s"`, `"k"`, "two shards that were merged", "a method Merge")
}
