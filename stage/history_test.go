package stage_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/stage"
)

// sec is a time in the tests of a property, in seconds since 1970.
func sec(s int) shardlake.Instant { return shardlake.Instant(s) * 1e6 }

// input is one record: a key, a time, and the watermark that follows from those before.
type input struct {
	id, at, high int
	key          string
}

// disorder makes n inputs of some keys, of which each is up to behind seconds out of
// order, and sometimes silence.
func disorder(r *rand.Rand, n, keys, behind int) []input {
	in, now, high := make([]input, n), -300, -1<<40
	for i := range in {
		now += r.IntN(9)
		if r.IntN(25) == 0 {
			now += r.IntN(200)
		}
		at := now - r.IntN(behind+1)
		high = max(high, at)
		in[i] = input{i, at, high, string(rune('a' + r.IntN(keys)))}
	}
	return in
}

// course is how a run is cut: into batches, marks, commits and owners.
type course struct {
	batch  int // rows, at most
	mark   int // one batch in so many is followed by a mark
	commit int // one in so many by a commit
	owner  int // and one in so many of these by another owner
}

// courses are three ways that a lane may go: at one stroke, as slowly as can be, and
// at random.
func courses(r *rand.Rand) []course {
	return []course{{1 << 20, 1 << 20, 1 << 20, 1}, {1, 1, 1, 1}, {1 + r.IntN(20), 1 + r.IntN(5), 1 + r.IntN(5), 1 + r.IntN(3)}, {3, 1, 1 << 20, 1}, {7, 1 << 20, 2, 1}}
}

// outcome is what a run has given out.
type outcome[Out any] struct {
	rows  []Out
	times []shardlake.Instant
	homes []string // partition keys
	late  []int
	dead  int
	env   *shardlake.Env
}

func (o *outcome[Out]) Push(_ context.Context, b shardlake.Batch[Out]) error {
	for i, v := range b.Rows {
		o.rows = append(o.rows, v)
		o.times = append(o.times, b.Origins[i].Time)
		o.homes = append(o.homes, b.From(i).Key)
	}
	return nil
}

func (o *outcome[Out]) Mark(context.Context, shardlake.Mark) error { return nil }

func (o *outcome[Out]) open(t *testing.T, st stage.Stage[input, Out], state shardlake.Kept) shardlake.Emit[input] {
	t.Helper()
	o.env = shardlake.NewEnv(t.Context(), shardlake.Host{Lane: "lane", State: state,
		Dead: func(_ context.Context, r *shardlake.Record, d shardlake.DeadLetter) error {
			o.dead++
			o.late = append(o.late, r.Pos.Sub)
			return nil
		}})
	in, err := st(o.env, o)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// commit takes a snapshot as a lane does, over what it held before.
func commit(t *testing.T, env *shardlake.Env, held shardlake.Kept) shardlake.Kept {
	t.Helper()
	next, err := env.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	for k, b := range next {
		if b == nil {
			if held[k] == nil {
				t.Fatalf("a commit refers to %q, which the one before has not", k)
			}
			next[k] = held[k]
		}
	}
	return next
}

// partitionOf is the partition key that an input comes under. That it is the row's key
// is what the stages want which see a key as a whole.
type partitionOf func(input) string

func ownKey(i input) string { return i.key }

// run gives inputs to a stage. What it returns must not depend on c.
func run[Out any](t *testing.T, r *rand.Rand, st stage.Stage[input, Out], in []input, part partitionOf, c course) *outcome[Out] {
	t.Helper()
	o := &outcome[Out]{}
	to, held, high := o.open(t, st, nil), shardlake.Kept(nil), shardlake.Never
	for rest := in; len(rest) > 0; {
		n := min(1+r.IntN(c.batch), len(rest))
		if c.batch == 1<<20 {
			n = len(rest)
		}
		var b shardlake.Batch[input]
		for i, v := range rest[:n] {
			b.Rows = append(b.Rows, v)
			b.Origins = append(b.Origins, shardlake.Origin{Time: sec(v.at), Record: int32(i)})
			b.Records = append(b.Records, shardlake.Record{Pos: shardlake.Position{Seq: "1", Sub: v.id}, Key: part(v), Watermark: sec(v.high)})
			high = sec(v.high)
		}
		rest = rest[n:]
		if err := to.Push(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		committing := r.IntN(c.commit) == 0 && c.commit < 1<<20
		if committing || r.IntN(c.mark) == 0 && c.mark < 1<<20 || len(rest) == 0 {
			if err := to.Mark(t.Context(), shardlake.Mark{Watermark: high, Commit: committing}); err != nil {
				t.Fatal(err)
			}
		}
		if committing {
			held = commit(t, o.env, held)
			if r.IntN(c.owner) == 0 {
				o.env.Close()
				to = o.open(t, st, held)
			}
		}
	}
	if err := to.Mark(t.Context(), end); err != nil {
		t.Fatal(err)
	}
	commit(t, o.env, held)
	o.env.Close()
	return o
}

// same runs a stage in all ways and returns what came out, which is the same, in the
// same order, at the same times, under the same partition keys.
func same[Out any](t *testing.T, r *rand.Rand, st stage.Stage[input, Out], in []input, part partitionOf) *outcome[Out] {
	t.Helper()
	var first *outcome[Out]
	for i, c := range courses(r) {
		o := run(t, r, st, in, part, c)
		if i == 0 {
			first = o
			continue
		}
		for what, pair := range map[string][2]any{"rows": {o.rows, first.rows}, "times": {o.times, first.times}, "partition keys": {o.homes, first.homes}, "late": {o.late, first.late}} {
			if got, want := fmt.Sprint(pair[0]), fmt.Sprint(pair[1]); got != want {
				t.Fatalf("%+v: other %s:\n%s\nthan at one stroke:\n%s", c, what, got, want)
			}
		}
	}
	return first
}

// seeds calls f with many seeds.
func seeds(t *testing.T, n uint64, f func(*testing.T, *rand.Rand)) {
	t.Helper()
	for seed := range n {
		f(t, rand.New(rand.NewPCG(seed, 99)))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
