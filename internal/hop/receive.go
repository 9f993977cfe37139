package hop

import (
	"context"
	"errors"
	"fmt"

	"github.com/shardlake/shardlake"
)

// receiveRows bounds a batch that is given on.
const receiveRows = 256

// Receiver takes the rows of frames once each, in the order of the frames of a bucket,
// and gives them on with the watermark of those who send. One goroutine uses it.
type Receiver[T any] struct {
	env     *shardlake.Env
	next    shardlake.Emit[T]
	decoder Decoder[T]
	ledger  *Ledger
	records []shardlake.Record
	origins []shardlake.Origin
	rows    []T
	waited  int // commits for which the watermark has not been known
}

// Decoder is a codec's.
type Decoder[T any] interface {
	// Decode makes rows of records: see package codec.
	Decode(ctx context.Context, records []shardlake.Record, rows []T) (n int, err error)
}

// Receive makes the receiving end of a lane, whose ledger it keeps.
func Receive[T any](env *shardlake.Env, next shardlake.Emit[T], d Decoder[T]) (*Receiver[T], error) {
	r := &Receiver[T]{env: env, next: next, decoder: d, ledger: NewLedger(env.Range())}
	return r, env.Keep("received frames", r.ledger)
}

// Take gives on the rows of a frame, unless it was taken before.
func (r *Receiver[T]) Take(ctx context.Context, f *Frame, from *shardlake.Record) error {
	mark, ok, err := r.ledger.Accept(&f.Header, from.Arrived)
	if err != nil {
		return r.env.Fail("receive", from.Pos, err, "")
	}
	if !ok {
		return nil
	}
	if err := r.take(ctx, f, from, mark); err != nil {
		return err
	}
	r.ledger.Done(&f.Header)
	return nil
}

// take gives on the rows of a frame.
func (r *Receiver[T]) take(ctx context.Context, f *Frame, from *shardlake.Record, mark shardlake.Instant) error {
	home := Start(f.Bucket, f.Of)
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
func (r *Receiver[T]) give(ctx context.Context) error {
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
func (r *Receiver[T]) Mark(ctx context.Context, m shardlake.Mark) error {
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

func (r *Receiver[T]) tell(mark shardlake.Instant) {
	if mark != shardlake.Never {
		r.waited = 0
		return
	}
	if r.waited++; r.waited == tellAfter {
		r.env.Log().Warn("the watermark is not known yet: lanes that send to this stream have not been heard of; a shard that is silent sends only with pipeline.Config.EventTime.Idle",
			"lanes", r.ledger.Awaited())
	}
}
