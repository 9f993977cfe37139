package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/shardlake/shardlake/benchmarks/intake/canned"
	"github.com/shardlake/shardlake/benchmarks/intake/round"
)

// table is the rounds of a case, by side.
type table struct {
	s       canned.Stream
	results map[string][]result
	begins  map[string][]result // of the stream with one record a shard
}

// contest runs all rounds of a case, the sides in turn.
func (l *lab) contest(ctx context.Context, c contest, s canned.Stream, rounds int) (*table, error) {
	t := &table{s, map[string][]result{}, map[string][]result{}}
	for range rounds {
		for _, lot := range c.lots {
			begin, err := l.round(ctx, lot.side, c.work, canned.Stream{Shards: s.Shards, Answers: 1, Records: 1})
			if err != nil {
				return nil, err
			}
			r, err := l.round(ctx, lot.side, c.work, s)
			if err != nil {
				return nil, err
			}
			if first := t.results[c.lots[0].side]; len(first) > 0 && (r.Bytes != first[0].Bytes || r.Rows != first[0].Rows) {
				return nil, fmt.Errorf("%s, %s: %d bytes and %d rows, %s has %d and %d: they do not do the same work", c.work, lot.side, r.Bytes, r.Rows, c.lots[0].side, first[0].Bytes, first[0].Rows)
			}
			t.begins[lot.side], t.results[lot.side] = append(t.begins[lot.side], begin), append(t.results[lot.side], r)
		}
	}
	return t, nil
}

// costs are the CPU ns per record of a side's rounds.
func (t *table) costs(side string) []float64 {
	begin := median(each(t.begins[side], func(r result) float64 { return float64(r.cpu) }))
	return each(t.results[side], func(r result) float64 { return (float64(r.cpu) - begin) / float64(t.s.Total()) })
}

// mallocs are the allocations per record of a side, without those of its begin.
func (t *table) mallocs(side string) float64 {
	count := func(r result) float64 { return float64(r.Mallocs) }
	return (median(each(t.results[side], count)) - median(each(t.begins[side], count))) / float64(t.s.Total())
}

func (t *table) print(out *sheet, c contest) {
	r := t.results[c.lots[0].side][0]
	out.printf("\n## %s\n\n", c.title)
	out.printf("%d records, %d bytes of payload each", r.Records, r.Bytes/r.Records)
	if r.Rows > 0 {
		out.printf(", %d rows", r.Rows)
	}
	out.printf(".\n\n| side | least | median | / floor | / Shardlake (least to most) | allocations per record | peak MiB | begin, CPU ms |\n|---|--:|--:|--:|--:|--:|--:|--:|\n")
	floor, ours := t.costs(c.lots[0].side), t.costs(c.lots[1].side)
	for _, lot := range c.lots {
		cost := t.costs(lot.side)
		toFloor, toOurs := ratios(cost, floor), ratios(cost, ours)
		out.printf("| %s | %.0f | %.0f | %.2f | %.2f (%.2f to %.2f) | %.2f | %.0f | %.0f |\n", lot.name, slices.Min(cost), median(cost), median(toFloor),
			median(toOurs), slices.Min(toOurs), slices.Max(toOurs), t.mallocs(lot.side),
			median(each(t.results[lot.side], func(r result) float64 { return float64(r.Resident) }))/(1<<20),
			median(each(t.begins[lot.side], func(r result) float64 { return float64(r.cpu) }))/1e6)
	}
	for _, lot := range c.lots {
		var failed, torn int64
		for _, r := range t.results[lot.side] {
			failed, torn = failed+r.Failed, torn+int64(r.torn)
		}
		if failed+torn > 0 {
			out.printf("\n%s: of %d calls in all rounds, %d failed beyond the SDK's retries and were repeated; the SDK remarked on %d connections that closed under an answer.\n",
				lot.name, len(t.results[lot.side])*t.s.Shards*t.s.Answers, failed, torn)
		}
	}
}

// slope shows what a record costs in allocations, apart from what a call costs: the
// same number of answers, small and large.
func (l *lab) slope(ctx context.Context, out *sheet, s canned.Stream) error {
	out.printf("\n## Allocations, per call and per record\n\nBy the difference between answers of %d and of %d records, the number of calls being the same. Those per call are the SDK's: middleware, signature, headers.\n\n", s.Records/10, s.Records)
	out.printf("| side | per call | per record |\n|---|--:|--:|\n")
	small := canned.Stream{Shards: s.Shards, Answers: s.Answers, Records: s.Records / 10}
	calls := float64(s.Shards * s.Answers)
	for _, lot := range []struct{ lot, work, name string }{
		{"shardlake", round.ToRecords, "Shardlake, records"}, {"fetcher", round.ToRows, "Shardlake, rows"}, {"floor", round.ToRows, "floor, rows"},
		{"shardlake", round.ToParquet, "Shardlake, Parquet"}, {"floor", round.ToParquet, "floor, Parquet"},
	} {
		var counts [3]float64
		for i, s := range []canned.Stream{{Shards: s.Shards, Answers: 1, Records: 1}, small, s} {
			r, err := l.round(ctx, lot.lot, lot.work, s)
			if err != nil {
				return err
			}
			counts[i] = float64(r.Mallocs)
		}
		perRecord := (counts[2] - counts[1]) / float64(s.Total()-small.Total())
		out.printf("| %s | %.0f | %.3f |\n", lot.name, (counts[1]-counts[0]-perRecord*float64(small.Total()))/calls, perRecord)
	}
	return nil
}

// profile prints where the time of the pipeline to Parquet goes.
func (l *lab) profile(ctx context.Context, out *sheet) (err error) {
	folder, err := os.MkdirTemp("", "shardlake-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	file := filepath.Join(folder, "cpu.pprof")
	s := canned.Stream{Shards: 32, Answers: 40, Records: perAnswer} // enough for some hundred samples
	r, err := l.round(ctx, "shardlake", round.ToParquet, s, "-profile", file)
	if err != nil {
		return err
	}
	top, err := l.pprof(ctx, file, "-top", "-nodecount=40")
	if err != nil {
		return err
	}
	traces, err := l.pprof(ctx, file, "-traces")
	if err != nil {
		return err
	}
	parts := partsOf()
	if err := divide(traces, parts); err != nil {
		return err
	}
	var all time.Duration
	for _, p := range parts {
		all += p.cpu
	}
	out.printf("\n## Profile: Shardlake to Parquet\n\n%d shards, %d records, %.1f s of CPU time, a sample each 10 ms.\n\n| part | %% | ns per record |\n|---|--:|--:|\n", s.Shards, r.Records, r.cpu.Seconds())
	for _, p := range parts {
		share := float64(p.cpu) / float64(all)
		out.printf("| %s | %.1f | %.0f |\n", p.name, 100*share, share*float64(r.cpu)/float64(r.Records))
	}
	out.printf("\n```text\n")
	for line := range strings.Lines(top) {
		if strings.Contains(line, "%") {
			out.printf("%s\n", typeArguments.ReplaceAllString(strings.TrimSpace(line), "[...]"))
		}
	}
	out.printf("```\n")
	return nil
}

var typeArguments = regexp.MustCompile(`\[go\.shape.*\]`)

// pprof prints a profile of this program.
func (l *lab) pprof(ctx context.Context, file string, args ...string) (string, error) {
	b, err := exec.CommandContext(ctx, "go", append(append([]string{"tool", "pprof"}, args...), l.self, file)...).Output()
	return string(b), err
}

func each(in []result, f func(result) float64) []float64 {
	out := make([]float64, len(in))
	for i := range in {
		out[i] = f(in[i])
	}
	return out
}

func ratios(a, b []float64) []float64 {
	out := make([]float64, min(len(a), len(b)))
	for i := range out {
		out[i] = a[i] / b[i]
	}
	return out
}

func median(x []float64) float64 {
	x = slices.Sorted(slices.Values(x))
	return (x[(len(x)-1)/2] + x[len(x)/2]) / 2
}
