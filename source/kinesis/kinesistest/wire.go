package kinesistest

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"time"
)

// request has the members of all operations served; an operation looks at its
// own. Pointers tell absent members from zero ones.
type request struct {
	StreamName, StreamARN   string
	StreamCreationTimestamp *float64
	DryRun                  bool

	// Streams
	ShardCount                 *int
	StreamModeDetails          *struct{ StreamMode string }
	MaxRecordSizeInKiB         *int
	RecordDistributionStrategy string
	RetentionPeriodHours       *int
	Tags                       map[string]string
	TagKeys                    []string
	ExclusiveStartStreamName   string
	ExclusiveStartTagKey       string

	// Shards
	ExclusiveStartShardId string
	NextToken             string
	MaxResults            *int
	ShardFilter           *struct {
		Type, ShardId string
		Timestamp     *float64
	}
	ShardToSplit, NewStartingHashKey   string
	ShardToMerge, AdjacentShardToMerge string
	TargetShardCount                   *int
	ScalingType                        string

	// Reading
	ShardId, ShardIteratorType string
	StartingSequenceNumber     string
	Timestamp                  *float64
	ShardIterator              string
	Limit                      *int

	// Streams, and what belongs to them
	EnforceConsumerDeletion bool
	ResourceARN, Policy     string
	EncryptionType, KeyId   string
	ShardLevelMetrics       []string
	WarmThroughputMiBps     *int

	MinimumThroughputBillingCommitment *struct{ Status string }

	// Consumers
	ConsumerName, ConsumerARN string
	StartingPosition          *struct {
		Type, SequenceNumber string
		Timestamp            *float64
	}

	// Writing
	entry
	Records                   []entry
	SequenceNumberForOrdering string
}

// entry is one record to put.
type entry struct {
	Data            []byte
	PartitionKey    string
	ExplicitHashKey string
}

func (e *entry) size() int64 { return int64(len(e.Data) + len(e.PartitionKey)) }

// object is a JSON object of an answer for which speed does not matter.
type object map[string]any

// millis reads a timestamp: seconds since 1970 with a fraction.
func millis(seconds float64) int64 {
	ms := seconds * 1000
	if ms < 0 {
		return int64(ms - 0.5)
	}
	return int64(ms + 0.5)
}

// timestamp writes milliseconds since 1970 as seconds with a fraction.
func timestamp(ms int64) json.Number { return json.Number(appendTimestamp(nil, ms)) }

func appendTimestamp(b []byte, ms int64) []byte {
	if ms < 0 {
		b = append(b, '-')
		ms = -ms
	}
	b = strconv.AppendInt(b, ms/1000, 10)
	f := ms % 1000
	return append(b, '.', byte('0'+f/100), byte('0'+f/10%10), byte('0'+f%10))
}

// appendString appends a JSON string. Partition keys are nearly always plain
// ASCII, which needs no more than a copy.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			quoted, err := json.Marshal(s)
			if err != nil { // cannot happen for a string
				return append(b, `""`...)
			}
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// appendRecord appends a member of GetRecords' Records. index is the record's in
// the log of sh.
func appendRecord(b []byte, sh *shard, index uint64, r *record) []byte {
	b = append(b, `{"SequenceNumber":"`...)
	b = sh.sequence(index, r.at).appendTo(b)
	b = append(b, `","ApproximateArrivalTimestamp":`...)
	b = appendTimestamp(b, r.at)
	b = append(b, `,"Data":"`...)
	b = base64.StdEncoding.AppendEncode(b, r.data)
	b = append(b, `","PartitionKey":`...)
	b = appendString(b, r.key)
	return append(b, '}')
}

// shardObject is a shard as ListShards and DescribeStream show it.
func shardObject(sh *shard) object {
	numbers := object{"StartingSequenceNumber": sh.start().String()}
	if sh.isClosed {
		numbers["EndingSequenceNumber"] = sh.end().String()
	}
	o := object{"ShardId": sh.name, "HashKeyRange": hashRange(sh), "SequenceNumberRange": numbers}
	if len(sh.parents) > 0 {
		o["ParentShardId"] = sh.parents[0].name
	}
	if len(sh.parents) > 1 {
		o["AdjacentParentShardId"] = sh.parents[1].name
	}
	return o
}

// childObject is a shard as the last answer of its parent shows it.
func childObject(sh *shard) object {
	return object{"ShardId": sh.name, "ParentShards": sh.parentNames(), "HashKeyRange": hashRange(sh)}
}

func hashRange(sh *shard) object {
	return object{"StartingHashKey": sh.lo.String(), "EndingHashKey": sh.hi.String()}
}

// utc is the form of times in messages of the service.
func utc(t time.Time) string { return t.UTC().Format("Mon Jan 02 15:04:05 UTC 2006") }
