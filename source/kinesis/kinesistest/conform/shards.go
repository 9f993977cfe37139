package conform

import (
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

func listCases() []Case {
	return []Case{
		{Name: "list-pages", Wants: "ListShards goes on with NextToken alone", shards: 5, run: func(p *probe) {
			var sizes []int
			var all []string
			in := &kinesis.ListShardsInput{StreamName: &p.stream, MaxResults: aws.Int32(2)}
			for {
				out, err := p.client.ListShards(p.ctx, in)
				p.must("ListShards", err)
				sizes, all = append(sizes, len(out.Shards)), append(all, names(out.Shards)...)
				if aws.ToString(out.NextToken) == "" {
					break
				}
				in = &kinesis.ListShardsInput{NextToken: out.NextToken, MaxResults: aws.Int32(2)}
			}
			p.equal("pages", sizes, []int{2, 2, 1})
			p.equal("shards", all, []string{shardName(0), shardName(1), shardName(2), shardName(3), shardName(4)})
		}},
		{Name: "list-token-and-name", Wants: "NextToken and StreamName exclude each other", shards: 2, run: func(p *probe) {
			out, err := p.client.ListShards(p.ctx, &kinesis.ListShardsInput{StreamName: &p.stream, MaxResults: aws.Int32(1)})
			p.must("ListShards", err)
			if out.NextToken == nil {
				p.fatalf("no NextToken after one of two shards")
			}
			_, err = p.client.ListShards(p.ctx, &kinesis.ListShardsInput{StreamName: &p.stream, NextToken: out.NextToken})
			p.refused("ListShards", err, badArgument)
		}},
		{Name: "list-bad-token", Wants: "what is no token is refused", run: func(p *probe) {
			_, err := p.client.ListShards(p.ctx, &kinesis.ListShardsInput{NextToken: aws.String("AAAAAAAAAAE=")})
			p.refused("ListShards", err, badArgument)
		}},
		{Name: "list-after", Wants: "ExclusiveStartShardId begins behind a shard", shards: 3, run: func(p *probe) {
			out, err := p.client.ListShards(p.ctx, &kinesis.ListShardsInput{StreamName: &p.stream, ExclusiveStartShardId: aws.String(shardName(0))})
			p.must("ListShards", err)
			p.equal("shards", names(out.Shards), []string{shardName(1), shardName(2)})
		}},
		{Name: "list-filter-latest", Wants: "AT_LATEST selects the open shards", shards: 1, run: func(p *probe) {
			p.split(shardName(0))
			p.equal("shards", names(p.shards(&types.ShardFilter{Type: types.ShardFilterTypeAtLatest})), []string{shardName(1), shardName(2)})
		}},
		{Name: "list-filter-trim-horizon", Wants: "AT_TRIM_HORIZON selects the shards that the stream began with, FROM_TRIM_HORIZON all", shards: 1, run: func(p *probe) {
			p.put("k", "x")
			p.split(shardName(0))
			p.equal("AT", names(p.shards(&types.ShardFilter{Type: types.ShardFilterTypeAtTrimHorizon})), []string{shardName(0)})
			p.equal("FROM", names(p.shards(&types.ShardFilter{Type: types.ShardFilterTypeFromTrimHorizon})), []string{shardName(0), shardName(1), shardName(2)})
		}},
		{Name: "list-filter-after", Wants: "AFTER_SHARD_ID selects the shards behind one", shards: 3, run: func(p *probe) {
			p.equal("shards", names(p.shards(&types.ShardFilter{Type: types.ShardFilterTypeAfterShardId, ShardId: aws.String(shardName(0))})), []string{shardName(1), shardName(2)})
		}},
		{Name: "list-filter-time", Wants: "AT_TIMESTAMP selects the shards that were open then, FROM_TIMESTAMP those and the later ones", shards: 1, run: func(p *probe) {
			p.wait(1500 * time.Millisecond)
			before := time.Now()
			p.wait(1500 * time.Millisecond)
			p.split(shardName(0))
			p.wait(1500 * time.Millisecond)
			after := time.Now()
			at := func(typ types.ShardFilterType, t time.Time) []string {
				return names(p.shards(&types.ShardFilter{Type: typ, Timestamp: &t}))
			}
			p.equal("AT before", at(types.ShardFilterTypeAtTimestamp, before), []string{shardName(0)})
			p.equal("FROM before", at(types.ShardFilterTypeFromTimestamp, before), []string{shardName(0), shardName(1), shardName(2)})
			p.equal("AT after", at(types.ShardFilterTypeAtTimestamp, after), []string{shardName(1), shardName(2)})
			p.equal("FROM after", at(types.ShardFilterTypeFromTimestamp, after), []string{shardName(1), shardName(2)})
		}},
		{Name: "list-bad-filter", Wants: "AFTER_SHARD_ID needs a shard, and the types with a timestamp one", shards: 1, run: func(p *probe) {
			for _, typ := range []types.ShardFilterType{types.ShardFilterTypeAfterShardId, types.ShardFilterTypeAtTimestamp, types.ShardFilterTypeFromTimestamp} {
				_, err := p.client.ListShards(p.ctx, &kinesis.ListShardsInput{StreamName: &p.stream, ShardFilter: &types.ShardFilter{Type: typ}})
				p.refused(string(typ), err, badArgument)
			}
		}},
	}
}

const quarter = "85070591730234615865843651857942052864" // 2^126
const half = "170141183460469231731687303715884105728"   // 2^127

func reshardCases() []Case {
	return []Case{
		{Name: "reshard-split", Wants: "a split closes the shard and makes two that name it as their parent", shards: 1, run: func(p *probe) {
			p.split(shardName(0))
			all := p.shards(nil)
			p.equal("shards", names(all), []string{shardName(0), shardName(1), shardName(2)})
			for i, s := range all {
				p.equal("parents of "+shardName(i), []string{aws.ToString(s.ParentShardId), aws.ToString(s.AdjacentParentShardId)},
					[][]string{{"", ""}, {shardName(0), ""}, {shardName(0), ""}}[i])
				p.equal(shardName(i)+" closed", s.SequenceNumberRange.EndingSequenceNumber != nil, i == 0)
			}
			p.equal("upper range", aws.ToString(all[2].HashKeyRange.StartingHashKey), half)
			p.covered(all[1:])
			p.equal("open shards", aws.ToInt32(p.summary().OpenShardCount), 2)
		}},
		{Name: "reshard-merge", Wants: "a merge closes two shards and makes one that names both", shards: 2, run: func(p *probe) {
			p.merge(shardName(0), shardName(1))
			all := p.shards(nil)
			p.equal("shards", names(all), []string{shardName(0), shardName(1), shardName(2)})
			p.equal("parents", []string{aws.ToString(all[2].ParentShardId), aws.ToString(all[2].AdjacentParentShardId)}, []string{shardName(0), shardName(1)})
			p.covered(all[2:])
		}},
		{Name: "reshard-bad-split", Wants: "a split needs an open shard and a hash key within it", shards: 2, run: func(p *probe) {
			try := func(shard, at string) error {
				_, err := p.client.SplitShard(p.ctx, &kinesis.SplitShardInput{StreamName: &p.stream, ShardToSplit: &shard, NewStartingHashKey: &at})
				return err
			}
			p.refused("a shard that is not there", try(shardName(7), quarter), absent)
			p.refused("a key of another shard", try(shardName(1), quarter), badArgument)
			p.refused("the first key of the shard", try(shardName(1), half), badArgument)
			p.must("SplitShard", try(shardName(0), quarter))
			p.active()
			p.refused("a closed shard", try(shardName(0), quarter), badArgument, inUse)
		}},
		{Name: "reshard-bad-merge", Wants: "a merge needs two neighbours", shards: 3, run: func(p *probe) {
			_, err := p.client.MergeShards(p.ctx, &kinesis.MergeShardsInput{StreamName: &p.stream, ShardToMerge: aws.String(shardName(0)), AdjacentShardToMerge: aws.String(shardName(2))})
			p.refused("MergeShards", err, badArgument)
			_, err = p.client.MergeShards(p.ctx, &kinesis.MergeShardsInput{StreamName: &p.stream, ShardToMerge: aws.String(shardName(0)), AdjacentShardToMerge: aws.String(shardName(7))})
			p.refused("MergeShards", err, absent)
		}},
		{Name: "reshard-order", Wants: "the numbers of a key's records increase over a split", shards: 1, run: func(p *probe) {
			before := p.put("a", "x")
			p.split(shardName(0))
			after := p.put("a", "y")
			p.equal("shard", after.shard, shardName(1))
			if number(after.seq).Cmp(number(before.seq)) <= 0 {
				p.errorf("%s after %s", after.seq, before.seq)
			}
		}},
		{Name: "reshard-ending-number", Wants: "a closed shard's EndingSequenceNumber is between its records and those of its children", shards: 1, run: func(p *probe) {
			before := p.put("a", "x")
			p.split(shardName(0))
			after := p.put("a", "y")
			end := number(aws.ToString(p.shards(nil)[0].SequenceNumberRange.EndingSequenceNumber))
			if end.Cmp(number(before.seq)) < 0 || end.Cmp(number(after.seq)) > 0 {
				p.errorf("the parent ends with %v, between %s and %s", end, before.seq, after.seq)
			}
		}},
		{Name: "reshard-end", Wants: "the last answer of a closed shard has no NextShardIterator", shards: 1, run: func(p *probe) {
			p.putMany(3)
			p.split(shardName(0))
			out := p.end(p.iterator(shardName(0), types.ShardIteratorTypeTrimHorizon, ""))
			p.equal("records", payloads(out.records), []string{"0", "1", "2"})
		}},
		{Name: "reshard-children-of-split", Wants: "the last answer of a split shard names its children, with parents and ranges", shards: 1, run: func(p *probe) {
			p.split(shardName(0))
			children := p.end(p.iterator(shardName(0), types.ShardIteratorTypeTrimHorizon, "")).children
			var got []string
			for _, c := range children {
				got = append(got, aws.ToString(c.ShardId))
				p.equal("parents", c.ParentShards, []string{shardName(0)})
			}
			slices.Sort(got)
			p.equal("children", got, []string{shardName(1), shardName(2)})
			for _, c := range children {
				if c.HashKeyRange == nil || c.HashKeyRange.StartingHashKey == nil || c.HashKeyRange.EndingHashKey == nil {
					p.errorf("%s has no range", aws.ToString(c.ShardId))
				}
			}
		}},
		{Name: "reshard-child-of-merge", Wants: "the last answer of a merged shard names the child, and that both parents", shards: 2, run: func(p *probe) {
			p.merge(shardName(0), shardName(1))
			for _, parent := range []int{0, 1} {
				children := p.end(p.iterator(shardName(parent), types.ShardIteratorTypeTrimHorizon, "")).children
				if len(children) != 1 {
					p.fatalf("%d children", len(children))
				}
				parents := slices.Sorted(slices.Values(children[0].ParentShards))
				p.equal("child", []any{aws.ToString(children[0].ShardId), parents}, []any{shardName(2), []string{shardName(0), shardName(1)}})
			}
		}},
		{Name: "reshard-latest-of-closed", Wants: "LATEST of a closed shard is its end", shards: 1, run: func(p *probe) {
			p.putMany(3)
			p.split(shardName(0))
			p.equal("records", payloads(p.end(p.iterator(shardName(0), types.ShardIteratorTypeLatest, "")).records), []string{})
		}},
		{Name: "reshard-count", Wants: "UpdateShardCount makes uniform shards, twice or half as many", shards: 2, run: func(p *probe) {
			out, err := p.client.UpdateShardCount(p.ctx, &kinesis.UpdateShardCountInput{StreamName: &p.stream, TargetShardCount: aws.Int32(4), ScalingType: types.ScalingTypeUniformScaling})
			p.must("UpdateShardCount", err)
			p.equal("answer", []int32{aws.ToInt32(out.CurrentShardCount), aws.ToInt32(out.TargetShardCount)}, []int32{2, 4})
			p.active()
			open := slices.DeleteFunc(p.shards(nil), func(s types.Shard) bool { return s.SequenceNumberRange.EndingSequenceNumber != nil })
			p.covered(open)
			var starts []string
			for _, s := range open {
				starts = append(starts, aws.ToString(s.HashKeyRange.StartingHashKey))
			}
			p.equal("starts", starts, []string{"0", quarter, half, "255211775190703847597530955573826158592"})
		}},
		{Name: "reshard-bad-count", Wants: "more than double and less than half is refused", shards: 4, run: func(p *probe) {
			for _, n := range []int32{9, 1} {
				_, err := p.client.UpdateShardCount(p.ctx, &kinesis.UpdateShardCountInput{StreamName: &p.stream, TargetShardCount: &n, ScalingType: types.ScalingTypeUniformScaling})
				p.refused("UpdateShardCount", err, badArgument, overLimit)
			}
		}},
	}
}

// split divides a shard in the middle and waits until the stream is ACTIVE.
func (p *probe) split(shard string) {
	for _, s := range p.shards(nil) {
		if aws.ToString(s.ShardId) != shard {
			continue
		}
		at := number(aws.ToString(s.HashKeyRange.StartingHashKey))
		at.Add(at, number(aws.ToString(s.HashKeyRange.EndingHashKey))).Rsh(at, 1)
		key := at.Add(at, number("1")).String()
		_, err := p.client.SplitShard(p.ctx, &kinesis.SplitShardInput{StreamName: &p.stream, ShardToSplit: &shard, NewStartingHashKey: &key})
		p.must("SplitShard", err)
		p.active()
		return
	}
	p.fatalf("no shard %s", shard)
}

func (p *probe) merge(a, b string) {
	_, err := p.client.MergeShards(p.ctx, &kinesis.MergeShardsInput{StreamName: &p.stream, ShardToMerge: &a, AdjacentShardToMerge: &b})
	p.must("MergeShards", err)
	p.active()
}

// ending is what a shard that ends was read as.
type ending struct {
	records  []types.Record
	children []types.ChildShard
}

// end reads a closed shard to its end.
func (p *probe) end(it *string) (e ending) {
	for range 50 {
		out, err := p.client.GetRecords(p.ctx, &kinesis.GetRecordsInput{ShardIterator: it})
		p.must("GetRecords", err)
		e.records, e.children = append(e.records, out.Records...), out.ChildShards
		if it = out.NextShardIterator; it == nil {
			return e
		}
		p.wait(pollEvery)
	}
	p.fatalf("the shard has not ended after 50 answers")
	return e
}
