package kinesis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/source"
)

// fetcher polls one shard. Its position moves only with records that it returns,
// so an error, a lost answer or a stale iterator never skips anything.
type fetcher struct {
	r     *reader
	shard string
	from  source.Start
	last  shardlake.Position // of the last record returned, or where it began

	known    shardlake.Instant // until the first records have come, Start.Known
	iterator string
	next     time.Time // the earliest moment of the next call
	ended    bool
}

func newFetcher(r *reader, lane string, from source.Start) *fetcher {
	return &fetcher{r: r, shard: shardOf(lane), from: from, last: from.After, known: from.Known}
}

// Close has nothing to give back.
func (f *fetcher) Close() error { return nil }

// Fetch returns the records of one answer; none if the shard had none.
func (f *fetcher) Fetch(ctx context.Context) (source.Chunk, error) {
	if f.ended {
		return source.Chunk{}, source.ErrShardEnd
	}
	for try := 1; ; try++ {
		c, err := f.poll(ctx)
		if err == nil {
			if f.ended {
				return c, source.ErrShardEnd
			}
			return c, nil
		}
		if ctx.Err() != nil {
			return source.Chunk{}, context.Cause(ctx)
		}
		if _, gone := errors.AsType[*source.TrimmedError](err); gone {
			return source.Chunk{}, err
		}
		switch judge(err) {
		case refused:
			lost, listed := f.vanished(ctx, err)
			switch {
			case lost == nil:
				return source.Chunk{}, errors.Join(explain("GetRecords", f.r.cfg.Stream+"/"+f.shard, err), listed)
			case !f.from.Lossy:
				return source.Chunk{}, lost
			}
			children, err := f.children(ctx)
			f.ended = err == nil
			return source.Chunk{Lost: lost, Behind: -1, Children: children}, cmp.Or(err, source.ErrShardEnd)
		case renew:
			f.iterator = ""
			f.next = time.Time{} // the call that failed gave nothing
			if try > 3 {
				f.wait(backoff(try))
			}
		case slow:
			f.r.cfg.Log.Error("kinesis cannot decrypt the stream; trying again slowly", "shard", f.shard, "error", explain("GetRecords", f.r.cfg.Stream, err))
			f.wait(slowWait)
		default:
			if try > 1 {
				f.r.cfg.Log.Warn("kinesis did not give records; trying again", "shard", f.shard, "try", try, "error", err)
			}
			f.wait(backoff(try))
		}
	}
}

func (f *fetcher) wait(d time.Duration) { f.next = time.Now().Add(d) }

// poll makes one call of GetRecords, at its time, with an iterator.
func (f *fetcher) poll(ctx context.Context) (source.Chunk, error) {
	if err := sleep(ctx, time.Until(f.next)); err != nil {
		return source.Chunk{}, err
	}
	c, err := f.r.connect(ctx)
	if err != nil {
		return source.Chunk{}, err
	}
	if f.iterator == "" {
		if err := f.iterate(ctx, c); err != nil {
			return source.Chunk{}, err
		}
	}
	tctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	began := time.Now()
	out, err := c.GetRecords(tctx, &kinesis.GetRecordsInput{
		ShardIterator: &f.iterator, Limit: aws.Int32(int32(f.r.cfg.Limit)),
		StreamARN: f.arn(),
	}, once)
	if err != nil {
		return source.Chunk{}, err
	}
	var children []string
	if out.NextShardIterator == nil {
		if children, err = f.end(ctx, out.ChildShards); err != nil {
			return source.Chunk{}, err
		}
	}
	before := f.last
	chunk, bytes := f.chunk(out)
	clock := shardlake.At(serviceTime(out.ResultMetadata))
	lost, err := f.trimmed(ctx, before, chunk, clock)
	if err == nil && lost != nil && !f.from.Lossy {
		err = lost
	}
	if err != nil {
		f.last = before
		return source.Chunk{}, err
	}
	chunk.Lost = lost
	if chunk.Behind == 0 {
		chunk.Tip = clock
	}
	if len(chunk.Records) > 0 {
		f.known = 0 // from here on nothing is missed
	}
	chunk.Children, f.ended = children, out.NextShardIterator == nil
	f.iterator = aws.ToString(out.NextShardIterator)
	f.pace(began, bytes, chunk)
	return chunk, nil
}

// vanished tells whether an error says that the shard, and not the stream, is
// gone: closed, and all its records older than the retention. It returns nil if it
// is not.
func (f *fetcher) vanished(ctx context.Context, refusal error) (*source.TrimmedError, error) {
	if api, ok := errors.AsType[smithy.APIError](refusal); !ok || api.ErrorCode() != "ResourceNotFoundException" {
		return nil, nil
	}
	all, now, err := f.r.shards(ctx)
	if err != nil || slices.ContainsFunc(all, func(s types.Shard) bool { return aws.ToString(s.ShardId) == f.shard }) {
		return nil, err
	}
	return &source.TrimmedError{After: f.last, Known: f.known, Until: shardlake.At(now)}, nil
}

// trimmed tells whether records between the position and those of a chunk may be
// gone. Kinesis reports no error for a position that it no longer holds: it goes
// on with the oldest record that is left. What was known at a time which is still
// within the retention cannot be gone.
func (f *fetcher) trimmed(ctx context.Context, after shardlake.Position, c source.Chunk, clock shardlake.Instant) (*source.TrimmedError, error) {
	if f.known == 0 || after.IsStart() || len(c.Records) == 0 {
		return nil, nil
	}
	a, err := f.r.describe(ctx)
	if err == nil && f.known < clock.Sub(a.retention) {
		a, err = f.r.describeAgain(ctx)
	}
	if err != nil || a.retention == 0 || f.known >= clock.Sub(a.retention) {
		return nil, err
	}
	return &source.TrimmedError{After: after, Known: f.known, Until: c.Records[0].Arrived, Next: c.Records[0].Pos}, nil
}

const (
	callTimeout = 30 * time.Second
	shardRate   = 2 << 20 // bytes a second that a shard gives all its readers
)

// once leaves retries to the fetcher, which knows the pace of the shard.
func once(o *kinesis.Options) { o.RetryMaxAttempts = 1 }

func (f *fetcher) arn() *string {
	_, arn := f.r.naming()
	return arn
}

// pace decides when the next call may be: 5 calls and 2 MiB a second while the
// shard is behind, and Poll apart at the tip.
func (f *fetcher) pace(began time.Time, bytes int64, c source.Chunk) {
	wait := minPoll
	if len(c.Records) == 0 && c.Behind <= 0 {
		wait = f.r.cfg.Poll
	}
	f.next = began.Add(max(wait, time.Duration(float64(bytes)/shardRate*float64(time.Second))))
}

// iterate makes an iterator at the fetcher's position.
func (f *fetcher) iterate(ctx context.Context, c *kinesis.Client) error {
	in := &kinesis.GetShardIteratorInput{ShardId: &f.shard}
	in.StreamName, in.StreamARN = f.r.naming()
	switch {
	case !f.last.IsStart() && f.last.Partial:
		in.ShardIteratorType, in.StartingSequenceNumber = types.ShardIteratorTypeAtSequenceNumber, &f.last.Seq
	case !f.last.IsStart():
		in.ShardIteratorType, in.StartingSequenceNumber = types.ShardIteratorTypeAfterSequenceNumber, &f.last.Seq
	case f.from.Begin == shardlake.Never:
		in.ShardIteratorType = types.ShardIteratorTypeTrimHorizon
	default:
		in.ShardIteratorType, in.Timestamp = types.ShardIteratorTypeAtTimestamp, aws.Time(f.from.Begin.Time())
	}
	tctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := c.GetShardIterator(tctx, in, once)
	if err != nil {
		return err
	}
	if f.iterator = aws.ToString(out.ShardIterator); f.iterator == "" {
		return fmt.Errorf("kinesis GetShardIterator of %s: the answer has no iterator", f.shard)
	}
	return nil
}

// end believes that a shard is closed only if it has children: an answer without
// an iterator can also be a torn one, and taking that for the end would lose the
// rest of the shard. Some servers name no children here; the listing does.
func (f *fetcher) end(ctx context.Context, answer []types.ChildShard) (children []string, _ error) {
	a, err := f.r.describe(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range answer {
		if slices.Contains(c.ParentShards, f.shard) {
			children = append(children, f.r.laneID(a, aws.ToString(c.ShardId)))
		}
	}
	if len(children) > 0 {
		return children, nil
	}
	if children, err = f.children(ctx); err != nil {
		return nil, err
	}
	if len(children) == 0 {
		return nil, fmt.Errorf("kinesis: the answer for %s has no next iterator although the shard has no children: a torn answer, or the stream is being deleted", f.shard)
	}
	return children, nil
}

// children are the lanes that the listing shows to go on where the shard ended.
func (f *fetcher) children(ctx context.Context) (children []string, _ error) {
	a, err := f.r.describe(ctx)
	if err != nil {
		return nil, err
	}
	all, _, err := f.r.shards(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		if aws.ToString(s.ParentShardId) == f.shard || aws.ToString(s.AdjacentParentShardId) == f.shard {
			children = append(children, f.r.laneID(a, aws.ToString(s.ShardId)))
		}
	}
	return children, nil
}

// chunk turns an answer into records, all beyond the last one and in order.
func (f *fetcher) chunk(out *kinesis.GetRecordsOutput) (source.Chunk, int64) {
	c := source.Chunk{Behind: -1, Records: make([]shardlake.Record, 0, len(out.Records))}
	if out.MillisBehindLatest != nil {
		c.Behind = time.Duration(*out.MillisBehindLatest) * time.Millisecond
	}
	sorted := true
	var bytes int64
	for i := range out.Records {
		in := &out.Records[i]
		r := shardlake.Record{Pos: shardlake.Position{Seq: aws.ToString(in.SequenceNumber)}, Key: aws.ToString(in.PartitionKey), Data: in.Data}
		if in.ApproximateArrivalTimestamp != nil {
			r.Arrived = shardlake.At(*in.ApproximateArrivalTimestamp)
		}
		bytes += int64(len(r.Data) + len(r.Key))
		if r.Pos.Compare(f.last) <= 0 && !f.last.IsStart() {
			continue // the service, or an iterator made at the position, repeats it
		}
		if n := len(c.Records); n > 0 && r.Pos.Compare(c.Records[n-1].Pos) <= 0 {
			sorted = false
		}
		c.Records = append(c.Records, r)
	}
	if !sorted {
		f.r.cfg.Log.Warn("kinesis gave records out of order; they were sorted", "shard", f.shard)
		slices.SortStableFunc(c.Records, func(a, b shardlake.Record) int { return a.Pos.Compare(b.Pos) })
		c.Records = slices.CompactFunc(c.Records, func(a, b shardlake.Record) bool { return a.Pos.Compare(b.Pos) == 0 })
	}
	if n := len(c.Records); n > 0 {
		f.last = c.Records[n-1].Pos
	}
	c.Bytes = bytes
	return c, bytes
}
