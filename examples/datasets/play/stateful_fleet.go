package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardlake/shardlake/examples/datasets"
	"github.com/shardlake/shardlake/examples/datasets/stateful"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/pipeline/lease/dynamo"
	"github.com/shardlake/shardlake/pipeline/lease/dynamo/dynamotest"
	"github.com/shardlake/shardlake/sink/dir"
	source "github.com/shardlake/shardlake/source/kinesis"
)

// worker is a pipeline that runs.
type worker struct {
	p    *pipeline.Pipeline
	stop context.CancelFunc
}

// fleet are workers that share a table of leases.
type fleet struct {
	workers []worker
	ended   chan error // of each worker
	left    int        // that have not ended
}

// goldenTable is the table of the fleet's leases.
const goldenTable = "golden"

// fleet puts the records to a stream of three shards that three workers read
// meanwhile. Between the parts of the input shards are split and merged, and a
// worker leaves for a new one.
func (o options) fleet(ctx context.Context, s set, g stateful.Set, endpoint string, lake datasets.Lake, folder string, recs []record, r *goldenRun) (err error) {
	db, err := dynamotest.Listen(dynamotest.Config{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	table := func() lease.Store {
		return dynamo.Table(dynamo.Config{Table: goldenTable, Region: region, Endpoint: db.URL(), Large: dir.Lake(folder), Credentials: credentials.NewStaticCredentialsProvider("test", "testtest", "")})
	}
	c := client(endpoint)
	if err := create(ctx, c, r.Stream, 3); err != nil {
		return err
	}
	rctx, stop := context.WithCancel(ctx)
	defer stop()
	f := &fleet{ended: make(chan error, 4)}
	start := func(i int) { f.start(rctx, s, endpoint, lake, table(), r.manifest, len(recs)/(15+3*i)) }
	for i := range 3 {
		start(i)
	}
	r.Workers = 4
	put := &feeder{client: c, stream: r.Stream, out: r.manifest}
	const parts = 8
	for i := range parts {
		if err := put.put(ctx, recs[i*len(recs)/parts:(i+1)*len(recs)/parts]); err != nil {
			return err
		}
		// Some of it is read before the shards change, the rest after it.
		if err := f.await(ctx, func() error { return f.read(int64(r.Records) * 2 / 3) }); err != nil {
			return err
		}
		switch i {
		case 0, 2, 4:
			err = r.split(ctx, c, i/2)
		case 1, 3, 5:
			err = r.merge(ctx, c)
		case 6:
			f.workers[0].stop()
			start(3)
		}
		if err != nil {
			return err
		}
	}
	if err := endAll(ctx, c, g.End, r.manifest); err != nil {
		return err
	}
	if r.Ended, r.Parents, err = closedShards(ctx, c, r.Stream, r.Last); err != nil {
		return err
	}
	leases := table()
	if err := f.await(ctx, func() error { return settled(ctx, leases, r.manifest, false) }); err != nil {
		return err
	}
	stop()
	for ; f.left > 0; f.left-- {
		err = errors.Join(err, <-f.ended)
	}
	if err == nil {
		err = settled(ctx, leases, r.manifest, true)
	}
	return err
}

// start starts a worker that fetches so many records at once.
func (f *fleet) start(ctx context.Context, s set, endpoint string, lake datasets.Lake, leases lease.Store, m *manifest, fetch int) {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	p := pipeline.New(pipeline.Config{
		Application: application, Leases: leases, CommitEvery: 200 * time.Millisecond, CommitRecords: fetch / 2, Log: log,
		Discover: 300 * time.Millisecond, LeaseTime: 2 * time.Second, Balance: 300 * time.Millisecond,
	})
	s.build(p, source.Config{
		Stream: m.Stream, Region: region, Endpoint: endpoint, Poll: 200 * time.Millisecond, Limit: min(10_000, fetch), Log: log,
		Credentials: credentials.NewStaticCredentialsProvider("test", "testtest", ""),
	}, nil, lake)
	wctx, stop := context.WithCancel(ctx)
	f.workers = append(f.workers, worker{p, stop})
	f.left++
	go func() {
		defer stop()
		f.ended <- p.Run(wctx)
	}()
}

// await repeats until done has no objection any more, or a worker fails.
func (f *fleet) await(ctx context.Context, done func() error) error {
	for {
		err := done()
		if err == nil {
			return nil
		}
		select {
		case failed := <-f.ended:
			f.left--
			if failed != nil {
				return failed
			}
		default:
		}
		if stopped := sleep(ctx, 20*time.Millisecond); stopped != nil {
			return fmt.Errorf("%w: %w", stopped, err)
		}
	}
}

// read tells whether so many records were read.
func (f *fleet) read(want int64) error {
	var n int64
	for _, w := range f.workers {
		for _, l := range w.p.Status().Lanes {
			n += l.Records
		}
	}
	if n < want {
		return fmt.Errorf("%d records were read, want %d", n, want)
	}
	return nil
}

// split closes an open shard and makes two of it.
func (r *goldenRun) split(ctx context.Context, c *kinesis.Client, i int) error {
	open, err := openShards(ctx, c, r.Stream)
	if err != nil {
		return err
	}
	r.Reshards = append(r.Reshards, goldenReshard{r.Records, []string{aws.ToString(open[i].ShardId)}})
	return split(ctx, c, r.Stream, open[i])
}

// merge makes one of two open shards that lie side by side.
func (r *goldenRun) merge(ctx context.Context, c *kinesis.Client) error {
	open, err := allShards(ctx, c, r.Stream)
	if err != nil {
		return err
	}
	closed := map[string]bool{}
	for _, s := range open {
		for _, p := range s.Parents {
			closed[p] = true
		}
	}
	for _, a := range open {
		for _, b := range open {
			// Not the two that came of one split, where there are others.
			if closed[a.ID] || closed[b.ID] || !a.meets(b) || len(a.Parents) > 0 && len(b.Parents) > 0 && a.Parents[0] == b.Parents[0] {
				continue
			}
			in := &kinesis.MergeShardsInput{StreamName: &r.Stream, ShardToMerge: &a.ID, AdjacentShardToMerge: &b.ID}
			if _, err := c.MergeShards(ctx, in); err != nil {
				return fmt.Errorf("merge %s and %s: %w", a.ID, b.ID, err)
			}
			r.Reshards = append(r.Reshards, goldenReshard{r.Records, []string{a.ID, b.ID}})
			return active(ctx, c, r.Stream)
		}
	}
	return errors.New("no two shards of different parents lie side by side")
}

// meets is whether the hash keys of t begin where those of s end.
func (s goldenShard) meets(t goldenShard) bool {
	return new(big.Int).Add(s.High, big.NewInt(1)).Cmp(t.Low) == 0
}
