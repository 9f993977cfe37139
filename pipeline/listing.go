package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/shardlake/shardlake/pipeline/internal/lineage"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/source"
)

// rows reads the lease rows, and what their beats say about other workers.
func (r *runner) rows(ctx context.Context) ([]lease.Row, error) {
	rows, err := r.p.cfg.Leases.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the lease rows: %w: %w", errTable, err)
	}
	// The age of another's lease counts from after the answer.
	r.fleet.watch.See(rows, time.Now())
	r.fleet.fresh = false
	return rows, nil
}

// list asks every source for its lanes, if that is due: at the beginning, after a
// shard ended here, when a row has come that is not known, and from time to time.
// It comes after the rows: rows that are older than the listing do no harm.
func (r *runner) list(ctx context.Context, rows []lease.Row) error {
	f := r.fleet
	r.mu.Lock()
	due := f.listings == nil || r.relist || time.Since(f.listed) >= r.p.cfg.Discover || slices.ContainsFunc(rows, f.isNew)
	r.relist = false
	r.mu.Unlock()
	if !due {
		return nil
	}
	return r.listNow(ctx, rows)
}

// listNow asks every source for its lanes. Only a listing that is younger than the
// rows tells a row that is missing from one that was removed.
func (r *runner) listNow(ctx context.Context, rows []lease.Row) error {
	f := r.fleet
	listings, seen := make([]source.Listing, len(r.p.reads)), map[string]string{}
	for i, src := range r.p.reads {
		l, err := src.list(ctx)
		if err != nil {
			return &Error{Stage: "list shards", Lane: fmt.Sprintf("all of source %d", i+1), Err: err}
		}
		for _, lane := range l.Lanes {
			if other, dup := seen[lane.ID]; dup && lane.ID != "" {
				return fmt.Errorf("lane %q is listed by %s and by %s: their positions would be mixed up; give each source its own lane names", lane.ID, other, l.Name)
			}
			seen[lane.ID] = l.Name
		}
		listings[i] = l
	}
	f.listings, f.listed, f.fresh = listings, time.Now(), true
	f.known = seen
	for _, row := range rows {
		f.known[row.Lane] = row.Source
	}
	return nil
}

// isNew tells whether a row is of a lane that was neither listed nor in the table
// when the sources were asked last.
func (f *fleet) isNew(row lease.Row) bool { _, ok := f.known[row.Lane]; return !ok }

// bequeath makes the rows of a lane's children, before the lane's end is committed: a
// child that has no row although its parent names it has lost it.
func (r *runner) bequeath(ctx context.Context, src reader, children []string) error {
	for try := 1; ; try++ {
		missing := ""
		rows, err := r.p.cfg.Leases.List(ctx)
		if err == nil {
			l, err2 := src.list(ctx) // after the rows
			if err2 != nil {
				return &Error{Stage: "list shards", Lane: "all", Err: err2}
			}
			d, err2 := lineage.Plan(l, rows)
			if err2 != nil {
				return err2
			}
			for _, row := range d.Create {
				if err == nil && slices.Contains(children, row.Lane) {
					err = r.p.cfg.Leases.Create(ctx, row)
				}
			}
		}
		for _, id := range children {
			if err == nil {
				_, err = r.p.cfg.Leases.Get(ctx, id)
			}
			if errors.Is(err, lease.ErrNoRow) {
				missing, err = id, nil
			}
		}
		if err == nil && missing == "" {
			return nil
		}
		if err == nil {
			err = fmt.Errorf("the stream does not list %s, which goes on where this shard ended", missing)
		}
		r.p.cfg.Log.Warn("the rows of a shard's children were not made; trying again", "error", err, "try", try)
		if !pause(ctx, try, r.p.cfg.Owner+children[0]) {
			return errors.Join(context.Cause(ctx), err)
		}
	}
}
