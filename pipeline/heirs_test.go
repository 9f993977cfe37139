package pipeline_test

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/source"
	"github.com/shardlake/shardlake/stage"
	"github.com/shardlake/shardlake/stage/window"
)

// resharded is a stream of two shards that are merged into one, which is split.
type resharded struct{ *source.Slices[event] }

func halves() (low, high shardlake.HashRange) {
	mid, next := shardlake.MaxHash, shardlake.Hash{}
	mid[0], next[0] = 0x7f, 0x80
	return shardlake.HashRange{To: mid}, shardlake.HashRange{From: next, To: shardlake.MaxHash}
}

func (m resharded) Lanes(ctx context.Context) (source.Listing, error) {
	l, err := m.Slices.Lanes(ctx)
	low, high := halves()
	l.Lanes[0].Range, l.Lanes[1].Range = low, high
	l.Lanes[2].Range, l.Lanes[2].Parents = shardlake.HashRange{To: shardlake.MaxHash}, []string{"values-0", "values-1"}
	l.Lanes[3].Range, l.Lanes[3].Parents = low, []string{"values-2"}
	l.Lanes[4].Range, l.Lanes[4].Parents = high, []string{"values-2"}
	return l, err
}

func (m resharded) Open(l source.Lane, from source.Start) (source.Fetcher, error) {
	inner, err := m.Slices.Open(l, from)
	if l.ID < "values-3" {
		inner = shardEnd{inner}
	}
	return inner, err
}

// visitRow is a session of a key.
type visitRow struct {
	Key        string
	N, Sum     int
	Start, End int64
}

func (v *visitRow) Merge(o visitRow)        { v.N, v.Sum = v.N+o.N, v.Sum+o.Sum }
func (v *visitRow) SetWindow(s window.Span) { v.Start, v.End = int64(s.Start)/1e6, int64(s.End)/1e6 }

type counted struct {
	Key   string
	Nth   int
	Woken bool
}

// every stateful stage at once: sums per minute, sessions, the first of each ID, and
// a count of a user's own that is told when a key has been silent for ten minutes.
func stateful(p *pipeline.Pipeline, src source.Source[event], folder func(string) sink.Folder) {
	key := func(e event) string { return e.Key }
	in := p.Read(src)
	in.Via(stage.Aggregate(window.Tumbling(time.Minute).Grace(0), key,
		func(k string, s window.Span) perKey { return perKey{Key: k, Min: int64(s.Start) / 60e6} },
		func(r *perKey, e event) { r.N++; r.Sum += e.ID })).Write(folder("sums"), jsonl)
	in.Via(stage.Aggregate(window.Sessions(200*time.Second).Grace(0), key,
		func(k string, _ window.Span) visitRow { return visitRow{Key: k} },
		func(r *visitRow, e event) { r.N++; r.Sum += e.ID })).Write(folder("visits"), jsonl)
	in.Via(stage.Dedup(func(e event) int { return e.ID }, time.Hour)).Write(folder("first"), jsonl)
	in.Via(stage.Keyed(key,
		func(c *stage.Cell[string, int, counted], e event) error {
			*c.State()++
			c.Emit(counted{Key: c.Key(), Nth: *c.State()})
			c.Wake(c.Time() + 600e6)
			return nil
		},
		func(c *stage.Cell[string, int, counted]) error {
			c.Emit(counted{c.Key(), *c.State(), true})
			return nil
		})).Write(folder("counts"), jsonl)
	p.Dead().Write(folder("dead"), jsonl)
}

// statefulWant is the same by plain loops over each key's events.
func statefulWant(all []event) map[string]int {
	rows := map[string]int{}
	line := func(kind string, v any) {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		rows[kind+" "+string(b)]++
	}
	byKey, seen := map[string][]event{}, map[int]bool{}
	for _, e := range all {
		byKey[e.Key] = append(byKey[e.Key], e)
		if !seen[e.ID] {
			line("first", e)
		}
		seen[e.ID] = true
	}
	for key, events := range byKey {
		sums := map[int]perKey{}
		var v visitRow
		for i, e := range events {
			m := e.Sec / 60
			sums[m] = perKey{key, int64(m), sums[m].N + 1, sums[m].Sum + e.ID}
			switch {
			case i == 0:
				v = visitRow{Key: key, Start: int64(e.Sec)}
			case e.Sec-events[i-1].Sec >= 200:
				line("visits", v)
				v = visitRow{Key: key, Start: int64(e.Sec)}
			}
			v.N, v.Sum, v.End = v.N+1, v.Sum+e.ID, int64(e.Sec)+200
			if i > 0 && e.Sec-events[i-1].Sec >= 600 {
				line("counts", counted{key, i, true})
			}
			line("counts", counted{Key: key, Nth: i + 1})
		}
		line("visits", v)
		line("counts", counted{key, len(events), true})
		for _, s := range sums {
			line("sums", s)
		}
	}
	return rows
}

// What stages keep follows its key through a merge and a split, wherever the process
// dies: each total is that of a plain loop, however many shards had a part in it.
func TestStateFollowsItsKey(t *testing.T) {
	low, _ := halves()
	lanes := make([][]event, 5)
	var all []event
	for i := range 60 {
		e := event{ID: i, Sec: i * 25, Key: string(rune('a' + i%7))}
		if i%9 == 8 {
			e.ID = i - 7 // the same key, again
		}
		if i >= 40 {
			e.Sec += 700 // all keys are silent, in the merged shard
		}
		all = append(all, e)
		half := 1
		if low.Contains(shardlake.HashOf(e.Key)) {
			half = 0
		}
		switch { // the reshards lie within minutes and visits
		case i < 18:
			lanes[half] = append(lanes[half], e)
		case i < 43:
			lanes[2] = append(lanes[2], e)
		default:
			lanes[3+half] = append(lanes[3+half], e)
		}
	}
	for _, l := range lanes {
		if len(l) < 5 {
			t.Fatal("a shard has too little to do")
		}
	}
	wanted := statefulWant(all)
	kills := 0
	for kill := 1; ; kill += 3 {
		killed := false
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.check = func(visible map[string][]byte) error { return within(rows(visible), wanted) }
			run := func(p *process, b boundaries) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				p.die = cancel
				pipe := pipeline.New(pipeline.Config{Leases: p.table(), CommitRecords: b.commit})
				src := source.Lanes(slices.Clone(lanes)...).At(event.when).Keyed(func(e event) string { return e.Key }).Fetching(b.fetch)
				stateful(pipe, resharded{src}, p.folder)
				if err := pipe.Run(ctx); err != nil && !p.dead {
					t.Fatal(err)
				}
				killed = killed || p.dead
			}
			run(&process{world: w, killAt: kill, after: kill%2 == 0}, boundaries{1 + kill%3, 2 + kill%5})
			run(&process{world: w, killAt: 10 + kill%37, after: kill%3 == 0}, boundaries{3, 1 + kill%4})
			run(&process{world: w}, boundaries{2, 7})
			if got := rows(w.lake.Objects()); !maps.Equal(got, wanted) {
				t.Errorf("killed at %d:%s", kill, diff(got, wanted))
			}
		})
		if t.Failed() || !killed {
			break
		}
		kills++
	}
	if kills < 50 {
		t.Errorf("only %d kill points", kills)
	}
	t.Logf("%d kill points", kills)
}
