package conform

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// cases are all of the suite, in the order in which they run.
var cases = []testCase{
	{"describe", describe},
	{"absent stream", absentStream},
	{"create twice", createTwice},
	{"delete", deleteStream},
	{"put and get", putAndGet},
	{"put many", putMany},
	{"routing by key", routing},
	{"ranges of shards", ranges},
	{"iterators by sequence number", iteratorsBySequence},
	{"iterator at the tip", iteratorLatest},
	{"iterators by time", iteratorsByTime},
	{"bad iterators", badIterators},
	{"by ARN", byARN},
	{"distance to the tip", behind},
	{"limit of an answer", limit},
	{"sizes", sizes},
	{"retention", retention},
	{"split", split},
	{"merge", merge},
	{"end of a shard", shardEnd},
	{"children of a shard that ended", childShards},
	{"pages of shards", pages},
	{"shards by filter", filters},
	{"consumers", consumers},
	{"fan-out", fanOut},
	{"fan-out twice", fanOutTwice},
	{"fan-out to the end of a shard", fanOutEnd},
}

func describe(p *probe) error {
	if err := p.make(3); err != nil {
		return err
	}
	s, err := p.summary()
	if err != nil {
		return err
	}
	err = errors.Join(want("name", aws.ToString(s.StreamName), p.name), want("open shards", aws.ToInt32(s.OpenShardCount), 3),
		want("retention", aws.ToInt32(s.RetentionPeriodHours), 24))
	if !strings.HasPrefix(p.arn, "arn:aws:kinesis:") || !strings.HasSuffix(p.arn, ":stream/"+p.name) {
		err = errors.Join(err, fmt.Errorf("ARN %s", p.arn))
	}
	if s.StreamCreationTimestamp == nil || time.Since(*s.StreamCreationTimestamp).Abs() > time.Minute {
		err = errors.Join(err, fmt.Errorf("created at %v", s.StreamCreationTimestamp))
	}
	return err
}

func absentStream(p *probe) error {
	const notFound = "ResourceNotFoundException"
	_, err1 := p.summary()
	_, err2 := p.shards(nil)
	_, _, err3 := p.put("k", "v")
	_, err4 := p.iterator(shardID(0), types.ShardIteratorTypeLatest, "", nil)
	return errors.Join(refused("DescribeStreamSummary", err1, notFound), refused("ListShards", err2, notFound),
		refused("PutRecord", err3, notFound), refused("GetShardIterator", err4, notFound))
}

func createTwice(p *probe) error {
	if err := p.make(1); err != nil {
		return err
	}
	_, err := p.CreateStream(p.ctx, &kinesis.CreateStreamInput{StreamName: &p.name, ShardCount: aws.Int32(1)})
	return refused("CreateStream again", err, "ResourceInUseException")
}

func deleteStream(p *probe) error {
	if err := p.make(1); err != nil {
		return err
	}
	if _, err := p.DeleteStream(p.ctx, &kinesis.DeleteStreamInput{StreamName: &p.name}); err != nil {
		return err
	}
	for {
		if _, err := p.summary(); err != nil {
			return refused("DescribeStreamSummary", err, "ResourceNotFoundException")
		}
		if err := p.pause(); err != nil {
			return err
		}
	}
}

func putAndGet(p *probe) error {
	if err := p.make(1); err != nil {
		return err
	}
	var seqs []string
	for _, data := range []string{"a", "b", "c"} {
		shard, seq, err := p.put("key "+data, data)
		if err := errors.Join(err, want("shard", shard, shardID(0))); err != nil {
			return err
		}
		seqs = append(seqs, seq)
	}
	it, err := p.iterator(shardID(0), types.ShardIteratorTypeTrimHorizon, "", nil)
	if err != nil {
		return err
	}
	all, _, err := p.read(it, 3)
	if err := errors.Join(err, want("records", joined(all), "a b c")); err != nil {
		return err
	}
	for i, r := range all {
		err = errors.Join(err, want("sequence number", aws.ToString(r.SequenceNumber), seqs[i]),
			want("partition key", aws.ToString(r.PartitionKey), "key "+string(r.Data)))
		if r.ApproximateArrivalTimestamp == nil || time.Since(*r.ApproximateArrivalTimestamp).Abs() > time.Minute {
			err = errors.Join(err, fmt.Errorf("arrived at %v", r.ApproximateArrivalTimestamp))
		}
		if i > 0 && !less(seqs[i-1], seqs[i]) {
			err = errors.Join(err, fmt.Errorf("sequence number %s does not follow %s", seqs[i], seqs[i-1]))
		}
	}
	return err
}

// less compares sequence numbers.
func less(a, b string) bool { return len(a) < len(b) || len(a) == len(b) && a < b }

func putMany(p *probe) error {
	if err := p.make(2); err != nil {
		return err
	}
	in := &kinesis.PutRecordsInput{StreamName: &p.name}
	for i := range 50 {
		in.Records = append(in.Records, types.PutRecordsRequestEntry{PartitionKey: aws.String(fmt.Sprint("k", i)), Data: []byte(fmt.Sprint(i))})
	}
	out, err := p.PutRecords(p.ctx, in)
	if err != nil {
		return err
	}
	err = errors.Join(want("failed", aws.ToInt32(out.FailedRecordCount), 0), want("results", len(out.Records), 50))
	if err != nil {
		return err
	}
	in2 := map[string][]string{} // by shard, what went there
	for i, r := range out.Records {
		in2[aws.ToString(r.ShardId)] = append(in2[aws.ToString(r.ShardId)], fmt.Sprint(i))
	}
	for shard, data := range in2 {
		got, err := p.from(shard, types.ShardIteratorTypeTrimHorizon, "", len(data))
		if err := errors.Join(err, want(shard, got, strings.Join(data, " "))); err != nil {
			return err
		}
	}
	in.Records = in.Records[:0]
	for range 501 {
		in.Records = append(in.Records, types.PutRecordsRequestEntry{PartitionKey: aws.String("k"), Data: []byte("x")})
	}
	_, err = p.PutRecords(p.ctx, in)
	return errors.Join(want("shards", len(in2), 2), refused("501 records", err, "ValidationException", "InvalidArgumentException"))
}

func routing(p *probe) error {
	if err := p.make(4); err != nil {
		return err
	}
	var all error
	for key, n := range map[string]int{"a": 0, "test0": 3, "partitionKey-1": 1, "user-42": 1, "été": 3, "0": 3} {
		shard, _, err := p.put(key, "x")
		all = errors.Join(all, err, want("shard of "+key, shard, shardID(n)))
	}
	for hash, n := range map[string]int{"0": 0, "340282366920938463463374607431768211455": 3, "170141183460469231731687303715884105728": 2} {
		out, err := p.PutRecord(p.ctx, &kinesis.PutRecordInput{StreamName: &p.name, PartitionKey: aws.String("a"), ExplicitHashKey: &hash, Data: []byte("x")})
		if err != nil {
			return errors.Join(all, err)
		}
		all = errors.Join(all, want("shard of hash "+hash, aws.ToString(out.ShardId), shardID(n)))
	}
	return all
}

func ranges(p *probe) error {
	if err := p.make(3); err != nil {
		return err
	}
	all, err := p.shards(nil)
	if err := errors.Join(err, want("shards", len(all), 3)); err != nil {
		return err
	}
	for i, r := range [][2]string{
		{"0", "113427455640312821154458202477256070484"}, {"113427455640312821154458202477256070485", "226854911280625642308916404954512140969"},
		{"226854911280625642308916404954512140970", "340282366920938463463374607431768211455"},
	} {
		s := all[i]
		if s.HashKeyRange == nil || s.SequenceNumberRange == nil {
			return fmt.Errorf("%s has no ranges", aws.ToString(s.ShardId))
		}
		err = errors.Join(err, want("id", aws.ToString(s.ShardId), shardID(i)), want("start", aws.ToString(s.HashKeyRange.StartingHashKey), r[0]),
			want("end", aws.ToString(s.HashKeyRange.EndingHashKey), r[1]), want("open", s.SequenceNumberRange.EndingSequenceNumber == nil, true))
	}
	return err
}

func sizes(p *probe) error {
	if err := p.make(1); err != nil {
		return err
	}
	_, _, most := p.put("k", strings.Repeat("x", 1<<20-1))
	_, _, over := p.put("k", strings.Repeat("x", 1<<20+1))
	_, _, nameless := p.put("", "x")
	_, _, long := p.put(strings.Repeat("k", 257), "x")
	_, _, empty := p.put("k", "")
	invalid := []string{"ValidationException", "InvalidArgumentException"}
	return errors.Join(most, refused("more than 1 MiB", over, invalid...), refused("no key", nameless, invalid...),
		refused("a key of 257 characters", long, invalid...), empty)
}

func retention(p *probe) error {
	if err := p.make(1); err != nil {
		return err
	}
	change := func(hours int32, up bool) (err error) {
		if up {
			_, err = p.IncreaseStreamRetentionPeriod(p.ctx, &kinesis.IncreaseStreamRetentionPeriodInput{StreamName: &p.name, RetentionPeriodHours: &hours})
		} else {
			_, err = p.DecreaseStreamRetentionPeriod(p.ctx, &kinesis.DecreaseStreamRetentionPeriodInput{StreamName: &p.name, RetentionPeriodHours: &hours})
		}
		return err
	}
	if err := errors.Join(change(48, true), p.active()); err != nil {
		return err
	}
	s, err := p.summary()
	if err := errors.Join(err, want("retention", aws.ToInt32(s.RetentionPeriodHours), 48)); err != nil {
		return err
	}
	return errors.Join(refused("1 hour", change(1, false), "InvalidArgumentException", "ValidationException"), change(24, false))
}
