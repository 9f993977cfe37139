package pipelinetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/source"
)

// Waits of the simulated source: between two looks at the tip of a shard, and
// after an error.
const (
	pollEvery  = 2 * time.Second
	retryAfter = 300 * time.Millisecond
)

// simSource is one worker's view of the stream.
type simSource[T any] struct {
	p    *process
	rows []T
	at   func(T) time.Time
}

// Check has nothing to report.
func (s *simSource[T]) Check() error { return nil }

// Lanes lists the shards.
func (s *simSource[T]) Lanes(ctx context.Context) (source.Listing, error) {
	for {
		l, err := ask(ctx, s.p, call{op: "shards", read: true}, func() (source.Listing, error) {
			l := source.Listing{Name: "stream", Identity: "stream", Begin: shardlake.Never}
			for _, x := range s.p.stream.shards {
				if x.trimmed {
					continue
				}
				l.Lanes = append(l.Lanes, source.Lane{ID: x.id, Parents: slices.Clone(x.parents), Range: x.hashes})
			}
			return l, nil
		})
		if err == nil || errors.Is(err, errDead) || !wait(ctx, retryAfter) {
			return l, err
		}
	}
}

// Open begins behind a record.
func (s *simSource[T]) Open(l source.Lane, from source.Start) (source.Fetcher, error) {
	return &simFetcher{p: s.p, lane: l.ID, after: from.After}, nil
}

// Decoder gives s itself.
func (s *simSource[T]) Decoder() (source.Decoder[T], error) { return s, nil }

// Decode finds the rows that records stand for.
func (s *simSource[T]) Decode(_ context.Context, records []shardlake.Record, rows []T, times []shardlake.Instant) (int, error) {
	for k := range records {
		i, err := strconv.Atoi(string(records[k].Data))
		if err != nil || i < 0 || i >= len(s.rows) {
			return k, fmt.Errorf("pipelinetest: not a record of this stream: %q", records[k].Data)
		}
		rows[k] = s.rows[i]
		times[k] = shardlake.At(s.at(rows[k]))
	}
	return len(records), nil
}

type simFetcher struct {
	p     *process
	lane  string
	after shardlake.Position
	tip   bool
}

type fetched struct {
	source.Chunk
	end error
}

// Fetch returns as many records as the world likes to give.
func (f *simFetcher) Fetch(ctx context.Context) (source.Chunk, error) {
	if f.tip && !wait(ctx, pollEvery) {
		return source.Chunk{}, context.Cause(ctx)
	}
	for {
		got, err := ask(ctx, f.p, call{op: "fetch", lane: f.lane, read: true}, f.look)
		switch {
		case err == nil:
			f.tip = len(got.Records) == 0
			if n := len(got.Records); n > 0 {
				f.after = got.Records[n-1].Pos
			}
			return got.Chunk, got.end
		case errors.Is(err, errDead) || !wait(ctx, retryAfter):
			return source.Chunk{}, err
		}
	}
}

// look is the effect of a fetch.
func (f *simFetcher) look() (fetched, error) {
	x := f.p.stream.find(f.lane)
	at := 0
	for at < len(x.records) && x.records[at].Pos.Compare(f.after) <= 0 {
		at++
	}
	n := min(len(x.records)-at, 1+f.p.policy.draw(f.p.sizes.Fetch))
	// Records are copied: the lane stamps them.
	got := fetched{Chunk: source.Chunk{Records: slices.Clone(x.records[at : at+n])}}
	if at+n == len(x.records) {
		got.Tip = shardlake.At(time.Now())
		switch {
		case x.closed:
			got.Children, got.end = slices.Clone(x.children), source.ErrShardEnd
		case f.p.stream.ended:
			got.end = io.EOF
		}
	} else {
		got.Behind = time.Second
	}
	return got, nil
}

// Close has nothing to give back.
func (f *simFetcher) Close() error { return nil }

// wait returns false when ctx has ended.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
