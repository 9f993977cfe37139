//go:build unix

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// stream is the Kinesis stream as its owner sees it: made, split and merged. It
// goes past the proxies.
type stream struct {
	client *kinesis.Client
	name   string
}

// newStream has a client that repeats nothing by itself: a put whose answer is lost
// may have stored its records.
func newStream(endpoint, name string) *stream {
	return &stream{name: name, client: kinesis.New(kinesis.Options{
		Region: region, BaseEndpoint: aws.String(endpoint), RetryMaxAttempts: 1,
		HTTPClient:  &http.Client{Timeout: time.Minute},
		Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
	})}
}

// create makes the stream and waits until it can be used.
func (s *stream) create(ctx context.Context, shards int) error {
	in := &kinesis.CreateStreamInput{StreamName: &s.name, ShardCount: aws.Int32(int32(shards))}
	if _, err := s.client.CreateStream(ctx, in); err != nil {
		return fmt.Errorf("create stream %s: %w", s.name, err)
	}
	return s.active(ctx)
}

// active waits until the stream is ACTIVE.
func (s *stream) active(ctx context.Context) error {
	for {
		out, err := s.client.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: &s.name})
		if err != nil {
			return fmt.Errorf("describe stream %s: %w", s.name, err)
		}
		if d := out.StreamDescriptionSummary; d != nil && d.StreamStatus == types.StreamStatusActive {
			return nil
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// shards lists all shards.
func (s *stream) shards(ctx context.Context) (all []types.Shard, err error) {
	for in := (&kinesis.ListShardsInput{StreamName: &s.name}); in != nil; {
		out, err := s.client.ListShards(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("list shards of %s: %w", s.name, err)
		}
		all = append(all, out.Shards...)
		in = nil
		if out.NextToken != nil {
			in = &kinesis.ListShardsInput{NextToken: out.NextToken}
		}
	}
	return all, nil
}

// open lists the shards that take records, by their hash ranges.
func (s *stream) open(ctx context.Context) ([]types.Shard, error) {
	all, err := s.shards(ctx)
	if err != nil {
		return nil, err
	}
	open := slices.DeleteFunc(all, func(sh types.Shard) bool {
		return sh.SequenceNumberRange != nil && sh.SequenceNumberRange.EndingSequenceNumber != nil
	})
	slices.SortFunc(open, func(a, b types.Shard) int { return from(a).Cmp(from(b)) })
	if len(open) == 0 {
		return nil, fmt.Errorf("stream %s has no shard that takes records", s.name)
	}
	return open, nil
}

// hash reads an end of a hash range; one that is none counts as 0.
func hash(s *string) *big.Int {
	n, ok := new(big.Int).SetString(aws.ToString(s), 10)
	if !ok {
		return new(big.Int)
	}
	return n
}

func from(s types.Shard) *big.Int {
	if s.HashKeyRange == nil {
		return new(big.Int)
	}
	return hash(s.HashKeyRange.StartingHashKey)
}

func to(s types.Shard) *big.Int {
	if s.HashKeyRange == nil {
		return new(big.Int)
	}
	return hash(s.HashKeyRange.EndingHashKey)
}

// Bounds of the number of shards that take records.
const (
	minShards = 2
	maxShards = 8
)

// errEnough says that the stream has as many or as few shards as it should.
var errEnough = errors.New("the stream has as many shards as it should")

// split closes one of the larger half of the shards and makes two of it.
func (s *stream) split(ctx context.Context, pick uint64) (string, error) {
	open, err := s.open(ctx)
	if err != nil {
		return "", err
	}
	if len(open) >= maxShards {
		return "", errEnough
	}
	size := func(sh types.Shard) *big.Int { return new(big.Int).Sub(to(sh), from(sh)) }
	slices.SortFunc(open, func(a, b types.Shard) int { return cmp.Or(size(b).Cmp(size(a)), from(a).Cmp(from(b))) })
	sh := open[pick%uint64((len(open)+1)/2)]
	middle := new(big.Int).Add(from(sh), to(sh))
	middle.Rsh(middle, 1)
	in := &kinesis.SplitShardInput{StreamName: &s.name, ShardToSplit: sh.ShardId, NewStartingHashKey: aws.String(middle.String())}
	if _, err := s.client.SplitShard(ctx, in); err != nil {
		return "", fmt.Errorf("split %s: %w", aws.ToString(sh.ShardId), err)
	}
	return aws.ToString(sh.ShardId), s.active(ctx)
}

// merge closes two neighbours and makes one of them.
func (s *stream) merge(ctx context.Context, pick uint64) (string, error) {
	open, err := s.open(ctx)
	if err != nil {
		return "", err
	}
	if len(open) <= minShards {
		return "", errEnough
	}
	i := pick % uint64(len(open)-1)
	a, b := open[i], open[i+1]
	in := &kinesis.MergeShardsInput{StreamName: &s.name, ShardToMerge: a.ShardId, AdjacentShardToMerge: b.ShardId}
	if _, err := s.client.MergeShards(ctx, in); err != nil {
		return "", fmt.Errorf("merge %s and %s: %w", aws.ToString(a.ShardId), aws.ToString(b.ShardId), err)
	}
	return aws.ToString(a.ShardId) + " and " + aws.ToString(b.ShardId), s.active(ctx)
}

// pause is sleep for those who go on in any case: false says that ctx has ended.
func pause(ctx context.Context, d time.Duration) bool { return sleep(ctx, d) == nil }

// sleep ends early, with an error, when ctx does.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
