package pipelinetest

import (
	"context"
	"strconv"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
	"github.com/shardlake/shardlake/internal/hop"
	"github.com/shardlake/shardlake/source"
)

// liveSource reads views that happen when they are put.
type liveSource struct{ *simSource[view] }

// Decoder gives s itself.
func (s liveSource) Decoder() (source.Decoder[view], error) { return s, nil }

// Decode takes the times of records.
func (s liveSource) Decode(_ context.Context, records []shardlake.Record, rows []view, times []shardlake.Instant) (int, error) {
	for k, r := range records {
		i, err := strconv.Atoi(string(r.Data))
		if err != nil {
			return k, err
		}
		rows[k] = s.rows[i]
		rows[k].Sec = second(r)
		times[k] = shardlake.At(rows[k].when())
	}
	return len(records), nil
}

func second(r shardlake.Record) int { return int(r.Arrived / 1e6) }

// secondsOf tells when the rows of a stream were put.
func secondsOf(s *stream) map[int]int {
	out := map[int]int{}
	for _, x := range s.shards {
		for i, row := range x.rows {
			out[row] = second(x.records[i])
		}
	}
	return out
}

// frameSource reads frames.
type frameSource struct{ *simSource[hop.Frame] }

// Decoder gives s itself.
func (s frameSource) Decoder() (source.Decoder[hop.Frame], error) { return s, nil }

// Decode takes records for frames.
func (s frameSource) Decode(_ context.Context, records []shardlake.Record, rows []hop.Frame, times []shardlake.Instant) (int, error) {
	for i, r := range records {
		f, err := hop.Decode(r.Data)
		if err != nil {
			return i, err
		}
		rows[i], times[i] = f, r.Arrived
	}
	return len(records), nil
}

// receive is the stage behind it.
func (h *hopping) receive(env *shardlake.Env, next shardlake.Emit[view]) (shardlake.Emit[hop.Frame], error) {
	d, err := codec.JSON[view]()
	if err != nil {
		return nil, err
	}
	if h.broken.between != nil {
		if next, err = h.broken.between(env, next); err != nil {
			return nil, err
		}
	}
	if h.broken.env != nil {
		env = h.broken.env(env)
	}
	r, err := hop.Receive(env, next, d)
	return &taking{h, r}, err
}

type taking struct {
	*hopping
	*hop.Receiver[view]
}

// Push takes frames.
func (r *taking) Push(ctx context.Context, b shardlake.Batch[hop.Frame]) error {
	for i := range b.Rows {
		frames := b.Rows[i : i+1]
		if r.broken.frame != nil {
			frames = r.broken.frame(&b.Rows[i], b.From(i))
		}
		for k := range frames {
			if err := r.Take(ctx, &frames[k], b.From(i)); err != nil {
				return err
			}
		}
	}
	return nil
}
