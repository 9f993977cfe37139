package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/metrics"
	"strconv"
	"strings"
	"syscall"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/sink/avro"
	"github.com/shardlake/shardlake/sink/dir"
	"github.com/shardlake/shardlake/sink/parquet"
	"github.com/shardlake/shardlake/source"
	"github.com/shardlake/shardlake/stage"
)

// inMemory is a source over records that are there already.
type inMemory struct{ recs []shardlake.Record }

func (inMemory) Check() error { return nil }

func (inMemory) Lanes(context.Context) (source.Listing, error) {
	return source.Listing{Name: "memory", Identity: "memory", Begin: shardlake.Never, Lanes: []source.Lane{{ID: "memory-0"}}}, nil
}

func (s inMemory) Open(source.Lane, source.Start) (source.Fetcher, error) {
	return &inMemoryFetcher{rest: s.recs}, nil
}

func (inMemory) Decoder() (source.Decoder[Click], error) {
	d, err := codec.JSON[Click]()
	return decoder{d}, err
}

type decoder struct{ codec.Decoder[Click] }

func (d decoder) Decode(ctx context.Context, records []shardlake.Record, rows []Click, times []shardlake.Instant) (int, error) {
	n, err := d.Decoder.Decode(ctx, records, rows)
	for i := range n {
		times[i] = shardlake.At(rows[i].Time)
	}
	return n, err
}

// chunk is how many records come at once: the most that GetRecords gives, as it
// does to whoever is behind.
const chunk = 10_000

type inMemoryFetcher struct{ rest []shardlake.Record }

func (f *inMemoryFetcher) Fetch(context.Context) (source.Chunk, error) {
	n := min(chunk, len(f.rest))
	if n == 0 {
		return source.Chunk{}, io.EOF
	}
	c := source.Chunk{Records: f.rest[:n:n], Behind: -1}
	f.rest = f.rest[n:]
	return c, nil
}

func (f *inMemoryFetcher) Close() error { return nil }

// repeating gives the same records over and over, under new positions.
type repeating struct {
	inMemory
	n    int
	live *uint64 // the most bytes that were alive when a chunk was asked for
}

func (s repeating) Open(source.Lane, source.Start) (source.Fetcher, error) {
	return &repeatingFetcher{repeating: s}, nil
}

type repeatingFetcher struct {
	repeating
	at int
}

func (f *repeatingFetcher) Fetch(context.Context) (source.Chunk, error) {
	*f.live = max(*f.live, liveHeap())
	k := min(chunk, f.n-f.at)
	if k == 0 {
		return source.Chunk{}, io.EOF
	}
	c := source.Chunk{Records: make([]shardlake.Record, k), Behind: -1}
	for i := range c.Records {
		c.Records[i] = f.recs[(f.at+i)%len(f.recs)]
		c.Records[i].Pos.Seq = strconv.Itoa(f.at + i + 1)
	}
	f.at += k
	return c, nil
}

func (f *repeatingFetcher) Close() error { return nil }

// streamed runs a pipeline over n records. It returns the peak of the bytes that
// were alive, and of those that this process held.
func streamed(n int) (live uint64, resident int64, err error) {
	recs, err := records(clicks(20_000))
	if err != nil {
		return 0, 0, err
	}
	folder, err := os.MkdirTemp("", "shardlake-bench-")
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	lake := dir.Lake(folder)
	p := pipeline.New(pipeline.Config{Memory: 64 << 20, CommitRecords: 400_000})
	in := p.Read(repeating{inMemory{recs}, n, &live})
	in.Write(lake.Folder("raw"), avro.Format)
	in.Via(stage.Filter(wanted)).Via(stage.Map(toView)).Write(lake.Folder("views"), parquet.Format)
	if err := p.Run(context.Background()); err != nil {
		return 0, 0, err
	}
	resident, err = peakMemory()
	return live, resident, err
}

// liveHeap is what the last garbage collection found alive.
func liveHeap() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// peakMemory reads VmHWM where there is one; elsewhere what getrusage says.
func peakMemory() (int64, error) {
	if b, err := os.ReadFile("/proc/self/status"); err == nil {
		for l := range strings.Lines(string(b)) {
			var kib int64
			if _, err := fmt.Sscanf(l, "VmHWM: %d kB", &kib); err == nil {
				return kib << 10, nil
			}
		}
	}
	var u syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u.Maxrss, err
}
