package kinesis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/internal/kpl"
	"github.com/shardlake/shardlake/source"
)

// intake is what both ways of reading a shard share: the position, and the way
// from the records of an answer to chunks. An answer is accepted as a whole, and
// handed out in pieces: a record of 10 MiB may hold more than a million user
// records.
type intake struct {
	r     *reader
	lane  source.Lane
	shard string
	from  source.Start
	known shardlake.Instant // until the first records have come, Start.Known

	// last is the end of what was accepted. It moves with accepted answers only, so
	// an error, a lost answer or a stale iterator never skips anything.
	last  shardlake.Position
	ended bool // the shard is closed, and its last answer accepted

	queue      []shardlake.Record // accepted, not yet handed out
	aggregates bool               // there are aggregated ones among them
	filter     bool               // of those, what belongs elsewhere is left out
	toldBroken bool

	skip int           // user records of queue[0] that are done with
	open kpl.Aggregate // of queue[0], if sub is positive
	sub  int           // user records that open has given
	tail source.Chunk  // what the last piece of the answer says besides its records
}

func newIntake(r *reader, lane source.Lane, from source.Start) intake {
	return intake{r: r, lane: lane, shard: shardOf(lane.ID), from: from, last: from.After, known: from.Known}
}

// answer is what the service gave at once, by a poll or as an event.
type answer struct {
	records  []shardlake.Record // their positions are whole records
	held     int64              // memory that any of them keeps alive, without the records themselves
	closed   bool               // the shard ends here
	children []types.ChildShard
	tail     source.Chunk // Behind, and Tip if nothing lies beyond
	clock    shardlake.Instant
}

// accept takes an answer over, or fails and leaves everything as it was. Nothing
// may be queued.
func (in *intake) accept(ctx context.Context, a answer) (err error) {
	tail := a.tail
	if a.closed {
		if tail.Children, err = in.end(ctx, a.children); err != nil {
			return err
		}
	}
	records := in.fresh(a.records)
	tail.Lost, err = in.trimmed(ctx, records, a.clock)
	if err == nil && tail.Lost != nil && !in.from.Lossy {
		err = tail.Lost
	}
	if err != nil {
		return err
	}
	in.queue, in.tail, in.skip = records, tail, 0
	in.tail.Bytes = a.held
	if in.aggregates, err = in.aggregated(ctx); err != nil {
		in.queue = nil
		return err
	}
	in.ended = a.closed
	if len(records) > 0 {
		in.known = 0 // from here on nothing is missed
		if in.last.Partial && records[0].Pos.Seq == in.last.Seq {
			in.skip = in.last.Sub + 1
		}
		in.last = shardlake.Position{Seq: strings.Clone(records[len(records)-1].Pos.Seq)} // not a part of the answer
	}
	return nil
}

// fresh returns the records beyond the last one, in order. The service, or an
// iterator made at the position, may repeat some.
func (in *intake) fresh(records []shardlake.Record) []shardlake.Record {
	for len(records) > 0 && in.done(records[0].Pos) {
		records = records[1:]
	}
	rising := true
	for i := 1; i < len(records) && rising; i++ {
		rising = compareSeq(records[i-1].Pos, records[i].Pos) < 0
	}
	if rising {
		return records // as nearly always
	}
	in.r.cfg.Log.Warn("kinesis gave records out of order, or twice in an answer; they were put right", "shard", in.shard)
	slices.SortStableFunc(records, func(a, b shardlake.Record) int { return compareSeq(a.Pos, b.Pos) })
	records = slices.CompactFunc(records, func(a, b shardlake.Record) bool { return compareSeq(a.Pos, b.Pos) == 0 })
	return slices.DeleteFunc(records, func(r shardlake.Record) bool { return in.done(r.Pos) })
}

// done tells whether a record is not beyond what was accepted. One of which a part
// is left is beyond it.
func (in *intake) done(p shardlake.Position) bool {
	if in.last.IsStart() {
		return false
	}
	c := compareSeq(p, in.last)
	return c < 0 || c == 0 && !in.last.Partial
}

// compareSeq orders whole records. It is asked once for each.
func compareSeq(a, b shardlake.Position) int {
	if len(a.Seq) != len(b.Seq) {
		return len(a.Seq) - len(b.Seq)
	}
	return strings.Compare(a.Seq, b.Seq)
}

// pieceRecords bounds the records of a chunk, as an answer of the service is
// bounded.
const pieceRecords = 10_000

// queued tells whether records of an accepted answer have not been handed out.
func (in *intake) queued() bool { return len(in.queue) > 0 }

// piece hands out what was accepted, user records one by one.
func (in *intake) piece() (source.Chunk, error) {
	var c source.Chunk
	if c.Lost = in.tail.Lost; c.Lost != nil {
		in.tail.Lost = nil // told once
	}
	c.Bytes = in.tail.Bytes // each piece keeps the whole answer alive
	if in.skip == 0 && !in.aggregates {
		// Most streams have no aggregated records: their answers go on as they came.
		n := min(len(in.queue), pieceRecords)
		c.Records, in.queue = in.queue[:n:n], in.queue[n:]
	} else {
		in.takeApart(&c)
	}
	c.Behind = in.tail.Behind
	if in.queued() {
		return c, nil
	}
	in.queue = nil
	c.Tip, c.Children = in.tail.Tip, in.tail.Children
	if in.ended {
		return c, source.ErrShardEnd
	}
	return c, nil
}

// vanished tells whether an error says that the shard, and not the stream, is
// gone: closed, and all its records older than the retention. It returns nil if it
// is not.
func (in *intake) vanished(ctx context.Context, refusal error) (*source.TrimmedError, error) {
	if api, ok := errors.AsType[smithy.APIError](refusal); !ok || api.ErrorCode() != "ResourceNotFoundException" {
		return nil, nil
	}
	all, now, err := in.r.shards(ctx)
	if err != nil || slices.ContainsFunc(all, func(s types.Shard) bool { return aws.ToString(s.ShardId) == in.shard }) {
		return nil, err
	}
	return &source.TrimmedError{After: in.last, Known: in.known, Until: shardlake.At(now)}, nil
}

// trimmed tells whether records between the position and those of an answer may be
// gone. Kinesis reports no error for a position that it no longer holds: it goes
// on with the oldest record that is left. What was known at a time which is still
// within the retention cannot be gone.
func (in *intake) trimmed(ctx context.Context, records []shardlake.Record, clock shardlake.Instant) (*source.TrimmedError, error) {
	if in.known == 0 || in.last.IsStart() || len(records) == 0 || in.last.Partial && records[0].Pos.Seq == in.last.Seq {
		return nil, nil
	}
	a, err := in.r.describe(ctx)
	if err == nil && in.known < clock.Sub(a.retention) {
		a, err = in.r.describeAgain(ctx)
	}
	if err != nil || a.retention == 0 || in.known >= clock.Sub(a.retention) {
		return nil, err
	}
	return &source.TrimmedError{After: in.last, Known: in.known, Until: records[0].Arrived, Next: records[0].Pos}, nil
}

// end believes that a shard is closed only if it has children: an answer without
// an iterator can also be a torn one, and taking that for the end would lose the
// rest of the shard. Some servers name no children here; the listing does.
func (in *intake) end(ctx context.Context, named []types.ChildShard) (children []string, _ error) {
	a, err := in.r.describe(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range named {
		if slices.Contains(c.ParentShards, in.shard) {
			children = append(children, in.r.laneID(a, aws.ToString(c.ShardId)))
		}
	}
	if len(children) > 0 {
		return children, nil
	}
	if children, err = in.children(ctx); err != nil {
		return nil, err
	}
	if len(children) == 0 {
		return nil, fmt.Errorf("kinesis: the answer for %s says that the shard ends although it has no children: a torn answer, or the stream is being deleted", in.shard)
	}
	return children, nil
}

// children are the lanes that the listing shows to go on where the shard ended.
func (in *intake) children(ctx context.Context) (children []string, _ error) {
	a, err := in.r.describe(ctx)
	if err != nil {
		return nil, err
	}
	all, _, err := in.r.shards(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		if aws.ToString(s.ParentShardId) == in.shard || aws.ToString(s.AdjacentParentShardId) == in.shard {
			children = append(children, in.r.laneID(a, aws.ToString(s.ShardId)))
		}
	}
	return children, nil
}
