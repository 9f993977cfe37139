package kinesis

import (
	"cmp"
	"context"
	"errors"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/schemas"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/source"
)

// A subscription lasts five minutes; another call for the same shard within five
// seconds of one that succeeded is refused (API reference of SubscribeToShard).
const (
	subscribeEvery = time.Second     // the least time between two tries
	subscribeWait  = 5 * time.Second // when the service says that one exists already
	// silence is how long a subscription may be mute before it is given up. The
	// service sends an event every few seconds even if there is nothing to say.
	silence = 40 * time.Second
)

// subscriber reads one shard by enhanced fan-out: the service pushes events. What
// the lane does not take stays in the connection, which holds at most half a MiB a
// shard, so a lane that waits holds back the service and nothing else: neither its
// lease nor other shards depend on this goroutine.
type subscriber struct {
	intake
	cancel context.CancelFunc
	stream *kinesis.SubscribeToShardEventStream // nil if there is none
	offset time.Duration                        // of the service's clock to ours
	// after is where the next subscription begins: the service's own word, which
	// moves over stretches without records too. "" before the first event.
	after  string
	next   time.Time // the earliest moment of the next try
	tries  int       // without an event
	counts source.Counts
}

func newSubscriber(r *reader, lane source.Lane, from source.Start) *subscriber {
	return &subscriber{intake: newIntake(r, lane, from)}
}

// Close ends the subscription, so that the lane's next owner may begin one.
func (f *subscriber) Close() error {
	f.unsubscribe()
	return nil
}

func (f *subscriber) unsubscribe() {
	if f.stream == nil {
		return
	}
	f.cancel()
	// What was left to say is about a connection that nobody wants any more.
	if err := f.stream.Close(); err != nil {
		f.r.cfg.Log.Debug("a subscription ended", "shard", f.shard, "error", err)
	}
	f.stream = nil
}

// Fetch returns the records of one event, or a part of them; none if the shard had
// none.
func (f *subscriber) Fetch(ctx context.Context) (source.Chunk, error) {
	if !f.queued() {
		if f.ended {
			return source.Chunk{}, source.ErrShardEnd
		}
		if c, err := f.await(ctx); c.Lost != nil || err != nil {
			return c, err
		}
	}
	c, err := f.piece()
	c.Counts, f.counts = c.Counts.Plus(f.counts), source.Counts{}
	return c, err
}

// await takes the next event, by as many subscriptions as it needs.
func (f *subscriber) await(ctx context.Context) (source.Chunk, error) {
	for {
		if err := ctx.Err(); err != nil {
			return source.Chunk{}, context.Cause(ctx)
		}
		err := f.subscribe(ctx)
		if err == nil {
			if err = f.event(ctx); err == nil {
				f.tries = 0
				return source.Chunk{}, nil
			}
			f.unsubscribe()
		}
		if ctx.Err() != nil {
			return source.Chunk{}, context.Cause(ctx)
		}
		if errors.Is(err, io.EOF) {
			continue // five minutes are over
		}
		if _, gone := errors.AsType[*source.TrimmedError](err); gone {
			return source.Chunk{}, err
		}
		if c, err := f.trouble(ctx, err); c.Lost != nil || err != nil {
			return c, err
		}
	}
}

// trouble decides what becomes of an error, and when the next try may be.
func (f *subscriber) trouble(ctx context.Context, err error) (source.Chunk, error) {
	f.tries++
	wait := backoff(f.tries)
	switch v := judge(err); {
	case isCode(err, "ResourceInUseException"):
		// Another subscription for the shard is younger than five seconds: of the lane's
		// last owner, or our own that broke.
		f.counts.Throttled++
		wait = subscribeWait + backoff(1)
	case isCode(err, "ResourceNotFoundException"):
		lost, listed := f.vanished(ctx, err)
		switch {
		case listed != nil:
			return source.Chunk{}, errors.Join(explain("SubscribeToShard", f.r.cfg.Stream+"/"+f.shard, err), listed)
		case lost == nil && f.tries > 3:
			return source.Chunk{}, explain("SubscribeToShard", f.r.cfg.Stream+"/"+f.shard, err)
		case lost == nil: // the consumer is gone, not the shard
			f.r.forgetConsumer()
		case !f.from.Lossy:
			return source.Chunk{}, lost
		default:
			children, err := f.children(ctx)
			f.ended = err == nil
			return source.Chunk{Lost: lost, Behind: -1, Children: children}, cmp.Or(err, source.ErrShardEnd)
		}
	case v == refused:
		return source.Chunk{}, explain("SubscribeToShard", f.r.cfg.Stream+"/"+f.shard, err)
	case v == slow:
		f.counts.Failed++
		wait = slowWait
		f.r.cfg.Log.Error("kinesis cannot decrypt the stream; trying again slowly", "shard", f.shard, "error", explain("SubscribeToShard", f.r.cfg.Stream, err))
	case v == throttled:
		f.counts.Throttled++
	default:
		f.counts.Failed++
	}
	if f.tries > 1 {
		f.r.cfg.Log.Warn("a subscription broke; trying again", "shard", f.shard, "try", f.tries, "error", err)
	}
	f.next = later(f.next, time.Now().Add(wait))
	return source.Chunk{}, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// subscribe makes a subscription if there is none.
func (f *subscriber) subscribe(ctx context.Context) error {
	if f.stream != nil {
		return nil
	}
	if err := sleep(ctx, time.Until(f.next)); err != nil {
		return err
	}
	f.next = time.Now().Add(subscribeEvery)
	c, err := f.r.connect(ctx)
	if err != nil {
		return err
	}
	arn, err := f.r.consumer(ctx)
	if err != nil {
		return err
	}
	// The context is that of the whole stream; until the call returns, a timer ends it.
	sctx, cancel := context.WithCancel(ctx)
	limit := time.AfterFunc(callTimeout, cancel)
	out, err := c.SubscribeToShard(sctx, &kinesis.SubscribeToShardInput{ConsumerARN: &arn, ShardId: &f.shard, StartingPosition: f.position()}, alone)
	if err != nil {
		limit.Stop()
		cancel()
		return err
	}
	f.stream, f.cancel = out.GetStream(), cancel
	limit.Stop() // if it has fired, the stream breaks and the next try is near
	f.offset = time.Until(serviceTime(out.ResultMetadata))
	return nil
}

// alone is single, and has the events read by a protocol of the subscription's own.
// That of a client keeps one buffer for all of its streams, without a lock
// (smithy-go 1.28.9, Codec.payloadBuf): two that are read at once would overwrite
// each other's events.
func alone(o *kinesis.Options) {
	single(o)
	o.Protocol = awsjson.New11(schemas.Kinesis_20131202)
}

func (f *subscriber) position() *types.StartingPosition {
	switch {
	case f.after != "":
		return &types.StartingPosition{Type: types.ShardIteratorTypeAfterSequenceNumber, SequenceNumber: &f.after}
	case !f.last.IsStart() && f.last.Partial:
		return &types.StartingPosition{Type: types.ShardIteratorTypeAtSequenceNumber, SequenceNumber: &f.last.Seq}
	case !f.last.IsStart():
		return &types.StartingPosition{Type: types.ShardIteratorTypeAfterSequenceNumber, SequenceNumber: &f.last.Seq}
	case f.from.Begin == shardlake.Never:
		return &types.StartingPosition{Type: types.ShardIteratorTypeTrimHorizon}
	}
	return &types.StartingPosition{Type: types.ShardIteratorTypeAtTimestamp, Timestamp: aws.Time(f.from.Begin.Time())}
}

var errSilent = errors.New("kinesis: the subscription was silent for 40 seconds, which the service never is: the connection is dead")

// event takes one event of the subscription and accepts it. io.EOF says that the
// subscription has ended in good order.
func (f *subscriber) event(ctx context.Context) error {
	fresh := false
	var e types.SubscribeToShardEventStream
	var more bool
	select {
	case e, more = <-f.stream.Events(): // it has waited for us
	default:
		fresh = true
		quiet := time.NewTimer(silence)
		defer quiet.Stop()
		select {
		case e, more = <-f.stream.Events():
		case <-quiet.C:
			return errSilent
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if !more {
		if err := f.stream.Err(); err != nil {
			return err
		}
		return io.EOF
	}
	m, ok := e.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent)
	if !ok {
		return nil // of a kind that is younger than this program
	}
	// The end of a shard has no continuation, and children. Some servers give a
	// continuation there; children without a record are told nowhere else.
	closed := m.Value.ContinuationSequenceNumber == nil || len(m.Value.Records) == 0 && len(m.Value.ChildShards) > 0
	a := answer{closed: closed, children: m.Value.ChildShards, clock: shardlake.At(time.Now().Add(f.offset))}
	a.tail.Behind = -1
	if m.Value.MillisBehindLatest != nil {
		a.tail.Behind = time.Duration(*m.Value.MillisBehindLatest) * time.Millisecond
	}
	if a.tail.Behind == 0 && fresh {
		a.tail.Tip = a.clock
	}
	a.records, a.held = recordsOf(m.Value.Records)
	if err := f.accept(ctx, a); err != nil {
		return err
	}
	f.after = aws.ToString(m.Value.ContinuationSequenceNumber)
	return nil
}

// recordsOf takes over records as the SDK reads them.
func recordsOf(in []types.Record) (out []shardlake.Record, held int64) {
	out = make([]shardlake.Record, len(in))
	for i := range in {
		out[i] = shardlake.Record{Pos: shardlake.Position{Seq: aws.ToString(in[i].SequenceNumber)}, Key: aws.ToString(in[i].PartitionKey), Data: in[i].Data}
		if t := in[i].ApproximateArrivalTimestamp; t != nil {
			out[i].Arrived = shardlake.At(*t)
		}
		held += int64(cap(out[i].Data) + len(out[i].Key) + len(out[i].Pos.Seq))
	}
	return out, held
}
