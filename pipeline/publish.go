package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
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

// publishing makes the uploads of one commit visible, beside the lane, which
// reads on meanwhile. It shares nothing with the lane but the counters.
type publishing struct {
	p      *Pipeline
	log    *slog.Logger
	stats  *stats
	row    lease.Row // as committed
	prefix string    // of the lane's file names
}

// publishing is of the lane's last commit.
func (l *lane[T]) publishing() publishing {
	return publishing{l.p, l.log, l.stats, l.row, l.attempt.FilePrefix() + "-"}
}

// who spreads what several lanes and workers repeat.
func (u publishing) who() string { return u.row.Owner + u.row.Lane }

func (u publishing) fail(step string, err error, remedy string) error {
	return &Error{Stage: step, Lane: u.row.Lane, Pos: u.row.Pos, Err: err, Remedy: remedy}
}

// run publishes what the row lists and then clears the list. It needs a
// publisher of each kind, not the sink that made the upload. It goes on for as
// long as the lane lives: the rows are committed, and nobody else may give up.
func (u publishing) run(ctx context.Context) error {
	if err := u.complete(ctx); err != nil || u.row.Repair != "" {
		return err
	}
	u.stats.files.Add(int64(len(u.row.Pending)))
	if u.row.Ended {
		// Nobody will have the lane again once the list is empty, and this owner makes
		// no upload any more: what is unfinished now is left over, its own too.
		u.sweep(ctx, u.row.Fence+1)
	}
	if len(u.row.Pending) == 0 && u.row.Prev == nil {
		return nil
	}
	return u.repeat(ctx, "clear", func(ctx context.Context) error { return u.p.cfg.Leases.Clear(ctx, u.row) })
}

// complete makes visible what the row lists, but for what is skipped, unless the
// list is being given up. It ends with the first upload that is lost.
func (u publishing) complete(ctx context.Context, skip ...int) error {
	if u.row.Repair != "" {
		return nil
	}
	var stopped error // not all were begun
	g, gctx := errgroup.WithContext(ctx)
	for i, up := range u.row.Pending {
		if slices.Contains(skip, i) {
			continue
		}
		pub := u.p.publisher(up.Kind)
		if pub == nil {
			stopped = u.fail("publish", fmt.Errorf("no publisher of kind %q", up.Kind),
				"its sink has left the program: add a store of that kind to Config.Publishers")
			break
		}
		// In the order of the list: which files wait for others shall not depend on
		// chance.
		if stopped = u.slot(gctx); stopped != nil {
			break
		}
		g.Go(func() error {
			err := u.one(gctx, pub, up)
			if isLost(err) {
				return &lostUploadError{i, err}
			}
			return err
		})
	}
	err := cmp.Or(g.Wait(), stopped)
	if _, ok := errors.AsType[*Error](err); ok || err == nil {
		return err
	}
	return u.fail("publish", err, "the next owner of the shard publishes what is committed")
}

// lostUploadError says which upload of a list is lost.
type lostUploadError struct {
	n int
	error
}

// Unwrap returns the error of its publisher.
func (e *lostUploadError) Unwrap() error { return e.error }

// isLost tells an upload that is lost from one that cannot be published now.
func isLost(err error) bool { return errors.Is(err, sink.ErrLostUpload) }

// lostAfter is how long an upload must stay lost before it is believed: another
// process may be completing it, or somebody is moving the bucket.
const lostAfter = 15 * time.Minute

// slot waits for one of the process's publishing calls.
func (u publishing) slot(ctx context.Context) error {
	select {
	case u.p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// one publishes an upload, in a slot that it has, and gives back between tries.
func (u publishing) one(ctx context.Context, pub sink.Publisher, up shardlake.Pending) error {
	var lost time.Time
	for try := 1; ; try++ {
		if try > 1 {
			if err := u.slot(ctx); err != nil {
				return err
			}
		}
		err := pub.Publish(ctx, up)
		<-u.p.slots
		if err == nil {
			return nil
		}
		switch {
		case !errors.Is(err, sink.ErrLostUpload):
			lost = time.Time{}
		case lost.IsZero():
			lost = time.Now()
		case time.Since(lost) >= lostAfter:
			return u.fail("publish", err, "the rows of this commit must be read again while the stream still holds them: set Config.Repair; and look for a lifecycle rule that aborts uploads too early, or for somebody who deletes files")
		}
		u.log.Error("a committed file is not visible yet; trying again", "error", err, "try", try)
		if !pause(ctx, try, u.who()) {
			// Not a join: an upload that was not found once is not lost yet.
			return fmt.Errorf("%w; the last answer was: %s", context.Cause(ctx), err.Error())
		}
	}
}

// sweepTries is how often a sweep is tried: it is not worth holding up a lane for.
const sweepTries = 5

// sweep removes uploads of the lane with a fence lower than below. Those can no
// longer be committed, since the row has a newer token, and none of them is
// pending, since all that was has been published.
func (u publishing) sweep(ctx context.Context, below uint64) {
	dead := func(name string) bool {
		f, ok := fenceOf(name, u.prefix)
		return ok && f < below
	}
	for _, s := range u.p.sinks {
		s, ok := s.(sink.Sweeper)
		if !ok {
			continue
		}
		n, err := s.Sweep(ctx, u.prefix, dead)
		for try := 1; err != nil && try < sweepTries && pause(ctx, try, u.who()); try++ {
			n, err = s.Sweep(ctx, u.prefix, dead)
		}
		if err != nil && ctx.Err() == nil {
			u.log.Warn("sweeping unfinished uploads failed; they cost money until the next start or the bucket's lifecycle rule", "kind", s.Kind(), "error", err)
		}
		if n > 0 {
			u.log.Info("swept unfinished uploads", "kind", s.Kind(), "uploads", n)
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
