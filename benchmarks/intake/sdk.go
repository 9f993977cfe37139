package main

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardlake/shardlake/benchmarks/intake/round"
)

// handLoop is what a good programmer writes in an afternoon: the stock SDK with its
// default client, one goroutine a shard.
func handLoop(ctx context.Context, j *round.Job) (round.Outcome, error) {
	c, err := round.Client(ctx)
	if err != nil {
		return round.Outcome{}, err
	}
	ids, err := j.IDs(ctx, c)
	if err != nil {
		return round.Outcome{}, err
	}
	return j.Each(ids, func(s *round.Shard) error {
		it, err := c.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{
			StreamName: aws.String(j.Stream), ShardId: aws.String(s.ID), ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
		})
		if err != nil {
			return err
		}
		next := it.ShardIterator
		for {
			began := time.Now()
			out, err := c.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: next})
			switch {
			case err == nil:
				next = out.NextShardIterator
				if err := s.All(ctx, len(out.Records), func(i int) []byte { return out.Records[i].Data }); err != nil || s.Done() {
					return err
				}
			case ctx.Err() != nil || j.Failed.Add(1) > j.Of.Total():
				return err
			}
			if err := round.Pause(ctx, began); err != nil {
				return err
			}
		}
	})
}
