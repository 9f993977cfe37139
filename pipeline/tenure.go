package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync/atomic"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/internal/spread"
	"github.com/shardlake/shardlake/pipeline/lease"
)

// Why the heartbeat ends a lane.
var (
	errSilent  = fmt.Errorf("the lease could not be renewed for Config.LeaseTime, so others may have the lane: %w", lease.ErrLost)
	errStalled = fmt.Errorf("no progress for Config.Stall, so the lease is left to others: %w", lease.ErrLost)
	errGiven   = errors.New("the lane was asked for, and giving it up in good order took longer than Config.HandOver")
)

// tenure is one ownership of a lane: what the lane and its heartbeat share.
type tenure struct {
	pipe   *Pipeline
	logger *slog.Logger
	counts *stats
	held   lease.Row // as acquired; only owner and token matter here
	base   time.Time // what follows counts from here, by the monotonic clock
	cancel context.CancelCauseFunc
	give   chan struct{} // closed when another worker has asked for the lane

	alive atomic.Int64 // when the last write that succeeded was sent
	moved atomic.Int64 // when the lane last came round
	idle  atomic.Int64 // time spent waiting for input
	tip   atomic.Int64 // an instant at which all was read and committed
}

// newTenure begins with an acquisition that was sent at a time.
func newTenure(p *Pipeline, log *slog.Logger, st *stats, row lease.Row, sent time.Time) *tenure {
	t := &tenure{pipe: p, logger: log, counts: st, held: row, base: sent, give: make(chan struct{})}
	t.moved.Store(int64(time.Since(sent)))
	return t
}

func (t *tenure) now() int64 { return int64(time.Since(t.base)) }

// confirmed says that a write which was sent at the time given has shown that
// the lane is still owned. The age of one's own lease counts from before the
// request: others count from after the answer.
func (t *tenure) confirmed(sent int64) {
	for {
		old := t.alive.Load()
		if sent <= old || t.alive.CompareAndSwap(old, sent) {
			return
		}
	}
}

// start beats until the function that it returns is called.
func (t *tenure) start(ctx context.Context) (end func()) {
	if !t.pipe.cfg.Leases.Shared() {
		return func() {}
	}
	ctx, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		t.beat(ctx)
	}()
	return func() { stop(); <-done }
}

// beat renews the lease and finds out what others did to the row. It ends the
// lane when the lease is lost, or was not renewed for so long that it may be.
func (t *tenure) beat(ctx context.Context) {
	every := t.pipe.cfg.LeaseTime / 3
	who := t.pipe.cfg.Owner + t.held.Lane
	var last shown
	var given time.Time
	for n, wait := 0, time.Duration(spread.Of(who, 0)*float64(every)); ; n++ {
		if !sleep(ctx, wait) {
			return
		}
		if !given.IsZero() && time.Since(given) >= t.pipe.cfg.HandOver {
			t.cancel(errGiven)
			return
		}
		sent := t.now()
		if time.Duration(sent-t.moved.Load()) > t.pipe.cfg.Stall {
			t.cancel(errStalled)
			return
		}
		left := t.pipe.cfg.LeaseTime - time.Duration(sent-t.alive.Load())
		if left <= 0 {
			t.cancel(errSilent)
			return
		}
		by := t.held
		by.Known = shardlake.Instant(t.tip.Load())
		by.Vitals, last = t.vitals(last)
		tctx, cancel := context.WithTimeout(ctx, min(every, left))
		row, err := t.pipe.cfg.Leases.Renew(tctx, by)
		cancel()
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			t.confirmed(sent)
			wait = every - min(every/2, time.Duration(t.now()-sent))
			if row.Want != "" && row.Want != t.held.Owner && given.IsZero() {
				given = time.Now()
				close(t.give)
			}
		case errors.Is(err, lease.ErrLost), errors.Is(err, lease.ErrUncertain):
			t.cancel(err)
			return
		default:
			t.logger.Warn("the lease was not renewed; trying again", "error", err)
			wait = time.Duration((0.5 + spread.Of(who, n)/2) * float64(every/4))
		}
	}
}

// notStalling is a time at which a lane is said to have moved last while it waits
// for something that is no fault of its own.
const notStalling = math.MaxInt64 / 2

// shown is what the counters were at the heartbeat before.
type shown struct{ at, idle, records, bytes int64 }

// vitals are the lane's rates since the heartbeat before.
func (t *tenure) vitals(last shown) (lease.Vitals, shown) {
	now := shown{t.now(), t.idle.Load(), t.counts.records.Load(), t.counts.bytes.Load()}
	v := lease.Vitals{Behind: time.Duration(t.counts.behind.Load())}
	if d := now.at - last.at; d > 0 {
		seconds := time.Duration(d).Seconds()
		v.Records, v.Bytes = float64(now.records-last.records)/seconds, float64(now.bytes-last.bytes)/seconds
		v.Busy = min(1, max(0, 1-float64(now.idle-last.idle)/float64(d)))
	}
	return v, now
}

// release gives up the lease, also when the stop budget is just spent. That a
// lease is not given up in time costs a successor some waiting and nothing else.
func (t *tenure) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	if err := t.pipe.cfg.Leases.Release(ctx, t.held); err != nil {
		t.logger.Warn("the lease was not released; others wait until it runs out", "error", err)
	}
	if s := t.counts.state.Load(); s == nil || *s != "ended" {
		t.counts.is("released")
	}
}

const releaseTimeout = 2 * time.Second
