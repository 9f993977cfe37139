package conform

import (
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// three makes a stream of one shard with the records a, b and c.
func (p *probe) three() (seqs []string, err error) {
	if err := p.make(1); err != nil {
		return nil, err
	}
	for _, data := range []string{"a", "b", "c"} {
		_, seq, err := p.put("k", data)
		if err != nil {
			return nil, err
		}
		seqs = append(seqs, seq)
	}
	return seqs, nil
}

func iteratorsBySequence(p *probe) error {
	seqs, err := p.three()
	if err != nil {
		return err
	}
	for i, rest := range []string{"a b c", "b c", "c"} {
		got, err1 := p.from(shardID(0), types.ShardIteratorTypeAtSequenceNumber, seqs[i], 3-i)
		err = errors.Join(err, err1, want("at "+seqs[i], got, rest))
	}
	for i, rest := range []string{"b c", "c"} {
		got, err1 := p.from(shardID(0), types.ShardIteratorTypeAfterSequenceNumber, seqs[i], 2-i)
		err = errors.Join(err, err1, want("after "+seqs[i], got, rest))
	}
	return err
}

func iteratorLatest(p *probe) error {
	if _, err := p.three(); err != nil {
		return err
	}
	it, err := p.iterator(shardID(0), types.ShardIteratorTypeLatest, "", nil)
	if err != nil {
		return err
	}
	if _, _, err := p.put("k", "d"); err != nil {
		return err
	}
	all, _, err := p.read(it, 1)
	return errors.Join(err, want("records", joined(all), "d"))
}

func iteratorsByTime(p *probe) error {
	if _, err := p.three(); err != nil {
		return err
	}
	early, now := time.Now().Add(-time.Hour), time.Now()
	it, err := p.iterator(shardID(0), types.ShardIteratorTypeAtTimestamp, "", &early)
	if err != nil {
		return err
	}
	all, _, err := p.read(it, 3)
	if err := errors.Join(err, want("an hour ago", joined(all), "a b c")); err != nil {
		return err
	}
	// Servers may keep full seconds only.
	for time.Since(now) < 3*time.Second {
		if err := p.pause(); err != nil {
			return err
		}
	}
	later := time.Now().Add(-time.Second)
	if _, _, err := p.put("k", "d"); err != nil {
		return err
	}
	if it, err = p.iterator(shardID(0), types.ShardIteratorTypeAtTimestamp, "", &later); err != nil {
		return err
	}
	all, _, err = p.read(it, 1)
	return errors.Join(err, want("a second ago", joined(all), "d"))
}

func badIterators(p *probe) error {
	if _, err := p.three(); err != nil {
		return err
	}
	const invalid = "InvalidArgumentException"
	_, err1 := p.GetRecords(p.ctx, &kinesis.GetRecordsInput{ShardIterator: aws.String("AAAAAAAAAAAAAAAAAAAA")})
	_, err2 := p.iterator(shardID(0), types.ShardIteratorTypeAtSequenceNumber, "12345", nil)
	_, err3 := p.iterator(shardID(7), types.ShardIteratorTypeTrimHorizon, "", nil)
	_, err4 := p.iterator(shardID(0), types.ShardIteratorTypeAtSequenceNumber, "", nil)
	return errors.Join(refused("a made-up iterator", err1, invalid, "ValidationException"), refused("a made-up sequence number", err2, invalid),
		refused("a shard that is not there", err3, "ResourceNotFoundException"), refused("no sequence number", err4, invalid, "ValidationException"))
}

func byARN(p *probe) error {
	seqs, err := p.three()
	if err != nil {
		return err
	}
	list, err1 := p.ListShards(p.ctx, &kinesis.ListShardsInput{StreamARN: &p.arn})
	_, err2 := p.PutRecord(p.ctx, &kinesis.PutRecordInput{StreamARN: &p.arn, PartitionKey: aws.String("k"), Data: []byte("d")})
	it, err3 := p.GetShardIterator(p.ctx, &kinesis.GetShardIteratorInput{StreamARN: &p.arn, ShardId: aws.String(shardID(0)),
		ShardIteratorType: types.ShardIteratorTypeAfterSequenceNumber, StartingSequenceNumber: &seqs[1]})
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	out, err := p.GetRecords(p.ctx, &kinesis.GetRecordsInput{StreamARN: &p.arn, ShardIterator: it.ShardIterator})
	if err != nil {
		return err
	}
	return errors.Join(want("shards", len(list.Shards), 1), want("records", joined(out.Records), "c d"))
}

func behind(p *probe) error {
	if _, err := p.three(); err != nil {
		return err
	}
	for began := time.Now(); time.Since(began) < time.Second; {
		if err := p.pause(); err != nil {
			return err
		}
	}
	it, err := p.iterator(shardID(0), types.ShardIteratorTypeTrimHorizon, "", nil)
	if err != nil {
		return err
	}
	out, err := p.GetRecords(p.ctx, &kinesis.GetRecordsInput{ShardIterator: it, Limit: aws.Int32(1)})
	if err != nil {
		return err
	}
	if out.MillisBehindLatest == nil || *out.MillisBehindLatest < 500 {
		return fmt.Errorf("with two records to come that are a second old, it is %v ms behind", aws.ToInt64(out.MillisBehindLatest))
	}
	_, last, err := p.read(out.NextShardIterator, 2)
	if err != nil {
		return err
	}
	return want("ms behind at the tip", aws.ToInt64(last.MillisBehindLatest), 0)
}

func limit(p *probe) error {
	if _, err := p.three(); err != nil {
		return err
	}
	it, err := p.iterator(shardID(0), types.ShardIteratorTypeTrimHorizon, "", nil)
	if err != nil {
		return err
	}
	out, err := p.GetRecords(p.ctx, &kinesis.GetRecordsInput{ShardIterator: it, Limit: aws.Int32(2)})
	if err := errors.Join(err, want("two", joined(out.Records), "a b")); err != nil {
		return err
	}
	all, _, err := p.read(out.NextShardIterator, 1)
	_, over := p.GetRecords(p.ctx, &kinesis.GetRecordsInput{ShardIterator: it, Limit: aws.Int32(10_001)})
	return errors.Join(err, want("the rest", joined(all), "c"), refused("10,001", over, "InvalidArgumentException", "ValidationException"))
}
