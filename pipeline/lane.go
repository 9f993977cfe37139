package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/source"
)

// root is a source with the tree behind it.
type root[T any] struct {
	p    *Pipeline
	src  source.Source[T]
	node *node[T]
}

func (r *root[T]) list(ctx context.Context) (source.Listing, error) { return r.src.Lanes(ctx) }

// check opens the tree once, without a row and without I/O, to find mistakes
// before any lane runs.
func (r *root[T]) check(p *Pipeline) error {
	l := &lane[T]{root: r, log: p.cfg.Log, share: p.mem.join(), stats: &stats{}}
	err := l.open(context.Background())
	l.close(&err, nil)
	if errors.Is(err, errMistaken) {
		err = nil // it is in the list already
	}
	return errors.Join(r.src.Check(), err)
}

// lane is one shard being processed by one goroutine.
type lane[T any] struct {
	*root[T]
	opening
	run    *runner
	stream string
	log    *slog.Logger
	share  *share
	stats  *stats

	row      lease.Row         // the last commit
	attempt  shardlake.Attempt // of the next one
	in       shardlake.Emit[T]
	dead     shardlake.Emit[shardlake.DeadLetter] // nil if written nowhere
	batch    shardlake.Batch[T]                   // re-used
	pos      shardlake.Position                   // everything up to here is pushed
	high     shardlake.Instant                    // watermark at pos
	since    int                                  // records since the last commit
	decoding int                                  // index of the record being decoded, -1 for none

	published chan error // the answer of the publishing under way; nil if none is
}

// run owns a lane from its acquisition to its end: nil when it was read to its
// end or given up in good order.
func (r *root[T]) run(ctx context.Context, run *runner, stream string, id source.Lane) (err error) {
	l := &lane[T]{root: r, run: run, stream: stream, share: r.p.mem.join(), decoding: -1,
		stats: r.p.stat(stream, id.ID), log: r.p.cfg.Log.With("stream", stream, "lane", id.ID)}
	defer func() { l.close(&err, recover()) }()
	if err := l.acquire(ctx, id.ID); err != nil {
		return err
	}
	// Before anything else: the last owner may have died between its commit and
	// the end of publishing.
	l.stats.is("publishing")
	pub := l.publishing()
	if err := pub.run(ctx); err != nil {
		return err
	}
	l.row.Pending = nil
	if l.row.Ended {
		l.stats.is("ended")
		return l.release()
	}
	if err := l.open(ctx); err != nil {
		return err
	}
	if keys := l.env.Orphans(); len(keys) > 0 {
		return l.fail("resume", fmt.Errorf("no stage claims the kept state %q", keys),
			"give the stage its old name with stage.Named, or start under another Application")
	}
	l.env.Go(func(ctx context.Context) { pub.sweep(ctx, pub.row.Fence) })
	f, err := r.src.Open(id, source.Start{After: l.row.Pos, Begin: l.row.Begin})
	if err != nil {
		return l.fail("open", err, "")
	}
	chunks := make(chan fetched, r.p.cfg.Ahead)
	fetching, endFetching := context.WithCancel(ctx)
	defer endFetching()
	l.env.Go(func(ctx context.Context) { l.fetch(fetching, f, chunks) })
	l.stats.is("running")
	if err := l.loop(ctx, chunks, endFetching); err != nil {
		return err
	}
	return l.release()
}

// acquire takes the lease and begins the first attempt.
func (l *lane[T]) acquire(ctx context.Context, id string) error {
	token := lease.NewID()
	for try := 1; ; try++ {
		seen, err := l.p.cfg.Leases.Get(ctx, id)
		var row lease.Row
		if err == nil {
			row, err = l.p.cfg.Leases.Acquire(ctx, seen, l.p.cfg.Owner, token)
		}
		if err == nil {
			l.row = row
			break
		}
		l.row.Lane = id
		if errors.Is(err, lease.ErrLost) || errors.Is(err, lease.ErrUncertain) || !pause(ctx, try) {
			return l.fail("acquire", err, "")
		}
		l.log.Warn("the lease store did not answer; trying again", "error", err, "try", try)
	}
	l.pos, l.high = l.row.Pos, l.row.Watermark
	l.noteCommit()
	l.begin()
	return nil
}

// begin draws the identity of the next attempt, before its first upload.
func (l *lane[T]) begin() {
	sum := sha256.Sum256([]byte(l.p.cfg.Application + "\x00" + l.row.Source + "\x00" + l.row.Lane + "\x00" + l.row.Inc))
	l.attempt = shardlake.Attempt{
		Application: l.p.cfg.Application, Source: l.stream, Lane: l.row.Lane, Tag: hex.EncodeToString(sum[:5]),
		Number: l.row.Number + 1, Fence: l.row.Fence, ID: lease.NewID(), From: l.row.Pos,
	}
}

// open makes the lane's private tree.
func (l *lane[T]) open(ctx context.Context) (err error) {
	host := shardlake.Host{
		Source: l.stream, Lane: l.row.Lane, State: l.row.State, Log: l.log,
		Attempt: func() shardlake.Attempt { return l.attempt },
		Buffer:  l.share.buffer, Recycle: l.share.recycle,
	}
	if len(l.p.dead.outs) > 0 {
		host.Dead = l.bury
	}
	l.env = shardlake.NewEnv(ctx, host)
	if host.Dead != nil {
		if l.dead, err = l.p.dead.open(&l.opening); err != nil {
			return err
		}
	}
	l.in, err = l.node.open(&l.opening)
	return err
}

// close ends the lane's goroutines and gives up what is not sealed. A panic that
// no stage caught, in a source, a sink or a hand-written stage, ends here.
func (l *lane[T]) close(err *error, panicked any) {
	if l.env != nil {
		l.env.Close()
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

// release gives up the lease, also when the stop budget is just spent. That a
// lease is not given up in time costs a successor some waiting and nothing else.
func (l *lane[T]) release() error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.run.work), releaseTimeout)
	defer cancel()
	if err := l.p.cfg.Leases.Release(ctx, l.row); err != nil {
		l.log.Warn("the lease was not released; it stays taken until the next start", "error", err)
	}
	if s := l.stats.state.Load(); s == nil || *s != "ended" {
		l.stats.is("released")
	}
	return nil
}

const releaseTimeout = 2 * time.Second

// loop takes chunks, and commits when it is time, until the end of the shard, an
// error, or the wish to stop.
func (l *lane[T]) loop(ctx context.Context, chunks <-chan fetched, endFetching func()) error {
	timer := time.NewTimer(l.firstCommit())
	defer timer.Stop()
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for {
		// Asked alone first: a select with several ready cases picks any of them.
		if err := ctx.Err(); err != nil {
			return l.fail("run", l.run.stopped(err), "")
		}
		select {
		case <-l.run.stop:
			l.stats.is("stopping")
			endFetching()
			return l.finish(ctx, false)
		default:
		}
		select {
		case <-ctx.Done():
		case <-l.run.stop:
		case err := <-l.published:
			l.published = nil
			if err != nil {
				return err
			}
		case <-l.share.shed:
			if err := l.commit(ctx, false); err != nil {
				return err
			}
			timer.Reset(l.p.cfg.CommitEvery)
		case <-timer.C:
			if err := l.commit(ctx, false); err != nil {
				return err
			}
			timer.Reset(l.p.cfg.CommitEvery)
		case <-tick.C:
			// Results of stage.Async leave at the next batch or mark: a quiet shard has
			// neither.
			if l.since > 0 {
				if err := l.mark(ctx, shardlake.Mark{Watermark: l.high}); err != nil {
					return err
				}
			}
		case c := <-chunks:
			err := l.take(ctx, c)
			switch {
			case err != nil:
				return err
			case errors.Is(c.err, io.EOF), errors.Is(c.err, source.ErrShardEnd):
				return l.finish(ctx, true)
			case c.err != nil:
				return l.fail("fetch", c.err, "")
			}
			if n := l.p.cfg.CommitRecords; n > 0 && l.since >= n {
				if err := l.commit(ctx, false); err != nil {
					return err
				}
				timer.Reset(l.p.cfg.CommitEvery)
			}
		}
	}
}

// tickEvery is how long results of asynchronous calls wait on a quiet shard.
const tickEvery = 250 * time.Millisecond

// firstCommit spreads the lanes' commits over the interval, so that their files
// do not all go up at the same moment.
func (l *lane[T]) firstCommit() time.Duration {
	h := fnv.New32a()
	h.Write([]byte(l.row.Lane))
	every := l.p.cfg.CommitEvery
	return every/2 + time.Duration(float64(every/2)*float64(h.Sum32())/(1<<32))
}

// finish commits what is left, waits until it is visible, and ends the lane.
func (l *lane[T]) finish(ctx context.Context, ended bool) error {
	if err := l.commit(ctx, ended); err != nil {
		return err
	}
	if err := l.awaitPublished(ctx); err != nil {
		return err
	}
	if ended {
		l.stats.is("ended")
	}
	return nil
}

// fail is an error of one of the lane's own steps.
func (l *lane[T]) fail(step string, err error, remedy string) error {
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	return &Error{Stage: step, Lane: l.row.Lane, Pos: l.pos, Err: err, Remedy: remedy}
}
