package kinesis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
	"unsafe"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/source"
	"github.com/shardlake/shardlake/source/kinesis/internal/wire"
)

// poller reads one shard by GetRecords.
type poller struct {
	intake
	iterator string
	next     time.Time // the earliest moment of the next call
	pace     pace
	counts   source.Counts
	limit    int // of records in an answer
	buffers  wire.Buffers
}

func newPoller(r *reader, lane source.Lane, from source.Start) *poller {
	return &poller{intake: newIntake(r, lane, from), pace: pace{poll: r.cfg.Poll}, limit: r.cfg.Limit}
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
		if errors.Is(err, wire.ErrTooLarge) {
			if f.limit == 1 {
				return source.Chunk{}, explain("GetRecords", f.r.cfg.Stream+"/"+f.shard, err)
			}
			f.limit = max(1, f.limit/2)
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
	in := &kinesis.GetRecordsInput{ShardIterator: &f.iterator, Limit: aws.Int32(int32(f.limit))}
	_, in.StreamARN = f.r.naming()
	var got wire.Answer
	if err := wire.GetRecords(tctx, c, in, &f.buffers, &got, f.r.fast); err != nil {
		return err
	}
	a := answer{records: got.Records, held: got.Held - int64(len(got.Records))*int64(unsafe.Sizeof(shardlake.Record{})), closed: !got.HasNext, children: got.Children, clock: shardlake.At(serviceTime(got.Metadata))}
	if a.tail.Behind = got.Behind; got.Behind == 0 {
		a.tail.Tip = a.clock
	}
	if err := f.accept(ctx, a); err != nil {
		return err
	}
	f.iterator = got.Next
	f.next = began.Add(f.pace.answered(len(got.Records), got.Bytes, got.Behind))
	return nil
}

// single leaves retries to the fetcher, which knows the pace of the shard.
func single(o *kinesis.Options) { o.RetryMaxAttempts = 1 }

// fast is single, and has the answer read by package wire.
func (r *reader) fast(o *kinesis.Options) {
	single(o)
	r.read(o)
}

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
