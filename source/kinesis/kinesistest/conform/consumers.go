package conform

import (
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

func consumerCases() []Case {
	return []Case{
		{Name: "consumer-registered", Wants: "a consumer is CREATING, then ACTIVE, described by ARN and by name", shards: 1, run: func(p *probe) {
			out, err := p.client.RegisterStreamConsumer(p.ctx, &kinesis.RegisterStreamConsumerInput{StreamARN: p.streamARN(), ConsumerName: aws.String("lake")})
			p.must("RegisterStreamConsumer", err)
			p.equal("status", out.Consumer.ConsumerStatus, types.ConsumerStatusCreating)
			arn := out.Consumer.ConsumerARN
			p.consumerActive(*arn)
			for _, in := range []kinesis.DescribeStreamConsumerInput{{ConsumerARN: arn}, {StreamARN: p.streamARN(), ConsumerName: aws.String("lake")}} {
				d, err := p.client.DescribeStreamConsumer(p.ctx, &in)
				p.must("DescribeStreamConsumer", err)
				c := d.ConsumerDescription
				p.equal("consumer", []string{aws.ToString(c.ConsumerName), aws.ToString(c.ConsumerARN), aws.ToString(c.StreamARN)}, []string{"lake", *arn, *p.streamARN()})
			}
		}},
		{Name: "consumer-twice", Wants: "a consumer's name can be used once", shards: 1, run: func(p *probe) {
			p.register("lake")
			_, err := p.client.RegisterStreamConsumer(p.ctx, &kinesis.RegisterStreamConsumerInput{StreamARN: p.streamARN(), ConsumerName: aws.String("lake")})
			p.refused("RegisterStreamConsumer", err, inUse)
		}},
		{Name: "consumer-counted", Wants: "DescribeStreamSummary counts consumers", shards: 1, run: func(p *probe) {
			p.register("a")
			p.register("b")
			p.equal("consumers", aws.ToInt32(p.summary().ConsumerCount), 2)
		}},
		{Name: "consumer-pages", Wants: "consumers are listed in pages", shards: 1, run: func(p *probe) {
			for i := range 3 {
				p.register(fmt.Sprint("c", i))
			}
			var all []string
			in := &kinesis.ListStreamConsumersInput{StreamARN: p.streamARN(), MaxResults: aws.Int32(2)}
			for pages := 1; ; pages++ {
				out, err := p.client.ListStreamConsumers(p.ctx, in)
				p.must("ListStreamConsumers", err)
				for _, c := range out.Consumers {
					all = append(all, aws.ToString(c.ConsumerName))
				}
				if aws.ToString(out.NextToken) == "" {
					p.equal("pages", pages, 2)
					break
				}
				if pages == 3 {
					p.fatalf("a third page of three consumers in pages of two")
				}
				in.NextToken = out.NextToken
			}
			slices.Sort(all)
			p.equal("consumers", all, []string{"c0", "c1", "c2"})
		}},
		{Name: "consumer-limit", Wants: "a stream has at most 20 consumers", shards: 1, run: func(p *probe) {
			for i := range 20 {
				p.register(fmt.Sprint("c", i))
			}
			_, err := p.client.RegisterStreamConsumer(p.ctx, &kinesis.RegisterStreamConsumerInput{StreamARN: p.streamARN(), ConsumerName: aws.String("c20")})
			p.refused("RegisterStreamConsumer", err, overLimit)
		}},
		{Name: "consumer-removed", Wants: "a consumer that is deregistered goes, and its name is free", shards: 1, run: func(p *probe) {
			arn := p.register("lake")
			_, err := p.client.DeregisterStreamConsumer(p.ctx, &kinesis.DeregisterStreamConsumerInput{StreamARN: p.streamARN(), ConsumerName: aws.String("lake")})
			p.must("DeregisterStreamConsumer", err)
			p.until("consumer gone", func() bool {
				_, err := p.client.DescribeStreamConsumer(p.ctx, &kinesis.DescribeStreamConsumerInput{ConsumerARN: &arn})
				return err != nil
			})
			p.register("lake")
		}},
		{Name: "consumer-absent", Wants: "requests about a consumer that is not there get ResourceNotFoundException", shards: 1, run: func(p *probe) {
			_, err := p.client.DescribeStreamConsumer(p.ctx, &kinesis.DescribeStreamConsumerInput{StreamARN: p.streamARN(), ConsumerName: aws.String("lake")})
			p.refused("DescribeStreamConsumer", err, absent)
			_, err = p.client.DeregisterStreamConsumer(p.ctx, &kinesis.DeregisterStreamConsumerInput{StreamARN: p.streamARN(), ConsumerName: aws.String("lake")})
			p.refused("DeregisterStreamConsumer", err, absent)
		}},
		{Name: "consumer-of-absent-stream", Wants: "a consumer needs a stream", shards: 1, run: func(p *probe) {
			_, err := p.client.RegisterStreamConsumer(p.ctx, &kinesis.RegisterStreamConsumerInput{StreamARN: aws.String(*p.streamARN() + "-not"), ConsumerName: aws.String("lake")})
			p.refused("RegisterStreamConsumer", err, absent)
		}},
		{Name: "consumer-keeps-stream", Wants: "a stream with consumers is deleted with EnforceConsumerDeletion only", shards: 1, run: func(p *probe) {
			p.register("lake")
			_, err := p.client.DeleteStream(p.ctx, &kinesis.DeleteStreamInput{StreamName: &p.stream})
			p.refused("DeleteStream", err, inUse)
			_, err = p.client.DeleteStream(p.ctx, &kinesis.DeleteStreamInput{StreamName: &p.stream, EnforceConsumerDeletion: aws.Bool(true)})
			p.must("DeleteStream", err)
		}},
	}
}

// register makes a consumer, waits until it is ACTIVE, and returns its ARN.
func (p *probe) register(name string) string {
	out, err := p.client.RegisterStreamConsumer(p.ctx, &kinesis.RegisterStreamConsumerInput{StreamARN: p.streamARN(), ConsumerName: &name})
	p.must("RegisterStreamConsumer", err)
	arn := aws.ToString(out.Consumer.ConsumerARN)
	p.consumerActive(arn)
	return arn
}

func (p *probe) consumerActive(arn string) {
	p.until("consumer ACTIVE", func() bool {
		out, err := p.client.DescribeStreamConsumer(p.ctx, &kinesis.DescribeStreamConsumerInput{ConsumerARN: &arn})
		p.must("DescribeStreamConsumer", err)
		return out.ConsumerDescription.ConsumerStatus == types.ConsumerStatusActive
	})
}
