package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"

	"github.com/shardlake/shardlake"
)

// open makes the lane's private tree.
func (l *lane[T]) open(ctx context.Context) (err error) {
	state := maps.Clone(l.row.State)
	clear(l.row.State) // the stages have it from here on; others hold this map, too
	l.row.State = nil
	if l.floors, err = takeFloors(state, l.floors); err != nil {
		return l.fail("resume", err, "")
	}
	host := shardlake.Host{
		Source: l.stream, Lane: l.row.Lane, Range: l.row.Range, State: state, Log: l.log, Peers: l.siblings, Scattered: l.scattered,
		Attempt: func() shardlake.Attempt { return l.attempt },
		Buffer:  l.share.buffer, Recycle: l.share.recycle,
	}
	if len(l.p.dead.outs) > 0 {
		host.Dead = func(ctx context.Context, r *shardlake.Record, d shardlake.DeadLetter) error {
			return l.bury(ctx, l.dead, &l.stats.dead, r, d)
		}
	}
	if len(l.p.late.outs) > 0 {
		host.Late = func(ctx context.Context, r *shardlake.Record, d shardlake.DeadLetter) error {
			return l.bury(ctx, l.late, &l.stats.late, r, d)
		}
	}
	l.env = shardlake.NewEnv(ctx, host)
	if host.Dead != nil {
		if l.dead, err = l.p.dead.open(&l.opening); err != nil {
			return err
		}
	}
	if host.Late != nil {
		if l.late, err = l.p.late.open(&l.opening); err != nil {
			return err
		}
	}
	if l.in, err = l.node.open(&l.opening); err != nil {
		return err
	}
	if l.decoder, err = l.src.Decoder(); err != nil {
		return l.fail("decode", err, "")
	}
	return nil
}

// close ends the lane's goroutines and gives up what is not sealed. A panic that
// no stage caught, in a source, a sink or a hand-written stage, ends here.
func (l *lane[T]) close(err *error, panicked any) {
	if l.env != nil {
		l.env.Close()
	}
	// What the fetcher left in the channel is nobody's any more.
	for more := true; more; {
		select {
		case c := <-l.chunks:
			l.p.mem.adjust(-c.held)
		default:
			more = false
		}
	}
	if panicked != nil {
		l.log.Error("a panic ended the lane", "panic", panicked, "stack", string(debug.Stack()))
		what, pos := "behind", l.pos
		if i := l.decoding; i >= 0 && i < len(l.batch.Records) {
			what, pos = "decode", l.batch.Records[i].Pos
		}
		*err = &Error{Stage: what, Lane: l.row.Lane, Pos: pos, Err: fmt.Errorf("panic: %v", panicked),
			Remedy: "mend the function; nothing is lost, the records come again"}
	}
	for _, w := range l.writers {
		*err = errors.Join(*err, w.Close())
	}
	l.share.leave()
	if *err != nil {
		l.stats.is("failed")
	}
}
