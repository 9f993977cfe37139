// Command intake asks what it costs to read a Kinesis stream: Shardlake, a loop by
// hand over the stock SDK, two consumer libraries, and the floor below them all read
// the same answers from one server, and the CPU time per record is compared. It
// prints Markdown.
//
//	cases      what is done with each answer
//	records    read: payloads, keys and numbers as the service gave them
//	rows       read and decoded from JSON into a typed row
//	parquet    read, decoded, filtered, mapped twice, Parquet zstd in a folder
//
// The server is a process of its own that has its answers ready; its time is not
// counted. Each round of each side is a process of its own as well, so that no side
// inherits the heap of another one: its time is what the operating system says once
// it has ended, user and system, garbage collection included, less the same for a
// stream of one record a shard.
//
// A shard gives five answers a second to all its readers, and all sides keep to that:
// the time that passes says nothing, the CPU time does.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"os"

	"github.com/shardlake/shardlake/benchmarks/intake/canned"
	"github.com/shardlake/shardlake/benchmarks/intake/round"
)

func main() {
	var p plan
	var r round.Round
	flag.IntVar(&p.rounds, "rounds", 5, "rounds of each side")
	flag.IntVar(&p.shards, "shards", 32, "shards of the stream")
	flag.IntVar(&p.answers, "answers", 15, "answers of each shard")
	flag.StringVar(&p.only, "only", "", "measure only the case of this name, or profile")
	serving := flag.Bool("serve", false, "be the server, until standard input ends")
	profile := r.Flags(flag.CommandLine)
	flag.Parse()
	if err := run(context.Background(), *serving, r, *profile, p); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, serving bool, r round.Round, profile string, p plan) error {
	switch {
	case serving:
		return canned.Serve(ctx, os.Stdin, os.Stdout)
	case r.Side != "":
		return r.Main(ctx, sides(), profile, os.Stdout)
	case p.rounds < 1 || p.shards < 1 || p.answers < 2:
		return errors.New("want at least 1 round, 1 shard and 2 answers a shard")
	}
	return p.report(ctx, os.Stdout)
}

// kclSide is the side that is a program of its own: its library and kinesis-consumer
// register the same protobuf message, which ends a program that has both.
const kclSide = "kcl"

// sides are those of this program, by name.
func sides() map[string]round.Side {
	return map[string]round.Side{
		"floor": floor, "sdk": handLoop, "consumer": consumed, "fetcher": fetchers,
		"shardlake": func(ctx context.Context, j *round.Job) (round.Outcome, error) { return shardlakes(ctx, j, false) },
		"cbor":      func(ctx context.Context, j *round.Job) (round.Outcome, error) { return shardlakes(ctx, j, true) },
	}
}
