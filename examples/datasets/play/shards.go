package main

import (
	"context"
	"fmt"
	"math/big"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// create makes the stream and waits until it can be used.
func create(ctx context.Context, c *kinesis.Client, stream string, shards int) error {
	if _, err := c.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: &stream, ShardCount: aws.Int32(int32(shards))}); err != nil {
		return fmt.Errorf("create stream %s: %w", stream, err)
	}
	return active(ctx, c, stream)
}

// active waits until the stream is ACTIVE.
func active(ctx context.Context, c *kinesis.Client, stream string) error {
	for {
		out, err := c.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: &stream})
		if err != nil {
			return fmt.Errorf("describe stream %s: %w", stream, err)
		}
		if d := out.StreamDescriptionSummary; d != nil && d.StreamStatus == types.StreamStatusActive {
			return nil
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// openShards lists the shards that take records.
func openShards(ctx context.Context, c *kinesis.Client, stream string) ([]types.Shard, error) {
	out, err := c.ListShards(ctx, &kinesis.ListShardsInput{StreamName: &stream})
	if err != nil {
		return nil, fmt.Errorf("list shards of %s: %w", stream, err)
	}
	var open []types.Shard
	for _, s := range out.Shards {
		if s.SequenceNumberRange == nil || s.SequenceNumberRange.EndingSequenceNumber == nil {
			open = append(open, s)
		}
	}
	if out.NextToken != nil || len(open) == 0 {
		return nil, fmt.Errorf("list shards of %s: %d open ones and more pages: want one page", stream, len(open))
	}
	return open, nil
}

// split closes a shard and makes two of it.
func split(ctx context.Context, c *kinesis.Client, stream string, s types.Shard) error {
	var low, high big.Int
	r := s.HashKeyRange
	if r == nil {
		return fmt.Errorf("shard %s has no range", aws.ToString(s.ShardId))
	}
	if _, ok := low.SetString(aws.ToString(r.StartingHashKey), 10); !ok {
		return fmt.Errorf("shard %s begins at %q", aws.ToString(s.ShardId), aws.ToString(r.StartingHashKey))
	}
	if _, ok := high.SetString(aws.ToString(r.EndingHashKey), 10); !ok {
		return fmt.Errorf("shard %s ends at %q", aws.ToString(s.ShardId), aws.ToString(r.EndingHashKey))
	}
	middle := high.Add(&low, &high).Rsh(&high, 1).String()
	in := &kinesis.SplitShardInput{StreamName: &stream, ShardToSplit: s.ShardId, NewStartingHashKey: &middle}
	if _, err := c.SplitShard(ctx, in); err != nil {
		return fmt.Errorf("split shard %s: %w", aws.ToString(s.ShardId), err)
	}
	return active(ctx, c, stream)
}

// reshard splits the first open shard and merges the last two, so that the lane
// graph has a shard with two children and one with two parents.
func reshard(ctx context.Context, c *kinesis.Client, stream string) error {
	open, err := openShards(ctx, c, stream)
	if err != nil {
		return err
	}
	if len(open) < 3 {
		return fmt.Errorf("-reshard wants 3 shards or more, there are %d", len(open))
	}
	if err := split(ctx, c, stream, open[0]); err != nil {
		return err
	}
	a, b := open[len(open)-2], open[len(open)-1]
	if _, err := c.MergeShards(ctx, &kinesis.MergeShardsInput{StreamName: &stream, ShardToMerge: a.ShardId, AdjacentShardToMerge: b.ShardId}); err != nil {
		return fmt.Errorf("merge %s and %s: %w", aws.ToString(a.ShardId), aws.ToString(b.ShardId), err)
	}
	return active(ctx, c, stream)
}

// closeAll splits every open shard, so that all that was put is in closed ones.
func closeAll(ctx context.Context, c *kinesis.Client, stream string) error {
	open, err := openShards(ctx, c, stream)
	if err != nil {
		return err
	}
	for _, s := range open {
		if err := split(ctx, c, stream, s); err != nil {
			return err
		}
	}
	return nil
}

// closedShards lists the ids of shards with records that take no more, and the parents
// of all shards.
func closedShards(ctx context.Context, c *kinesis.Client, stream string, put map[string]string) (ended []string, parents map[string][]string, err error) {
	out, err := c.ListShards(ctx, &kinesis.ListShardsInput{StreamName: &stream})
	if err != nil {
		return nil, nil, fmt.Errorf("list shards of %s: %w", stream, err)
	}
	if out.NextToken != nil {
		return nil, nil, fmt.Errorf("list shards of %s: want one page", stream)
	}
	ended, parents = []string{}, map[string][]string{}
	for _, s := range out.Shards {
		id := aws.ToString(s.ShardId)
		parents[id] = []string{}
		for _, p := range []*string{s.ParentShardId, s.AdjacentParentShardId} {
			if p != nil {
				parents[id] = append(parents[id], *p)
			}
		}
		_, used := put[id]
		if used && s.SequenceNumberRange != nil && s.SequenceNumberRange.EndingSequenceNumber != nil {
			ended = append(ended, id)
		}
	}
	return ended, parents, nil
}
