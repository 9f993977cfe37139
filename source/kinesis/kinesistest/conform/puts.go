package conform

import (
	"bytes"
	"fmt"
	"math/big"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// maxHash is the largest hash key, 2^128-1.
const maxHash = "340282366920938463463374607431768211455"

func putCases() []Case {
	return []Case{
		{Name: "put-partition-key", Wants: "a record goes to the shard that has the MD5 of its partition key", shards: 4, run: func(p *probe) {
			// The keys' MD5 sums, read as integers, divided by 2^126.
			for key, shard := range map[string]int{"a": 0, "test0": 3, "partitionKey-1": 1, "user-42": 1, "été": 3, "0": 3, "1": 3, "2": 3} {
				p.equal("shard of "+key, p.put(key, "x").shard, shardName(shard))
			}
		}},
		{Name: "put-explicit-hash", Wants: "an explicit hash key decides in place of the partition key", shards: 2, run: func(p *probe) {
			const half = "170141183460469231731687303715884105728"
			for hash, shard := range map[string]int{"0": 0, "170141183460469231731687303715884105727": 0, half: 1, maxHash: 1} {
				out, err := p.client.PutRecord(p.ctx, &kinesis.PutRecordInput{StreamName: &p.stream, PartitionKey: aws.String("k"), ExplicitHashKey: &hash, Data: []byte("x")})
				p.must("PutRecord", err)
				p.equal("shard of hash key "+hash, aws.ToString(out.ShardId), shardName(shard))
			}
		}},
		{Name: "put-bad-hash", Wants: "an explicit hash key is a decimal integer below 2^128", shards: 1, run: func(p *probe) {
			for _, hash := range []string{"340282366920938463463374607431768211456", "-1", "ff", "01"} {
				_, err := p.client.PutRecord(p.ctx, &kinesis.PutRecordInput{StreamName: &p.stream, PartitionKey: aws.String("k"), ExplicitHashKey: &hash, Data: []byte("x")})
				p.refused("hash key "+hash, err, badArgument, invalid)
			}
		}},
		{Name: "put-order", Wants: "sequence numbers of a shard increase with each put", shards: 1, run: func(p *probe) {
			last := new(big.Int)
			for range 20 {
				q := number(p.put("k", "x").seq)
				if q.Cmp(last) <= 0 {
					p.errorf("%v after %v", q, last)
				}
				last = q
			}
		}},
		{Name: "put-order-in-batch", Wants: "PutRecords answers in the order of the request, and the numbers of a shard increase in it", shards: 1, run: func(p *probe) {
			out := p.putMany(50)
			p.equal("entries and failures", []any{len(out.Records), aws.ToInt32(out.FailedRecordCount)}, []any{50, 0})
			read := p.readAll(shardName(0), 50)
			last := new(big.Int)
			for i, e := range out.Records {
				q := number(aws.ToString(e.SequenceNumber))
				if q.Cmp(last) <= 0 {
					p.errorf("%v after %v", q, last)
				}
				last = q
				if i < len(read) && (aws.ToString(read[i].SequenceNumber) != aws.ToString(e.SequenceNumber) || string(read[i].Data) != fmt.Sprint(i)) {
					p.errorf("record %d is read as %s with %s", i, aws.ToString(read[i].SequenceNumber), read[i].Data)
				}
			}
		}},
		{Name: "put-sequence-names-shard", Wants: "a sequence number has 186 bits, with 2 as the highest and the number of its shard in bits 4 to 35", shards: 3, run: func(p *probe) {
			for _, key := range []string{"a", "test0", "user-42"} {
				r := p.put(key, "x")
				q := number(r.seq)
				shard := new(big.Int).And(new(big.Int).Rsh(q, 4), big.NewInt(1<<32-1))
				p.equal("layout of "+r.seq, []any{q.BitLen(), new(big.Int).Rsh(q, 184), fmt.Sprintf("shardId-%012d", shard)}, []any{186, 2, r.shard})
			}
		}},
		{Name: "put-any-bytes", Wants: "data of any bytes, empty data, and keys of any characters are read as they were put", shards: 1, run: func(p *probe) {
			all := make([]byte, 256)
			for i := range all {
				all[i] = byte(i)
			}
			keys := []string{"\"quoted\" \\ and \t", "été", "語"}
			data := [][]byte{all, {}, []byte("x")}
			for i, key := range keys {
				_, err := p.client.PutRecord(p.ctx, &kinesis.PutRecordInput{StreamName: &p.stream, PartitionKey: &key, Data: data[i]})
				p.must("PutRecord", err)
			}
			for i, r := range p.readAll(shardName(0), len(keys)) {
				if aws.ToString(r.PartitionKey) != keys[i] || !bytes.Equal(r.Data, data[i]) {
					p.errorf("record %d: key %q, %d bytes", i, aws.ToString(r.PartitionKey), len(r.Data))
				}
			}
		}},
		{Name: "put-long-key", Wants: "the length of a partition key counts characters, not bytes", shards: 1, run: func(p *probe) {
			p.put(strings.Repeat("語", 256), "x")
		}},
		{Name: "put-bad-key", Wants: "a partition key has 1 to 256 characters", shards: 1, run: func(p *probe) {
			for _, key := range []string{"", strings.Repeat("k", 257)} {
				_, err := p.client.PutRecord(p.ctx, &kinesis.PutRecordInput{StreamName: &p.stream, PartitionKey: &key, Data: []byte("x")})
				p.refused(fmt.Sprintf("a key of %d", len(key)), err, invalid, badArgument)
			}
		}},
		{Name: "put-too-large", Wants: "data of 1 MiB with its key is too much, without the key it is not", shards: 2, run: func(p *probe) {
			in := &kinesis.PutRecordInput{StreamName: &p.stream, PartitionKey: aws.String("k"), Data: []byte(strings.Repeat("x", 1<<20-1))}
			_, err := p.client.PutRecord(p.ctx, in)
			p.must("PutRecord of 1 MiB", err)
			in.PartitionKey, in.Data = aws.String("test0"), append(in.Data, "xx"...)
			_, err = p.client.PutRecord(p.ctx, in)
			p.refused("PutRecord of more", err, invalid, badArgument)
		}},
		{Name: "put-too-many", Wants: "PutRecords takes 1 to 500 records", shards: 1, run: func(p *probe) {
			_, err := p.client.PutRecords(p.ctx, &kinesis.PutRecordsInput{StreamName: &p.stream, Records: entries(501)})
			p.refused("501 records", err, invalid, badArgument)
			_, err = p.client.PutRecords(p.ctx, &kinesis.PutRecordsInput{StreamName: &p.stream, Records: []types.PutRecordsRequestEntry{}})
			p.refused("no records", err, invalid, badArgument)
		}},
		{Name: "put-all-or-none-is-valid", Wants: "one bad record refuses all of a PutRecords", shards: 1, run: func(p *probe) {
			bad := entries(3)
			bad[1].ExplicitHashKey = aws.String("x")
			_, err := p.client.PutRecords(p.ctx, &kinesis.PutRecordsInput{StreamName: &p.stream, Records: bad})
			p.refused("PutRecords", err, badArgument, invalid)
			out, err := p.client.GetRecords(p.ctx, &kinesis.GetRecordsInput{ShardIterator: p.iterator(shardName(0), types.ShardIteratorTypeTrimHorizon, "")})
			p.must("GetRecords", err)
			p.equal("records", len(out.Records), 0)
		}},
		{Name: "put-ordering", Wants: "SequenceNumberForOrdering takes the number of the record before, and nothing else", shards: 1, run: func(p *probe) {
			first := p.put("k", "x")
			in := &kinesis.PutRecordInput{StreamName: &p.stream, PartitionKey: aws.String("k"), Data: []byte("y"), SequenceNumberForOrdering: &first.seq}
			out, err := p.client.PutRecord(p.ctx, in)
			p.must("PutRecord", err)
			if number(aws.ToString(out.SequenceNumber)).Cmp(number(first.seq)) <= 0 {
				p.errorf("%s after %s", aws.ToString(out.SequenceNumber), first.seq)
			}
			in.SequenceNumberForOrdering = aws.String("x")
			_, err = p.client.PutRecord(p.ctx, in)
			p.refused("PutRecord", err, badArgument, invalid)
		}},
	}
}

// place is where a record was put.
type place struct{ shard, seq string }

func (p *probe) put(key, data string) place {
	out, err := p.client.PutRecord(p.ctx, &kinesis.PutRecordInput{StreamName: &p.stream, PartitionKey: &key, Data: []byte(data)})
	p.must("PutRecord", err)
	return place{aws.ToString(out.ShardId), aws.ToString(out.SequenceNumber)}
}

// putMany puts n records of one key, whose data are their numbers.
func (p *probe) putMany(n int) *kinesis.PutRecordsOutput {
	out, err := p.client.PutRecords(p.ctx, &kinesis.PutRecordsInput{StreamName: &p.stream, Records: entries(n)})
	p.must("PutRecords", err)
	return out
}

func entries(n int) []types.PutRecordsRequestEntry {
	all := make([]types.PutRecordsRequestEntry, n)
	for i := range all {
		all[i] = types.PutRecordsRequestEntry{PartitionKey: aws.String("k"), Data: fmt.Append(nil, i)}
	}
	return all
}

func shardName(n int) string { return fmt.Sprintf("shardId-%012d", n) }
