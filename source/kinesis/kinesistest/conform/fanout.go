package conform

import (
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// consumer registers one and waits until it is active.
func (p *probe) consumer(name string) (string, error) {
	out, err := p.RegisterStreamConsumer(p.ctx, &kinesis.RegisterStreamConsumerInput{StreamARN: &p.arn, ConsumerName: &name})
	if err != nil {
		return "", err
	}
	for {
		d, err := p.DescribeStreamConsumer(p.ctx, &kinesis.DescribeStreamConsumerInput{StreamARN: &p.arn, ConsumerName: &name})
		if err != nil {
			return "", err
		}
		if d.ConsumerDescription.ConsumerStatus == types.ConsumerStatusActive {
			return aws.ToString(d.ConsumerDescription.ConsumerARN), want("ARN", aws.ToString(d.ConsumerDescription.ConsumerARN), aws.ToString(out.Consumer.ConsumerARN))
		}
		if err := p.pause(); err != nil {
			return "", err
		}
	}
}

func consumers(p *probe) error {
	if err := p.make(1); err != nil {
		return err
	}
	if _, err := p.consumer("one"); err != nil {
		return err
	}
	arn, err := p.consumer("two")
	if err != nil {
		return err
	}
	_, again := p.RegisterStreamConsumer(p.ctx, &kinesis.RegisterStreamConsumerInput{StreamARN: &p.arn, ConsumerName: aws.String("two")})
	list, err := p.ListStreamConsumers(p.ctx, &kinesis.ListStreamConsumersInput{StreamARN: &p.arn})
	if err := errors.Join(err, refused("a name twice", again, "ResourceInUseException"), want("consumers", len(list.Consumers), 2)); err != nil {
		return err
	}
	if _, err := p.DeregisterStreamConsumer(p.ctx, &kinesis.DeregisterStreamConsumerInput{ConsumerARN: &arn}); err != nil {
		return err
	}
	for {
		if _, err := p.DescribeStreamConsumer(p.ctx, &kinesis.DescribeStreamConsumerInput{ConsumerARN: &arn}); err != nil {
			return refused("one that is gone", err, "ResourceNotFoundException")
		}
		if err := p.pause(); err != nil {
			return err
		}
	}
}

// subscription reads events. It is to be closed.
type subscription struct {
	p      *probe
	stream *kinesis.SubscribeToShardEventStream
	data   []types.Record
	last   types.SubscribeToShardEvent
}

func (p *probe) subscribe(arn string, from types.StartingPosition) (*subscription, error) {
	out, err := p.SubscribeToShard(p.ctx, &kinesis.SubscribeToShardInput{ConsumerARN: &arn, ShardId: aws.String(shardID(0)), StartingPosition: &from})
	if err != nil {
		return nil, err
	}
	return &subscription{p: p, stream: out.GetStream()}, nil
}

// next waits for an event.
func (s *subscription) next() error {
	quiet := time.NewTimer(30 * time.Second)
	defer quiet.Stop()
	select {
	case e, more := <-s.stream.Events():
		if !more {
			return fmt.Errorf("the subscription ended: %w", cmpErr(s.stream.Err()))
		}
		m, ok := e.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent)
		if !ok {
			return fmt.Errorf("an event of type %T", e)
		}
		s.last = m.Value
		s.data = append(s.data, m.Value.Records...)
		return nil
	case <-quiet.C:
		return errors.New("no event for 30 seconds")
	case <-s.p.ctx.Done():
		return s.p.ctx.Err()
	}
}

// until reads events until n records have come.
func (s *subscription) until(n int) error {
	for len(s.data) < n {
		if err := s.next(); err != nil {
			return fmt.Errorf("after %q: %w", joined(s.data), err)
		}
	}
	return nil
}

func fanOut(p *probe) (err error) {
	if _, err := p.three(); err != nil {
		return err
	}
	arn, err := p.consumer("c")
	if err != nil {
		return err
	}
	s, err := p.subscribe(arn, types.StartingPosition{Type: types.ShardIteratorTypeTrimHorizon})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stream.Close()) }()
	if err := s.until(3); err != nil {
		return err
	}
	if _, _, err := p.put("k", "d"); err != nil {
		return err
	}
	if err := s.until(4); err != nil {
		return err
	}
	return errors.Join(want("records", joined(s.data), "a b c d"), want("it says where to go on", aws.ToString(s.last.ContinuationSequenceNumber) != "", true))
}

func fanOutTwice(p *probe) (err error) {
	if _, err := p.three(); err != nil {
		return err
	}
	arn, err := p.consumer("c")
	if err != nil {
		return err
	}
	from := types.StartingPosition{Type: types.ShardIteratorTypeTrimHorizon}
	s, err := p.subscribe(arn, from)
	if err != nil {
		return err
	}
	// Closing one that is taken over may have its end as an error.
	defer func() {
		if closing := s.stream.Close(); code(closing) != "ResourceInUseException" {
			err = errors.Join(err, closing)
		}
	}()
	if err := s.until(1); err != nil {
		return err
	}
	_, again := p.subscribe(arn, from)
	if err := refused("within five seconds", again, "ResourceInUseException"); err != nil {
		return err
	}
	for began := time.Now(); time.Since(began) < 6*time.Second; {
		if err := p.pause(); err != nil {
			return err
		}
	}
	taken, err := p.subscribe(arn, from)
	if err != nil {
		return fmt.Errorf("after six seconds: %w", err)
	}
	defer func() { err = errors.Join(err, taken.stream.Close()) }()
	return taken.until(3)
}

func fanOutEnd(p *probe) (err error) {
	if _, err := p.three(); err != nil {
		return err
	}
	arn, err := p.consumer("c")
	if err != nil {
		return err
	}
	s, err := p.subscribe(arn, types.StartingPosition{Type: types.ShardIteratorTypeTrimHorizon})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stream.Close()) }()
	if err := errors.Join(s.until(3), p.divide()); err != nil {
		return err
	}
	for len(s.last.ChildShards) == 0 {
		if err := s.next(); err != nil {
			return err
		}
	}
	return errors.Join(want("children", len(s.last.ChildShards), 2), want("it goes on nowhere", s.last.ContinuationSequenceNumber == nil, true))
}
