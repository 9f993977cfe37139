package kinesistest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/schemas"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"

	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

// register makes a consumer and returns its ARN.
func (w *world) register(stream, name string) string {
	w.Helper()
	out, err := w.client.RegisterStreamConsumer(w.ctx, &kinesis.RegisterStreamConsumerInput{StreamARN: arnOf(stream), ConsumerName: &name})
	w.must(err)
	return *out.Consumer.ConsumerARN
}

func arnOf(stream string) *string {
	return aws.String("arn:aws:kinesis:us-east-1:000000000000:stream/" + stream)
}

// subscription is a stream of events and the context that ends it.
type subscription struct {
	*kinesis.SubscribeToShardEventStream
	w      *world
	cancel context.CancelFunc
}

func (w *world) trySubscribe(consumer, shard string, typ types.ShardIteratorType, seq string) (*subscription, error) {
	in := &kinesis.SubscribeToShardInput{ConsumerARN: &consumer, ShardId: &shard, StartingPosition: &types.StartingPosition{Type: typ}}
	if seq != "" {
		in.StartingPosition.SequenceNumber = &seq
	}
	ctx, cancel := context.WithCancel(w.ctx)
	out, err := w.client.SubscribeToShard(ctx, in, ownProtocol)
	if err != nil {
		cancel()
		return nil, err
	}
	return &subscription{out.GetStream(), w, cancel}, nil
}

// ownProtocol gives a subscription a protocol of its own. Those of one client share a
// buffer (seen in smithy-go 1.28.9), which is never used, but the race detector
// minds.
func ownProtocol(o *kinesis.Options) { o.Protocol = awsjson.New11(schemas.Kinesis_20131202) }

func (w *world) subscribe(consumer, shard string) *subscription {
	w.Helper()
	s, err := w.trySubscribe(consumer, shard, types.ShardIteratorTypeTrimHorizon, "")
	w.must(err)
	return s
}

// event is the next event, or the zero one at the end.
func (s *subscription) event() (types.SubscribeToShardEvent, bool) {
	e, ok := <-s.Events()
	if !ok {
		return types.SubscribeToShardEvent{}, false
	}
	return e.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent).Value, true
}

// rest drains the stream, and returns the data of its records, the last event, and
// the error it ended with.
func (s *subscription) rest() (all []string, last types.SubscribeToShardEvent, err error) {
	for e, ok := s.event(); ok; e, ok = s.event() {
		all, last = append(all, data(e.Records)...), e
	}
	err = s.Err()
	s.end()
	return all, last, err
}

// end closes the stream, whatever it ended with: Close returns that again.
func (s *subscription) end() {
	s.cancel()
	if err, again := s.Err(), s.Close(); err != nil && !errors.Is(again, err) {
		s.w.Errorf("closed with %v after %v", again, err)
	}
}

func TestConsumersAreRegisteredListedAndRemoved(t *testing.T) {
	each(t, kinesistest.Config{StatusDelay: 10 * time.Second, ConsumerDelay: 10 * time.Second}, func(w *world) {
		w.createStream("s", 1)
		in := &kinesis.RegisterStreamConsumerInput{StreamARN: arnOf("s"), ConsumerName: aws.String("lake"), Tags: map[string]string{"team": "a"}}
		_, err := w.client.RegisterStreamConsumer(w.ctx, in)
		w.fails(err, "ResourceInUseException") // the stream is CREATING
		w.clock.advance(10 * time.Second)
		out, err := w.client.RegisterStreamConsumer(w.ctx, in)
		w.must(err)
		w.equal(out.Consumer.ConsumerStatus, types.ConsumerStatusCreating)
		w.equal(*out.Consumer.ConsumerARN, fmt.Sprintf("%s/consumer/lake:%d", *arnOf("s"), w.clock.Now().Unix()))
		_, err = w.client.RegisterStreamConsumer(w.ctx, in)
		w.fails(err, "ResourceInUseException")
		_, err = w.trySubscribe(*out.Consumer.ConsumerARN, shardID(0), types.ShardIteratorTypeLatest, "")
		w.fails(err, "ResourceInUseException")

		// By ARN, and by stream and name.
		w.clock.advance(10 * time.Second)
		for _, by := range []kinesis.DescribeStreamConsumerInput{
			{ConsumerARN: out.Consumer.ConsumerARN},
			{StreamARN: arnOf("s"), ConsumerName: aws.String("lake")},
		} {
			d, err := w.client.DescribeStreamConsumer(w.ctx, &by)
			w.must(err)
			c := d.ConsumerDescription
			w.equal([]string{*c.ConsumerName, string(c.ConsumerStatus), *c.StreamARN}, []string{"lake", "ACTIVE", *arnOf("s")})
		}
		for code, by := range map[string]kinesis.DescribeStreamConsumerInput{
			"InvalidArgumentException":  {ConsumerName: aws.String("lake")},
			"ResourceNotFoundException": {StreamARN: arnOf("s"), ConsumerName: aws.String("other")},
		} {
			_, err := w.client.DescribeStreamConsumer(w.ctx, &by)
			w.fails(err, code)
		}

		// At most five at a time are CREATING, and there are at most twenty of a stream.
		for i := range 19 {
			in.ConsumerName = aws.String(fmt.Sprintf("c%02d", i))
			if i == 5 {
				_, err = w.client.RegisterStreamConsumer(w.ctx, in)
				w.fails(err, "LimitExceededException")
			}
			if i%5 == 0 {
				w.clock.advance(10 * time.Second)
			}
			_, err = w.client.RegisterStreamConsumer(w.ctx, in)
			w.must(err)
		}
		w.clock.advance(10 * time.Second)
		in.ConsumerName = aws.String("one too many")
		_, err = w.client.RegisterStreamConsumer(w.ctx, in)
		w.fails(err, "ValidationException")
		in.ConsumerName = aws.String("one-too-many")
		_, err = w.client.RegisterStreamConsumer(w.ctx, in)
		w.fails(err, "LimitExceededException")
		summary, err := w.client.DescribeStreamSummary(w.ctx, &kinesis.DescribeStreamSummaryInput{StreamName: aws.String("s")})
		w.must(err)
		w.equal(*summary.StreamDescriptionSummary.ConsumerCount, 20)

		p := kinesis.NewListStreamConsumersPaginator(w.client, &kinesis.ListStreamConsumersInput{StreamARN: arnOf("s"), MaxResults: aws.Int32(8)})
		var names []string
		for p.HasMorePages() {
			page, err := p.NextPage(w.ctx)
			w.must(err)
			for _, c := range page.Consumers {
				names = append(names, *c.ConsumerName)
			}
			if len(names) == 8 { // paging goes on where it was when a consumer goes
				_, err := w.client.DeregisterStreamConsumer(w.ctx, &kinesis.DeregisterStreamConsumerInput{StreamARN: arnOf("s"), ConsumerName: aws.String("c00")})
				w.must(err)
				w.clock.advance(10 * time.Second)
			}
		}
		w.equal(len(names), 20)
		w.equal(names[:3], []string{"lake", "c00", "c01"})

		_, err = w.client.DeregisterStreamConsumer(w.ctx, &kinesis.DeregisterStreamConsumerInput{ConsumerARN: out.Consumer.ConsumerARN})
		w.must(err)
		d, err := w.client.DescribeStreamConsumer(w.ctx, &kinesis.DescribeStreamConsumerInput{ConsumerARN: out.Consumer.ConsumerARN})
		w.must(err)
		w.equal(d.ConsumerDescription.ConsumerStatus, types.ConsumerStatusDeleting)
		w.clock.advance(10 * time.Second)
		_, err = w.client.DescribeStreamConsumer(w.ctx, &kinesis.DescribeStreamConsumerInput{ConsumerARN: out.Consumer.ConsumerARN})
		w.fails(err, "ResourceNotFoundException")

		_, err = w.client.DeleteStream(w.ctx, &kinesis.DeleteStreamInput{StreamName: aws.String("s")})
		w.fails(err, "ResourceInUseException")
		_, err = w.client.DeleteStream(w.ctx, &kinesis.DeleteStreamInput{StreamName: aws.String("s"), EnforceConsumerDeletion: aws.Bool(true)})
		w.must(err)
	})
}

// The events of a shard that has ended, over a socket too: all records in order,
// continuation numbers that resume, and the children last.
func TestASubscriptionReadsAShardToItsEnd(t *testing.T) {
	each(t, kinesistest.Config{}, func(w *world) { readsToTheEnd(w) })
	t.Run("h2c", func(t *testing.T) {
		srv, err := kinesistest.Listen(kinesistest.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := srv.Close(); err != nil {
				t.Error(err)
			}
		}()
		protocols := new(http.Protocols)
		protocols.SetUnencryptedHTTP2(true)
		client := kinesis.New(kinesis.Options{
			Region: "us-east-1", BaseEndpoint: aws.String(srv.URL()), Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
			Retryer: aws.NopRetryer{}, HTTPClient: socketClient{&http.Client{Transport: &http.Transport{Protocols: protocols}}},
		})
		readsToTheEnd(&world{T: t, srv: srv, client: client, ctx: t.Context()})
	})
}

func readsToTheEnd(w *world) {
	w.createStream("s", 1)
	consumer := w.register("s", "lake")
	big := strings.Repeat("x", 900<<10) // two do not fit into one event
	for i := range 5 {
		w.put("s", "k", fmt.Sprint(i, big))
	}
	s := w.subscribe(consumer, shardID(0))
	first, ok := s.event()
	if !ok {
		w.Fatal(s.Err())
	}
	w.equal(len(first.Records), 1)
	if *first.MillisBehindLatest == 0 {
		w.Error("four records are left, and MillisBehindLatest is 0")
	}
	_, _, err := w.srv.Split("s", shardID(0))
	w.must(err)
	rest, last, err := s.rest()
	w.must(err)
	w.equal(len(rest), 4)
	for i, d := range rest {
		w.equal(d[0]-'0', i+1)
	}
	w.equal(last.ContinuationSequenceNumber == nil, true)
	w.equal(*last.MillisBehindLatest, 0)
	w.equal(len(last.ChildShards), 2)
	w.equal(last.ChildShards[0].ParentShards, []string{shardID(0)})

	// Another consumer begins where the first event ended.
	other := w.register("s", "other")
	s, err = w.trySubscribe(other, shardID(0), types.ShardIteratorTypeAfterSequenceNumber, *first.ContinuationSequenceNumber)
	w.must(err)
	rest, _, err = s.rest()
	w.must(err)
	w.equal(len(rest), 4)
}

func TestSubscriptionsPushAndIdle(t *testing.T) {
	bubble(t, func(w *world) {
		w.createStream("s", 1)
		consumer := w.register("s", "lake")
		begin := time.Now()
		s, err := w.trySubscribe(consumer, shardID(0), types.ShardIteratorTypeLatest, "")
		w.must(err)
		e, _ := s.event()
		w.equal(len(e.Records), 0)
		for range 3 { // an event every five seconds, and always another number
			idle, _ := s.event()
			w.equal([]int{len(idle.Records), int(*idle.MillisBehindLatest)}, []int{0, 0})
			if *idle.ContinuationSequenceNumber <= *e.ContinuationSequenceNumber {
				w.Errorf("%s after %s", *idle.ContinuationSequenceNumber, *e.ContinuationSequenceNumber)
			}
			e = idle
		}
		w.equal(time.Since(begin), 15*time.Second)
		time.Sleep(2 * time.Second)
		w.put("s", "k", "at once")
		e, _ = s.event()
		w.equal([]any{data(e.Records), time.Since(begin)}, []any{[]string{"at once"}, 17 * time.Second})
		w.equal(*e.MillisBehindLatest, 0)
		_, _, err = s.rest() // five minutes after its begin
		w.must(err)
		w.equal(time.Since(begin), 5*time.Minute)
	})
}

func TestOneSubscriptionForAConsumerAndAShard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := kinesistest.New(kinesistest.Config{Limits: true})
		w := &world{T: t, srv: srv, client: newClient(srv, true), ctx: t.Context()}
		w.createStream("s", 2)
		a, b := w.register("s", "a"), w.register("s", "b")
		old := w.subscribe(a, shardID(0))
		w.subscribe(a, shardID(1)).end() // another shard, and another consumer
		w.subscribe(b, shardID(0)).end()
		time.Sleep(4900 * time.Millisecond)
		for _, shard := range []int{0, 1} { // though that of shard 1 has ended
			_, err := w.trySubscribe(a, shardID(shard), types.ShardIteratorTypeLatest, "")
			w.fails(err, "ResourceInUseException")
		}
		time.Sleep(200 * time.Millisecond)
		_, err := w.trySubscribe(a, shardID(0), types.ShardIteratorTypeLatest, "")
		w.fails(err, "LimitExceededException") // one call a second
		time.Sleep(time.Second)
		w.subscribe(a, shardID(0)).end()
		_, _, err = old.rest()
		w.fails(err, "ResourceInUseException")

		// A consumer that is removed, and a stream that is deleted, end what they have.
		bs := w.subscribe(b, shardID(0))
		_, err = w.client.DeregisterStreamConsumer(w.ctx, &kinesis.DeregisterStreamConsumerInput{ConsumerARN: &b})
		w.must(err)
		_, _, err = bs.rest()
		w.fails(err, "ResourceNotFoundException")
		time.Sleep(5 * time.Second)
		as := w.subscribe(a, shardID(0))
		w.must(w.srv.DeleteStream("s"))
		_, _, err = as.rest()
		w.fails(err, "ResourceNotFoundException")
		_, err = w.trySubscribe(a, shardID(0), types.ShardIteratorTypeLatest, "")
		w.fails(err, "ResourceNotFoundException")
	})
}

func TestWrongSubscriptionsAreRefused(t *testing.T) {
	w := newWorld(t, kinesistest.Config{})
	w.createStream("s", 2)
	consumer := w.register("s", "lake")
	foreign, _, err := w.srv.PutHash("s", "k", "340282366920938463463374607431768211455", []byte("in shard 1"))
	w.must(err)
	for _, test := range []struct {
		consumer, shard string
		typ             types.ShardIteratorType
		seq, code       string
	}{
		{*arnOf("s") + "/consumer/other:1", shardID(0), "LATEST", "", "ResourceNotFoundException"},
		{"arn:aws:kinesis:us-east-1:000000000000:stream/t/consumer/lake:1", shardID(0), "LATEST", "", "ResourceNotFoundException"},
		{"lake", shardID(0), "LATEST", "", "ResourceNotFoundException"},
		{consumer, shardID(2), "LATEST", "", "ResourceNotFoundException"},
		{consumer, shardID(0), "FIRST", "", "ValidationException"},
		{consumer, shardID(0), "AFTER_SEQUENCE_NUMBER", "", "InvalidArgumentException"},
		{consumer, shardID(0), "AFTER_SEQUENCE_NUMBER", "12", "InvalidArgumentException"},
		{consumer, shardID(0), "AFTER_SEQUENCE_NUMBER", foreign, "InvalidArgumentException"},
		{consumer, shardID(0), "AT_TIMESTAMP", "", "InvalidArgumentException"},
	} {
		_, err := w.trySubscribe(test.consumer, test.shard, test.typ, test.seq)
		w.fails(err, test.code)
	}
	w.subscribe(consumer, shardID(0)).end() // none of them counts
}

func TestFaultsOfSubscriptions(t *testing.T) {
	open := func(w *world) string {
		w.createStream("s", 1)
		for i := range 3 {
			w.put("s", "k", fmt.Sprint(i))
		}
		return w.register("s", "lake")
	}
	for _, code := range []string{
		"ResourceInUseException", "ResourceNotFoundException", "InternalFailureException", "KMSAccessDeniedException", "KMSDisabledException",
		"KMSInvalidStateException", "KMSNotFoundException", "KMSOptInRequired", "KMSThrottlingException",
	} {
		bubble(t, func(w *world) {
			consumer := open(w)
			w.srv.Fault(kinesistest.Fault{Op: "SubscribeToShard", Kind: kinesistest.ErrorAnswer, Code: code, Times: 2})
			for range 2 {
				_, err := w.trySubscribe(consumer, shardID(0), types.ShardIteratorTypeTrimHorizon, "")
				w.fails(err, code)
			}
			w.srv.Fault(kinesistest.Fault{Op: "SubscribeToShard", Kind: kinesistest.ErrorEvent, Code: code, After: 1})
			all, _, err := w.subscribe(consumer, shardID(0)).rest()
			w.fails(err, code)
			w.equal(len(all), 3)
		})
	}
	each(t, kinesistest.Config{}, func(w *world) {
		consumer := open(w)
		for _, after := range []int{0, 1} {
			w.srv.Fault(kinesistest.Fault{Op: "SubscribeToShard", Kind: kinesistest.CutEvents, After: after})
			// The SDK takes a connection that is cut for a stream that has ended.
			all, _, err := w.subscribe(consumer, shardID(0)).rest()
			w.must(err)
			w.equal(len(all), 3*after)
			w.clock.advance(6 * time.Second)
		}
	})
	bubble(t, func(w *world) {
		consumer := open(w)
		w.srv.Fault(kinesistest.Fault{Op: "SubscribeToShard", Kind: kinesistest.ErrorEvent})
		_, _, err := w.subscribe(consumer, shardID(0)).rest()
		w.fails(err, "InternalFailureException")
		time.Sleep(5 * time.Second)

		w.srv.Fault(kinesistest.Fault{Op: "SubscribeToShard", Kind: kinesistest.RepeatEvent, After: 1})
		s := w.subscribe(consumer, shardID(0))
		for range 2 {
			e, _ := s.event()
			w.equal(data(e.Records), []string{"0", "1", "2"})
		}
		s.end()
		time.Sleep(5 * time.Second)
		w.srv.Fault(kinesistest.Fault{Op: "SubscribeToShard", Kind: kinesistest.RepeatEvent})
		s = w.subscribe(consumer, shardID(0))
		e, _ := s.event()
		w.equal(data(e.Records), []string{"0", "1", "2"}) // nothing comes before the first
		s.end()
		time.Sleep(5 * time.Second)

		w.srv.Fault(kinesistest.Fault{Op: "SubscribeToShard", Kind: kinesistest.FalseEnd, After: 1})
		s = w.subscribe(consumer, shardID(0))
		_, last, err := s.rest()
		w.must(err)
		w.equal([]bool{last.ContinuationSequenceNumber == nil, last.ChildShards == nil}, []bool{true, true})
		time.Sleep(5 * time.Second)

		// The server has taken the subscription; the client cannot know.
		w.srv.Fault(kinesistest.Fault{Op: "SubscribeToShard", Kind: kinesistest.LostAnswer})
		if _, err := w.trySubscribe(consumer, shardID(0), types.ShardIteratorTypeLatest, ""); err == nil {
			w.Error("an answer came")
		}
		_, err = w.trySubscribe(consumer, shardID(0), types.ShardIteratorTypeLatest, "")
		w.fails(err, "ResourceInUseException")
		time.Sleep(5 * time.Second)

		w.srv.Fault(kinesistest.Fault{Op: "SubscribeToShard", Kind: kinesistest.Silence, After: 1})
		s = w.subscribe(consumer, shardID(0))
		if _, ok := s.event(); !ok {
			w.Error(s.Err())
		}
		stop := time.AfterFunc(10*time.Minute, s.cancel)
		begin := time.Now()
		all, _, _ := s.rest()
		w.equal([]any{len(all), time.Since(begin), stop.Stop()}, []any{0, 10 * time.Minute, false})
	})
}
