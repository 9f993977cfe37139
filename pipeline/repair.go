package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/source"
)

// repair gives up the row's last commit, one of whose uploads is lost, and goes
// back to the one before. Every step can be repeated by the next owner, and the
// order matters: once the row is marked nobody publishes its list, and only when
// nothing of it can be or become visible does the position go back. It returns
// the row to go on with.
//
// This is the one case in which files disappear from a lake: their rows come back
// under other names.
func (u publishing) repair(ctx context.Context) (lease.Row, error) {
	row := u.row
	if row.Prev == nil {
		return row, u.fail("repair", errors.New("the row does not say what was before its last commit"), "read the shard again from a position of your choice, under another Application")
	}
	var undoers []sink.Undoer
	for _, up := range row.Pending {
		pub, ok := u.p.publisher(up.Kind).(sink.Undoer)
		if !ok && u.p.publisher(up.Kind) != nil {
			return row, u.fail("repair", fmt.Errorf("what the commit lists of kind %q was sent, or will be, and cannot be taken back", up.Kind), "bring the lost upload back; or read the shard again under another Application, which sends its rows again")
		}
		if !ok {
			return row, u.fail("repair", fmt.Errorf("no sink of kind %q that can take back what it made", up.Kind), "add a store of that kind to Config.Publishers")
		}
		undoers = append(undoers, pub)
	}
	u.log.Error("a commit is being given up, because one of its uploads is lost; its records are read again", "number", row.Number, "files", len(row.Pending), "from", row.Prev.Pos, "to", row.Pos)
	mark := func(ctx context.Context) error { return u.p.cfg.Leases.Mark(ctx, row) }
	if err := u.repeat(ctx, "repair", mark); err != nil {
		return row, err
	}
	for i, up := range row.Pending {
		if err := u.repeat(ctx, "repair", func(ctx context.Context) error { return undoers[i].Undo(ctx, up) }); err != nil {
			return row, err
		}
	}
	next := row
	next.Number, next.CommitID = row.Number+1, lease.NewID()
	next.Pos, next.Watermark, next.State, next.Known = row.Prev.Pos, row.Prev.Watermark, row.Prev.State, row.Prev.Known
	next.Pending, next.Prev, next.Repair, next.Ended, next.Children = nil, nil, "", false, nil
	if err := u.repeat(ctx, "repair", func(ctx context.Context) error { return u.p.cfg.Leases.Commit(ctx, next) }); err != nil {
		return row, err
	}
	if err := u.repeat(ctx, "repair", func(ctx context.Context) error { return u.p.cfg.Leases.Clear(ctx, next) }); err != nil {
		return row, err
	}
	return next, nil
}

// dropped tells what is given up for good when uploads of the last commit are lost
// and the source no longer holds the records: nothing is deleted, the uploads are
// left out of the list, and dead letters name them. It is nil if the records can
// be read again.
func (l *lane[T]) dropped(ctx context.Context, pub publishing, lost error) ([]string, error) {
	keeper, ok := any(l.root.src).(source.Keeper)
	if !ok || l.row.Prev == nil {
		return nil, nil
	}
	// What arrived since then is to be read again. Before the first commit, that is
	// not known better than by the last record.
	since := cmp.Or(l.row.Prev.Known, l.row.Known)
	if l.row.Prev.Pos.IsStart() && l.row.Begin > 0 {
		since = l.row.Begin
	}
	held, err := keeper.Holds(ctx, since)
	if err != nil || held {
		return nil, err
	}
	var skip []int
	var out []string
	for {
		up, ok := errors.AsType[*lostUploadError](lost)
		if !ok {
			return out, lost // all others are visible
		}
		what := "an upload"
		if pub, ok := l.p.publisher(l.row.Pending[up.n].Kind).(sink.Undoer); ok {
			what = pub.Describe(l.row.Pending[up.n])
		}
		l.log.Error("rows are lost", "file", what, "from", l.row.Prev.Pos, "to", l.row.Pos)
		out = append(out, fmt.Sprintf("a committed file is lost, and the stream no longer holds its records, from %v to %v of commit %d: %s", l.row.Prev.Pos, l.row.Pos, l.row.Number, what))
		skip = append(skip, up.n)
		lost = pub.complete(ctx, skip...)
	}
}

// repeat makes a call until the answer is definite.
func (u publishing) repeat(ctx context.Context, step string, f func(context.Context) error) error {
	for try := 1; ; try++ {
		err := f(ctx)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, lease.ErrLost), errors.Is(err, lease.ErrUncertain), errors.Is(err, sink.ErrRefused):
			return u.fail(step, err, "")
		}
		u.log.Warn("no answer; trying again", "step", step, "error", err, "try", try)
		if !pause(ctx, try, u.who()) {
			return u.fail(step, errors.Join(context.Cause(ctx), err), "")
		}
	}
}
