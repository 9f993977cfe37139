// Package codec turns the payloads of records into rows. A codec is a constructor
// of decoders, passed to a source as it stands, without type argument:
//
//	kinesis.Source(cfg, codec.JSON, Click.when)
package codec

import (
	"context"

	"github.com/shardlake/shardlake"
)

// Decoder makes rows of the records of one lane. One goroutine uses it, so it may
// keep memory from call to call.
type Decoder[T any] interface {
	// Decode makes rows[i] of records[i], one after another, until a record gives no
	// row: n is how many did. The error is about records[n]. It is an answer like that
	// of a stage: shardlake.Reject, shardlake.ErrSkip, or any other error, which stops
	// the lane. Without an error n is at least 1; it is less than the length of both
	// slices if the decoder has enough: it stops, to be called again with what
	// follows, when the rows of one call take much more memory than their records,
	// some [Enough]. The places may hold earlier rows: all of each is assigned, and
	// that of records[n] holds nothing of use.
	//
	// Rows do not change when a later record is decoded; they may share memory with
	// each other and with their record. ctx ends with the lane: a decoder that asks
	// a registry gives up then.
	Decode(ctx context.Context, records []shardlake.Record, rows []T) (n int, err error)
}

// Enough is how much memory, in bytes, the rows of one call of Decode take beside
// their records: what the last of them takes is added to it.
const Enough = 1 << 20

// Func makes a codec of a function from record to row. Several goroutines may call
// it, each with its own records.
func Func[T any](f func(*shardlake.Record) (T, error)) func() (Decoder[T], error) {
	return func() (Decoder[T], error) { return function[T](f), nil }
}

type function[T any] func(*shardlake.Record) (T, error)

func (f function[T]) Decode(_ context.Context, records []shardlake.Record, rows []T) (n int, err error) {
	for n = range records {
		if rows[n], err = f(&records[n]); err != nil {
			return n, err
		}
	}
	return len(records), nil
}

// Map makes a codec of another one and a function from its rows, which may refuse
// a row like a stage:
//
//	codec.Map(codec.JSON[reading], reading.sensible)
func Map[A, B any](inner func() (Decoder[A], error), f func(A) (B, error)) func() (Decoder[B], error) {
	return func() (Decoder[B], error) {
		d, err := inner()
		return &mapped[A, B]{inner: d, f: f}, err
	}
}

type mapped[A, B any] struct {
	inner Decoder[A]
	f     func(A) (B, error)
	rows  []A // of one call
}

func (m *mapped[A, B]) Decode(ctx context.Context, records []shardlake.Record, rows []B) (int, error) {
	if cap(m.rows) < len(records) {
		m.rows = make([]A, len(records))
	}
	in := m.rows[:len(records)]
	defer clear(in) // what they point to shall not live on
	n, err := m.inner.Decode(ctx, records, in)
	for i := range n {
		var own error
		if rows[i], own = m.f(in[i]); own != nil {
			return i, own
		}
	}
	return n, err
}
