package pipelinetest_test

import (
	"errors"
	"strconv"
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

// grace is how many seconds a row may be behind the watermark.
const grace = 20

var errOdd = errors.New("odd")

// odd rows are refused.
func odd(c click) bool { return c.ID%11 == 5 }

// scenario has raw rows by Hive partition, sums per window, and dead letters. The
// starts of workers differ in which partition a row goes to.
func scenario(workers, shards, reshards int) pipelinetest.Scenario[click] {
	rows := clicks(90)
	return pipelinetest.Scenario[click]{
		Rows: rows, Key: func(c click) string { return c.Key }, At: click.when,
		Workers: workers, Shards: shards, Reshards: reshards,
		Build: func(p *pipeline.Pipeline, src source.Source[click], lake func(string) sink.Folder) {
			raw := lake("raw")
			if raw.FileBytes%2 == 0 { // some starts cut it in another way than others
				raw = raw.By(sink.Hour("hour"))
			} else {
				raw = raw.By(sink.Day("day"), sink.Field("key"))
			}
			in := p.Read(src)
			in.Write(raw, pipelinetest.JSON)
			in.Via(stage.TryMap(func(c click) (click, error) {
				if odd(c) {
					return c, shardlake.Reject(errOdd)
				}
				return c, nil
			})).
				Via(stage.Aggregate(window.Tumbling(time.Minute).Grace(grace*time.Second), func(c click) string { return c.Key },
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
				letters, err := pipelinetest.Lines[shardlake.DeadLetter](file)
				for _, d := range letters {
					n, err := strconv.Atoi(string(d.Data))
					if err != nil {
						return nil, err
					}
					if odd(rows[n]) {
						out = append(out, pipelinetest.Row{ID: "odd " + strconv.Itoa(n)})
					} else {
						out = append(out, pipelinetest.Row{ID: "late " + strconv.Itoa(n)})
					}
				}
				return out, err
			}
		},
		Want: want,
	}
}

// want computes what is visible in the end by a plain loop that knows no engine. A
// row is late by what its shard, and those that the key was in before, have held.
func want(shards []pipelinetest.Shard[click]) map[string]int64 {
	w := map[string]int64{}
	high := map[string]int{}
	byID := map[string]pipelinetest.Shard[click]{}
	var floor func(s pipelinetest.Shard[click], at shardlake.Hash) int
	floor = func(s pipelinetest.Shard[click], at shardlake.Hash) int {
		f := -1
		for _, id := range s.Parents {
			if p := byID[id]; p.Hashes.Contains(at) {
				f = max(f, high[id], floor(p, at))
			}
		}
		return f
	}
	for _, s := range shards { // parents come first
		byID[s.ID] = s
		high[s.ID] = -1
		for _, id := range s.Parents {
			if h := high[id]; high[s.ID] < 0 || h < high[s.ID] {
				high[s.ID] = h
			}
		}
		for _, c := range s.Rows {
			high[s.ID] = max(high[s.ID], c.Sec)
			w["raw "+strconv.Itoa(c.ID)] = 1
			mark := max(high[s.ID], floor(s, shardlake.HashOf(c.Key)))
			switch {
			case odd(c):
				w["odd "+strconv.Itoa(c.ID)] = 1
			case mark-grace >= c.Sec/60*60+60:
				w["late "+strconv.Itoa(c.ID)] = 1
			default:
				for _, r := range sums(c.Key, int64(c.Sec/60), 1, int64(c.ID)+1) {
					w[r.ID] += r.Value
				}
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
