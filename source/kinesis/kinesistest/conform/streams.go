package conform

import (
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// Codes of errors, from the API reference. Where it leaves open which of the two
// codes for bad input comes, both are accepted.
const (
	absent       = "ResourceNotFoundException"
	inUse        = "ResourceInUseException"
	badArgument  = "InvalidArgumentException"
	invalid      = "ValidationException"
	overLimit    = "LimitExceededException"
	someClockGap = 5 * time.Minute // between two clocks that are right
)

func streamCases() []Case {
	return []Case{
		{Name: "stream-described", Wants: "DescribeStreamSummary shows a new stream with the defaults of the service", shards: 2, run: func(p *probe) {
			s := p.summary()
			p.equal("name", aws.ToString(s.StreamName), p.stream)
			if arn := aws.ToString(s.StreamARN); !strings.HasPrefix(arn, "arn:aws:kinesis:") || !strings.HasSuffix(arn, ":stream/"+p.stream) {
				p.errorf("StreamARN is %s", arn)
			}
			p.equal("open shards", aws.ToInt32(s.OpenShardCount), 2)
			p.equal("retention", aws.ToInt32(s.RetentionPeriodHours), 24)
			p.equal("encryption", s.EncryptionType, types.EncryptionTypeNone)
			if age := time.Since(aws.ToTime(s.StreamCreationTimestamp)); age < -someClockGap || age > someClockGap {
				p.errorf("made %v ago", age)
			}
		}},
		{Name: "stream-mode", Wants: "a stream made with a number of shards is PROVISIONED", shards: 1, run: func(p *probe) {
			s := p.summary()
			if s.StreamModeDetails == nil {
				p.fatalf("no StreamModeDetails")
			}
			p.equal("mode", s.StreamModeDetails.StreamMode, types.StreamModeProvisioned)
		}},
		{Name: "stream-on-demand", Wants: "an on-demand stream has four shards", run: func(p *probe) {
			_, err := p.client.CreateStream(p.ctx, &kinesis.CreateStreamInput{StreamName: &p.stream, StreamModeDetails: &types.StreamModeDetails{StreamMode: types.StreamModeOnDemand}})
			p.must("CreateStream", err)
			p.active()
			p.equal("open shards", aws.ToInt32(p.summary().OpenShardCount), 4)
		}},
		{Name: "stream-twice", Wants: "a name can be used once", shards: 1, run: func(p *probe) {
			_, err := p.client.CreateStream(p.ctx, &kinesis.CreateStreamInput{StreamName: &p.stream, ShardCount: aws.Int32(1)})
			p.refused("CreateStream", err, inUse)
		}},
		{Name: "stream-bad-name", Wants: "names have the characters a-zA-Z0-9_.-", run: func(p *probe) {
			_, err := p.client.CreateStream(p.ctx, &kinesis.CreateStreamInput{StreamName: aws.String("a stream"), ShardCount: aws.Int32(1)})
			p.refused("CreateStream", err, invalid, badArgument)
		}},
		{Name: "stream-no-shards", Wants: "a stream has at least one shard", run: func(p *probe) {
			_, err := p.client.CreateStream(p.ctx, &kinesis.CreateStreamInput{StreamName: &p.stream, ShardCount: aws.Int32(0)})
			p.refused("CreateStream", err, invalid, badArgument)
		}},
		{Name: "stream-absent", Wants: "requests about a stream that is not there get ResourceNotFoundException", run: func(p *probe) {
			_, err := p.client.DescribeStreamSummary(p.ctx, &kinesis.DescribeStreamSummaryInput{StreamName: &p.stream})
			p.refused("DescribeStreamSummary", err, absent)
			_, err = p.client.DescribeStream(p.ctx, &kinesis.DescribeStreamInput{StreamName: &p.stream})
			p.refused("DescribeStream", err, absent)
			_, err = p.client.ListShards(p.ctx, &kinesis.ListShardsInput{StreamName: &p.stream})
			p.refused("ListShards", err, absent)
			_, err = p.client.DeleteStream(p.ctx, &kinesis.DeleteStreamInput{StreamName: &p.stream})
			p.refused("DeleteStream", err, absent)
			_, err = p.client.PutRecord(p.ctx, &kinesis.PutRecordInput{StreamName: &p.stream, PartitionKey: aws.String("k"), Data: []byte("x")})
			p.refused("PutRecord", err, absent)
		}},
		{Name: "stream-deleted", Wants: "a deleted stream is gone, and its name is free", shards: 1, run: func(p *probe) {
			_, err := p.client.DeleteStream(p.ctx, &kinesis.DeleteStreamInput{StreamName: &p.stream})
			p.must("DeleteStream", err)
			p.until("stream gone", func() bool {
				_, err := p.client.DescribeStreamSummary(p.ctx, &kinesis.DescribeStreamSummaryInput{StreamName: &p.stream})
				return err != nil
			})
			p.create(3)
			p.equal("open shards", aws.ToInt32(p.summary().OpenShardCount), 3)
		}},
		{Name: "stream-listed", Wants: "ListStreams finds the stream in pages of one", shards: 1, run: func(p *probe) {
			var names []string
			in := &kinesis.ListStreamsInput{Limit: aws.Int32(1), ExclusiveStartStreamName: aws.String(p.stream[:len(p.stream)-1])}
			for range 50 {
				out, err := p.client.ListStreams(p.ctx, in)
				p.must("ListStreams", err)
				if len(out.StreamNames) > 1 {
					p.fatalf("a page of %d names", len(out.StreamNames))
				}
				names = append(names, out.StreamNames...)
				if slices.Contains(names, p.stream) {
					return
				}
				if !aws.ToBool(out.HasMoreStreams) {
					break
				}
				in.ExclusiveStartStreamName = &names[len(names)-1]
			}
			p.errorf("not among %d names", len(names))
		}},
		{Name: "stream-pages-of-shards", Wants: "DescribeStream lists shards in pages", shards: 3, run: func(p *probe) {
			in := &kinesis.DescribeStreamInput{StreamName: &p.stream, Limit: aws.Int32(2)}
			first, err := p.client.DescribeStream(p.ctx, in)
			p.must("DescribeStream", err)
			d := first.StreamDescription
			p.equal("first page", []any{len(d.Shards), aws.ToBool(d.HasMoreShards)}, []any{2, true})
			in.ExclusiveStartShardId = d.Shards[1].ShardId
			second, err := p.client.DescribeStream(p.ctx, in)
			p.must("DescribeStream", err)
			p.equal("second page", []any{len(second.StreamDescription.Shards), aws.ToBool(second.StreamDescription.HasMoreShards)}, []any{1, false})
		}},
		{Name: "stream-by-arn", Wants: "StreamARN does in place of StreamName", shards: 1, run: func(p *probe) {
			arn := p.streamARN()
			d, err := p.client.DescribeStreamSummary(p.ctx, &kinesis.DescribeStreamSummaryInput{StreamARN: arn})
			p.must("DescribeStreamSummary", err)
			p.equal("name", aws.ToString(d.StreamDescriptionSummary.StreamName), p.stream)
			shards, err := p.client.ListShards(p.ctx, &kinesis.ListShardsInput{StreamARN: arn})
			p.must("ListShards", err)
			put, err := p.client.PutRecord(p.ctx, &kinesis.PutRecordInput{StreamARN: arn, PartitionKey: aws.String("k"), Data: []byte("x")})
			p.must("PutRecord", err)
			p.equal("shard", aws.ToString(put.ShardId), aws.ToString(shards.Shards[0].ShardId))
			_, err = p.client.GetShardIterator(p.ctx, &kinesis.GetShardIteratorInput{StreamARN: arn, ShardId: put.ShardId, ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
			p.must("GetShardIterator", err)
		}},
		{Name: "stream-shard-names", Wants: "shards are shardId- and twelve digits, from 0", shards: 2, run: func(p *probe) {
			p.equal("shards", names(p.shards(nil)), []string{"shardId-000000000000", "shardId-000000000001"})
		}},
		{Name: "stream-hash-ranges", Wants: "the ranges of three shards are multiples of floor(2^128/3), and the last has the rest", shards: 3, run: func(p *probe) {
			third := "113427455640312821154458202477256070485"
			var starts, ends []string
			for _, s := range p.shards(nil) {
				starts, ends = append(starts, aws.ToString(s.HashKeyRange.StartingHashKey)), append(ends, aws.ToString(s.HashKeyRange.EndingHashKey))
			}
			p.equal("starts", starts, []string{"0", third, "226854911280625642308916404954512140970"})
			p.equal("ends", ends, []string{"113427455640312821154458202477256070484", "226854911280625642308916404954512140969", "340282366920938463463374607431768211455"})
		}},
		{Name: "stream-covered", Wants: "the shards of a stream cover every hash key once", shards: 5, run: func(p *probe) {
			p.covered(p.shards(nil))
		}},
	}
}

// covered wants shards that have every hash key of 128 bits once.
func (p *probe) covered(shards []types.Shard) {
	next := new(big.Int)
	at := func(s types.Shard) *big.Int { return number(aws.ToString(s.HashKeyRange.StartingHashKey)) }
	slices.SortFunc(shards, func(a, b types.Shard) int { return at(a).Cmp(at(b)) })
	for _, s := range shards {
		if at(s).Cmp(next) != 0 {
			p.errorf("%s begins with %v, want %v", aws.ToString(s.ShardId), at(s), next)
		}
		next.Add(number(aws.ToString(s.HashKeyRange.EndingHashKey)), big.NewInt(1))
	}
	if all := new(big.Int).Lsh(big.NewInt(1), 128); next.Cmp(all) != 0 {
		p.errorf("the last shard ends before %v, want %v", next, all)
	}
}

// number reads a decimal number, or is -1.
func number(s string) *big.Int {
	n, ok := new(big.Int).SetString(s, 10)
	if !ok {
		return big.NewInt(-1)
	}
	return n
}

// shards lists all shards of the stream.
func (p *probe) shards(f *types.ShardFilter) (all []types.Shard) {
	in := &kinesis.ListShardsInput{StreamName: &p.stream, ShardFilter: f}
	for {
		out, err := p.client.ListShards(p.ctx, in)
		p.must("ListShards", err)
		all = append(all, out.Shards...)
		if aws.ToString(out.NextToken) == "" {
			return all
		}
		in = &kinesis.ListShardsInput{NextToken: out.NextToken}
	}
}

func names(shards []types.Shard) []string {
	all := []string{}
	for _, s := range shards {
		all = append(all, aws.ToString(s.ShardId))
	}
	return all
}
