package kinesistest_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

func (w *world) listShards(f *types.ShardFilter) []types.Shard {
	w.Helper()
	out, err := w.client.ListShards(w.ctx, &kinesis.ListShardsInput{StreamName: aws.String("s"), ShardFilter: f})
	w.must(err)
	return out.Shards
}

// A consumer that follows ChildShards from the roots, and begins a shard when all
// of its parents have ended, sees every record once and those of a key in order.
func TestLineageIsReadInOrder(t *testing.T) {
	each(t, kinesistest.Config{}, func(w *world) {
		w.createStream("s", 2)
		written := map[string][]string{}
		n := 0
		write := func() {
			for i := range 40 {
				key, value := fmt.Sprint("key", i%8), strconv.Itoa(n)
				n++
				w.put("s", key, value)
				written[key] = append(written[key], value)
			}
			w.clock.advance(time.Second)
		}
		write()
		_, err := w.client.SplitShard(w.ctx, &kinesis.SplitShardInput{StreamName: aws.String("s"), ShardToSplit: aws.String(shardID(0)),
			NewStartingHashKey: aws.String("85070591730234615865843651857942052864")})
		w.must(err)
		write()
		_, err = w.client.MergeShards(w.ctx, &kinesis.MergeShardsInput{StreamName: aws.String("s"),
			ShardToMerge: aws.String(shardID(3)), AdjacentShardToMerge: aws.String(shardID(1))})
		w.must(err)
		write()
		up, err := w.client.UpdateShardCount(w.ctx, &kinesis.UpdateShardCountInput{StreamName: aws.String("s"),
			TargetShardCount: aws.Int32(4), ScalingType: types.ScalingTypeUniformScaling})
		w.must(err)
		w.equal([]int32{*up.CurrentShardCount, *up.TargetShardCount}, []int32{2, 4})
		write()

		ended := map[string]bool{}
		last := map[string]string{} // per shard
		read := map[string][]string{}
		queue := []string{shardID(0), shardID(1)}
		for len(queue) > 0 {
			shard := queue[0]
			queue = queue[1:]
			it := aws.String(w.iterator("s", shard, types.ShardIteratorTypeTrimHorizon, ""))
			for {
				out, err := w.client.GetRecords(w.ctx, &kinesis.GetRecordsInput{ShardIterator: it, Limit: aws.Int32(7)})
				w.must(err)
				for _, r := range out.Records {
					if *r.SequenceNumber <= last[shard] {
						w.Fatalf("%s: %s is not after %s", shard, *r.SequenceNumber, last[shard])
					}
					last[shard] = *r.SequenceNumber
					read[*r.PartitionKey] = append(read[*r.PartitionKey], string(r.Data))
				}
				if it = out.NextShardIterator; it != nil {
					if len(out.Records) == 0 {
						break // the tip of an open shard
					}
					continue
				}
				ended[shard] = true
				if len(out.ChildShards) == 0 {
					w.Fatalf("%s ended without children", shard)
				}
				for _, child := range out.ChildShards {
					ready := !slices.Contains(queue, *child.ShardId)
					for _, p := range child.ParentShards {
						ready = ready && ended[p]
						if last[p] != "" && last[*child.ShardId] == "" {
							last[*child.ShardId] = max(last[*child.ShardId], last[p]) // children's numbers follow
						}
					}
					if ready {
						queue = append(queue, *child.ShardId)
					}
				}
				break
			}
		}
		for _, key := range slices.Sorted(maps.Keys(written)) {
			w.equal(read[key], written[key])
		}

		for _, sh := range w.listShards(nil) {
			start := *sh.SequenceNumberRange.StartingSequenceNumber
			for _, p := range w.listShards(nil) {
				if *p.ShardId == aws.ToString(sh.ParentShardId) || *p.ShardId == aws.ToString(sh.AdjacentParentShardId) {
					if end := *p.SequenceNumberRange.EndingSequenceNumber; start <= end {
						w.Errorf("%s starts at %s, before the end %s of %s", *sh.ShardId, start, end, *p.ShardId)
					}
				}
			}
			if (sh.SequenceNumberRange.EndingSequenceNumber != nil) != ended[*sh.ShardId] {
				w.Errorf("%s: end %v", *sh.ShardId, sh.SequenceNumberRange.EndingSequenceNumber)
			}
		}
	})
}

func TestSplitAndMergeShapes(t *testing.T) {
	each(t, kinesistest.Config{}, func(w *world) {
		w.createStream("s", 2)
		lower, upper, err := w.srv.Split("s", shardID(0))
		w.must(err)
		w.equal([]string{lower, upper}, []string{shardID(2), shardID(3)})
		child, err := w.srv.Merge("s", shardID(1), upper) // in any order
		w.must(err)
		w.equal(child, shardID(4))
		shards := w.listShards(nil)
		w.equal(*shards[3].HashKeyRange.StartingHashKey, "85070591730234615865843651857942052864")
		w.equal(*shards[3].ParentShardId, shardID(0))
		w.equal(*shards[4].HashKeyRange.StartingHashKey, "85070591730234615865843651857942052864")
		w.equal(*shards[4].HashKeyRange.EndingHashKey, "340282366920938463463374607431768211455")
		w.equal([]string{*shards[4].ParentShardId, *shards[4].AdjacentParentShardId}, []string{shardID(1), shardID(3)})

		out := w.get(w.iterator("s", shardID(1), types.ShardIteratorTypeLatest, ""))
		if out.NextShardIterator != nil || len(out.ChildShards) != 1 {
			w.Fatalf("the end of a shard: %+v", out)
		}
		c := out.ChildShards[0]
		w.equal([]any{*c.ShardId, c.ParentShards, *c.HashKeyRange.StartingHashKey},
			[]any{shardID(4), []string{shardID(1), shardID(3)}, "85070591730234615865843651857942052864"})

		split := func(shard, at string) error {
			_, err := w.client.SplitShard(w.ctx, &kinesis.SplitShardInput{StreamName: aws.String("s"), ShardToSplit: &shard, NewStartingHashKey: &at})
			return err
		}
		merge := func(a, b string) error {
			_, err := w.client.MergeShards(w.ctx, &kinesis.MergeShardsInput{StreamName: aws.String("s"), ShardToMerge: &a, AdjacentShardToMerge: &b})
			return err
		}
		w.fails(split(shardID(0), "5"), "InvalidArgumentException") // closed
		w.fails(split(shardID(2), "0"), "InvalidArgumentException") // its own start
		w.fails(split(shardID(4), "5"), "InvalidArgumentException") // outside
		w.fails(split(shardID(9), "5"), "ResourceNotFoundException")
		w.fails(merge(shardID(2), shardID(2)), "InvalidArgumentException")
		w.fails(merge(shardID(2), shardID(1)), "InvalidArgumentException")
		w.must(split(shardID(2), "1")) // a shard of one hash key
		w.fails(split(shardID(5), "1"), "InvalidArgumentException")
		w.must(merge(shardID(5), shardID(6)))
		w.fails(merge(shardID(0), shardID(7)), "InvalidArgumentException")
	})
}

func TestUpdateShardCountMakesUniformRanges(t *testing.T) {
	each(t, kinesistest.Config{StatusDelay: time.Minute}, func(w *world) {
		w.createStream("s", 4)
		w.clock.advance(time.Minute)
		scale := func(n int32) error {
			_, err := w.client.UpdateShardCount(w.ctx, &kinesis.UpdateShardCountInput{StreamName: aws.String("s"),
				TargetShardCount: &n, ScalingType: types.ScalingTypeUniformScaling})
			return err
		}
		w.must(scale(5))
		w.fails(scale(6), "ResourceInUseException") // UPDATING
		w.clock.advance(time.Minute)
		for _, n := range []int32{3, 6, 7, 4, 2, 1} {
			w.must(scale(n))
			w.clock.advance(time.Minute)
			open := w.listShards(&types.ShardFilter{Type: types.ShardFilterTypeAtLatest})
			var starts []string
			for _, sh := range open {
				starts = append(starts, *sh.HashKeyRange.StartingHashKey)
			}
			fresh := kinesistest.New(kinesistest.Config{})
			w.must(fresh.CreateStream("s", int(n)))
			shards, err := fresh.Shards("s")
			w.must(err)
			var want []string
			for _, sh := range shards {
				want = append(want, sh.StartingHashKey)
			}
			slices.Sort(starts)
			slices.Sort(want)
			w.equal(starts, want)
		}
		w.fails(scale(3), "InvalidArgumentException") // more than double
	})
}

func TestListShardsInPages(t *testing.T) {
	each(t, kinesistest.Config{}, func(w *world) {
		w.createStream("s", 7)
		list := func(in kinesis.ListShardsInput) (*kinesis.ListShardsOutput, error) {
			return w.client.ListShards(w.ctx, &in)
		}
		var pages [][]string
		in := kinesis.ListShardsInput{StreamName: aws.String("s"), MaxResults: aws.Int32(3), ExclusiveStartShardId: aws.String(shardID(0))}
		var token string
		for {
			out, err := list(in)
			w.must(err)
			pages = append(pages, ids(out.Shards))
			if out.NextToken == nil {
				break
			}
			token = *out.NextToken
			in = kinesis.ListShardsInput{NextToken: &token, MaxResults: aws.Int32(3)}
		}
		w.equal(pages, [][]string{{shardID(1), shardID(2), shardID(3)}, {shardID(4), shardID(5), shardID(6)}})

		_, err := list(kinesis.ListShardsInput{NextToken: &token, StreamName: aws.String("s")})
		w.fails(err, "InvalidArgumentException")
		_, err = list(kinesis.ListShardsInput{NextToken: &token, ShardFilter: &types.ShardFilter{Type: types.ShardFilterTypeAtLatest}})
		w.fails(err, "InvalidArgumentException")
		_, err = list(kinesis.ListShardsInput{NextToken: aws.String("nonsense")})
		w.fails(err, "InvalidArgumentException")
		w.clock.advance(300 * time.Second)
		_, err = list(kinesis.ListShardsInput{NextToken: &token})
		w.must(err)
		w.clock.advance(time.Millisecond)
		_, err = list(kinesis.ListShardsInput{NextToken: &token})
		w.fails(err, "ExpiredNextTokenException")
	})
}

// The filter of the first page holds for the others.
func TestListShardsFilterOverPages(t *testing.T) {
	w := newWorld(t, kinesistest.Config{})
	w.createStream("s", 3)
	_, _, err := w.srv.Split("s", shardID(0))
	w.must(err)
	out, err := w.client.ListShards(w.ctx, &kinesis.ListShardsInput{StreamName: aws.String("s"), MaxResults: aws.Int32(2),
		ShardFilter: &types.ShardFilter{Type: types.ShardFilterTypeAtTrimHorizon}})
	w.must(err)
	w.equal(ids(out.Shards), []string{shardID(0), shardID(1)})
	out, err = w.client.ListShards(w.ctx, &kinesis.ListShardsInput{NextToken: out.NextToken})
	w.must(err)
	w.equal(ids(out.Shards), []string{shardID(2)})
}

func TestShardFilters(t *testing.T) {
	each(t, kinesistest.Config{}, func(w *world) {
		w.createStream("s", 2)
		begin := w.clock.Now()
		w.clock.advance(time.Hour)
		_, _, err := w.srv.Split("s", shardID(0)) // 2, 3 at 1h
		w.must(err)
		w.clock.advance(time.Hour)
		_, err = w.srv.Merge("s", shardID(3), shardID(1)) // 4 at 2h
		w.must(err)

		filter := func(typ types.ShardFilterType, at time.Duration) string {
			s := ""
			for _, sh := range w.listShards(&types.ShardFilter{Type: typ, Timestamp: aws.Time(begin.Add(at)), ShardId: aws.String(shardID(1))}) {
				s += (*sh.ShardId)[len(*sh.ShardId)-1:]
			}
			return s
		}
		w.equal(filter(types.ShardFilterTypeFromTrimHorizon, 0), "01234")
		w.equal(filter(types.ShardFilterTypeAtTrimHorizon, 0), "01")
		w.equal(filter(types.ShardFilterTypeAtLatest, 0), "24")
		w.equal(filter(types.ShardFilterTypeAfterShardId, 0), "234")
		w.equal(filter(types.ShardFilterTypeAtTimestamp, -time.Hour), "01") // before the stream: its beginning
		w.equal(filter(types.ShardFilterTypeAtTimestamp, 30*time.Minute), "01")
		w.equal(filter(types.ShardFilterTypeAtTimestamp, time.Hour), "0123") // both ends count
		w.equal(filter(types.ShardFilterTypeAtTimestamp, 90*time.Minute), "123")
		w.equal(filter(types.ShardFilterTypeAtTimestamp, 3*time.Hour), "24")
		w.equal(filter(types.ShardFilterTypeFromTimestamp, 90*time.Minute), "1234")

		// Closed shards go away when the retention has passed.
		w.clock.advance(23*time.Hour + time.Second)
		w.equal(filter(types.ShardFilterTypeFromTrimHorizon, 0), "1234")
		w.equal(filter(types.ShardFilterTypeAtTrimHorizon, 0), "123")
		_, err = w.client.GetShardIterator(w.ctx, &kinesis.GetShardIteratorInput{StreamName: aws.String("s"),
			ShardId: aws.String(shardID(0)), ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
		w.fails(err, "ResourceNotFoundException")
		w.clock.advance(time.Hour)
		w.equal(filter(types.ShardFilterTypeFromTrimHorizon, 0), "24")
		w.equal(filter(types.ShardFilterTypeAtTrimHorizon, 0), "24")
		_, _, err = w.srv.Split("s", shardID(2)) // forgets the expired ones
		w.must(err)
		w.equal(filter(types.ShardFilterTypeFromTrimHorizon, 0), "2456")
		w.equal(*w.listShards(nil)[0].ParentShardId, shardID(0))

		_, err = w.client.ListShards(w.ctx, &kinesis.ListShardsInput{StreamName: aws.String("s"), ShardFilter: &types.ShardFilter{Type: types.ShardFilterTypeAtTimestamp}})
		w.fails(err, "InvalidArgumentException")
		_, err = w.client.ListShards(w.ctx, &kinesis.ListShardsInput{StreamName: aws.String("s"), ShardFilter: &types.ShardFilter{Type: "SOME"}})
		w.fails(err, "ValidationException")
		_, err = w.client.ListShards(w.ctx, &kinesis.ListShardsInput{StreamName: aws.String("s"), StreamCreationTimestamp: aws.Time(begin.Add(time.Second))})
		w.fails(err, "ResourceNotFoundException")
		_, err = w.client.ListShards(w.ctx, &kinesis.ListShardsInput{StreamName: aws.String("s"), StreamCreationTimestamp: &begin})
		w.must(err)
	})
}

// Only the service reshards an on-demand stream; the test does it in its place.
func TestOnDemandStreams(t *testing.T) {
	w := newWorld(t, kinesistest.Config{})
	_, err := w.client.CreateStream(w.ctx, &kinesis.CreateStreamInput{StreamName: aws.String("s"),
		StreamModeDetails: &types.StreamModeDetails{StreamMode: types.StreamModeOnDemand}})
	w.must(err)
	_, err = w.client.SplitShard(w.ctx, &kinesis.SplitShardInput{StreamName: aws.String("s"), ShardToSplit: aws.String(shardID(0)), NewStartingHashKey: aws.String("5")})
	w.fails(err, "ValidationException")
	_, _, err = w.srv.Split("s", shardID(0))
	w.must(err)
	w.equal(len(w.listShards(nil)), 6)
}
