package pipeline_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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

type event struct {
	ID, Sec int
	Key     string
}

type perKey struct {
	Key string
	Min int64
	N   int
	Sum int
}

func (e event) when() time.Time { return time.Unix(int64(e.Sec), 0) }

// events run forward with jitter; some come after their window and its grace.
func events(n, seed int) (out []event) {
	for i := range n {
		e := event{ID: seed*1000 + i, Sec: i * 7, Key: string(rune('a' + i%3))}
		if i%5 == 3 {
			e.Sec = max(0, e.Sec-25)
		}
		if i%13 == 12 {
			e.Sec = max(0, e.Sec-120)
		}
		out = append(out, e)
	}
	return out
}

const grace = 20

func perMinute() stage.Stage[event, perKey] {
	return stage.Aggregate(window.Tumbling(time.Minute).Grace(grace*time.Second), func(e event) string { return e.Key },
		func(k string, s window.Span) perKey { return perKey{Key: k, Min: int64(s.Start) / 60e6} },
		func(r *perKey, e event) { r.N++; r.Sum += e.ID })
}

var errRefused = errors.New("refused")

// build is the pipeline of the crash tests: raw rows by Hive partition, sums per
// window behind an asynchronous call, and dead letters.
func build(p *pipeline.Pipeline, src source.Source[event], folder func(string) sink.Folder) {
	in := p.Read(src)
	in.Write(folder("raw").By(sink.Hour("hour"), sink.Field("key")), jsonl)
	in.Via(stage.TryMap(func(e event) (event, error) {
		if e.ID%11 == 5 {
			return e, shardlake.Reject(errRefused)
		}
		return e, nil
	})).
		Via(stage.Async(3, func(_ context.Context, e event) (event, error) { return e, nil })).
		Via(perMinute()).
		Write(folder("sums"), jsonl)
	p.Dead().Write(folder("dead"), jsonl)
}

// want computes the same answer by a plain loop that knows no engine.
func want(lanes ...[]event) map[string]int {
	rows := map[string]int{}
	line := func(kind string, v any) {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		rows[kind+" "+string(b)]++
	}
	for n, all := range lanes {
		sums, high := map[[2]any]perKey{}, -1
		for i, e := range all {
			high = max(high, e.Sec)
			line("raw", e)
			minute := e.Sec / 60
			switch {
			case e.ID%11 == 5:
				rows[fmt.Sprintf("dead values-%d %d %v", n, i+1, errRefused)]++
			case high-grace >= minute*60+60:
				rows[fmt.Sprintf("dead values-%d %d %v", n, i+1, shardlake.ErrLate)]++
			default:
				s := sums[[2]any{minute, e.Key}]
				sums[[2]any{minute, e.Key}] = perKey{e.Key, int64(minute), s.N + 1, s.Sum + e.ID}
			}
		}
		for _, s := range sums {
			line("sums", s)
		}
	}
	return rows
}

// boundaries of one attempt: constant ones would hide the worst mistakes.
type boundaries struct{ fetch, commit int }

// fileBytes is another size of files for other boundaries: where files are cut is
// no part of what is exact (case D7).
func (b boundaries) fileBytes() int64 { return int64(100 + 97*b.fetch + 31*b.commit) }

// run runs one process to its end or death.
func (p *process) run(b boundaries, lanes ...[]event) (killed bool) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	p.die = cancel
	pipe := pipeline.New(pipeline.Config{Leases: p.table(), CommitRecords: b.commit, CommitEvery: time.Hour})
	build(pipe, source.Lanes(lanes...).At(event.when).Fetching(b.fetch), func(prefix string) sink.Folder {
		f := p.folder(prefix)
		f.FileBytes = b.fileBytes()
		return f
	})
	err := pipe.Run(ctx)
	if err != nil && !p.dead {
		p.t.Fatalf("%+v: %v", b, err)
	}
	return p.dead
}

// A process dies before or after each of its effects; the next one, with other
// batch and commit boundaries, dies too; a third finishes. At every instant in
// between, no row is visible twice or uncommitted; at the end the rows are those
// of a plain loop, and nothing unfinished is left in the store.
func TestCrashAtEveryEffect(t *testing.T) {
	for _, lanes := range [][][]event{{events(40, 1)}, {events(25, 1), events(18, 2), events(1, 3)}} {
		wanted := want(lanes...)
		for i, b := range [][2]boundaries{{{3, 5}, {4, 9}}, {{7, 10}, {1, 3}}, {{100, 7}, {2, 30}}} {
			kills, step := 0, 1
			if racing {
				step = 5
			}
			for point := 1; ; point += step {
				killed, kill, after := false, (point+1)/2, point%2 == 0
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					w.check = func(visible map[string][]byte) error { return within(rows(visible), wanted) }
					killed = (&process{world: w, killAt: kill, after: after}).run(b[0], lanes...)
					(&process{world: w, killAt: 3 + kill%11, after: !after}).run(b[1], lanes...)
					(&process{world: w}).run(boundaries{max(1, b[0].fetch-1), b[1].commit + 1}, lanes...)
					if got := rows(w.lake.Objects()); !maps.Equal(got, wanted) {
						t.Fatalf("lanes %d, boundaries %d, killed at %d (after: %v):%s", len(lanes), i, kill, after, diff(got, wanted))
					}
					if left := unfinished(t, w); left > 0 {
						t.Errorf("killed at %d: %d uploads are left", kill, left)
					}
				})
				if t.Failed() || !killed {
					break
				}
				kills++
			}
			t.Logf("%d lanes, boundaries %d: %d kill points", len(lanes), i, kills)
			if kills*step < 40 {
				t.Errorf("only %d kill points: does the process have its effects through the test's stores?", kills)
			}
		}
	}
}

func unfinished(t *testing.T, w *world) (n int) {
	for _, err := range w.lake.Uploads(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// Effects fail, and effects happen whose answer is lost; the process lives on and
// neither gives up nor doubles anything.
func TestFaultsThatPass(t *testing.T) {
	lanes := [][]event{events(40, 1), events(30, 2)}
	wanted := want(lanes...)
	for seed, f := range []struct{ fail, lose int }{{2, 0}, {3, 0}, {7, 0}, {0, 2}, {0, 3}, {0, 5}, {4, 3}} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.check = func(visible map[string][]byte) error { return within(rows(visible), wanted) }
			p := &process{world: w, fail: f.fail, lose: f.lose, seed: uint64(seed)}
			p.run(boundaries{6, 10}, lanes...)
			if got := rows(w.lake.Objects()); !maps.Equal(got, wanted) {
				t.Fatalf("fail %d, lose %d:%s", f.fail, f.lose, diff(got, wanted))
			}
		})
	}
}
