package kinesistest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

func TestIteratorTypes(t *testing.T) {
	each(t, kinesistest.Config{}, func(w *world) {
		w.createStream("s", 1)
		var seqs []string
		for i := range 4 {
			seq, _ := w.put("s", "k", fmt.Sprint(i))
			seqs = append(seqs, seq)
			w.clock.advance(time.Second)
		}
		latest := w.iterator("s", shardID(0), types.ShardIteratorTypeLatest, "")
		for _, c := range []struct {
			typ  types.ShardIteratorType
			seq  string
			want string
		}{
			{types.ShardIteratorTypeTrimHorizon, "", "0123"},
			{types.ShardIteratorTypeAtSequenceNumber, seqs[1], "123"},
			{types.ShardIteratorTypeAfterSequenceNumber, seqs[1], "23"},
			{types.ShardIteratorTypeAfterSequenceNumber, seqs[3], ""},
			{types.ShardIteratorTypeLatest, "", ""},
		} {
			out := w.get(w.iterator("s", shardID(0), c.typ, c.seq))
			w.equal(strings.Join(data(out.Records), ""), c.want)
		}
		at := func(ts time.Time) (*kinesis.GetShardIteratorOutput, error) {
			return w.client.GetShardIterator(w.ctx, &kinesis.GetShardIteratorInput{StreamName: aws.String("s"),
				ShardId: aws.String(shardID(0)), ShardIteratorType: types.ShardIteratorTypeAtTimestamp, Timestamp: &ts})
		}
		begin := w.clock.Now().Add(-4 * time.Second)
		for offset, want := range map[time.Duration]string{
			-time.Hour: "0123", 0: "0123", time.Millisecond: "123", 2 * time.Second: "23", 4 * time.Second: "",
		} {
			out, err := at(begin.Add(offset))
			w.must(err)
			w.equal(strings.Join(data(w.get(*out.ShardIterator).Records), ""), want)
		}
		_, err := at(w.clock.Now().Add(time.Millisecond))
		w.fails(err, "InvalidArgumentException")

		w.put("s", "k", "new")
		w.equal(data(w.get(latest).Records), []string{"new"})
		w.equal(data(w.get(latest).Records), []string{"new"}) // an iterator can be used again
	})
}

func TestIteratorErrors(t *testing.T) {
	each(t, kinesistest.Config{}, func(w *world) {
		w.createStream("s", 2)
		seq, shard := w.put("s", "k", "x")
		w.createStream("t", 2)
		w.clock.advance(time.Hour)
		w.createStream("later", 2)
		get := func(stream, shard string, typ types.ShardIteratorType, seq string) error {
			in := &kinesis.GetShardIteratorInput{StreamName: &stream, ShardId: &shard, ShardIteratorType: typ}
			if seq != "" {
				in.StartingSequenceNumber = &seq
			}
			_, err := w.client.GetShardIterator(w.ctx, in)
			return err
		}
		other := shardID(0)
		if shard == other {
			other = shardID(1)
		}
		w.must(get("s", shard, types.ShardIteratorTypeAtSequenceNumber, seq))
		w.fails(get("s", shardID(7), types.ShardIteratorTypeLatest, ""), "ResourceNotFoundException")
		w.fails(get("none", shard, types.ShardIteratorTypeLatest, ""), "ResourceNotFoundException")
		w.fails(get("s", shard, types.ShardIteratorTypeLatest, seq), "InvalidArgumentException")
		w.fails(get("s", shard, types.ShardIteratorTypeAtSequenceNumber, ""), "InvalidArgumentException")
		w.fails(get("s", shard, types.ShardIteratorTypeAtTimestamp, ""), "InvalidArgumentException")
		w.fails(get("s", shard, types.ShardIteratorTypeAtSequenceNumber, "0"), "InvalidArgumentException")
		w.fails(get("s", shard, "NEWEST", ""), "ValidationException")
		err := get("s", other, types.ShardIteratorTypeAfterSequenceNumber, seq)
		w.fails(err, "InvalidArgumentException")
		if err != nil && !strings.Contains(err.Error(), "It encodes "+shard) {
			w.Errorf("%v", err)
		}
		err = get("later", shard, types.ShardIteratorTypeAfterSequenceNumber, seq)
		w.fails(err, "InvalidArgumentException")
		if err != nil && !strings.Contains(err.Error(), "did not come from this stream") {
			w.Errorf("%v", err)
		}
		w.fails(w.fetch("nonsense"), "InvalidArgumentException")
		_, err = w.client.GetRecords(w.ctx, &kinesis.GetRecordsInput{Limit: aws.Int32(10_001),
			ShardIterator: aws.String(w.iterator("s", shard, types.ShardIteratorTypeLatest, ""))})
		w.fails(err, "InvalidArgumentException")
	})
}

func TestIteratorsExpire(t *testing.T) {
	each(t, kinesistest.Config{}, func(w *world) {
		w.createStream("s", 1)
		it := w.iterator("s", shardID(0), types.ShardIteratorTypeTrimHorizon, "")
		w.clock.advance(5 * time.Minute)
		next := w.get(it).NextShardIterator
		w.clock.advance(time.Millisecond)
		w.fails(w.fetch(it), "ExpiredIteratorException")
		w.must(w.fetch(*next))
		w.equal(w.srv.Calls("GetRecords", shardID(0)), 3)
	})
}

// An iterator belongs to the stream that was there when it was made.
func TestIteratorOfADeletedStream(t *testing.T) {
	w := newWorld(t, kinesistest.Config{})
	w.createStream("s", 1)
	it := w.iterator("s", shardID(0), types.ShardIteratorTypeLatest, "")
	w.must(w.srv.DeleteStream("s"))
	w.createStream("s", 1)
	w.fails(w.fetch(it), "ResourceNotFoundException")
}

func TestLimitAndMillisBehindLatest(t *testing.T) {
	each(t, kinesistest.Config{}, func(w *world) {
		w.createStream("s", 1)
		for i := range 5 {
			w.put("s", "k", fmt.Sprint(i))
			w.clock.advance(time.Second)
		}
		it := w.iterator("s", shardID(0), types.ShardIteratorTypeTrimHorizon, "")
		var got []string
		var behind []int64
		for range 4 {
			out, err := w.client.GetRecords(w.ctx, &kinesis.GetRecordsInput{ShardIterator: &it, Limit: aws.Int32(2)})
			w.must(err)
			got = append(got, strings.Join(data(out.Records), ""))
			behind = append(behind, *out.MillisBehindLatest)
			it = *out.NextShardIterator
			if out.ChildShards != nil {
				w.Error("an open shard has children")
			}
			date, ok := awsmiddleware.GetServerTime(out.ResultMetadata)
			w.equal([]any{date.UTC(), ok}, []any{w.clock.Now(), true})
		}
		w.equal(got, []string{"01", "23", "4", ""})
		w.equal(behind, []int64{4000, 2000, 0, 0})
	})
}

// However coarse the clock, 0 says that there is no more.
func TestMillisBehindLatestUnderAFrozenClock(t *testing.T) {
	w := newWorld(t, kinesistest.Config{})
	w.createStream("s", 1)
	w.put("s", "k", "0")
	w.put("s", "k", "1")
	it := w.iterator("s", shardID(0), types.ShardIteratorTypeTrimHorizon, "")
	out, err := w.client.GetRecords(w.ctx, &kinesis.GetRecordsInput{ShardIterator: &it, Limit: aws.Int32(1)})
	w.must(err)
	w.equal(*out.MillisBehindLatest, 1)
	w.equal(*w.get(*out.NextShardIterator).MillisBehindLatest, 0)
}

func TestAnswersHaveAtMost10MiB(t *testing.T) {
	w := newWorld(t, kinesistest.Config{})
	w.createStream("s", 1)
	const size = 1 << 20 // with the key
	for i := range 12 {
		w.put("s", "k", strings.Repeat(string(rune('a'+i)), size-1))
	}
	it := w.iterator("s", shardID(0), types.ShardIteratorTypeTrimHorizon, "")
	out := w.get(it)
	w.equal(len(out.Records), 10)
	out = w.get(*out.NextShardIterator)
	w.equal(len(out.Records), 2)
	w.equal(string(out.Records[1].Data), strings.Repeat("l", size-1))
}

func TestThroughputLimitsOfReads(t *testing.T) {
	each(t, kinesistest.Config{Limits: true}, func(w *world) {
		w.createStream("s", 2)
		const throttled = "ProvisionedThroughputExceededException"
		it := w.iterator("s", shardID(0), types.ShardIteratorTypeTrimHorizon, "")
		for range 5 {
			w.must(w.fetch(it))
		}
		w.fails(w.fetch(it), throttled)
		w.must(w.fetch(w.iterator("s", shardID(1), types.ShardIteratorTypeTrimHorizon, "")))
		w.clock.advance(200 * time.Millisecond)
		w.must(w.fetch(it))
		w.fails(w.fetch(it), throttled)
	})
}

func TestThroughputLimitAfterALargeAnswer(t *testing.T) {
	w := newWorld(t, kinesistest.Config{Limits: true})
	w.createStream("s", 1)
	for range 12 {
		w.put("s", "k", strings.Repeat("x", 1<<20-1)) // puts from Go are not limited
	}
	it := w.iterator("s", shardID(0), types.ShardIteratorTypeTrimHorizon, "")
	out := w.get(it)
	w.equal(len(out.Records), 10)
	w.clock.advance(4900 * time.Millisecond)
	w.fails(w.fetch(*out.NextShardIterator), "ProvisionedThroughputExceededException")
	w.clock.advance(100 * time.Millisecond)
	out = w.get(*out.NextShardIterator)
	w.equal(len(out.Records), 2) // a second's worth, and no quiet second before it
	w.fails(w.fetch(*out.NextShardIterator), "ProvisionedThroughputExceededException")
	w.clock.advance(time.Second)
	w.must(w.fetch(*out.NextShardIterator))
}

func TestThroughputLimitsOfWrites(t *testing.T) {
	each(t, kinesistest.Config{Limits: true}, func(w *world) {
		w.createStream("s", 1)
		put := func(n, size int) (failed int32) {
			in := &kinesis.PutRecordsInput{StreamName: aws.String("s")}
			for range n {
				in.Records = append(in.Records, types.PutRecordsRequestEntry{PartitionKey: aws.String("k"), Data: make([]byte, size)})
			}
			out, err := w.client.PutRecords(w.ctx, in)
			w.must(err)
			return *out.FailedRecordCount
		}
		w.equal([]int32{put(500, 1), put(500, 1), put(10, 1)}, []int32{0, 0, 10})
		w.clock.advance(time.Second)
		w.equal(put(5, 256<<10-1), 1)
		w.clock.advance(time.Second)
		_, err := w.client.PutRecord(w.ctx, &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("k"), Data: make([]byte, 1<<20-1)})
		w.must(err)
		_, err = w.client.PutRecord(w.ctx, &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("k"), Data: []byte{}})
		w.fails(err, "ProvisionedThroughputExceededException")
	})
}
