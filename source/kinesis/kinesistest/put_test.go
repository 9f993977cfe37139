package kinesistest_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

func TestPutRecordAndReadBack(t *testing.T) {
	each(t, kinesistest.Config{}, func(w *world) {
		w.createStream("s", 4)
		key := `été "quoted" \ ` + "\x01"
		payload := []byte{0, 1, 2, 0xff, '"', '\n'}
		in := &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: &key, Data: payload}
		first, err := w.client.PutRecord(w.ctx, in)
		w.must(err)
		in.SequenceNumberForOrdering = first.SequenceNumber
		w.clock.advance(1234 * time.Millisecond)
		second, err := w.client.PutRecord(w.ctx, in)
		w.must(err)
		w.equal(*second.ShardId, *first.ShardId)
		if *second.SequenceNumber <= *first.SequenceNumber || len(*first.SequenceNumber) != 56 {
			w.Errorf("%s is not after %s", *second.SequenceNumber, *first.SequenceNumber)
		}
		out := w.get(w.iterator("s", *first.ShardId, types.ShardIteratorTypeAtSequenceNumber, *second.SequenceNumber))
		r := out.Records[0]
		w.equal([]any{len(out.Records), *r.PartitionKey, r.Data, *r.SequenceNumber}, []any{1, key, payload, *second.SequenceNumber})
		w.equal(r.ApproximateArrivalTimestamp.UTC(), w.clock.Now())

		in.SequenceNumberForOrdering = aws.String("17")
		_, err = w.client.PutRecord(w.ctx, in)
		w.fails(err, "InvalidArgumentException")
	})
}

func TestRecordLimits(t *testing.T) {
	each(t, kinesistest.Config{}, func(w *world) {
		w.createStream("s", 2)
		put := func(key, hash string, size int) (*kinesis.PutRecordOutput, error) {
			in := &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: &key, Data: make([]byte, size)}
			if hash != "" {
				in.ExplicitHashKey = &hash
			}
			return w.client.PutRecord(w.ctx, in)
		}
		_, err := put("", "", 1)
		w.fails(err, "ValidationException")
		_, err = put(strings.Repeat("é", 257), "", 1)
		w.fails(err, "ValidationException")
		_, err = put(strings.Repeat("é", 256), "", 0)
		w.must(err)

		out, err := put("a", "340282366920938463463374607431768211455", 1)
		w.must(err)
		w.equal(*out.ShardId, shardID(1))
		for _, bad := range []string{"340282366920938463463374607431768211456", "-1", "01", "x"} {
			_, err = put("a", bad, 1)
			w.fails(err, "InvalidArgumentException")
		}

		_, err = put("a", "", 1<<20-1) // with the key: 1 MiB
		w.must(err)
		_, err = put("a", "", 1<<20)
		w.fails(err, "ValidationException")
		arn := aws.String("arn:aws:kinesis:us-east-1:000000000000:stream/s")
		_, err = w.client.UpdateMaxRecordSize(w.ctx, &kinesis.UpdateMaxRecordSizeInput{StreamARN: arn, MaxRecordSizeInKiB: aws.Int32(10240)})
		w.must(err)
		_, err = put("a", "", 10<<20-1)
		w.must(err)
		_, err = w.client.UpdateMaxRecordSize(w.ctx, &kinesis.UpdateMaxRecordSizeInput{StreamARN: arn, MaxRecordSizeInKiB: aws.Int32(10241)})
		w.fails(err, "ValidationException")
	})
}

func TestPutRecordsLimits(t *testing.T) {
	w := newWorld(t, kinesistest.Config{})
	w.createStream("s", 1)
	put := func(n, size int) error {
		in := &kinesis.PutRecordsInput{StreamName: aws.String("s"), Records: []types.PutRecordsRequestEntry{}}
		for range n {
			in.Records = append(in.Records, types.PutRecordsRequestEntry{PartitionKey: aws.String("k"), Data: make([]byte, size)})
		}
		out, err := w.client.PutRecords(w.ctx, in)
		if err == nil {
			w.equal([]int{len(out.Records), int(*out.FailedRecordCount)}, []int{n, 0})
		}
		return err
	}
	w.fails(put(0, 0), "ValidationException")
	w.fails(put(501, 0), "ValidationException")
	w.must(put(500, 100))
	w.must(put(10, 1<<20-1))
	w.fails(put(11, 1<<20-1), "InvalidArgumentException")
	w.fails(put(1, 1<<20), "ValidationException")
	records, err := w.srv.Records("s", shardID(0))
	w.must(err)
	w.equal(len(records), 510)
}

// Records of one call keep their order within a shard, and what fails is in its
// place in the answer.
func TestPutRecordsPartialFailure(t *testing.T) {
	each(t, kinesistest.Config{}, func(w *world) {
		w.createStream("s", 2)
		f := w.srv.Fault(kinesistest.Fault{Op: "PutRecords", Shard: shardID(1), Kind: kinesistest.Throttle})
		in := &kinesis.PutRecordsInput{StreamName: aws.String("s")}
		for i := range 20 {
			in.Records = append(in.Records, types.PutRecordsRequestEntry{PartitionKey: aws.String(fmt.Sprint(i)), Data: fmt.Append(nil, i)})
		}
		out, err := w.client.PutRecords(w.ctx, in)
		w.must(err)
		var stored []string
		failed := 0
		for i, r := range out.Records {
			if r.ErrorCode == nil {
				w.equal(*r.ShardId, shardID(0))
				stored = append(stored, fmt.Sprint(i))
				continue
			}
			failed++
			w.equal(*r.ErrorCode, "ProvisionedThroughputExceededException")
			w.equal(*r.ErrorMessage, "Rate exceeded for shard shardId-000000000001 in stream s under account 000000000000.")
		}
		if failed == 0 || len(stored) == 0 {
			w.Fatalf("%d failed, %d stored", failed, len(stored))
		}
		w.equal([]int{int(*out.FailedRecordCount), f.Hits()}, []int{failed, 1})
		w.equal(data(w.get(w.iterator("s", shardID(0), types.ShardIteratorTypeTrimHorizon, "")).Records), stored)
		rest, err := w.srv.Records("s", shardID(1))
		w.must(err)
		w.equal(len(rest), 0)
		w.equal([]int{w.srv.Calls("PutRecords", ""), w.srv.Calls("PutRecords", shardID(0)), w.srv.Calls("PutRecords", shardID(1))}, []int{1, 1, 1})
	})
}

// Under distribution AUTO neither partition key nor explicit hash key decides.
func TestAutoDistributionIgnoresKeys(t *testing.T) {
	w := newWorld(t, kinesistest.Config{})
	_, err := w.client.CreateStream(w.ctx, &kinesis.CreateStreamInput{StreamName: aws.String("s"),
		StreamModeDetails:          &types.StreamModeDetails{StreamMode: types.StreamModeOnDemand},
		RecordDistributionStrategy: types.RecordDistributionStrategyAuto})
	w.must(err)
	seen := map[string]bool{}
	for range 8 {
		_, shard := w.put("s", "same", "x")
		seen[shard] = true
	}
	w.equal(len(seen), 4)
	d, err := w.client.DescribeStreamSummary(w.ctx, &kinesis.DescribeStreamSummaryInput{StreamName: aws.String("s")})
	w.must(err)
	w.equal(d.StreamDescriptionSummary.RecordDistributionStrategy, types.RecordDistributionStrategyAuto)
}

func TestPutCopiesItsData(t *testing.T) {
	w := newWorld(t, kinesistest.Config{})
	w.createStream("s", 1)
	b := []byte("before")
	_, _, err := w.srv.Put("s", "k", b)
	w.must(err)
	copy(b, "after!")
	records, err := w.srv.Records("s", shardID(0))
	w.must(err)
	w.equal(string(records[0].Data), "before")
	w.equal(records[0].Arrived.UTC(), w.clock.Now())
}

func TestMaxBytesRefuses(t *testing.T) {
	each(t, kinesistest.Config{MaxBytes: 1 << 20, Retention: time.Hour}, func(w *world) {
		w.createStream("s", 1)
		w.createStream("other", 1)
		payload := bytes.Repeat([]byte("x"), 300<<10)
		put := func() error {
			_, err := w.client.PutRecord(w.ctx, &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("k"), Data: payload})
			return err
		}
		for range 3 {
			w.must(put())
		}
		err := put()
		w.fails(err, "InvalidArgumentException")
		if err == nil || !strings.Contains(err.Error(), "Config.MaxBytes") {
			w.Errorf("%v does not say what to do", err)
		}
		// Expired records of any stream make room, and so does deleting a stream.
		w.clock.advance(time.Hour + time.Second)
		_, _, err = w.srv.Put("other", "k", payload)
		w.must(err)
		w.must(put())
		w.must(put())
		w.fails(put(), "InvalidArgumentException")
		w.must(w.srv.DeleteStream("other"))
		w.must(put())
	})
}

func TestTrimOldestMakesRoom(t *testing.T) {
	w := newWorld(t, kinesistest.Config{MaxBytes: 100 << 10, TrimOldest: true})
	w.createStream("s", 2)
	for i := range 1000 {
		w.put("s", fmt.Sprint(i), strings.Repeat("x", 1000))
		w.clock.advance(time.Millisecond)
	}
	var kept int
	oldest := w.clock.Now()
	for i := range 2 {
		records, err := w.srv.Records("s", shardID(i))
		w.must(err)
		kept += len(records)
		if at := records[0].Arrived; at.Before(oldest) {
			oldest = at
		}
	}
	if kept < 80 || kept > 97 {
		w.Errorf("%d records kept", kept)
	}
	// The newest are kept, of all shards together.
	w.equal(w.clock.Now().Sub(oldest), time.Duration(kept)*time.Millisecond)
	_, _, err := w.srv.Put("s", "k", make([]byte, 200<<10))
	if err == nil {
		w.Error("a record larger than MaxBytes was stored")
	}
}
