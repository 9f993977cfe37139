package main

import (
	"context"
	"io"
	"sync"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/benchmarks/intake/canned"
	"github.com/shardlake/shardlake/benchmarks/intake/round"
	"github.com/shardlake/shardlake/codec"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/dir"
	"github.com/shardlake/shardlake/sink/parquet"
	"github.com/shardlake/shardlake/source"
	"github.com/shardlake/shardlake/source/kinesis"
	"github.com/shardlake/shardlake/stage"
)

// reader is the source as a user has it.
func reader(j *round.Job, cbor bool) source.Source[canned.Click] {
	return kinesis.Source(kinesis.Config{Stream: j.Stream, CBOR: cbor}, codec.JSON, canned.Click.When)
}

// shardlakes is the product: fetchers alone for records, which no pipeline ends at,
// else a pipeline with leases, commits, marks and everything.
func shardlakes(ctx context.Context, j *round.Job, cbor bool) (round.Outcome, error) {
	if j.Work == round.ToRecords {
		return fetch(ctx, j, reader(j, cbor))
	}
	src := &bounded{Source: reader(j, cbor), each: int64(j.Of.PerShard())}
	p := pipeline.New(pipeline.Config{})
	in := p.Read(src)
	if j.Work == round.ToRows {
		var end counting
		in.Into(&end)
		err := p.Run(ctx)
		src.all.Rows = end.rows
		return src.all, err
	}
	in.Via(stage.Filter(round.Wanted)).Via(stage.Map(round.ToView)).Via(stage.Map(round.Tens)).Write(dir.Lake(j.Folder).Folder("views"), parquet.Format)
	err := p.Run(ctx)
	return src.all, err
}

// fetchers is the source without a pipeline: each shard's fetcher, and the decoder
// called in the same loop.
func fetchers(ctx context.Context, j *round.Job) (round.Outcome, error) {
	return fetch(ctx, j, reader(j, false))
}

func fetch(ctx context.Context, j *round.Job, src source.Source[canned.Click]) (round.Outcome, error) {
	l, err := src.Lanes(ctx)
	if err != nil {
		return round.Outcome{}, err
	}
	lanes := map[string]source.Lane{}
	var ids []string
	for _, lane := range l.Lanes {
		lanes[lane.ID], ids = lane, append(ids, lane.ID)
	}
	return j.Each(ids, func(s *round.Shard) error {
		f, err := src.Open(lanes[s.ID], source.Start{Begin: l.Begin})
		if err != nil {
			return err
		}
		for err == nil && !s.Done() {
			var c source.Chunk
			if c, err = f.Fetch(ctx); err == nil {
				err = s.Take(ctx, c.Records)
			}
		}
		if e := f.Close(); err == nil {
			err = e
		}
		return err
	})
}

// bounded ends each lane of a source after so many records, so that the run ends.
type bounded struct {
	source.Source[canned.Click]
	each int64

	mu  sync.Mutex
	all round.Outcome
}

// Open opens a lane of the source.
func (b *bounded) Open(l source.Lane, from source.Start) (source.Fetcher, error) {
	f, err := b.Source.Open(l, from)
	return &boundedFetcher{Fetcher: f, b: b}, err
}

type boundedFetcher struct {
	source.Fetcher
	b *bounded
	round.Outcome
}

// Fetch ends the lane with the chunk that makes it full.
func (f *boundedFetcher) Fetch(ctx context.Context) (source.Chunk, error) {
	c, err := f.Fetcher.Fetch(ctx)
	f.Records += int64(len(c.Records))
	for i := range c.Records {
		f.Bytes += int64(len(c.Records[i].Data))
	}
	if err == nil && f.Records >= f.b.each {
		err = io.EOF
	}
	return c, err
}

// Close tells what the lane has read.
func (f *boundedFetcher) Close() error {
	f.b.mu.Lock()
	f.b.all.Records, f.b.all.Bytes = f.b.all.Records+f.Records, f.b.all.Bytes+f.Bytes
	f.b.mu.Unlock()
	return f.Fetcher.Close()
}

// counting is a sink that counts rows.
type counting struct {
	sink.Discard[canned.Click]
	mu   sync.Mutex
	rows int64
}

// Open makes the writer of a lane.
func (c *counting) Open(*shardlake.Env) (sink.Writer[canned.Click], error) {
	return &counter{of: c}, nil
}

type counter struct {
	of   *counting
	rows int64
}

// Write counts.
func (c *counter) Write(_ context.Context, b shardlake.Batch[canned.Click]) error {
	c.rows += int64(len(b.Rows))
	return nil
}

// Seal has nothing to publish.
func (c *counter) Seal(context.Context) ([]shardlake.Pending, error) { return nil, nil }

// Buffered is nothing.
func (c *counter) Buffered() int64 { return 0 }

// Close adds the lane's count to the sink's, once.
func (c *counter) Close() error {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.of.rows, c.rows = c.of.rows+c.rows, 0
	return nil
}
