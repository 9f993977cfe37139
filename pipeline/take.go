package pipeline

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"unsafe"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/source"
)

// A batch is what goes through the stages at once: few enough rows for the
// nearest cache, enough to make the calls between stages cheap.
const (
	batchBytes = 16 << 10
	minBatch   = 32
	maxBatch   = 256
)

func batchRows[T any]() int {
	var row T
	return min(maxBatch, max(minBatch, batchBytes/max(1, int(unsafe.Sizeof(row)))))
}

// fetched is a chunk on its way to the lane, with the budget that it holds.
type fetched struct {
	source.Chunk
	held int64
	err  error
}

// fetch runs ahead of the lane by a bounded channel and the memory budget.
func (l *lane[T]) fetch(ctx context.Context, f source.Fetcher, out chan<- fetched) {
	defer func() {
		if err := f.Close(); err != nil {
			l.log.Warn("closing the fetcher failed", "error", err)
		}
	}()
	var expect int64
	for {
		if err := l.p.mem.take(ctx, expect); err != nil {
			return
		}
		c, err := l.fetchOnce(ctx, f)
		held := c.Bytes
		if held == 0 {
			for i := range c.Records {
				held += int64(len(c.Records[i].Data))
			}
		}
		held += int64(len(c.Records)) * recordBytes
		l.p.mem.adjust(held - expect)
		if ctx.Err() != nil {
			l.p.mem.adjust(-held)
			return
		}
		select {
		case out <- fetched{c, held, err}:
		case <-ctx.Done():
			l.p.mem.adjust(-held)
			return
		}
		if err != nil {
			return
		}
		// What comes next is probably like what came. The bound keeps one greedy lane
		// from waiting for ever beside many small ones.
		expect = min(held, l.p.cfg.Memory/4)
	}
}

// recordBytes is what a shardlake.Record itself takes.
const recordBytes = 104

// fetchOnce turns a panic of the fetcher into an error.
func (l *lane[T]) fetchOnce(ctx context.Context, f source.Fetcher) (c source.Chunk, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return f.Fetch(ctx)
}

// take decodes a chunk and pushes it, in batches.
func (l *lane[T]) take(ctx context.Context, c fetched) error {
	defer l.p.mem.adjust(-c.held)
	l.stats.behind.Store(int64(c.Behind))
	l.stats.count(c.Counts)
	if c.Lost != nil {
		if err := l.gap(ctx, c.Lost); err != nil {
			return err
		}
	}
	size := batchRows[T]()
	for recs := c.Records; len(recs) > 0; {
		n, err := l.push(ctx, recs[:min(size, len(recs))])
		if err != nil {
			return err
		}
		recs = recs[n:]
	}
	if l.pos.Compare(c.Through) < 0 && !c.Through.IsStart() {
		l.pos = c.Through
	}
	l.pos.Seq = strings.Clone(l.pos.Seq) // it is kept, and the answer that it is a part of is not
	if len(c.Records) == 0 {
		if l.since == 0 && l.published == nil && c.Tip > 0 {
			l.tip.Store(int64(c.Tip)) // all that was read is committed
		}
		return l.rest(ctx, c.Tip)
	}
	l.resting = 0
	clear(l.batch.Rows[:cap(l.batch.Rows)]) // what they point to shall not live until the next chunk
	if err := l.mark(ctx, shardlake.Mark{Watermark: l.high}); err != nil {
		return err
	}
	return l.weigh()
}

// push decodes records into one batch, stamps watermarks, and sends it through
// the stages. It returns how many records that were: all, or fewer if their rows
// take much memory, which the budget is then told at once.
func (l *lane[T]) push(ctx context.Context, recs []shardlake.Record) (int, error) {
	n, err := l.decodeBatch(ctx, recs)
	if err != nil {
		return n, err
	}
	if len(l.batch.Rows) > 0 {
		if err := l.in.Push(ctx, l.batch); err != nil {
			return n, l.fail("behind", err, "")
		}
	}
	if n < len(recs) {
		clear(l.batch.Rows[:cap(l.batch.Rows)])
		if err := l.weigh(); err != nil {
			return n, err
		}
	}
	recs = recs[:n]
	bytes := 0
	for i := range recs {
		bytes += len(recs[i].Data)
	}
	last := &recs[len(recs)-1]
	l.pos, l.arrived, l.since = last.Pos, last.Arrived, l.since+len(recs)
	l.moved.Store(l.now())
	l.stats.records.Add(int64(len(recs)))
	l.stats.bytes.Add(int64(bytes))
	l.stats.watermark.Store(int64(l.high))
	return n, nil
}

// gap records that the stream no longer held what follows the position: in the
// log, as a count, and as a dead letter, which is part of the next commit.
func (l *lane[T]) gap(ctx context.Context, lost *source.TrimmedError) error {
	l.log.Error("records are lost: the stream no longer holds them", "after", lost.After, "known", lost.Known.Time(), "until", lost.Until.Time(), "next", lost.Next)
	l.stats.gaps.Add(1)
	l.since++
	r := shardlake.Record{Pos: lost.After, Arrived: lost.Known, Watermark: l.high}
	return l.env.Settle(ctx, "fetch", &r, shardlake.Reject(lost))
}

// mark goes through the rows' tree first: it may still make dead letters.
func (l *lane[T]) mark(ctx context.Context, m shardlake.Mark) error {
	err := l.in.Mark(ctx, m)
	for _, tree := range []shardlake.Emit[shardlake.DeadLetter]{l.late, l.dead} {
		if err == nil && tree != nil {
			err = tree.Mark(ctx, m)
		}
	}
	return err
}

// bury is the Env's way to one of the dead-letter trees of this lane.
func (l *lane[T]) bury(ctx context.Context, tree shardlake.Emit[shardlake.DeadLetter], count *atomic.Int64, r *shardlake.Record, d shardlake.DeadLetter) error {
	count.Add(1)
	return tree.Push(ctx, shardlake.Batch[shardlake.DeadLetter]{
		Rows:    []shardlake.DeadLetter{d},
		Origins: []shardlake.Origin{{Time: max(l.high, shardlake.MinEventTime)}},
		Records: []shardlake.Record{*r},
	})
}

// weigh tells the budget what the lane's open files and states hold. States are what
// a commit does not give back: if those of all lanes leave too little for anything
// else, the lane stops and says so, since waiting would not help.
func (l *lane[T]) weigh() error {
	state := l.env.StateBytes()
	held := state
	for _, w := range l.writers {
		held += w.Buffered()
	}
	all := l.share.set(held, state)
	l.stats.held.Store(held)
	l.stats.kept.Store(state)
	if all > l.p.cfg.Memory {
		return l.fail("state", fmt.Errorf("what stages keep takes %d bytes in this process, and %d in this lane: more than Config.Memory, %d", all, state, l.p.cfg.Memory),
			"give the tasks more memory and raise Config.Memory, run more tasks, or keep less: shorter windows, fewer keys, keys that are forgotten; nothing is lost")
	}
	return nil
}
