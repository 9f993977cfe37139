package stage_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/stage"
	"github.com/shardlake/shardlake/stage/stagetest"
	"github.com/shardlake/shardlake/stage/window"
)

type minute struct {
	Key  string
	From shardlake.Instant
	N    int
}

func perMinute(grace time.Duration) stage.Stage[string, minute] {
	return stage.AggregatePartial(window.Tumbling(time.Minute).Grace(grace), func(s string) string { return s },
		func(k string, s window.Span) minute { return minute{Key: k, From: s.Start / 60e6} },
		func(m *minute, _ string) { m.N++ })
}

var end = shardlake.Mark{Watermark: shardlake.Forever, Commit: true}

// E4: late is what belongs to a closed window, and nothing else.
func TestLateIsOnlyWhatBelongsToAClosedWindow(t *testing.T) {
	ten := time.Date(2026, 1, 1, 10, 0, 0, 0, time.UTC)
	l := open(t, perMinute(30*time.Second), nil)
	check(t, l.Push(ten.Add(80*time.Second), "a"), nil)
	check(t, l.Mark(shardlake.Mark{Watermark: shardlake.At(ten.Add(80 * time.Second))}), nil)
	check(t, l.Push(ten.Add(10*time.Second), "a"), nil) // below the watermark, window open
	check(t, len(l.Dead), 0)
	check(t, l.Push(ten.Add(90*time.Second-time.Microsecond), "a"), nil)
	check(t, l.Push(ten.Add(11*time.Second), "a"), nil)
	check(t, len(l.Dead), 0)
	check(t, l.Push(ten.Add(90*time.Second), "a"), nil) // closes 10:00
	check(t, l.Push(ten.Add(12*time.Second), "a"), nil) // late although it has not fired
	check(t, len(l.Dead), 1)
	check(t, l.Dead[0].Reason, shardlake.ErrLate.Error())
	check(t, l.Mark(end), nil)
	from := shardlake.At(ten) / 60e6
	check(t, l.Rows, []minute{{"a", from, 2}, {"a", from + 1, 3}})
	check(t, l.Times[0], shardlake.At(ten.Add(time.Minute))-1)
}

func TestMarkIsHeldBackByTheGrace(t *testing.T) {
	l := open(t, perMinute(10*time.Second), nil)
	check(t, l.Push(at(5), "a"), nil)
	check(t, l.Mark(mark(69)), nil)
	check(t, len(l.Rows), 0)
	check(t, l.Mark(mark(70)), nil)
	check(t, l.Rows, []minute{{"a", 0, 1}})
	check(t, l.Mark(end), nil)
	check(t, l.Marks, []shardlake.Mark{mark(59), mark(60), end})
}

type event struct {
	at  int // seconds since 1970, which may be negative
	key string
}

// plain is what Aggregate promises, as a loop.
func plain(events []event, grace int) (rows []minute, late int) {
	high, n := -1<<40, map[minute]int{}
	for _, e := range events {
		high = max(high, e.at)
		from := (e.at+600_000)/60 - 10_000 // rounds down
		if high-grace >= (from+1)*60 {
			late++
			continue
		}
		n[minute{Key: e.key, From: shardlake.Instant(from)}]++
	}
	for m, c := range n {
		m.N = c
		rows = append(rows, m)
	}
	slices.SortFunc(rows, byWindow)
	return rows, late
}

func byWindow(a, b minute) int {
	if a.From != b.From {
		return int(a.From - b.From)
	}
	return strings.Compare(a.Key, b.Key)
}

// raw is an opened lane that is given records with their watermarks, which a real
// lane keeps across owners and a stagetest.Lane does not.
type raw struct {
	t    *testing.T
	env  *shardlake.Env
	in   shardlake.Emit[string]
	out  *batches[minute]
	late *int
}

func openRaw(t *testing.T, st stage.Stage[string, minute], state map[string][]byte, out *batches[minute], late *int) raw {
	t.Helper()
	env := shardlake.NewEnv(t.Context(), shardlake.Host{Lane: "raw", State: state,
		Dead: func(_ context.Context, _ *shardlake.Record, d shardlake.DeadLetter) error {
			check(t, d.Reason, shardlake.ErrLate.Error())
			*late++
			return nil
		}})
	in, err := st(env, out)
	check(t, err, nil)
	return raw{t, env, in, out, late}
}

func (l raw) push(high int, events ...event) (now int) {
	var b shardlake.Batch[string]
	for i, e := range events {
		high = max(high, e.at)
		b.Rows = append(b.Rows, e.key)
		b.Origins = append(b.Origins, shardlake.Origin{Time: shardlake.At(at(e.at)), Record: int32(i)})
		b.Records = append(b.Records, shardlake.Record{Pos: shardlake.Position{Seq: "1"}, Key: "\xff", Watermark: shardlake.At(at(high))})
	}
	check(l.t, l.in.Push(l.t.Context(), b), nil)
	return high
}

// Random disorder around 1970, against the loop: batches cut anywhere, marks
// anywhere, and a snapshot and another owner after every batch change nothing.
func TestAggregateAgainstPlainLoop(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		events, grace := make([]event, 200), r.IntN(90)
		for i := range events {
			events[i] = event{i*4 - 400 + r.IntN(200) - 100, string(rune('a' + r.IntN(3)))}
		}
		want, wantLate := plain(events, grace)
		st := perMinute(time.Duration(grace) * time.Second)
		var once, steps batches[minute]
		var onceLate, stepsLate int
		straight, l := openRaw(t, st, nil, &once, &onceLate), openRaw(t, st, nil, &steps, &stepsLate)
		straight.push(-1<<40, events...)
		high, state := -1<<40, shardlake.Kept(nil)
		for rest := events; len(rest) > 0; {
			n := min(1+r.IntN(5), len(rest))
			high = l.push(high, rest[:n]...)
			rest = rest[n:]
			if r.IntN(3) == 0 {
				check(t, l.in.Mark(t.Context(), mark(high)), nil)
			}
			next, err := l.env.Snapshot()
			check(t, err, nil)
			for k, b := range next {
				if b == nil {
					next[k] = state[k]
				}
			}
			state = next
			l = openRaw(t, st, state, &steps, &stepsLate)
		}
		check(t, errors.Join(straight.in.Mark(t.Context(), end), l.in.Mark(t.Context(), end)), nil)
		check(t, steps.rows, once.rows) // in the same order, too
		check(t, []int{onceLate, stepsLate}, []int{wantLate, wantLate})
		slices.SortFunc(once.rows, byWindow)
		check(t, once.rows, want)
	}
}

// Minutes feed hours, and no minute is late for its hour, because of that hold.
func TestAggregateOfAggregate(t *testing.T) {
	hours := perMinute(10 * time.Second).Then(stage.AggregatePartial(window.Tumbling(time.Hour).Grace(0),
		func(m minute) string { return m.Key }, func(string, window.Span) int { return 0 }, func(n *int, m minute) { *n += m.N }))
	l := open(t, hours, nil)
	for s := range 7200 {
		check(t, errors.Join(l.Push(at(s-3600), "a"), l.Mark(mark(s-3600))), nil)
	}
	check(t, l.Mark(end), nil)
	check(t, l.Rows, []int{3600, 3600})
	check(t, len(l.Dead), 0)
}

// What fires is given on in batches that a stage behind may own.
func TestAggregateOriginIsTheNewestRecord(t *testing.T) {
	var got batches[minute]
	l := open(t, tap(perMinute(0), &got), nil)
	check(t, l.Push(at(1), "a", "b"), nil)
	check(t, l.Push(at(2), "a"), nil)
	check(t, l.Mark(end), nil)
	check(t, got.rows, []minute{{"a", 0, 2}, {"b", 0, 1}})
	check(t, got.from, []string{"3", "3"})
}

func TestAggregatePanicsAreErrors(t *testing.T) {
	w := window.Tumbling(time.Minute).Grace(0)
	key := func(n int) int { return n }
	seed := func(int, window.Span) int { return 0 }
	fold := func(*int, int) {}
	for name, st := range map[string]stage.Stage[int, int]{
		"key":  stage.Aggregate(w, explode, seed, fold),
		"seed": stage.Aggregate(w, key, func(k int, _ window.Span) int { return explode(k) }, fold),
		"fold": stage.Aggregate(w, key, seed, func(sum *int, n int) { *sum += explode(n) }),
	} {
		_, err := stagetest.Run(st, 1, 4)
		if err == nil || !strings.Contains(err.Error(), "lane test, position 2.0: panic: ") || !strings.HasPrefix(err.Error(), "stage aggregate(") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, st := range map[string]stage.Stage[int, int]{
		"nil key":        stage.Aggregate(w, nil, seed, fold),
		"nil seed":       stage.Aggregate(w, key, nil, fold),
		"nil fold":       stage.Aggregate(w, key, seed, nil),
		"no size":        stage.Aggregate(window.Tumbling(0).Grace(0), key, seed, fold),
		"negative grace": stage.Aggregate(window.Tumbling(time.Hour).Grace(-1), key, seed, fold),
		"nanoseconds":    stage.Aggregate(window.Tumbling(1500).Grace(0), key, seed, fold),
	} {
		if l, err := stagetest.Open(st, nil); err == nil {
			l.Close()
			t.Errorf("%s: no error", name)
		}
	}
}
