package kinesis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/source"
)

// poller reads one shard by GetRecords.
type poller struct {
	intake
	iterator string
	next     time.Time // the earliest moment of the next call
	pace     pace
	counts   source.Counts
}

func newPoller(r *reader, lane source.Lane, from source.Start) *poller {
	return &poller{intake: newIntake(r, lane, from), pace: pace{poll: r.cfg.Poll}}
}

// Close has nothing to give back.
func (f *poller) Close() error { return nil }

// Fetch returns the records of one answer, or a part of them; none if the shard
// had none.
func (f *poller) Fetch(ctx context.Context) (source.Chunk, error) {
	if !f.queued() {
		if f.ended {
			return source.Chunk{}, source.ErrShardEnd
		}
		if c, err := f.poll(ctx); c.Lost != nil || err != nil {
			return c, err
		}
	}
	c, err := f.piece()
	c.Counts, f.counts = c.Counts.Plus(f.counts), source.Counts{}
	return c, err
}

// poll asks until an answer is accepted. The chunk that it returns is that of a
// shard which is gone.
func (f *poller) poll(ctx context.Context) (source.Chunk, error) {
	for try := 1; ; try++ {
		err := f.once(ctx)
		if err == nil {
			return source.Chunk{}, nil
		}
		if ctx.Err() != nil {
			return source.Chunk{}, context.Cause(ctx)
		}
		if _, gone := errors.AsType[*source.TrimmedError](err); gone {
			return source.Chunk{}, err
		}
		switch v := judge(err); v {
		case refused:
			return f.refused(ctx, err)
		case renew:
			f.iterator = ""
			f.next = time.Time{} // the call that failed gave nothing
			if try > 3 {
				f.wait(backoff(try))
			}
		case slow:
			f.counts.Failed++
			f.r.cfg.Log.Error("kinesis cannot decrypt the stream; trying again slowly", "shard", f.shard, "error", explain("GetRecords", f.r.cfg.Stream, err))
			f.wait(slowWait)
		default:
			if v == throttled {
				f.counts.Throttled++
				f.pace.refused()
			} else {
				f.counts.Failed++
			}
			if try > 1 {
				f.r.cfg.Log.Warn("kinesis did not give records; trying again", "shard", f.shard, "try", try, "error", err)
			}
			f.wait(backoff(try))
		}
	}
}

// refused is for an error that repeating will not mend: it may be that the shard
// is gone.
func (f *poller) refused(ctx context.Context, err error) (source.Chunk, error) {
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
}

func (f *poller) wait(d time.Duration) { f.next = time.Now().Add(d) }

const callTimeout = 30 * time.Second

// once makes one call of GetRecords, at its time, with an iterator.
func (f *poller) once(ctx context.Context) error {
	if err := sleep(ctx, time.Until(f.next)); err != nil {
		return err
	}
	c, err := f.r.connect(ctx)
	if err != nil {
		return err
	}
	if f.iterator == "" {
		if err := f.iterate(ctx, c); err != nil {
			return err
		}
	}
	tctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	began := time.Now()
	in := &kinesis.GetRecordsInput{ShardIterator: &f.iterator, Limit: aws.Int32(int32(f.r.cfg.Limit))}
	_, in.StreamARN = f.r.naming()
	out, err := c.GetRecords(tctx, in, single)
	if err != nil {
		return err
	}
	a := answerOf(out)
	if err := f.accept(ctx, a); err != nil {
		return err
	}
	f.iterator = aws.ToString(out.NextShardIterator)
	f.next = began.Add(f.pace.answered(len(a.records), a.bytes, a.tail.Behind))
	return nil
}

// answerOf takes over what GetRecords gave.
func answerOf(out *kinesis.GetRecordsOutput) answer {
	a := answer{closed: out.NextShardIterator == nil, children: out.ChildShards, clock: shardlake.At(serviceTime(out.ResultMetadata))}
	a.tail.Behind = -1
	if out.MillisBehindLatest != nil {
		a.tail.Behind = time.Duration(*out.MillisBehindLatest) * time.Millisecond
	}
	if a.tail.Behind == 0 {
		a.tail.Tip = a.clock
	}
	a.records, a.bytes = recordsOf(out.Records)
	return a
}

// recordsOf takes over records as the SDK reads them.
func recordsOf(in []types.Record) (out []shardlake.Record, bytes int64) {
	out = make([]shardlake.Record, len(in))
	for i := range in {
		out[i] = shardlake.Record{Pos: shardlake.Position{Seq: aws.ToString(in[i].SequenceNumber)}, Key: aws.ToString(in[i].PartitionKey), Data: in[i].Data}
		if t := in[i].ApproximateArrivalTimestamp; t != nil {
			out[i].Arrived = shardlake.At(*t)
		}
		bytes += int64(len(out[i].Data) + len(out[i].Key))
	}
	return out, bytes
}

// single leaves retries to the fetcher, which knows the pace of the shard.
func single(o *kinesis.Options) { o.RetryMaxAttempts = 1 }

// iterate makes an iterator at the fetcher's position.
func (f *poller) iterate(ctx context.Context, c *kinesis.Client) error {
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
	out, err := c.GetShardIterator(tctx, in, single)
	if err != nil {
		return err
	}
	if f.iterator = aws.ToString(out.ShardIterator); f.iterator == "" {
		return fmt.Errorf("kinesis GetShardIterator of %s: the answer has no iterator", f.shard)
	}
	return nil
}
