package pipeline

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/shardlake/shardlake"
)

var errAbsurdTime = errors.New("its event time lies outside of the years 0 to 9999")

// decodeBatch makes l.batch of records: their rows, without those that are
// refused, and their watermarks. It returns how many records that were: fewer than
// there are if the decoder had enough.
func (l *lane[T]) decodeBatch(ctx context.Context, recs []shardlake.Record) (int, error) {
	b := &l.batch
	if cap(b.Rows) < len(recs) {
		b.Rows, b.Origins = make([]T, len(recs)), make([]shardlake.Origin, len(recs))
		l.times = make([]shardlake.Instant, len(recs))
	}
	// Rows are decoded into their place: a wide row is not copied once more, except
	// behind one that is refused.
	b.Rows, b.Origins, b.Records = b.Rows[:len(recs)], b.Origins[:len(recs)], recs
	n, i := 0, 0
	for enough := false; i < len(recs) && !enough; {
		first := n
		done, refused := l.decode(ctx, i, recs[i:], b.Rows[n:n+len(recs)-i], l.times[:len(recs)-i])
		for k, at := range l.times[:done] {
			r := &recs[i+k]
			if at < shardlake.MinEventTime || at > shardlake.MaxEventTime {
				if err := l.refuse(ctx, r, shardlake.Reject(errAbsurdTime)); err != nil {
					return i, err
				}
				continue
			}
			l.advance(at, r)
			r.Watermark = l.reached(r)
			if n != first+k {
				b.Rows[n] = b.Rows[first+k]
			}
			b.Origins[n] = shardlake.Origin{Time: at, Record: int32(i + k)}
			n++
		}
		i += done
		if refused == nil && done == 0 || refused != nil && i == len(recs) {
			err := fmt.Errorf("the decoder breaks its contract: %d rows of %d records", done, len(recs)-i+done)
			return i, l.fail("decode", errors.Join(err, refused), "without an error it makes at least one row; with one there is a record behind the rows")
		}
		if enough = refused == nil; refused != nil {
			if err := l.refuse(ctx, &recs[i], refused); err != nil {
				return i, err
			}
			i++
		}
	}
	l.decoding = -1
	b.Rows, b.Origins, b.Records = b.Rows[:n], b.Origins[:n], recs[:i:i]
	return i, nil
}

// refuse settles a record that gives no row.
func (l *lane[T]) refuse(ctx context.Context, r *shardlake.Record, why error) error {
	r.Watermark = l.reached(r)
	return l.env.Settle(ctx, "decode", r, why)
}

// decode makes rows of records, the first of which is the batch's record number
// at. A panic is met again with each record alone, by a new decoder, since nobody
// knows what the old one is in the middle of; so the error names the record which
// caused it.
func (l *lane[T]) decode(ctx context.Context, at int, recs []shardlake.Record, rows []T, times []shardlake.Instant) (int, error) {
	l.decoding = at
	n, panicked, err := l.tryDecode(ctx, recs, rows, times)
	if !panicked {
		return min(n, len(recs)), err
	}
	if l.decoder, err = l.src.Decoder(); err != nil {
		return 0, err
	}
	for n = range recs {
		l.decoding = at + n
		if done, err := l.decoder.Decode(ctx, recs[n:n+1:n+1], rows[n:n+1:n+1], times[n:n+1:n+1]); err != nil || done != 1 {
			return n, err
		}
	}
	return len(recs), nil
}

func (l *lane[T]) tryDecode(ctx context.Context, recs []shardlake.Record, rows []T, times []shardlake.Instant) (n int, panicked bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			l.log.Error("a codec panicked; each record of the batch is tried alone", "panic", p, "stack", string(debug.Stack()))
			panicked = true
		}
	}()
	n, err = l.decoder.Decode(ctx, recs, rows, times)
	return n, false, err
}
