package conform

import (
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

func iteratorCases() []Case {
	return []Case{
		{Name: "iterator-trim-horizon", Wants: "TRIM_HORIZON begins with the oldest record", shards: 1, run: func(p *probe) {
			p.putMany(3)
			p.reads("TRIM_HORIZON", p.iterator(shardName(0), types.ShardIteratorTypeTrimHorizon, ""), "0", "1", "2")
		}},
		{Name: "iterator-latest", Wants: "LATEST begins with the next record", shards: 1, run: func(p *probe) {
			p.putMany(3)
			it := p.iterator(shardName(0), types.ShardIteratorTypeLatest, "")
			p.put("k", "new")
			p.reads("LATEST", it, "new")
		}},
		{Name: "iterator-at-sequence", Wants: "AT_SEQUENCE_NUMBER begins with the record, AFTER_SEQUENCE_NUMBER behind it", shards: 1, run: func(p *probe) {
			seq := aws.ToString(p.putMany(4).Records[1].SequenceNumber)
			p.reads("AT", p.iterator(shardName(0), types.ShardIteratorTypeAtSequenceNumber, seq), "1", "2", "3")
			p.reads("AFTER", p.iterator(shardName(0), types.ShardIteratorTypeAfterSequenceNumber, seq), "2", "3")
		}},
		{Name: "iterator-shard-start", Wants: "the StartingSequenceNumber of a shard can be used", shards: 1, run: func(p *probe) {
			p.putMany(2)
			start := aws.ToString(p.shards(nil)[0].SequenceNumberRange.StartingSequenceNumber)
			p.reads("AT", p.iterator(shardName(0), types.ShardIteratorTypeAtSequenceNumber, start), "0", "1")
			p.reads("AFTER", p.iterator(shardName(0), types.ShardIteratorTypeAfterSequenceNumber, start), "0", "1")
		}},
		{Name: "iterator-past-timestamp", Wants: "AT_TIMESTAMP before all records begins with the oldest", shards: 1, run: func(p *probe) {
			p.putMany(2)
			p.reads("AT_TIMESTAMP", p.iteratorAt(time.Now().Add(-time.Hour)), "0", "1")
		}},
		{Name: "iterator-timestamp", Wants: "AT_TIMESTAMP begins with the first record that arrived at or after it, to the millisecond", shards: 1, run: func(p *probe) {
			// Eight in more than a second, of which some share one, whenever that begins.
			const n = 8
			for i := range n {
				p.put("k", sequence(i, i+1)[0])
				p.wait(150 * time.Millisecond)
			}
			for i, r := range p.readAll(shardName(0), n) {
				p.wait(200 * time.Millisecond) // five calls a second
				p.reads("AT_TIMESTAMP", p.iteratorAt(aws.ToTime(r.ApproximateArrivalTimestamp)), sequence(i, n)...)
			}
		}},
		{Name: "iterator-future-timestamp", Wants: "AT_TIMESTAMP is not in the future", shards: 1, run: func(p *probe) {
			_, err := p.client.GetShardIterator(p.ctx, &kinesis.GetShardIteratorInput{StreamName: &p.stream, ShardId: aws.String(shardName(0)),
				ShardIteratorType: types.ShardIteratorTypeAtTimestamp, Timestamp: aws.Time(time.Now().Add(time.Hour))})
			p.refused("GetShardIterator", err, badArgument)
		}},
		{Name: "iterator-no-timestamp", Wants: "AT_TIMESTAMP needs a timestamp", shards: 1, run: func(p *probe) {
			p.refused("GetShardIterator", p.tryIterator(shardName(0), types.ShardIteratorTypeAtTimestamp, ""), badArgument)
		}},
		{Name: "iterator-absent-shard", Wants: "an iterator of a shard that is not there gets ResourceNotFoundException", shards: 1, run: func(p *probe) {
			p.refused("GetShardIterator", p.tryIterator(shardName(7), types.ShardIteratorTypeTrimHorizon, ""), absent)
		}},
		{Name: "iterator-no-sequence", Wants: "AT_ and AFTER_SEQUENCE_NUMBER need a number", shards: 1, run: func(p *probe) {
			for _, typ := range []types.ShardIteratorType{types.ShardIteratorTypeAtSequenceNumber, types.ShardIteratorTypeAfterSequenceNumber} {
				p.refused(string(typ), p.tryIterator(shardName(0), typ, ""), badArgument)
			}
		}},
		{Name: "iterator-bad-sequence", Wants: "what is no sequence number is refused", shards: 1, run: func(p *probe) {
			for _, seq := range []string{"x", "12", "-1"} {
				p.refused("sequence number "+seq, p.tryIterator(shardName(0), types.ShardIteratorTypeAtSequenceNumber, seq), badArgument, invalid)
			}
		}},
		{Name: "iterator-foreign-sequence", Wants: "a sequence number of another shard is refused", shards: 2, run: func(p *probe) {
			r := p.put("a", "x")
			p.refused("GetShardIterator", p.tryIterator(shardName(1), types.ShardIteratorTypeAtSequenceNumber, r.seq), badArgument)
		}},
		{Name: "iterator-bad-type", Wants: "a type that is none is refused", shards: 1, run: func(p *probe) {
			p.refused("GetShardIterator", p.tryIterator(shardName(0), "FIRST", ""), invalid)
		}},
		{Name: "iterator-again", Wants: "an iterator may be used more than once, with the same answer", shards: 1, run: func(p *probe) {
			p.putMany(3)
			it := p.iterator(shardName(0), types.ShardIteratorTypeTrimHorizon, "")
			p.reads("first", it, "0", "1", "2")
			p.reads("second", it, "0", "1", "2")
		}},
	}
}

func getCases() []Case {
	return []Case{
		{Name: "get-limit", Wants: "GetRecords gives at most Limit records and goes on behind them", shards: 1, run: func(p *probe) {
			p.putMany(5)
			it := p.iterator(shardName(0), types.ShardIteratorTypeTrimHorizon, "")
			for _, want := range [][]string{{"0", "1"}, {"2", "3"}, {"4"}} {
				out, err := p.client.GetRecords(p.ctx, &kinesis.GetRecordsInput{ShardIterator: it, Limit: aws.Int32(2)})
				p.must("GetRecords", err)
				p.equal("records", payloads(out.Records), want)
				it = out.NextShardIterator
			}
		}},
		{Name: "get-bad-limit", Wants: "Limit is at most 10,000", shards: 1, run: func(p *probe) {
			it := p.iterator(shardName(0), types.ShardIteratorTypeTrimHorizon, "")
			_, err := p.client.GetRecords(p.ctx, &kinesis.GetRecordsInput{ShardIterator: it, Limit: aws.Int32(10_001)})
			p.refused("GetRecords", err, badArgument, invalid)
		}},
		{Name: "get-bad-iterator", Wants: "what is no iterator is refused", shards: 1, run: func(p *probe) {
			_, err := p.client.GetRecords(p.ctx, &kinesis.GetRecordsInput{ShardIterator: aws.String("AAAAAAAAAAE=")})
			p.refused("GetRecords", err, badArgument)
		}},
		{Name: "get-deleted-stream", Wants: "an iterator of a deleted stream gets ResourceNotFoundException", shards: 1, run: func(p *probe) {
			it := p.iterator(shardName(0), types.ShardIteratorTypeTrimHorizon, "")
			_, err := p.client.DeleteStream(p.ctx, &kinesis.DeleteStreamInput{StreamName: &p.stream})
			p.must("DeleteStream", err)
			p.until("stream gone", func() bool {
				_, err := p.client.DescribeStreamSummary(p.ctx, &kinesis.DescribeStreamSummaryInput{StreamName: &p.stream})
				return err != nil
			})
			_, err = p.client.GetRecords(p.ctx, &kinesis.GetRecordsInput{ShardIterator: it})
			p.refused("GetRecords", err, absent)
		}},
		{Name: "get-empty", Wants: "an answer without records has a NextShardIterator and no ChildShards", shards: 1, run: func(p *probe) {
			out, err := p.client.GetRecords(p.ctx, &kinesis.GetRecordsInput{ShardIterator: p.iterator(shardName(0), types.ShardIteratorTypeLatest, "")})
			p.must("GetRecords", err)
			p.equal("records, end and children", []any{len(out.Records), aws.ToString(out.NextShardIterator) == "", len(out.ChildShards)}, []any{0, false, 0})
			p.put("k", "x")
			p.reads("the next", out.NextShardIterator, "x")
		}},
		{Name: "get-behind", Wants: "MillisBehindLatest is above 0 while records are left, and 0 at the tip", shards: 1, run: func(p *probe) {
			p.putMany(3)
			p.wait(100 * time.Millisecond)
			first, err := p.client.GetRecords(p.ctx, &kinesis.GetRecordsInput{ShardIterator: p.iterator(shardName(0), types.ShardIteratorTypeTrimHorizon, ""), Limit: aws.Int32(1)})
			p.must("GetRecords", err)
			if first.MillisBehindLatest == nil || *first.MillisBehindLatest <= 0 {
				p.errorf("MillisBehindLatest is %d with two records left", aws.ToInt64(first.MillisBehindLatest))
			}
			rest, err := p.client.GetRecords(p.ctx, &kinesis.GetRecordsInput{ShardIterator: first.NextShardIterator})
			p.must("GetRecords", err)
			if rest.MillisBehindLatest == nil || *rest.MillisBehindLatest != 0 {
				p.errorf("MillisBehindLatest is %d at the tip", aws.ToInt64(rest.MillisBehindLatest))
			}
		}},
		{Name: "get-arrival", Wants: "ApproximateArrivalTimestamp is when the record was put", shards: 1, run: func(p *probe) {
			p.put("k", "x")
			for _, r := range p.readAll(shardName(0), 1) {
				if age := time.Since(aws.ToTime(r.ApproximateArrivalTimestamp)); age < -someClockGap || age > someClockGap {
					p.errorf("arrived %v ago", age)
				}
			}
		}},
		{Name: "get-milliseconds", Wants: "ApproximateArrivalTimestamp is exact to the millisecond", shards: 1, run: func(p *probe) {
			for range 5 {
				p.put("k", "x")
				p.wait(113 * time.Millisecond)
			}
			read := p.readAll(shardName(0), 5)
			if !slices.ContainsFunc(read, func(r types.Record) bool { return aws.ToTime(r.ApproximateArrivalTimestamp).Nanosecond() != 0 }) {
				p.errorf("five records arrived at whole seconds")
			}
		}},
	}
}

func (p *probe) tryIterator(shard string, typ types.ShardIteratorType, seq string) error {
	in := &kinesis.GetShardIteratorInput{StreamName: &p.stream, ShardId: &shard, ShardIteratorType: typ}
	if seq != "" {
		in.StartingSequenceNumber = &seq
	}
	_, err := p.client.GetShardIterator(p.ctx, in)
	return err
}

func (p *probe) iterator(shard string, typ types.ShardIteratorType, seq string) *string {
	in := &kinesis.GetShardIteratorInput{StreamName: &p.stream, ShardId: &shard, ShardIteratorType: typ}
	if seq != "" {
		in.StartingSequenceNumber = &seq
	}
	out, err := p.client.GetShardIterator(p.ctx, in)
	p.must(fmt.Sprintf("GetShardIterator %s", typ), err)
	return out.ShardIterator
}

// iteratorAt is an iterator of the first shard at a time.
func (p *probe) iteratorAt(at time.Time) *string {
	out, err := p.client.GetShardIterator(p.ctx, &kinesis.GetShardIteratorInput{StreamName: &p.stream, ShardId: aws.String(shardName(0)),
		ShardIteratorType: types.ShardIteratorTypeAtTimestamp, Timestamp: &at})
	p.must("GetShardIterator AT_TIMESTAMP", err)
	return out.ShardIterator
}

// reads wants records from an iterator on, and nothing behind them for one call.
func (p *probe) reads(what string, it *string, want ...string) {
	got := []string{}
	for range 10 {
		out, err := p.client.GetRecords(p.ctx, &kinesis.GetRecordsInput{ShardIterator: it})
		p.must("GetRecords", err)
		got = append(got, payloads(out.Records)...)
		if it = out.NextShardIterator; it == nil || len(got) >= len(want) {
			break
		}
		p.wait(pollEvery)
	}
	p.equal("records "+what, got, want)
}

// readAll reads a shard until it has had n records, or the shard ends.
func (p *probe) readAll(shard string, n int) (all []types.Record) {
	it := p.iterator(shard, types.ShardIteratorTypeTrimHorizon, "")
	p.until(fmt.Sprintf("%d records of %s", n, shard), func() bool {
		out, err := p.client.GetRecords(p.ctx, &kinesis.GetRecordsInput{ShardIterator: it})
		p.must("GetRecords", err)
		all = append(all, out.Records...)
		it = out.NextShardIterator
		return it == nil || len(all) >= n
	})
	if len(all) != n {
		p.fatalf("%d records of %s, want %d", len(all), shard, n)
	}
	return all
}

func payloads(records []types.Record) []string {
	all := []string{}
	for _, r := range records {
		all = append(all, string(r.Data))
	}
	return all
}
