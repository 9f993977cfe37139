package pipeline

import (
	"context"
	"errors"
	"fmt"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/lease"
)

// Publish makes visible what the rows of cfg.Leases list as pending, by
// cfg.Publishers: what a fleet that was stopped in a hurry left behind. Nobody
// would do it before the fleet runs again, and an unfinished upload does not live
// for ever. It returns how many files the rows listed, all of which are visible
// then. It is safe beside a running fleet: completing an upload needs no lease, and
// a list is cleared only where nobody owns the lane.
func Publish(ctx context.Context, cfg Config) (files int, err error) {
	p, err := bare(ctx, cfg)
	if err != nil {
		return 0, err
	}
	rows, err := p.cfg.Leases.List(ctx)
	if err != nil {
		return 0, fmt.Errorf("list the lease rows: %w", err)
	}
	var errs []error
	for _, row := range rows {
		if row.Owner == "" {
			row, err = p.cfg.Leases.Acquire(ctx, row, p.cfg.Owner, lease.NewID())
		} else {
			row, err = p.cfg.Leases.Get(ctx, row.Lane)
		}
		if errors.Is(err, lease.ErrLost) {
			continue // somebody has just taken it, and publishes before anything else
		}
		if err != nil {
			errs = append(errs, &Error{Stage: "publish", Lane: row.Lane, Err: err})
			continue
		}
		u := p.publishingOf(row)
		if row.Owner == p.cfg.Owner {
			err = errors.Join(u.run(ctx), p.cfg.Leases.Release(ctx, row))
		} else {
			err = u.complete(ctx)
		}
		if err == nil && row.Repair == "" {
			files += len(row.Pending)
		}
		errs = append(errs, err)
	}
	return files, errors.Join(errs...)
}

// Repair goes on where a lane stands still because an upload that its last commit
// lists is lost, neither unfinished nor visible: it removes the other files of
// that commit, so that the lane reads its records again. It is the one case in
// which files disappear from a lake. It looks for the upload first, for 15
// minutes, and changes nothing if it is there. The worker that has the lane must
// be stopped; Config.Repair does the same within a running pipeline.
func Repair(ctx context.Context, cfg Config, laneID string) error {
	p, err := bare(ctx, cfg)
	if err != nil {
		return err
	}
	seen, err := p.cfg.Leases.Get(ctx, laneID)
	if err == nil && seen.Owner != "" && p.cfg.Leases.Shared() {
		// Its beat shows whether the owner lives.
		if !sleep(ctx, p.cfg.LeaseTime) {
			return context.Cause(ctx)
		}
	}
	var row lease.Row
	if err == nil {
		row, err = p.cfg.Leases.Acquire(ctx, seen, p.cfg.Owner, lease.NewID())
	}
	if errors.Is(err, lease.ErrLost) && seen.Owner != "" {
		return &Error{Stage: "repair", Lane: laneID, Err: fmt.Errorf("worker %s has the lane and lives: %w", seen.Owner, err), Remedy: "stop the fleet first"}
	}
	if err != nil {
		return &Error{Stage: "repair", Lane: laneID, Err: err}
	}
	u := p.publishingOf(row)
	if err = u.run(ctx); row.Repair != "" || isLost(err) {
		_, err = u.repair(ctx)
	}
	return errors.Join(err, p.cfg.Leases.Release(ctx, row))
}

// bare is a pipeline without a graph, for its rows.
func bare(ctx context.Context, cfg Config) (*Pipeline, error) {
	p := New(cfg)
	if err := p.cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.Leases == nil {
		return nil, errors.New("config: Leases is nil: want the store whose rows are meant")
	}
	return p, p.cfg.Leases.Open(ctx)
}

// publishingOf is of a row that no lane of this process has.
func (p *Pipeline) publishingOf(row lease.Row) publishing {
	return publishing{p, p.cfg.Log.With("lane", row.Lane), &stats{}, row, attemptOf(p.cfg.Application, "", row).FilePrefix() + "-"}
}

// Place decides where a lane goes on that is held, or any other that nobody owns:
// behind a position, or, with the zero Position, at the oldest record that the
// stream still holds. Windows that the lane kept are dropped. Whether rows come
// twice or are missed is for the caller to know: positions of committed files are
// in their metadata.
func Place(ctx context.Context, cfg Config, laneID string, after shardlake.Position) error {
	p, err := bare(ctx, cfg)
	if err != nil {
		return err
	}
	row, err := p.cfg.Leases.Get(ctx, laneID)
	if err == nil && row.Owner != "" {
		return &Error{Stage: "place", Lane: laneID, Pos: row.Pos, Err: fmt.Errorf("worker %s has the lane", row.Owner), Remedy: "stop the fleet first"}
	}
	if err == nil {
		row, err = p.cfg.Leases.Acquire(ctx, row, p.cfg.Owner, lease.NewID())
	}
	if err != nil {
		return &Error{Stage: "place", Lane: laneID, Err: err}
	}
	u := p.publishingOf(row)
	if err = u.run(ctx); err == nil {
		next := row
		next.Number, next.CommitID, next.Pos = row.Number+1, lease.NewID(), after
		next.Hold, next.State, next.Pending, next.Known, next.Ended, next.Children = "", nil, nil, 0, false, nil
		if after.IsStart() {
			next.Begin = shardlake.Never
		}
		err = u.repeat(ctx, "place", func(ctx context.Context) error { return p.cfg.Leases.Commit(ctx, next) })
	}
	return errors.Join(err, p.cfg.Leases.Release(ctx, row))
}

// HandBack makes the rows ready for another program that reads by the same table,
// such as Amazon's KCL: it publishes what is pending, and refuses where a lane
// keeps open windows, whose records the other program would not count. The fleet
// must be stopped.
func HandBack(ctx context.Context, cfg Config) error {
	if _, err := Publish(ctx, cfg); err != nil {
		return err
	}
	rows, err := cfg.Leases.List(ctx)
	if err != nil {
		return fmt.Errorf("list the lease rows: %w", err)
	}
	var errs []error
	for _, row := range rows {
		full, err := cfg.Leases.Get(ctx, row.Lane)
		bad := func(format string, args ...any) {
			errs = append(errs, &Error{Stage: "hand back", Lane: row.Lane, Pos: row.Pos, Err: fmt.Errorf(format, args...)})
		}
		delete(full.State, floorsKey)
		switch {
		case err != nil:
			errs = append(errs, &Error{Stage: "hand back", Lane: row.Lane, Err: err})
		case full.Owner != "":
			bad("worker %s has the lane: stop the fleet first; a worker that died gives it up when another one has taken it", full.Owner)
		case len(full.Pending) > 0:
			bad("%d files are still pending", len(full.Pending))
		case len(full.State) > 0 && !full.Ended:
			bad("open windows are kept (%d states): let them close, or give them up with Place", len(full.State))
		case full.Hold != "":
			bad("held: %s", full.Hold)
		}
	}
	return errors.Join(errs...)
}
