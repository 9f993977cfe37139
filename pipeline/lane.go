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
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/source"
)

// root is a source with the tree behind it.
type root[T any] struct {
	p    *Pipeline
	src  source.Source[T]
	node *node[T]
	peers
}

func (r *root[T]) list(ctx context.Context) (source.Listing, error) { return r.src.Lanes(ctx) }

// check opens the tree once, without a row and without I/O, to find mistakes
// before any lane runs.
func (r *root[T]) check(p *Pipeline) error {
	l := &lane[T]{root: r, tenure: &tenure{}, log: p.cfg.Log, share: p.mem.join(), stats: &stats{}}
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
	*tenure
	opening
	acquired
	run   *runner
	log   *slog.Logger
	share *share
	stats *stats

	row      lease.Row         // the last commit
	attempt  shardlake.Attempt // of the next one
	in       shardlake.Emit[T]
	dead     shardlake.Emit[shardlake.DeadLetter] // nil if written nowhere
	late     shardlake.Emit[shardlake.DeadLetter] // the same
	decoder  source.Decoder[T]
	batch    shardlake.Batch[T]  // re-used
	times    []shardlake.Instant // of the batch's rows while they are decoded
	pos      shardlake.Position  // everything up to here is pushed
	arrived  shardlake.Instant   // of the record at pos
	high     shardlake.Instant   // watermark at pos
	floors   []floor             // of the parents, where above high
	since    int                 // records since the last commit
	aged     bool                // the watermark has risen since then without a record
	resting  shardlake.Instant   // by the service's clock, since when nothing came; 0 if that is not known
	decoding int                 // index in batch.Records of the record being decoded, -1 for none

	chunks    chan fetched // from the fetcher
	published chan error   // the answer of the publishing under way; nil if none is
}

// run owns a lane from its acquisition to its end: nil when it was read to its
// end or given up in good order.
func (r *root[T]) run(ctx context.Context, run *runner, a acquired) (err error) {
	log := r.p.cfg.Log.With("stream", a.stream, "lane", a.ID)
	st := r.p.stat(a.stream, a.ID)
	l := &lane[T]{root: r, tenure: newTenure(r.p, log, st, a.row, a.sent), run: run, acquired: a, share: r.p.mem.join(),
		decoding: -1, stats: st, log: log}
	l.resume(a.row)
	ctx, cancel := context.WithCancelCause(ctx)
	l.cancel = cancel
	defer func() { l.close(&err, recover()); cancel(nil) }()
	endBeat := l.start(ctx)
	defer endBeat()
	err = l.live(ctx)
	endBeat()
	switch cause := context.Cause(ctx); {
	case err == nil, errors.Is(err, errNotYet):
		l.release(run.work)
		return err
	case errors.Is(cause, errGiven):
		l.release(run.work)
		l.log.Warn("the lane was given up as it was; its successor reads again what was not committed", "cause", cause)
		return nil
	case errors.Is(cause, errStopTimeout):
		l.release(run.work)
		return l.fail("stop", cause, "")
	case cause != nil:
		return l.fail("run", cause, "") // and not what the stages say about it
	}
	return l.orLost(run.work, err)
}

// orLost tells an error of a lane that somebody else has meanwhile from others: the
// new owner sweeps the uploads of this one, which fails at them before it has learnt
// from its heartbeat that the lane is lost.
func (l *lane[T]) orLost(ctx context.Context, err error) error {
	if !l.p.cfg.Leases.Shared() || errors.Is(err, lease.ErrLost) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, l.p.cfg.LeaseTime)
	defer cancel()
	row, err2 := l.p.cfg.Leases.Get(ctx, l.row.Lane)
	if err2 != nil || row.Owner == l.row.Owner && row.Token == l.row.Token {
		return err // that the row cannot be read is not why the lane ended
	}
	return l.fail("run", fmt.Errorf("%w, and before this one learnt of it: %w", lease.ErrLost, err), "")
}

// settled makes visible what the row lists: the last owner may have died between
// its commit and the end of publishing. If an upload is lost and Config.Repair
// allows it, the lane goes back to the commit before, or, where the records are
// gone as well, leaves out what is named in dropped.
func (l *lane[T]) settled(ctx context.Context) (pub publishing, dropped []string, err error) {
	l.stats.is("publishing")
	// A store that is away is no stall, nor is the search for an upload.
	l.moved.Store(notStalling)
	defer func() { l.moved.Store(l.now()) }()
	pub = l.publishing()
	err = pub.run(ctx)
	again := l.row.Repair != "" && err == nil // a repair had begun
	if isLost(err) && l.p.cfg.Repair {
		dropped, err = l.dropped(ctx, pub, err)
		again = dropped == nil && err == nil
	}
	if again {
		row, err := pub.repair(ctx)
		if err != nil {
			return pub, nil, err
		}
		l.resume(row)
		pub = l.publishing()
	}
	return pub, dropped, err
}

// live is the work of a lane.
func (l *lane[T]) live(ctx context.Context) error {
	pub, dropped, err := l.settled(ctx)
	if err != nil {
		return err
	}
	ended := l.row.Ended
	l.row.Pending, l.row.Prev = nil, nil
	if ended && dropped == nil {
		l.stats.is("ended")
		return nil
	}
	adopted, err := l.adopt(ctx)
	if err != nil {
		return err
	}
	if err := l.open(ctx); err != nil {
		return err
	}
	keys, err := l.env.Orphans()
	if err != nil {
		return l.fail("resume", err, "restore the lease row from a copy, or give up what is kept with Place")
	}
	if len(keys) > 0 {
		return l.fail("resume", fmt.Errorf("no stage claims the kept state %q", keys),
			"give the stage its old name with stage.Named, or start under another Application")
	}
	l.env.Go(func(ctx context.Context) { pub.sweep(ctx, pub.row.Fence) })
	for _, d := range dropped {
		if err := l.env.Settle(ctx, "publish", &shardlake.Record{Pos: l.pos, Watermark: l.high}, shardlake.Reject(errors.New(d))); err != nil {
			return err
		}
	}
	switch {
	case ended:
		return l.finish(ctx, l.ending())
	case adopted || dropped != nil:
		if err := l.commit(ctx, commitAnyway); err != nil {
			return err
		}
	}
	f, err := l.root.src.Open(l.Lane, source.Start{After: l.row.Pos, Begin: l.row.Begin, Known: l.row.Known, Lossy: l.p.cfg.Lossy})
	if err != nil {
		return l.fail("open", err, "")
	}
	l.chunks = make(chan fetched, l.p.cfg.Ahead)
	fetching, endFetching := context.WithCancel(ctx)
	defer endFetching()
	l.env.Go(func(ctx context.Context) { l.fetch(fetching, f, l.chunks) })
	l.stats.is("running")
	return l.loop(ctx, endFetching)
}

// resume makes a row the last commit and begins the attempt that follows it.
func (l *lane[T]) resume(row lease.Row) {
	if row.Source == "" { // another program made it
		row.Source = l.identity
		if row.Range.IsZero() {
			row.Range = l.Range
		}
	}
	l.row, l.pos, l.high, l.arrived = row, row.Pos, row.Watermark, row.Known
	l.noteCommit()
	l.begin()
}

// begin draws the identity of the next attempt, before its first upload.
func (l *lane[T]) begin() { l.attempt = attemptOf(l.p.cfg.Application, l.stream, l.row) }

func attemptOf(application, stream string, row lease.Row) shardlake.Attempt {
	sum := sha256.Sum256([]byte(application + "\x00" + row.Source + "\x00" + row.Lane + "\x00" + row.Inc))
	return shardlake.Attempt{
		Application: application, Source: stream, Lane: row.Lane, Tag: hex.EncodeToString(sum[:5]),
		Number: row.Number + 1, Fence: row.Fence, ID: lease.NewID(), From: row.Pos,
	}
}

// loop takes chunks, and commits when it is time, until the end of the shard, an
// error, or the wish to stop.
func (l *lane[T]) loop(ctx context.Context, endFetching func()) error {
	timer := time.NewTimer(l.firstCommit())
	defer timer.Stop()
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for {
		// Asked alone first: a select with several ready cases picks any of them.
		if err := ctx.Err(); err != nil {
			return l.fail("run", context.Cause(ctx), "")
		}
		l.moved.Store(l.now())
		select {
		case <-l.run.stop:
			l.stats.is("stopping")
			endFetching()
			return l.finish(ctx, commitHeld)
		default:
		}
		select {
		case <-l.give:
			l.stats.is("handing over")
			endFetching()
			return l.finish(ctx, commitHeld)
		default:
		}
		// So is what ends in a commit, in this order: where a commit is made shall not
		// depend on chance.
		due := false
		select {
		case err := <-l.published:
			l.published = nil
			if err != nil {
				return err
			}
			continue
		default:
		}
		select {
		case <-l.share.shed:
			due = true
		default:
		}
		select {
		case <-timer.C:
			due = true
		default:
		}
		if !due {
			waiting := l.now()
			select {
			case <-ctx.Done():
			case <-l.run.stop:
			case <-l.give:
			case err := <-l.published:
				l.published = nil
				if err != nil {
					return err
				}
			case <-l.share.shed:
				due = true
			case <-timer.C:
				due = true
			case <-tick.C:
				l.idle.Add(l.now() - waiting)
				// Results of stage.Async leave at the next batch or mark: a quiet shard has
				// neither.
				if l.since > 0 {
					if err := l.mark(ctx, shardlake.Mark{Watermark: l.high}); err != nil {
						return err
					}
				}
			case c := <-l.chunks:
				l.idle.Add(l.now() - waiting)
				if ended, err := l.receive(ctx, c); ended || err != nil {
					return err
				}
				due = l.p.cfg.CommitRecords > 0 && l.since >= l.p.cfg.CommitRecords || l.full()
			}
		}
		if due {
			if err := l.commit(ctx, commitHeld); err != nil {
				return err
			}
			timer.Reset(l.p.cfg.CommitEvery)
		}
	}
}

// receive takes a chunk, and ends the lane with the last one.
func (l *lane[T]) receive(ctx context.Context, c fetched) (ended bool, err error) {
	err = l.take(ctx, c)
	switch {
	case err != nil:
		return false, err
	case errors.Is(c.err, io.EOF), errors.Is(c.err, source.ErrShardEnd):
		if err := l.bequeath(ctx, c.Children, errors.Is(c.err, source.ErrShardEnd)); err != nil {
			return false, err
		}
		return true, l.finish(ctx, l.ending())
	case c.err != nil:
		return false, l.fail("fetch", c.err, remedyOf(c.err))
	}
	return false, nil
}

// full tells whether a writer asks for a commit.
func (l *lane[T]) full() bool {
	for _, w := range l.writers {
		if f, ok := w.(sink.Filling); ok && f.Full() {
			return true
		}
	}
	return false
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
func (l *lane[T]) finish(ctx context.Context, why reason) error {
	if err := l.commit(ctx, why); err != nil {
		return err
	}
	if err := l.awaitPublished(ctx); err != nil {
		return err
	}
	if why == commitEnd || why == commitShut {
		l.stats.is("ended")
	}
	return nil
}

// ending is why the last commit is made.
func (l *lane[T]) ending() reason {
	if len(l.row.Children) > 0 {
		return commitShut
	}
	return commitEnd
}

// remedyOf says what to do about an error of a source that has no remedy of its
// own.
func remedyOf(err error) string {
	if _, ok := errors.AsType[*source.TrimmedError](err); ok {
		return "the stream kept its records for a shorter time than the lane stood still: lengthen its retention for the next time, and set Config.Lossy to go on; the gap is then recorded as a dead letter"
	}
	return ""
}

// fail is an error of one of the lane's own steps.
func (l *lane[T]) fail(step string, err error, remedy string) error {
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	return &Error{Stage: step, Lane: l.row.Lane, Pos: l.pos, Err: err, Remedy: remedy}
}
