package stage

import (
	"context"
	"errors"
	"time"

	"github.com/shardlake/shardlake"
)

// At gives each row an event time of its own: for rows that FlatMap made of one
// record, which all have the record's until then. when returns it; a time outside of
// the years 0 to 9999 makes the row a dead letter.
//
// The watermark still follows the time of the records, which the source's time
// function gives: let that be the earliest of the rows (codec.Earliest), or their
// disorder within a record adds to what the grace of a window has to bear.
func At[T any](when func(T) time.Time) Stage[T, T] {
	return func(env *shardlake.Env, next shardlake.Emit[T]) (shardlake.Emit[T], error) {
		g, err := guarded(env, "at", when)
		return &at[T]{next, g, when}, err
	}
}

type at[T any] struct {
	shardlake.Emit[T] // next; forwards marks
	guard
	when func(T) time.Time
}

var errAbsurdTime = errors.New("its event time lies outside of the years 0 to 9999")

func (a *at[T]) Push(ctx context.Context, b shardlake.Batch[T]) error {
	n, err := a.stamp(ctx, b)
	if err != nil || n == 0 {
		return err
	}
	return a.Emit.Push(ctx, b.Cut(0, n))
}

func (a *at[T]) stamp(ctx context.Context, b shardlake.Batch[T]) (n int, err error) {
	defer a.catch(b.Origins, b.Records, &err)
	for i := range b.Rows {
		a.guard.at = i
		t, ok := shardlake.EventTime(a.when(b.Rows[i]))
		if !ok {
			if err := settle(ctx, &a.guard, b, i, shardlake.Reject(errAbsurdTime)); err != nil {
				return n, err
			}
			continue
		}
		b.Rows[n], b.Origins[n] = b.Rows[i], shardlake.Origin{Time: t, Record: b.Origins[i].Record}
		n++
	}
	return n, nil
}
