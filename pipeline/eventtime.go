package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/shardlake/shardlake"
)

// EventTime says how the watermark of a lane follows from its records: the promise
// that rows with an earlier event time are late. What windows do follows from it,
// and it is part of every commit; no clock of a worker has a say.
type EventTime struct {
	// Bound is how far behind the highest event time of the lane the watermark stays,
	// so that rows may be out of order by as much without being late for anything. 0
	// by default: the grace of each window says it too.
	Bound time.Duration
	// Ahead is how far beyond the arrival of its record (ApproximateArrivalTimestamp)
	// an event time may lie and still move the watermark: 1 hour by default, negative
	// for no such bound. One producer whose clock is a year ahead must not close
	// every window. Its rows are counted (LaneStatus.Ahead) and go on like others; a
	// window that they fall into stays open until the watermark comes there.
	Ahead time.Duration
	// Idle is how long a lane has nothing to read before its watermark follows the
	// clock of the service, as far behind it as Idle and Bound together: then the
	// windows of a stream that has fallen silent close. A lane rests only at the tip of
	// its shard; one that lags never does. The watermark rises by at most the greater
	// of Idle and Bound with each answer. 0, the default, means that only records move
	// it: rows that come after a longer silence, of producers that were cut off or of
	// old data that is replayed, would be late.
	Idle time.Duration
}

func (t EventTime) withDefaults() EventTime {
	if t.Ahead == 0 {
		t.Ahead = time.Hour
	}
	return t
}

func (t EventTime) validate() error {
	var errs []error
	if t.Bound < 0 || t.Idle < 0 {
		errs = append(errs, fmt.Errorf("config: EventTime.Bound is %v and Idle is %v: want positive durations, or 0", t.Bound, t.Idle))
	}
	if t.Idle > 0 && t.Idle < time.Second {
		errs = append(errs, fmt.Errorf("config: EventTime.Idle is %v: want at least a second, or 0", t.Idle))
	}
	return errors.Join(errs...)
}

// advance raises the watermark to what a row says.
func (l *lane[T]) advance(at shardlake.Instant, r *shardlake.Record) {
	t := l.p.cfg.EventTime
	if t.Ahead > 0 && r.Arrived > 0 && at > r.Arrived.Sub(-t.Ahead) {
		l.stats.ahead.Add(1)
		return
	}
	l.high = max(l.high, at.Sub(t.Bound))
}

// rest is called with an answer without records. tip is the service's clock if the
// lane holds nothing beyond its position, else 0.
func (l *lane[T]) rest(ctx context.Context, tip shardlake.Instant) error {
	t := l.p.cfg.EventTime
	switch {
	case t.Idle == 0:
		return nil
	case tip == 0:
		l.resting = 0 // it lags
		return nil
	case l.resting == 0:
		l.resting = tip
	}
	if tip.Sub(t.Idle) < l.resting {
		return nil
	}
	to := tip.Sub(t.Idle + t.Bound)
	if l.high != shardlake.Never {
		to = min(to, l.high.Sub(-max(t.Idle, t.Bound)))
	}
	if to <= l.high {
		return nil
	}
	l.high, l.aged = to, true
	l.stats.watermark.Store(int64(l.high))
	if err := l.mark(ctx, shardlake.Mark{Watermark: l.high}); err != nil {
		return err
	}
	return l.weigh()
}
