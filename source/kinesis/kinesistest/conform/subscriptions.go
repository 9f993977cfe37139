package conform

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/schemas"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"
)

// idle is how long a subscription may be silent before a case takes it for dead. The
// service sends an event about every five seconds.
const idle = 12 * time.Second

func subscribeCases() []Case {
	const horizon, latest = types.ShardIteratorTypeTrimHorizon, types.ShardIteratorTypeLatest
	return []Case{
		{Name: "subscribe-reads", Wants: "a subscription has the records that are there, in order", shards: 1, run: func(p *probe) {
			p.putMany(20)
			s := p.subscribe(p.register("lake"), horizon, "")
			defer s.end()
			p.equal("records", s.records(20), sequence(0, 20))
		}},
		{Name: "subscribe-pushes", Wants: "records that come later are pushed", shards: 1, run: func(p *probe) {
			s := p.subscribe(p.register("lake"), horizon, "")
			defer s.end()
			for i := range 3 {
				p.put("k", sequence(i, i+1)[0])
				p.equal("records", s.records(1), sequence(i, i+1))
			}
		}},
		{Name: "subscribe-latest", Wants: "LATEST begins with the next record", shards: 1, run: func(p *probe) {
			p.putMany(3)
			s := p.subscribe(p.register("lake"), latest, "")
			defer s.end()
			p.put("k", "new")
			p.equal("records", s.records(1), []string{"new"})
		}},
		{Name: "subscribe-at-sequence", Wants: "AT_SEQUENCE_NUMBER begins with the record, AFTER_SEQUENCE_NUMBER behind it", shards: 1, run: func(p *probe) {
			seq := aws.ToString(p.putMany(4).Records[1].SequenceNumber)
			at := p.subscribe(p.register("at"), types.ShardIteratorTypeAtSequenceNumber, seq)
			defer at.end()
			p.equal("AT", at.records(3), sequence(1, 4))
			after := p.subscribe(p.register("after"), types.ShardIteratorTypeAfterSequenceNumber, seq)
			defer after.end()
			p.equal("AFTER", after.records(2), sequence(2, 4))
		}},
		{Name: "subscribe-continues", Wants: "AFTER_SEQUENCE_NUMBER with the ContinuationSequenceNumber of an event goes on behind it", shards: 1, run: func(p *probe) {
			p.putMany(5)
			first := p.subscribe(p.register("first"), horizon, "")
			first.records(5)
			first.end()
			if first.continuation == "" {
				p.fatalf("no ContinuationSequenceNumber")
			}
			p.put("k", "5")
			next := p.subscribe(p.register("next"), types.ShardIteratorTypeAfterSequenceNumber, first.continuation)
			defer next.end()
			p.equal("records", next.records(1), sequence(5, 6))
		}},
		{Name: "subscribe-idle", Wants: "an idle subscription gets events without records, MillisBehindLatest 0 and a number to continue with", shards: 1, run: func(p *probe) {
			p.putMany(1)
			s := p.subscribe(p.register("lake"), horizon, "")
			defer s.end()
			s.records(1)
			for range 2 {
				e, ok := s.event()
				if !ok {
					p.fatalf("the stream ended: %v", s.Err())
				}
				p.equal("records and lag", []any{len(e.Records), aws.ToInt64(e.MillisBehindLatest)}, []any{0, 0})
				if aws.ToString(e.ContinuationSequenceNumber) == "" {
					p.errorf("no ContinuationSequenceNumber")
				}
			}
		}},
		{Name: "subscribe-end", Wants: "the subscription of a closed shard ends with its records", shards: 1, run: func(p *probe) {
			p.putMany(3)
			p.split(shardName(0))
			s := p.subscribe(p.register("lake"), horizon, "")
			defer s.end()
			p.equal("records", s.rest(), sequence(0, 3))
			p.must("the stream", s.Err())
		}},
		{Name: "subscribe-children", Wants: "the last event of a shard has its children and no ContinuationSequenceNumber", shards: 1, run: func(p *probe) {
			s := p.subscribe(p.register("lake"), horizon, "")
			defer s.end()
			p.split(shardName(0))
			s.rest()
			var got []string
			for _, c := range s.children {
				got = append(got, aws.ToString(c.ShardId))
				p.equal("parents", c.ParentShards, []string{shardName(0)})
			}
			slices.Sort(got)
			p.equal("children", got, []string{shardName(1), shardName(2)})
			p.equal("continuation", s.continuation, "")
		}},
		{Name: "subscribe-two-consumers", Wants: "each consumer has all records", shards: 1, run: func(p *probe) {
			p.putMany(5)
			for _, name := range []string{"a", "b"} {
				s := p.subscribe(p.register(name), horizon, "")
				defer s.end()
				p.equal(name, s.records(5), sequence(0, 5))
			}
		}},
		{Name: "subscribe-in-use", Wants: "a second call within five seconds is refused", shards: 1, run: func(p *probe) {
			consumer := p.register("lake")
			s := p.subscribe(consumer, horizon, "")
			defer s.end()
			p.wait(1500 * time.Millisecond)
			p.noSubscription("SubscribeToShard", consumer, shardName(0), latest, "", inUse)
		}},
		{Name: "subscribe-takes-over", Wants: "a second call after five seconds takes over, and the first stream ends", shards: 1, run: func(p *probe) {
			consumer := p.register("lake")
			old := p.subscribe(consumer, horizon, "")
			defer old.end()
			p.wait(5500 * time.Millisecond)
			s := p.subscribe(consumer, latest, "")
			defer s.end()
			p.put("k", "new")
			p.equal("records", s.records(1), []string{"new"})
			for range 5 {
				if _, more := old.event(); !more {
					break
				}
			}
			if _, more := old.event(); more {
				p.fatalf("the first stream goes on")
			}
			if err := old.Err(); err != nil {
				p.refused("the first stream", err, inUse)
			}
		}},
		{Name: "subscribe-absent", Wants: "a consumer or shard that is not there gets ResourceNotFoundException", shards: 1, run: func(p *probe) {
			consumer := p.register("lake")
			p.noSubscription("shard", consumer, shardName(7), latest, "", absent)
			p.noSubscription("consumer", *p.streamARN()+"/consumer/other:1700000000", shardName(0), latest, "", absent)
		}},
		{Name: "subscribe-bad-sequence", Wants: "what is no sequence number is refused", shards: 1, run: func(p *probe) {
			consumer := p.register("lake")
			for _, seq := range []string{"12", ""} {
				p.noSubscription("sequence number "+seq, consumer, shardName(0), types.ShardIteratorTypeAfterSequenceNumber, seq, badArgument, invalid)
			}
		}},
	}
}

// sequence is the decimal numbers from one to before another.
func sequence(from, to int) []string {
	all := []string{}
	for _, e := range entries(to)[from:] {
		all = append(all, string(e.Data))
	}
	return all
}

// subscription is a stream of events that a case reads.
type subscription struct {
	*kinesis.SubscribeToShardEventStream
	p            *probe
	cancel       context.CancelFunc
	continuation string // of the last event
	children     []types.ChildShard
}

func (p *probe) trySubscribe(consumer, shard string, typ types.ShardIteratorType, seq string) (*subscription, error) {
	at := &types.StartingPosition{Type: typ}
	if seq != "" {
		at.SequenceNumber = &seq
	}
	ctx, cancel := context.WithCancel(p.ctx)
	// The SDK waits for the first frame of the stream, which a server may owe.
	limit := time.AfterFunc(idle, cancel)
	defer limit.Stop()
	out, err := p.client.SubscribeToShard(ctx, &kinesis.SubscribeToShardInput{ConsumerARN: &consumer, ShardId: &shard, StartingPosition: at}, ownProtocol)
	if err != nil {
		cancel()
		return nil, err
	}
	return &subscription{SubscribeToShardEventStream: out.GetStream(), p: p, cancel: cancel}, nil
}

// noSubscription wants a subscription to be refused.
func (p *probe) noSubscription(what, consumer, shard string, typ types.ShardIteratorType, seq string, codes ...string) {
	s, err := p.trySubscribe(consumer, shard, typ, seq)
	p.refused(what, err, codes...)
	if s != nil {
		s.end()
	}
}

// ownProtocol gives a subscription a protocol of its own: those of one client share a
// buffer (seen in smithy-go 1.28.9), which is a race, though of no effect.
func ownProtocol(o *kinesis.Options) { o.Protocol = awsjson.New11(schemas.Kinesis_20131202) }

// subscribe subscribes to the first shard.
func (p *probe) subscribe(consumer string, typ types.ShardIteratorType, seq string) *subscription {
	s, err := p.trySubscribe(consumer, shardName(0), typ, seq)
	p.must("SubscribeToShard", err)
	return s
}

// event waits for the next event; there is none at the end of the stream.
func (s *subscription) event() (types.SubscribeToShardEvent, bool) {
	quiet := time.NewTimer(idle)
	defer quiet.Stop()
	select {
	case e, ok := <-s.Events():
		if !ok {
			return types.SubscribeToShardEvent{}, false
		}
		m, ok := e.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent)
		if !ok {
			s.p.fatalf("an event of type %T", e)
		}
		s.continuation, s.children = aws.ToString(m.Value.ContinuationSequenceNumber), m.Value.ChildShards
		return m.Value, true
	case <-quiet.C:
		s.p.fatalf("no event for %v", idle)
	case <-s.p.ctx.Done():
		s.p.fatalf("no event: %v", context.Cause(s.p.ctx))
	}
	return types.SubscribeToShardEvent{}, false
}

// records reads until there have been n.
func (s *subscription) records(n int) (all []string) {
	for len(all) < n {
		e, ok := s.event()
		if !ok {
			s.p.fatalf("the stream ended after %d of %d records: %v", len(all), n, s.Err())
		}
		all = append(all, payloads(e.Records)...)
	}
	return all
}

// rest reads to the end of the stream.
func (s *subscription) rest() []string {
	all := []string{}
	for e, ok := s.event(); ok; e, ok = s.event() {
		all = append(all, payloads(e.Records)...)
	}
	return all
}

// end closes the stream. An error of the service was seen by who read to the end.
func (s *subscription) end() {
	s.cancel()
	var api smithy.APIError
	if err := s.Close(); err != nil && !errors.Is(err, context.Canceled) && !errors.As(err, &api) {
		s.p.errorf("closing the stream: %v", err)
	}
}
