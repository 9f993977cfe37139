package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// part is a share of a profile: the samples on whose stack one of the functions is,
// and none of an earlier part.
type part struct {
	name      string
	functions []string
	cpu       time.Duration
}

// partsOf are those of the pipeline from Kinesis to Parquet, inner ones first.
func partsOf() []part {
	const wire, parquet = "source/kinesis/internal/wire.", "sink/parquet."
	return []part{
		{name: "garbage collection", functions: []string{"runtime.gcBgMarkWorker", "runtime.gcAssistAlloc", "runtime.bgsweep", "runtime.bgscavenge", "runtime.gcStart"}},
		{name: "answer: read the socket", functions: []string{wire + "(*Buffers).read"}},
		{name: "answer: base64", functions: []string{wire + "decodeBase64"}},
		{name: "answer: scan and make records", functions: []string{wire + "parseJSON"}},
		{name: "call: SDK and net/http", functions: []string{"service/kinesis.(*Client)", "net/http."}},
		{name: "JSON to rows", functions: []string{"shardlake/codec"}},
		{name: "source/kinesis, the rest", functions: []string{"shardlake/source/kinesis."}},
		{name: "Parquet: zstd", functions: []string{"klauspost/compress/zstd"}},
		{name: "Parquet: dictionaries", functions: []string{parquet + "(*dictionary)"}},
		{name: "Parquet: the rest", functions: []string{"shardlake/" + parquet}},
		{name: "files, uploads and their checks", functions: []string{"shardlake/sink"}},
		{name: "stages and their functions", functions: []string{"shardlake/stage.", "intake/round."}},
		{name: "pipeline", functions: []string{"shardlake/pipeline"}},
		{name: "Go's scheduler and the rest", functions: []string{""}},
	}
}

var sample = regexp.MustCompile(`^\s+([0-9.]+(?:ns|us|µs|ms|s|mins))\s+(\S.*)$`)

// divide adds up the samples of "go tool pprof -traces", which prints each as a
// duration and its stack, the innermost function first.
func divide(traces string, parts []part) error {
	for block := range strings.SplitSeq(traces, "-----------+") {
		_, block, _ = strings.Cut(block, "\n")
		first, rest, _ := strings.Cut(block, "\n")
		m := sample.FindStringSubmatch(first)
		if m == nil {
			continue // the head
		}
		d, err := time.ParseDuration(strings.Replace(m[1], "mins", "m", 1))
		if err != nil {
			return fmt.Errorf("a profile's sample: %w", err)
		}
		stack := m[2] + "\n" + rest
		i := slices.IndexFunc(parts, func(p part) bool {
			return slices.ContainsFunc(p.functions, func(f string) bool { return strings.Contains(stack, f) })
		})
		if i >= 0 {
			parts[i].cpu += d
		}
	}
	return nil
}
