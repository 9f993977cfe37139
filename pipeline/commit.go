package pipeline

import (
	"context"
	"errors"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/lease"
)

// reason is why a commit is made.
type reason int

const (
	commitHeld   reason = iota // to make visible what was read; nothing if nothing was
	commitAnyway               // although nothing was read
	commitEnd                  // the input is read to its end: windows close
	commitShut                 // the shard is, and others go on with its windows
)

// commit is the protocol: drain, seal, take the states, one conditional write,
// and then publish, beside the reading of what comes next. docs/DESIGN.md tells
// what each step leaves behind if the process dies after it.
func (l *lane[T]) commit(ctx context.Context, why reason) error {
	if l.since == 0 && !l.aged && why == commitHeld {
		l.share.relieved()
		return nil // nothing has changed
	}
	// A commit replaces the list of what is pending, so all of it must be visible.
	if err := l.awaitPublished(ctx); err != nil {
		return err
	}
	m := shardlake.Mark{Watermark: l.high, Commit: true}
	switch why {
	case commitEnd:
		m.Watermark, m.End = shardlake.Forever, &shardlake.End{}
	case commitShut:
		m.End = &shardlake.End{Heirs: l.row.Children}
	}
	if err := l.mark(ctx, m); err != nil {
		return err
	}
	next := l.row
	next.Number, next.CommitID, next.Pos = l.attempt.Number, l.attempt.ID, l.pos
	next.Watermark, next.Known, next.Ended, next.Pending = l.high, l.arrived, why == commitEnd || why == commitShut, nil
	for _, w := range l.writers {
		ps, err := w.Seal(ctx)
		if err != nil {
			return l.fail("seal", err, "")
		}
		next.Pending = append(next.Pending, ps...)
	}
	var err error
	if next.State, err = l.env.Snapshot(); err == nil {
		next.State, err = addFloors(next.State, l.floors)
	}
	if err != nil {
		return l.fail("snapshot", err, "")
	}
	if err := l.write(ctx, next); err != nil {
		return err
	}
	l.row, l.since, l.aged = next, 0, false
	l.row.State = nil // the store has it
	l.stats.commits.Add(1)
	l.noteCommit()
	l.begin()
	l.lower()
	if err := l.weigh(); err != nil {
		return err
	}
	l.share.relieved()
	done := make(chan error, 1)
	l.published = done
	pub := l.publishing()
	l.env.Go(func(ctx context.Context) { done <- pub.run(ctx) })
	return nil
}

// write makes the conditional write and repeats the very same one until the
// answer is definite. An answer that is lost proves nothing: the write may land
// later, so nothing of the attempt may be given up or replaced meanwhile.
func (l *lane[T]) write(ctx context.Context, next lease.Row) error {
	for try := 1; ; try++ {
		sent := l.now()
		l.moved.Store(sent) // waiting for the lease store is no stall
		err := l.p.cfg.Leases.Commit(ctx, next)
		switch {
		case err == nil:
			l.confirmed(sent)
			return nil
		case errors.Is(err, lease.ErrLost):
			return l.fail("commit", err, "two workers had the shard; this one wrote nothing visible and stops")
		case errors.Is(err, lease.ErrUncertain):
			return l.fail("commit", err, "start the process again: it reads what was written and goes on from there")
		case errors.Is(err, lease.ErrNoSegment):
			return l.fail("commit", err, "") // a mistake of ours; repeating would be for ever
		}
		l.log.Warn("the commit was not answered; repeating it", "error", err, "try", try)
		if !pause(ctx, try, l.p.cfg.Owner+l.row.Lane) {
			return l.fail("commit", errors.Join(context.Cause(ctx), err), "")
		}
	}
}

func (l *lane[T]) noteCommit() {
	pos := l.row.Pos
	l.stats.committed.Store(&pos)
	l.stats.number.Store(l.row.Number)
}

// awaitPublished waits for the publishing under way, if any.
func (l *lane[T]) awaitPublished(ctx context.Context) error {
	if l.published == nil {
		return nil
	}
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for {
		select {
		case err := <-l.published:
			l.published = nil
			return err
		case <-tick.C:
			l.moved.Store(l.now()) // waiting for the object store is no stall
		case <-ctx.Done():
			return l.fail("publish", context.Cause(ctx), "the next owner of the shard publishes what is committed")
		}
	}
}
