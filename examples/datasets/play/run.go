package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/shardlake/shardlake/examples/datasets"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/source/kinesis"
)

// tune says where a life of the pipeline cuts fetches and commits: elsewhere each
// time, and so that a life which is to be stopped is stopped in the middle. share
// is what a shard gives in one life.
func tune(life, share int, last bool) run {
	if last {
		return run{CommitRecords: 20_000, FetchLimit: 10_000}
	}
	fetch := min(10_000, max(10, share/(3+life%3)))
	return run{CommitRecords: fetch + (life+1)*fetch/3, FetchLimit: fetch}
}

// lives runs the pipeline, stops it in the middle and starts it again, restarts
// times, and the last time until everything that was put is committed and visible.
func (o options) lives(ctx context.Context, s set, endpoint string, lake datasets.Lake, folder string, m *manifest) error {
	total := int64(m.Records + len(m.Malformed))
	for i := range o.restarts + 1 {
		share := int64(-1) // the last life has no share: it goes on to the end
		if i < o.restarts {
			share = max(1, total/int64(o.restarts+1))
		}
		r := tune(i, int(total)/len(m.Last)/(o.restarts+1), share < 0)
		began := time.Now()
		err := o.life(ctx, s, endpoint, lake, folder, m, share, &r)
		r.Millis = time.Since(began).Milliseconds()
		m.Runs = append(m.Runs, r)
		if err != nil {
			return fmt.Errorf("life %d of the pipeline: %w", i+1, err)
		}
	}
	return nil
}

// life is one start of the pipeline, over the leases that the last one left, until
// it has read share records or everything, and then its stop.
func (o options) life(ctx context.Context, s set, endpoint string, lake datasets.Lake, folder string, m *manifest, share int64, r *run) (err error) {
	leases, err := lease.OpenFile(o.leases)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, leases.Close()) }()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	p := pipeline.New(pipeline.Config{
		Application: m.Application, Leases: leases, CommitEvery: time.Second, CommitRecords: r.CommitRecords,
		Discover: 500 * time.Millisecond, Log: log,
	})
	var put map[string]string
	if drain := o.close && share < 0; drain {
		put = m.Last
	}
	s.build(p, kinesis.Config{
		Stream: m.Stream, Region: region, Endpoint: endpoint, Consumer: o.consumer, Poll: 200 * time.Millisecond, Limit: r.FetchLimit, Log: log,
		Credentials: credentials.NewStaticCredentialsProvider("test", "testtest", ""),
	}, put, lake)

	rctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- p.Run(rctx) }()
	running, err := await(ctx, p, leases, folder, m, share, put != nil, ended)
	stop()
	if running {
		err = errors.Join(err, <-ended)
	}
	for _, l := range p.Status().Lanes {
		r.Records, r.Commits, r.Files, r.Dead = r.Records+l.Records, r.Commits+l.Commits, r.Files+l.Files, r.Dead+l.Dead
	}
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("not everything was committed in time: %w", context.Cause(ctx))
	}
	if share >= 0 {
		return nil
	}
	if err := settled(ctx, leases, m, true); err != nil || put == nil {
		return err
	}
	return drainedAll(ctx, leases)
}

// drainedAll tells whether every lane, also one without records, is done with: nothing
// waits in a state for what never comes.
func drainedAll(ctx context.Context, leases lease.Store) error {
	all, err := leases.List(ctx)
	if err != nil {
		return err
	}
	for _, row := range all {
		if !row.Finished() || row.Owner != "" {
			return fmt.Errorf("lane %s is not finished at the end of the stream", row.Lane)
		}
	}
	return nil
}

// await looks until the goal is reached; true says that Run is still running. A stream
// that comes to its end is read until Run returns.
func await(ctx context.Context, p *pipeline.Pipeline, leases lease.Store, folder string, m *manifest, share int64, drain bool, ended <-chan error) (bool, error) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			if err == nil && share < 0 && settled(ctx, leases, m, true) == nil {
				return false, nil // every shard is closed and read to its end
			}
			return false, errors.Join(errors.New("the pipeline returned by itself"), err)
		case <-ctx.Done():
			return true, nil
		case <-tick.C:
		}
		var read int64
		for _, l := range p.Status().Lanes {
			read += l.Records
		}
		if share >= 0 && read >= share {
			return true, nil
		}
		if drain || settled(ctx, leases, m, false) != nil {
			continue
		}
		if folder == "" {
			return true, nil
		}
		// What killed workers left is swept beside the reading.
		if left, err := staged(folder); err != nil || len(left) == 0 {
			return true, err
		}
	}
}

// settled tells whether the last record of each shard is committed, everything
// committed is visible, and closed shards are known to be. After a stop no lane
// may have an owner either.
func settled(ctx context.Context, leases lease.Store, m *manifest, stopped bool) error {
	all, err := leases.List(ctx)
	if err != nil {
		return err
	}
	rows := map[string]lease.Row{}
	for _, row := range all {
		rows[row.Lane] = row
	}
	for shard, last := range m.Last {
		row, ok := rows[shard]
		switch {
		case !ok:
			return fmt.Errorf("shard %s has no lease row", shard)
		case row.Pos.Seq != last:
			return fmt.Errorf("shard %s is committed up to %s, the last record is %s", shard, row.Pos, last)
		case len(row.Pending) > 0:
			return fmt.Errorf("shard %s has %d files that are committed and not published", shard, len(row.Pending))
		case slices.Contains(m.Ended, shard) != row.Ended:
			return fmt.Errorf("shard %s: ended is %v in its row", shard, row.Ended)
		case stopped && row.Owner != "":
			return fmt.Errorf("shard %s still belongs to %s after a stop in good order", shard, row.Owner)
		}
	}
	return nil
}
