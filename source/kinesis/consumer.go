package kinesis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"

	"github.com/shardlake/shardlake/internal/awsnet"
)

// consumerTries is how often, a second apart, a new consumer is looked at until it
// is active.
const consumerTries = 120

// consumer is the ARN of the consumer that Config.Consumer names. It is registered
// if it is absent: once for an application, however many tasks start. Nothing here
// removes it, since other tasks may read by it; it costs money while it exists.
func (r *reader) consumer(ctx context.Context) (string, error) {
	if awsnet.IsARN(r.cfg.Consumer) {
		return r.cfg.Consumer, nil
	}
	r.mu.Lock()
	known := r.consumerARN
	r.mu.Unlock()
	if known != "" {
		return known, nil
	}
	a, err := r.describe(ctx)
	if err != nil {
		return "", err
	}
	for try := 1; ; try++ {
		arn, status, err := r.lookAtConsumer(ctx, a)
		switch {
		case err != nil:
			return "", err
		case status == types.ConsumerStatusActive:
			r.mu.Lock()
			r.consumerARN = arn
			r.mu.Unlock()
			return arn, nil
		case try == consumerTries:
			return "", fmt.Errorf("kinesis: consumer %s of %s is %s after two minutes: look at it, or read by polling", r.cfg.Consumer, r.cfg.Stream, status)
		}
		if err := sleep(ctx, time.Second); err != nil {
			return "", err
		}
	}
}

// lookAtConsumer describes the consumer, or registers it.
func (r *reader) lookAtConsumer(ctx context.Context, a about) (string, types.ConsumerStatus, error) {
	out, err := call(ctx, r, "DescribeStreamConsumer", func(c *kinesis.Client, ctx context.Context) (*kinesis.DescribeStreamConsumerOutput, error) {
		return c.DescribeStreamConsumer(ctx, &kinesis.DescribeStreamConsumerInput{StreamARN: &a.arn, ConsumerName: &r.cfg.Consumer})
	})
	if err == nil {
		if out.ConsumerDescription == nil {
			return "", "", fmt.Errorf("kinesis DescribeStreamConsumer of %s: the answer describes nothing: is the endpoint that of Kinesis?", r.cfg.Consumer)
		}
		return aws.ToString(out.ConsumerDescription.ConsumerARN), out.ConsumerDescription.ConsumerStatus, nil
	}
	if !isCode(err, "ResourceNotFoundException") {
		return "", "", err
	}
	made, err := call(ctx, r, "RegisterStreamConsumer", func(c *kinesis.Client, ctx context.Context) (*kinesis.RegisterStreamConsumerOutput, error) {
		out, err := c.RegisterStreamConsumer(ctx, &kinesis.RegisterStreamConsumerInput{StreamARN: &a.arn, ConsumerName: &r.cfg.Consumer})
		if isCode(err, "ResourceInUseException") {
			return nil, nil // another task was first
		}
		return out, err
	})
	switch {
	case err != nil:
		return "", "", err
	case made == nil || made.Consumer == nil:
		return "", types.ConsumerStatusCreating, nil
	}
	r.cfg.Log.Info("a consumer was registered for enhanced fan-out; it is billed until it is removed", "consumer", r.cfg.Consumer, "stream", a.name)
	return aws.ToString(made.Consumer.ConsumerARN), made.Consumer.ConsumerStatus, nil
}

// forgetConsumer makes the next call of consumer look again.
func (r *reader) forgetConsumer() {
	r.mu.Lock()
	r.consumerARN = ""
	r.mu.Unlock()
}

func isCode(err error, code string) bool {
	api, ok := errors.AsType[smithy.APIError](err)
	return ok && api.ErrorCode() == code
}

func validConsumer(s string) bool {
	if awsnet.IsARN(s) {
		return strings.Contains(s, "/consumer/")
	}
	return awsnet.ValidStream(s)
}

// Consumer is a consumer of enhanced fan-out that a stream has. Each is billed by
// the hour and shard, read or not.
type Consumer struct {
	Name, ARN, Status string
	Created           time.Time
}

// Consumers lists the consumers of cfg.Stream.
func Consumers(ctx context.Context, cfg Config) (all []Consumer, _ error) {
	r, a, err := at(ctx, cfg)
	if err != nil {
		return nil, err
	}
	in := &kinesis.ListStreamConsumersInput{StreamARN: &a.arn}
	for {
		out, err := call(ctx, r, "ListStreamConsumers", func(c *kinesis.Client, ctx context.Context) (*kinesis.ListStreamConsumersOutput, error) {
			return c.ListStreamConsumers(ctx, in)
		})
		if err != nil {
			return nil, err
		}
		for _, c := range out.Consumers {
			all = append(all, Consumer{aws.ToString(c.ConsumerName), aws.ToString(c.ConsumerARN), string(c.ConsumerStatus), aws.ToTime(c.ConsumerCreationTimestamp)})
		}
		if aws.ToString(out.NextToken) == "" {
			return all, nil
		}
		in = &kinesis.ListStreamConsumersInput{StreamARN: &a.arn, NextToken: out.NextToken}
	}
}

// RemoveConsumer removes the consumer cfg.Consumer. Who reads by it has an error
// then; an application that still names it registers it again when it starts.
func RemoveConsumer(ctx context.Context, cfg Config) error {
	r, a, err := at(ctx, cfg)
	if err != nil {
		return err
	}
	in := &kinesis.DeregisterStreamConsumerInput{StreamARN: &a.arn, ConsumerName: &cfg.Consumer}
	if awsnet.IsARN(cfg.Consumer) {
		in = &kinesis.DeregisterStreamConsumerInput{ConsumerARN: &cfg.Consumer}
	}
	_, err = call(ctx, r, "DeregisterStreamConsumer", func(c *kinesis.Client, ctx context.Context) (*kinesis.DeregisterStreamConsumerOutput, error) {
		return c.DeregisterStreamConsumer(ctx, in)
	})
	return err
}

// at is a reader of a stream and what the stream is.
func at(ctx context.Context, cfg Config) (*reader, about, error) {
	r := &reader{cfg: cfg.withDefaults()}
	if err := r.cfg.validate(); err != nil {
		return nil, about{}, err
	}
	a, err := r.describe(ctx)
	return r, a, err
}
