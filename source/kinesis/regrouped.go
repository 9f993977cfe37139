package kinesis

import (
	"context"
	"errors"
	"fmt"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
	"github.com/shardlake/shardlake/internal/hop"
	"github.com/shardlake/shardlake/source"
)

// Frame is a record of a stream that sink/kinesis.Regroup writes: rows of one lane of
// another pipeline. Receive takes it apart.
type Frame struct{ frame hop.Frame }

// Frames reads a stream that sink/kinesis.Regroup writes, and nobody else:
//
//	views := p.Read(kinesis.Frames(kinesis.Config{Stream: "by-user"})).Via(kinesis.Receive(codec.JSON[View]))
//
// It begins with the oldest record by default, as any source; begun later, it would
// not learn of all lanes that send, and misses what they sent before. A record that is
// no frame is a dead letter.
func Frames(cfg Config) source.Source[Frame] {
	return Source(cfg, codec.Func(func(r *shardlake.Record) (Frame, error) {
		f, err := hop.Decode(r.Data)
		if err != nil {
			return Frame{}, shardlake.Reject(fmt.Errorf("kinesis: %w", err))
		}
		return Frame{f}, nil
	}), nil)
}

// Receive is the stage behind Frames: it takes each row that was sent once, however
// often its frame is in the stream, and gives it on with the event time that it had,
// under the partition key that Regroup gave it. Its watermark is the lowest of all
// lanes that send, so a lane that has not been heard of holds it, as the log says. What
// it keeps, a few hundred bytes for each lane and bucket, is part of every commit, and goes
// to the children of a shard with the buckets.
//
// A row that c refuses is a dead letter, with the payload that was sent.
func Receive[T any](c func() (codec.Decoder[T], error)) func(*shardlake.Env, shardlake.Emit[T]) (shardlake.Emit[Frame], error) {
	return func(env *shardlake.Env, next shardlake.Emit[T]) (shardlake.Emit[Frame], error) {
		if c == nil {
			return nil, errors.New("kinesis: Receive(nil): want a codec")
		}
		d, err := c()
		if err != nil {
			return nil, err
		}
		in, err := hop.Receive(env, next, d)
		return frames[T]{in}, err
	}
}

// frames is the receiving end as a stage of Frame.
type frames[T any] struct{ *hop.Receiver[T] }

// Push takes frames.
func (f frames[T]) Push(ctx context.Context, b shardlake.Batch[Frame]) error {
	for i := range b.Rows {
		if err := f.Take(ctx, &b.Rows[i].frame, b.From(i)); err != nil {
			return err
		}
	}
	return nil
}
