package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/shardlake/shardlake/source/kinesis"
)

const consumersUsage = `usage: shardlake consumers -stream NAME [FLAGS]

Lists the consumers of enhanced fan-out that a stream has, or removes one. Each is
billed by the hour and shard, read or not, and no task of a pipeline removes its
own: others may read by it.

flags:
`

// consumersOptions are what the flags of consumers say.
type consumersOptions struct {
	kinesis.Config // Consumer is the one to remove
}

func consumers(ctx context.Context, args []string, out, log io.Writer) error {
	var o consumersOptions
	fs := flags("shardlake consumers", consumersUsage, log)
	fs.StringVar(&o.Stream, "stream", "", "`name` or ARN of the stream")
	fs.StringVar(&o.Consumer, "remove", "", "`name` or ARN of a consumer: remove it")
	fs.StringVar(&o.Endpoint, "endpoint", "", "`URL` of Kinesis; by default AWS_ENDPOINT_URL_KINESIS or Amazon's")
	fs.StringVar(&o.Region, "region", "", "`region`; by default AWS_REGION")
	if err := parse(fs, args); err != nil {
		return err
	}
	return o.run(ctx, out)
}

func (o consumersOptions) run(ctx context.Context, out io.Writer) error {
	if o.Consumer != "" {
		if err := kinesis.RemoveConsumer(ctx, o.Config); err != nil {
			return err
		}
		_, err := fmt.Fprintf(out, "%s is removed\n", o.Consumer)
		return err
	}
	all, err := kinesis.Consumers(ctx, o.Config)
	if err != nil {
		return err
	}
	for _, c := range all {
		if _, err := fmt.Fprintf(out, "%s\t%s\tsince %s\t%s\n", c.Name, c.Status, c.Created.UTC().Format(time.RFC3339), c.ARN); err != nil {
			return err
		}
	}
	return nil
}
