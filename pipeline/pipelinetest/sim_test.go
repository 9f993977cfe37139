package pipelinetest_test

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/pipeline/pipelinetest"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/source"
	"github.com/shardlake/shardlake/stage"
	"github.com/shardlake/shardlake/stage/window"
)

// click is what the simulated streams hold.
type click struct {
	ID, Sec int
	Key     string
}

func (c click) when() time.Time { return time.Unix(int64(c.Sec), 0) }

// clicks run forward with jitter; some come after their window and its grace.
func clicks(n int) (out []click) {
	for i := range n {
		c := click{ID: i, Sec: i * 7, Key: "k" + strconv.Itoa(i*i%7)}
		if i%5 == 3 {
			c.Sec = max(0, c.Sec-25)
		}
		if i%13 == 12 {
			c.Sec = max(0, c.Sec-120)
		}
		out = append(out, c)
	}
	return out
}

// perMinute is the row of an aggregate.
type perMinute struct {
	Key    string
	Minute int64
	N, Sum int64
}

var errOdd = errors.New("odd")

// odd rows are refused.
func odd(c click) bool { return c.ID%11 == 5 }

// scenario has raw rows by Hive partition, sums per window, and dead letters. The
// starts of workers differ in which partition a row goes to.
func scenario(workers, shards, reshards int) pipelinetest.Scenario[click] {
	rows := clicks(90)
	start := 0
	return pipelinetest.Scenario[click]{
		Rows: rows, Key: func(c click) string { return c.Key }, At: click.when,
		Workers: workers, Shards: shards, Reshards: reshards,
		Build: func(p *pipeline.Pipeline, src source.Source[click], lake func(string) sink.Folder) {
			start++
			hour := sink.Hour("hour")
			if start%2 == 0 {
				hour = sink.Day("day")
			}
			in := p.Read(src)
			in.Write(lake("raw").By(hour), pipelinetest.JSON)
			in.Via(stage.TryMap(func(c click) (click, error) {
				if odd(c) {
					return c, shardlake.Reject(errOdd)
				}
				return c, nil
			})).
				Via(stage.Aggregate(window.Tumbling(time.Minute).Grace(20*time.Second), func(c click) string { return c.Key },
					func(k string, s window.Span) perMinute { return perMinute{Key: k, Minute: int64(s.Start) / 60e6} },
					func(r *perMinute, c click) { r.N++; r.Sum += int64(c.ID) + 1 })).
				Write(lake("sums"), pipelinetest.JSON)
			p.Dead().Write(lake("dead"), pipelinetest.JSON)
		},
		Read: func(folder string, file []byte) (out []pipelinetest.Row, err error) {
			switch folder {
			case "raw":
				rows, err := pipelinetest.Lines[click](file)
				for _, c := range rows {
					out = append(out, pipelinetest.Row{ID: "raw " + strconv.Itoa(c.ID), Key: c.Key, Order: int64(c.ID)})
				}
				return out, err
			case "sums":
				rows, err := pipelinetest.Lines[perMinute](file)
				for _, r := range rows {
					out = append(out, sums(r.Key, r.Minute, r.N, r.Sum)...)
				}
				return out, err
			default:
				// A late row counts where it is missing: whether a row is late depends on
				// what its shard held before.
				letters, err := pipelinetest.Lines[shardlake.DeadLetter](file)
				for _, d := range letters {
					n, err := strconv.Atoi(string(d.Data))
					if err != nil {
						return nil, err
					}
					if odd(rows[n]) {
						out = append(out, pipelinetest.Row{ID: "odd " + strconv.Itoa(n)})
					} else {
						out = append(out, sums(rows[n].Key, int64(rows[n].Sec/60), 1, int64(n)+1)...)
					}
				}
				return out, err
			}
		},
		Want: want,
	}
}

// want computes what is visible in the end by a plain loop that knows no engine.
func want(shards []pipelinetest.Shard[click]) map[string]int64 {
	w := map[string]int64{}
	for _, s := range shards {
		for _, c := range s.Rows {
			w["raw "+strconv.Itoa(c.ID)] = 1
			if odd(c) {
				w["odd "+strconv.Itoa(c.ID)] = 1
				continue
			}
			for _, r := range sums(c.Key, int64(c.Sec/60), 1, int64(c.ID)+1) {
				w[r.ID] += r.Value
			}
		}
	}
	return w
}

// sums are the two numbers of a window that add up over partial rows.
func sums(key string, minute, n, sum int64) []pipelinetest.Row {
	id := "window " + key + " " + strconv.FormatInt(minute, 10)
	return []pipelinetest.Row{{ID: id + " n", Value: n}, {ID: id + " sum", Value: sum}}
}

func TestOneWorker(t *testing.T) {
	for seed := range uint64(20) {
		r := pipelinetest.Run(t, seed, scenario(1, 2, 0))
		t.Log(r.Seed, r.Turns, r.Faults, r.Starts, r.Failed, r.Commits, r.HandOvers, r.Files, r.Leftover, r.Virtual)
		if t.Failed() {
			break
		}
	}
}
