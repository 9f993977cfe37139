package kinesistest_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

// A registered consumer gets records pushed, to the end of the shard.
func Example_fanOut() {
	srv := kinesistest.New(kinesistest.Config{})
	client := kinesis.New(kinesis.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(srv.URL()),
		HTTPClient:   srv.Client(),
		Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	if err := srv.CreateStream("orders", 1); err != nil {
		log.Fatal(err)
	}
	for i := range 3 {
		if _, _, err := srv.Put("orders", "customer-7", fmt.Appendf(nil, "order %d", i)); err != nil {
			log.Fatal(err)
		}
	}
	if _, _, err := srv.Split("orders", "shardId-000000000000"); err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	stream, err := client.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: aws.String("orders")})
	if err != nil {
		log.Fatal(err)
	}
	registered, err := client.RegisterStreamConsumer(ctx, &kinesis.RegisterStreamConsumerInput{
		StreamARN: stream.StreamDescriptionSummary.StreamARN, ConsumerName: aws.String("lake"),
	})
	if err != nil {
		log.Fatal(err)
	}
	out, err := client.SubscribeToShard(ctx, &kinesis.SubscribeToShardInput{
		ConsumerARN: registered.Consumer.ConsumerARN, ShardId: aws.String("shardId-000000000000"),
		StartingPosition: &types.StartingPosition{Type: types.ShardIteratorTypeTrimHorizon},
	})
	if err != nil {
		log.Fatal(err)
	}
	events := out.GetStream()
	for e := range events.Events() {
		if e, ok := e.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent); ok {
			for _, r := range e.Value.Records {
				fmt.Printf("%s: %s\n", *r.PartitionKey, r.Data)
			}
			for _, child := range e.Value.ChildShards {
				fmt.Println("goes on in", *child.ShardId)
			}
		}
	}
	if err := events.Close(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// customer-7: order 0
	// customer-7: order 1
	// customer-7: order 2
	// goes on in shardId-000000000001
	// goes on in shardId-000000000002
}

// A stream is resharded while it is written: every record is in one shard, and a
// key's records are in the order of the shards' lineage.
func Example_reshardUnderLoad() {
	clock := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	srv := kinesistest.New(kinesistest.Config{Now: func() time.Time { return clock }})
	if err := srv.CreateStream("orders", 1); err != nil {
		log.Fatal(err)
	}
	put := func(n int) {
		for i := range n {
			if _, _, err := srv.Put("orders", fmt.Sprint("customer-", i), []byte("order")); err != nil {
				log.Fatal(err)
			}
		}
	}
	put(100)
	lower, upper, err := srv.Split("orders", "shardId-000000000000")
	if err != nil {
		log.Fatal(err)
	}
	put(100)
	if _, err := srv.Merge("orders", lower, upper); err != nil {
		log.Fatal(err)
	}
	put(100)

	shards, err := srv.Shards("orders")
	if err != nil {
		log.Fatal(err)
	}
	for _, shard := range shards {
		records, err := srv.Records("orders", shard.ID)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(shard.ID, "from", shard.Parents, "open:", shard.Open, "records:", len(records))
	}
	// Output:
	// shardId-000000000000 from [] open: false records: 100
	// shardId-000000000001 from [shardId-000000000000] open: false records: 50
	// shardId-000000000002 from [shardId-000000000000] open: false records: 50
	// shardId-000000000003 from [shardId-000000000001 shardId-000000000002] open: true records: 100
}
