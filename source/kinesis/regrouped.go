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
// it keeps, some 400 bytes for each lane and bucket, is part of every commit, and goes
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
		r := &receiver[T]{env: env, next: next, decoder: d, ledger: hop.NewLedger(env.Range())}
		return r, env.Keep("received frames", r.ledger)
	}
}

type receiver[T any] struct {
	env     *shardlake.Env
	next    shardlake.Emit[T]
	decoder codec.Decoder[T]
	ledger  *hop.Ledger
	records []shardlake.Record
	origins []shardlake.Origin
	rows    []T
	waited  int // marks for which the watermark has not been known
}

// receiveRows bounds a batch that is given on.
const receiveRows = 256

func (r *receiver[T]) Push(ctx context.Context, b shardlake.Batch[Frame]) error {
	for i := range b.Rows {
		f, rec := &b.Rows[i].frame, b.From(i)
		mark, ok, err := r.ledger.Accept(&f.Header, rec.Arrived)
		if err != nil {
			return r.env.Fail("receive", rec.Pos, err, "")
		}
		if !ok {
			continue // it was taken before
		}
		if err := r.take(ctx, f, rec, mark); err != nil {
			return err
		}
		r.ledger.Done(&f.Header)
	}
	return nil
}

// take gives on the rows of a frame.
func (r *receiver[T]) take(ctx context.Context, f *hop.Frame, from *shardlake.Record, mark shardlake.Instant) error {
	home := hop.Start(f.Bucket, f.Of)
	for row, err := range f.Rows() {
		if err != nil {
			return r.env.Fail("receive", from.Pos, err, "the frame's checksum is right, so it was written so: look for what else writes to this stream")
		}
		r.records = append(r.records, shardlake.Record{Pos: from.Pos, Key: row.Key, Home: &home, Arrived: from.Arrived, Data: row.Data, Watermark: mark})
		r.origins = append(r.origins, shardlake.Origin{Time: row.Time})
		if len(r.records) == receiveRows {
			if err := r.give(ctx); err != nil {
				return err
			}
		}
	}
	return r.give(ctx)
}

// give decodes what has been gathered and pushes it, as far as the decoder goes at a
// time. The records are given away with the rows: a stage behind may keep them.
func (r *receiver[T]) give(ctx context.Context) error {
	for len(r.records) > 0 {
		records, origins := r.records, r.origins
		if cap(r.rows) < len(records) {
			r.rows = make([]T, len(records))
		}
		rows := r.rows[:len(records)]
		n, refused := r.decoder.Decode(ctx, records, rows)
		if n < 0 || n > len(records) || refused == nil && n == 0 || refused != nil && n == len(records) {
			return r.env.Fail("receive", records[0].Pos, errors.Join(fmt.Errorf("the decoder breaks its contract: %d rows of %d records", n, len(records)), refused), "without an error it makes at least one row; with one there is a record behind the rows")
		}
		for i := range n {
			origins[i].Record = int32(i)
		}
		if n > 0 {
			b := shardlake.Batch[T]{Rows: rows[:n:n], Origins: origins[:n:n], Records: records[:n:n]}
			if err := r.next.Push(ctx, b); err != nil {
				return err
			}
		}
		if refused != nil {
			if err := r.env.Settle(ctx, "receive", &records[n], refused); err != nil {
				return err
			}
			n++
		}
		r.records, r.origins = records[n:], origins[n:]
	}
	clear(r.rows)
	r.records, r.origins = nil, nil
	return nil
}

// Mark gives on the watermark of those who send, not that of the frames.
func (r *receiver[T]) Mark(ctx context.Context, m shardlake.Mark) error {
	if m.Watermark != shardlake.Forever {
		m.Watermark = r.ledger.Watermark()
	}
	if m.Commit {
		r.tell(m.Watermark)
	}
	return r.next.Mark(ctx, m)
}

// tellAfter is how many commits the watermark may be unknown before the log says why.
const tellAfter = 3

func (r *receiver[T]) tell(mark shardlake.Instant) {
	if mark != shardlake.Never {
		r.waited = 0
		return
	}
	if r.waited++; r.waited == tellAfter {
		r.env.Log().Warn("the watermark is not known yet: lanes that send to this stream have not been heard of; a shard that is silent sends only with pipeline.Config.EventTime.Idle",
			"lanes", r.ledger.Awaited())
	}
}
