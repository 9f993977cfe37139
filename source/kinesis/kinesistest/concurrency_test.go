package kinesistest_test

import (
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

// Puts, reads, listings and resharding at once lose and repeat nothing.
func TestConcurrentUse(t *testing.T) {
	const writers, calls, batch = 4, 40, 10
	w := newWorld(t, kinesistest.Config{OnEvent: func(kinesistest.Event) {}})
	w.createStream("s", 2)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for j := range calls {
				in := &kinesis.PutRecordsInput{StreamName: aws.String("s")}
				for k := range batch {
					in.Records = append(in.Records, types.PutRecordsRequestEntry{
						PartitionKey: aws.String(fmt.Sprint(i, "/", k)), Data: []byte(strconv.Itoa(j))})
				}
				if _, err := w.client.PutRecords(w.ctx, in); err != nil {
					w.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for range 6 {
			shards, err := w.srv.Shards("s")
			if err != nil {
				w.Error(err)
			}
			lower, upper, err := w.srv.Split("s", shards[len(shards)-1].ID)
			if err != nil {
				w.Error(err)
			}
			if _, err := w.srv.Merge("s", upper, lower); err != nil {
				w.Error(err)
			}
			w.srv.Fault(kinesistest.Fault{Op: "GetRecords", Nth: 3}).Remove()
		}
	})

	var mu sync.Mutex
	got := map[string][]string{}
	started := map[string]bool{}
	ends := map[string]int{}
	var read func(shard string)
	start := func(shard string) {
		if !started[shard] {
			started[shard] = true
			wg.Go(func() { read(shard) })
		}
	}
	total := 0
	read = func(shard string) {
		out, err := w.client.GetShardIterator(w.ctx, &kinesis.GetShardIteratorInput{StreamName: aws.String("s"), ShardId: &shard,
			ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
		if err != nil {
			w.Error(err)
			return
		}
		for it := out.ShardIterator; ; {
			out, err := w.client.GetRecords(w.ctx, &kinesis.GetRecordsInput{ShardIterator: it})
			if err != nil {
				w.Error(err)
				return
			}
			mu.Lock()
			for _, r := range out.Records {
				got[*r.PartitionKey] = append(got[*r.PartitionKey], string(r.Data))
			}
			total += len(out.Records)
			finished := total == writers*calls*batch
			for _, child := range out.ChildShards {
				ends[*child.ShardId]++
				if ends[*child.ShardId] == len(child.ParentShards) {
					start(*child.ShardId)
				}
			}
			mu.Unlock()
			if it = out.NextShardIterator; it == nil || finished {
				return
			}
			if _, err := w.client.ListShards(w.ctx, &kinesis.ListShardsInput{StreamName: aws.String("s")}); err != nil {
				w.Error(err)
				return
			}
		}
	}
	mu.Lock()
	start(shardID(0))
	start(shardID(1))
	mu.Unlock()
	wg.Wait()

	if total != writers*calls*batch {
		t.Fatalf("%d records read of %d", total, writers*calls*batch)
	}
	for key, values := range got {
		for i, v := range values {
			if v != strconv.Itoa(i) {
				t.Fatalf("key %s: value %d is %s", key, i, v)
			}
		}
	}
}
