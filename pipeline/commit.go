package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/sink"
)

// commit is the protocol: drain, seal, take the states, one conditional write,
// and then publish, beside the reading of what comes next. docs/DESIGN.md tells
// what each step leaves behind if the process dies after it.
func (l *lane[T]) commit(ctx context.Context, ended bool) error {
	if l.since == 0 && !ended {
		l.share.relieved()
		return nil // nothing has changed
	}
	// A commit replaces the list of what is pending, so all of it must be visible.
	if err := l.awaitPublished(ctx); err != nil {
		return err
	}
	m := shardlake.Mark{Watermark: l.high, Commit: true}
	if ended {
		m.Watermark = shardlake.Forever
	}
	if err := l.mark(ctx, m); err != nil {
		return err
	}
	next := l.row
	next.Number, next.CommitID, next.Pos = l.attempt.Number, l.attempt.ID, l.pos
	next.Watermark, next.Ended, next.Pending = l.high, ended, nil
	for _, w := range l.writers {
		ps, err := w.Seal(ctx)
		if err != nil {
			return l.fail("seal", err, "")
		}
		next.Pending = append(next.Pending, ps...)
	}
	var err error
	if next.State, err = l.env.Snapshot(); err != nil {
		return l.fail("snapshot", err, "")
	}
	if err := l.write(ctx, next); err != nil {
		return err
	}
	l.row, l.since = next, 0
	l.stats.commits.Add(1)
	l.noteCommit()
	l.begin()
	l.weigh()
	l.share.relieved()
	done := make(chan error, 1)
	l.published = done
	l.env.Go(func(ctx context.Context) { done <- l.publish(ctx, next) })
	return nil
}

// write makes the conditional write and repeats the very same one until the
// answer is definite. An answer that is lost proves nothing: the write may land
// later, so nothing of the attempt may be given up or replaced meanwhile.
func (l *lane[T]) write(ctx context.Context, next lease.Row) error {
	for try := 1; ; try++ {
		err := l.p.cfg.Leases.Commit(ctx, next)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, lease.ErrLost):
			return l.fail("commit", err, "two workers had the shard; this one wrote nothing visible and stops")
		case errors.Is(err, lease.ErrUncertain):
			return l.fail("commit", err, "start the process again: it reads what was written and goes on from there")
		}
		l.log.Warn("the commit was not answered; repeating it", "error", err, "try", try)
		if !pause(ctx, try) {
			return l.fail("commit", errors.Join(l.run.stopped(ctx.Err()), err), "")
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
	select {
	case err := <-l.published:
		l.published = nil
		return err
	case <-ctx.Done():
		return l.fail("publish", l.run.stopped(ctx.Err()), "the next owner of the shard publishes what is committed")
	}
}

// publish makes what a row lists visible and then clears the list. It needs a
// publisher of each kind, not the sink that made the upload. It goes on for as
// long as the lane lives: the rows are committed, and nobody else may give up.
func (l *lane[T]) publish(ctx context.Context, row lease.Row) error {
	if len(row.Pending) == 0 && !row.Ended {
		return nil
	}
	g, gctx := errgroup.WithContext(ctx)
	for _, u := range row.Pending {
		pub := l.p.publisher(u.Kind)
		if pub == nil {
			return l.fail("publish", fmt.Errorf("no publisher of kind %q", u.Kind),
				"its sink has left the program: add a store of that kind to Config.Publishers")
		}
		g.Go(func() error { return l.publishOne(gctx, pub, u) })
	}
	if err := g.Wait(); err != nil {
		return l.fail("publish", err, "")
	}
	l.stats.files.Add(int64(len(row.Pending)))
	if row.Ended {
		// Nobody will have the lane again once the list is empty, and this owner makes
		// no upload any more: what is unfinished now is left over, its own too.
		l.sweep(ctx, l.attempt.FilePrefix()+"-", row.Fence+1)
	}
	for try := 1; len(row.Pending) > 0; try++ {
		err := l.p.cfg.Leases.Clear(ctx, row)
		if err == nil {
			return nil
		}
		if errors.Is(err, lease.ErrLost) || errors.Is(err, lease.ErrUncertain) || !pause(ctx, try) {
			return l.fail("clear", err, "")
		}
		l.log.Warn("the list of published files was not cleared; trying again", "error", err, "try", try)
	}
	return nil
}

// lostAfter is how long an upload must stay lost before it is believed: another
// process may be completing it, or somebody is moving the bucket.
const lostAfter = 15 * time.Minute

func (l *lane[T]) publishOne(ctx context.Context, pub sink.Publisher, u shardlake.Pending) error {
	var lost time.Time
	for try := 1; ; try++ {
		select {
		case l.p.slots <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		err := pub.Publish(ctx, u)
		<-l.p.slots
		if err == nil {
			return nil
		}
		switch {
		case !errors.Is(err, sink.ErrLostUpload):
			lost = time.Time{}
		case lost.IsZero():
			lost = time.Now()
		case time.Since(lost) >= lostAfter:
			return l.fail("publish", err, "its rows must be read again from position "+l.attempt.From.String()+
				" while the stream still holds them; look for a lifecycle rule that aborts uploads too early")
		}
		l.log.Error("a committed file is not visible yet; trying again", "error", err, "try", try)
		if !pause(ctx, try) {
			return errors.Join(context.Cause(ctx), err)
		}
	}
}

// sweep removes uploads that earlier owners of the lane left behind: those with a
// fence lower than below. They can no longer be committed, since the row has a
// new token, and none of them is pending, since all that was has been published.
func (l *lane[T]) sweep(ctx context.Context, prefix string, below uint64) {
	for _, s := range l.p.sinks {
		s, ok := s.(sink.Sweeper)
		if !ok {
			continue
		}
		n, err := s.Sweep(ctx, prefix, func(name string) bool {
			f, ok := fenceOf(name, prefix)
			return ok && f < below
		})
		if err != nil && ctx.Err() == nil {
			l.log.Warn("sweeping unfinished uploads failed; they cost money until the next start or the bucket's lifecycle rule", "kind", s.Kind(), "error", err)
		}
		if n > 0 {
			l.log.Info("swept unfinished uploads of earlier owners", "kind", s.Kind(), "uploads", n)
		}
	}
}

// publisher finds who can publish an upload of a kind: the sink that made it, or
// one like it at another place.
func (p *Pipeline) publisher(kind string) sink.Publisher {
	if pub, ok := p.kinds[kind]; ok {
		return pub
	}
	scheme, _, _ := strings.Cut(kind, ":")
	for _, k := range slices.Sorted(maps.Keys(p.kinds)) {
		if s, _, _ := strings.Cut(k, ":"); s == scheme {
			return p.kinds[k]
		}
	}
	return nil
}

// fenceOf reads the fence from a name that Attempt.FileName made.
func fenceOf(name, prefix string) (uint64, bool) {
	rest, ok := strings.CutPrefix(name, prefix)
	parts := strings.Split(rest, "-")
	if !ok || len(parts) != 4 {
		return 0, false
	}
	f, err := strconv.ParseUint(parts[1], 10, 64)
	return f, err == nil
}
