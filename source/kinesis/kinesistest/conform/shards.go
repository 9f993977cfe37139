package conform

import (
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

const half = "170141183460469231731687303715884105728"

// cut makes a stream of one shard with three records and splits it.
func (p *probe) cut() error {
	if _, err := p.three(); err != nil {
		return err
	}
	return p.divide()
}

func (p *probe) divide() error {
	_, err := p.SplitShard(p.ctx, &kinesis.SplitShardInput{StreamName: &p.name, ShardToSplit: aws.String(shardID(0)), NewStartingHashKey: aws.String(half)})
	if err != nil {
		return err
	}
	return p.active()
}

func split(p *probe) error {
	if err := p.cut(); err != nil {
		return err
	}
	all, err := p.shards(nil)
	if err := errors.Join(err, want("shards", len(all), 3)); err != nil {
		return err
	}
	err = want("the parent has an end", all[0].SequenceNumberRange.EndingSequenceNumber != nil, true)
	for i, start := range []string{"0", half} {
		s := all[i+1]
		err = errors.Join(err, want("parent", aws.ToString(s.ParentShardId), shardID(0)), want("start", aws.ToString(s.HashKeyRange.StartingHashKey), start))
	}
	_, first, err1 := p.put("a", "d") // in the lower half
	_, old, err2 := p.put("test0", "e")
	if err := errors.Join(err, err1, err2); err != nil {
		return err
	}
	end := aws.ToString(all[0].SequenceNumberRange.EndingSequenceNumber)
	if !less(end, first) || !less(end, old) {
		return fmt.Errorf("the children's numbers %s and %s do not follow the parent's end %s", first, old, end)
	}
	return nil
}

func merge(p *probe) error {
	if err := p.make(2); err != nil {
		return err
	}
	_, err := p.MergeShards(p.ctx, &kinesis.MergeShardsInput{StreamName: &p.name, ShardToMerge: aws.String(shardID(0)), AdjacentShardToMerge: aws.String(shardID(1))})
	if err := errors.Join(err, p.active()); err != nil {
		return err
	}
	all, err := p.shards(nil)
	if err := errors.Join(err, want("shards", len(all), 3)); err != nil {
		return err
	}
	s := all[2]
	parents := []string{aws.ToString(s.ParentShardId), aws.ToString(s.AdjacentParentShardId)}
	slices.Sort(parents)
	return errors.Join(want("parents", fmt.Sprint(parents), fmt.Sprint([]string{shardID(0), shardID(1)})), want("start", aws.ToString(s.HashKeyRange.StartingHashKey), "0"))
}

// drained reads the parent of a split to its end.
func (p *probe) drained() (*kinesis.GetRecordsOutput, error) {
	if err := p.cut(); err != nil {
		return nil, err
	}
	it, err := p.iterator(shardID(0), types.ShardIteratorTypeTrimHorizon, "", nil)
	if err != nil {
		return nil, err
	}
	all, last, err := p.read(it, 1000)
	return last, errors.Join(err, want("records", joined(all), "a b c"))
}

func shardEnd(p *probe) error {
	last, err := p.drained()
	if err != nil {
		return err
	}
	return want("there is no next iterator", last.NextShardIterator == nil, true)
}

func childShards(p *probe) error {
	last, err := p.drained()
	if err := errors.Join(err, want("children", len(last.ChildShards), 2)); err != nil {
		return err
	}
	for _, c := range last.ChildShards {
		err = errors.Join(err, want("parents", fmt.Sprint(c.ParentShards), fmt.Sprint([]string{shardID(0)})), want("it has a range", c.HashKeyRange != nil, true))
	}
	return err
}

func pages(p *probe) error {
	if err := p.make(5); err != nil {
		return err
	}
	var ids []string
	in := &kinesis.ListShardsInput{StreamName: &p.name, MaxResults: aws.Int32(2)}
	for n := 0; ; n++ {
		out, err := p.ListShards(p.ctx, in)
		if err != nil {
			return err
		}
		if len(out.Shards) > 2 || n > 5 {
			return fmt.Errorf("page %d has %d shards", n, len(out.Shards))
		}
		for _, s := range out.Shards {
			ids = append(ids, aws.ToString(s.ShardId))
		}
		if aws.ToString(out.NextToken) == "" {
			break
		}
		both := &kinesis.ListShardsInput{StreamName: &p.name, NextToken: out.NextToken}
		if _, err := p.ListShards(p.ctx, both); n == 0 {
			if err := refused("a token and a name", err, "InvalidArgumentException", "ValidationException"); err != nil {
				return err
			}
		}
		in = &kinesis.ListShardsInput{NextToken: out.NextToken, MaxResults: aws.Int32(2)}
	}
	slices.Sort(ids)
	return want("shards", fmt.Sprint(ids), fmt.Sprint([]string{shardID(0), shardID(1), shardID(2), shardID(3), shardID(4)}))
}

func filters(p *probe) error {
	if err := p.cut(); err != nil {
		return err
	}
	open, err1 := p.shards(&types.ShardFilter{Type: types.ShardFilterTypeAtLatest})
	old, err2 := p.shards(&types.ShardFilter{Type: types.ShardFilterTypeAtTrimHorizon})
	after, err3 := p.shards(&types.ShardFilter{Type: types.ShardFilterTypeAfterShardId, ShardId: aws.String(shardID(1))})
	return errors.Join(err1, err2, err3, want("open shards", len(open), 2), want("shards at the horizon", len(old), 1), want("shards after the second", len(after), 1))
}
