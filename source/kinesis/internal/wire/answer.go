package wire

import (
	"math"
	"time"
	"unsafe"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go/middleware"

	"github.com/shardlake/shardlake"
)

// Answer is what one call of GetRecords gave. Nothing in it shares memory with the
// Buffers of the call, so it stays valid as long as anybody keeps it.
type Answer struct {
	// Records are those of the answer, in its order. Pos has the sequence number
	// alone, "" if the record has none; Arrived is 0 if the record does not say it;
	// Data is nil if the record has none. All records of an answer share memory.
	Records []shardlake.Record
	// Next is the iterator of the next call, if HasNext. An answer without one ends
	// the shard. The service never gives an empty one; should it, Next is "" and
	// HasNext true.
	Next    string
	HasNext bool
	// Children are the shards that go on where this one ended, as the service names
	// them in the last answer of a shard; nil if there are none.
	Children []types.ChildShard
	// Behind is how far the answer is from the tip of the shard (MillisBehindLatest):
	// 0 at the tip, -1 if the service does not say.
	Behind time.Duration
	// Bytes are those that the service counts against its limits: payloads and
	// partition keys.
	Bytes int64
	// Held is the memory that keeping any of Records keeps alive.
	Held int64
	// Metadata is the ResultMetadata of the SDK's output, which has the HTTP answer
	// with its Date.
	Metadata middleware.Metadata
}

const recordSize = int64(unsafe.Sizeof(shardlake.Record{}))

// take fills the answer from what the SDK decoded.
func (a *Answer) take(out *kinesis.GetRecordsOutput) {
	a.Next, a.HasNext = aws.ToString(out.NextShardIterator), out.NextShardIterator != nil
	if len(out.ChildShards) > 0 {
		a.Children = out.ChildShards
	}
	if out.MillisBehindLatest != nil {
		a.Behind = behind(*out.MillisBehindLatest)
	}
	a.Records = make([]shardlake.Record, len(out.Records))
	a.Held = int64(len(a.Records)) * recordSize
	for i := range out.Records {
		in, r := &out.Records[i], &a.Records[i]
		r.Pos.Seq, r.Key, r.Data = aws.ToString(in.SequenceNumber), aws.ToString(in.PartitionKey), in.Data
		if in.ApproximateArrivalTimestamp != nil {
			r.Arrived = shardlake.At(*in.ApproximateArrivalTimestamp)
		}
		a.Bytes += int64(len(r.Data) + len(r.Key))
		a.Held += int64(cap(r.Data) + len(r.Key) + len(r.Pos.Seq))
	}
}

// maxBehind is the largest MillisBehindLatest that a time.Duration holds, 292 years.
const maxBehind = math.MaxInt64 / int64(time.Millisecond)

func behind(ms int64) time.Duration {
	if ms < 0 {
		return -1
	}
	return time.Duration(min(ms, maxBehind)) * time.Millisecond
}
