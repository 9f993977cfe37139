package stage

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// Limit bounds how many calls are under way at once in all stages and lanes that
// share it, so that a service sees the same load however many lanes a process
// has. Who waits is served in the order of arrival. It is safe for concurrent use.
type Limit struct {
	slots chan struct{}
	// lost counts slots whose calls have overrun their time and not returned. When
	// all are lost, nobody can say when the next becomes free.
	lost atomic.Int64
}

// NewLimit returns a limit of n calls at once. It starts nothing. A limit of less
// than 1 is an error of the stage that is given it.
func NewLimit(n int) *Limit { return &Limit{slots: make(chan struct{}, max(n, 0))} }

// Size is the number of calls that may be under way at once.
func (l *Limit) Size() int { return cap(l.slots) }

// InUse is the number of calls that are under way, those that overran their time
// included: for a gauge.
func (l *Limit) InUse() int { return len(l.slots) }

// Overdue is the number of calls that overran their time, or their lane's, and
// have still not returned: for an alarm.
func (l *Limit) Overdue() int { return int(l.lost.Load()) }

// take waits for a slot. It gives up only when, after patience, all slots are
// lost: as long as one call returns in its time the wait is a queue's.
func (l *Limit) take(ctx context.Context, patience time.Duration) error {
	select {
	case l.slots <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case l.slots <- struct{}{}:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C:
			if l.Overdue() >= l.Size() {
				return fmt.Errorf("all %d calls that may be made at once have overrun their time and do not return: let the function return when its context ends", l.Size())
			}
			timer.Reset(patience)
		}
	}
}

func (l *Limit) give() { <-l.slots }
