package main

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardlake/shardlake/examples/datasets"
	"github.com/shardlake/shardlake/examples/datasets/stateful"
	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

// golden is the name of the set that runs the stages with state over several data
// sets, three times each: straight through, killed and stopped many times, and by
// several workers of which some leave while shards are split and merged.
const golden = "stateful"

// Where the data sets lie in the folder of all.
var goldenFiles = map[string]string{"web-access": "events.jsonl.gz", "machine-sensors": "readings.jsonl.gz"}

// goldenSet is the set of a worker process, or false.
func goldenSet(name string) (set, bool) {
	name, ok := strings.CutPrefix(name, golden+"-")
	g, known := stateful.Sets()[name]
	if !ok || !known {
		return set{}, false
	}
	return of(g.Codec, g.Cut.Build), true
}

// goldenRun is what the judge must know of a run beside its manifest.
type goldenRun struct {
	*manifest
	Cut      stateful.Cut      `json:"cut"` // in nanoseconds
	Shards   []goldenShard     `json:"shards"`
	Reshards []goldenReshard   `json:"reshards"`
	Queries  map[string]string `json:"queries"`
	Workers  int               `json:"workers"`
}

// goldenShard is a shard with its part of the hash keys, both ends included.
type goldenShard struct {
	ID      string   `json:"id"`
	Low     *big.Int `json:"low"`
	High    *big.Int `json:"high"`
	Parents []string `json:"parents"`
}

// goldenReshard closes shards after so many records.
type goldenReshard struct {
	After  int      `json:"after"`
	Closed []string `json:"closed"`
}

// playStateful runs all sets into folders NAME/RUN below folder.
func (o options) playStateful(ctx context.Context, folder string) error {
	if folder == "" || o.manifest == "" {
		return errors.New("-set stateful needs a local lake")
	}
	out := map[string]map[string]*goldenRun{}
	began, records := time.Now(), 0
	type answer struct {
		name string
		runs map[string]*goldenRun
		err  error
	}
	answers := make(chan answer)
	for name := range stateful.Sets() {
		go func() {
			runs, err := o.goldenRuns(ctx, name, filepath.Join(folder, name))
			answers <- answer{name, runs, err}
		}()
	}
	var err error
	for range stateful.Sets() {
		a := <-answers
		if a.err != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", a.name, a.err))
		}
		out[a.name] = a.runs
		for _, r := range a.runs {
			records += r.Records
		}
	}
	if err != nil {
		return err
	}
	if err := writeJSON(o.manifest, out); err != nil {
		return err
	}
	fmt.Printf("%s: %d records in %d runs of each of %d sets, read in %v\n", o.set, records, len(goldenKinds), len(out), time.Since(began).Round(time.Millisecond))
	return nil
}

// goldenKinds are the runs of each set.
var goldenKinds = []string{"straight", "resumed", "steps", "fleet"}

// goldenRuns makes the runs of a set. All but the last read the same stream.
func (o options) goldenRuns(ctx context.Context, name, folder string) (runs map[string]*goldenRun, err error) {
	g := stateful.Sets()[name]
	o.set = golden + "-" + name
	s, _ := goldenSet(o.set)
	good, err := readSet(filepath.Join(o.data, name, goldenFiles[name]), s)
	if err != nil {
		return nil, err
	}
	recs := repeated(good)
	srv, err := kinesistest.Listen(kinesistest.Config{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, srv.Close()) }()
	queries, err := stateful.Queries()
	if err != nil {
		return nil, err
	}
	runs = map[string]*goldenRun{}
	whole := newManifest(name, o.data, name)
	if err := o.feed(ctx, client(srv.URL()), recs, whole); err != nil {
		return nil, err
	}
	if err := endAll(ctx, client(srv.URL()), g.End, whole); err != nil {
		return nil, err
	}
	for _, kind := range goldenKinds {
		o.lake = "dir:" + filepath.Join(folder, kind)
		lake, path, err := openLake(o.lake, "", "")
		if err != nil {
			return nil, err
		}
		o.leases = filepath.Join(path, "_shardlake", "leases")
		m := *whole
		r := &goldenRun{manifest: &m, Cut: g.Cut, Queries: queries, Workers: 1, Reshards: []goldenReshard{}}
		switch kind {
		case "straight":
			o.kills, o.restarts = 0, 0
			err = o.lives(ctx, s, srv.URL(), lake, path, r.manifest)
		case "resumed":
			err = o.resume(ctx, s, srv.URL(), lake, path, r.manifest)
		case "steps":
			err = o.steps(ctx, s, srv.URL(), lake, path, r.manifest)
		case "fleet":
			r.manifest = newManifest(name, o.data, name+"-fleet")
			err = o.fleet(ctx, s, g, srv.URL(), lake, path, recs, r)
		}
		if err == nil {
			r.Shards, err = allShards(ctx, client(srv.URL()), r.Stream)
		}
		if err != nil {
			return nil, fmt.Errorf("%s run: %w", kind, err)
		}
		runs[kind] = r
	}
	return runs, nil
}

// goldenStops is how often a pipeline is killed, and how often it stops in between.
const goldenStops = 6

// resume kills a process and stops a pipeline in turn, each of which has read a
// little further, and then goes on to the end. Fetches and commits end elsewhere each
// time.
func (o options) resume(ctx context.Context, s set, endpoint string, lake datasets.Lake, folder string, m *manifest) error {
	o.kills, o.restarts = 0, 0
	each := m.Records / (4 * goldenStops)
	for i := range goldenStops {
		if err := o.death(ctx, endpoint, m, each/(4+i), 250*time.Millisecond); err != nil {
			return err
		}
		r := tune(i, each/len(m.Last), false)
		err := o.life(ctx, s, endpoint, lake, folder, m, int64(each), &r)
		m.Runs = append(m.Runs, r)
		if err != nil {
			return fmt.Errorf("life %d of the pipeline: %w", i+1, err)
		}
	}
	return o.lives(ctx, s, endpoint, lake, folder, m)
}

// goldenSteps is in how many steps a run is made that stops at each.
const goldenSteps = 40

// steps stops a pipeline at each of its commits, as far as one can be told from
// outside: a life reads as much of each shard as a commit takes, commits it, and
// stops; the next goes on from there.
func (o options) steps(ctx context.Context, s set, endpoint string, lake datasets.Lake, folder string, m *manifest) error {
	o.kills, o.restarts = 0, 0
	share := max(1, m.Records/goldenSteps)
	for i := range goldenSteps - 1 {
		each := max(1, share/len(m.Last)+i%7)
		r := run{CommitRecords: each, FetchLimit: each}
		err := o.life(ctx, s, endpoint, lake, folder, m, int64(share), &r)
		m.Runs = append(m.Runs, r)
		if err != nil {
			return fmt.Errorf("step %d of the pipeline: %w", i+1, err)
		}
	}
	return o.lives(ctx, s, endpoint, lake, folder, m)
}

// repeated puts some records twice, as a producer does that did not get an answer:
// every eleventh, from the fourth, again behind the first to third record after it.
// Every 501st, from the eighth, comes again 3000 records later, marked so.
func repeated(good []record) []record {
	var out []record
	for j, r := range good {
		out = append(out, r)
		for i := max(0, j-3); i < j; i++ {
			if i%11 == 3 && i+1+i%3 == j {
				out = append(out, good[i])
			}
		}
		if i := j - 3000; i >= 0 && i%501 == 7 {
			again := good[i]
			again.data = append(slices.Clone(again.data[:len(again.data)-1]), `,"again":true}`...)
			out = append(out, again)
		}
	}
	return out
}

// endAll puts a record that closes all windows to each shard that takes records.
func endAll(ctx context.Context, c *kinesis.Client, end string, m *manifest) error {
	open, err := openShards(ctx, c, m.Stream)
	if err != nil {
		return err
	}
	for _, s := range open {
		out, err := c.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: &m.Stream, PartitionKey: aws.String("end"), ExplicitHashKey: s.HashKeyRange.StartingHashKey, Data: []byte(end)})
		if err != nil {
			return fmt.Errorf("put the last record of %s: %w", aws.ToString(s.ShardId), err)
		}
		m.stored(record{}, aws.ToString(out.ShardId), aws.ToString(out.SequenceNumber))
	}
	return nil
}

// allShards lists the shards of a stream, closed ones too.
func allShards(ctx context.Context, c *kinesis.Client, stream string) ([]goldenShard, error) {
	out, err := c.ListShards(ctx, &kinesis.ListShardsInput{StreamName: &stream})
	if err != nil {
		return nil, fmt.Errorf("list shards of %s: %w", stream, err)
	}
	var all []goldenShard
	for _, s := range out.Shards {
		g, err := goldenShardOf(s)
		if err != nil {
			return nil, err
		}
		all = append(all, g)
	}
	return all, nil
}

func goldenShardOf(s types.Shard) (goldenShard, error) {
	g := goldenShard{ID: aws.ToString(s.ShardId), Low: new(big.Int), High: new(big.Int), Parents: []string{}}
	_, low := g.Low.SetString(aws.ToString(s.HashKeyRange.StartingHashKey), 10)
	_, high := g.High.SetString(aws.ToString(s.HashKeyRange.EndingHashKey), 10)
	if !low || !high {
		return g, fmt.Errorf("shard %s has the range %v", g.ID, s.HashKeyRange)
	}
	for _, p := range []*string{s.ParentShardId, s.AdjacentParentShardId} {
		if p != nil {
			g.Parents = append(g.Parents, *p)
		}
	}
	return g, nil
}
