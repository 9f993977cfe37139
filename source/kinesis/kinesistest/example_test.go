package kinesistest_test

import (
	"context"
	"fmt"
	"log"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

// A consumer that retries is shown one throttled call, and the end of a shard.
func Example() {
	srv, err := kinesistest.Listen(kinesistest.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer func() {
		if err := srv.Close(); err != nil {
			log.Fatal(err)
		}
	}()
	client := kinesis.New(kinesis.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(srv.URL()),
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
	throttle := srv.Fault(kinesistest.Fault{Op: "GetRecords", Shard: "shardId-000000000000", Nth: 2, Kind: kinesistest.Throttle})

	ctx := context.Background()
	first, err := client.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{
		StreamName: aws.String("orders"), ShardId: aws.String("shardId-000000000000"),
		ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
	})
	if err != nil {
		log.Fatal(err)
	}
	for it := first.ShardIterator; it != nil; {
		out, err := client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: it, Limit: aws.Int32(2)})
		if err != nil {
			log.Fatal(err)
		}
		for _, r := range out.Records {
			fmt.Printf("%s: %s\n", *r.PartitionKey, r.Data)
		}
		for _, child := range out.ChildShards {
			fmt.Println("goes on in", *child.ShardId)
		}
		it = out.NextShardIterator
	}
	fmt.Println("throttled:", throttle.Hits(), "calls:", srv.Calls("GetRecords", "shardId-000000000000"))
	// Output:
	// customer-7: order 0
	// customer-7: order 1
	// customer-7: order 2
	// goes on in shardId-000000000001
	// goes on in shardId-000000000002
	// throttled: 1 calls: 3
}

// Without a socket: for testing/synctest, and for tests that may not listen.
func ExampleServer_Client() {
	srv := kinesistest.New(kinesistest.Config{})
	client := kinesis.New(kinesis.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(srv.URL()),
		HTTPClient:   srv.Client(),
		Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	ctx := context.Background()
	if _, err := client.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: aws.String("orders"), ShardCount: aws.Int32(4)}); err != nil {
		log.Fatal(err)
	}
	out, err := client.PutRecord(ctx, &kinesis.PutRecordInput{
		StreamName: aws.String("orders"), PartitionKey: aws.String("user-42"), Data: []byte("hello"),
	})
	if err != nil {
		log.Fatal(err)
	}
	records, err := srv.Records("orders", *out.ShardId)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s in %s\n", records[0].Data, *out.ShardId)
	// Output: hello in shardId-000000000001
}

// A put takes effect, but its answer is lost: the producer's retry makes a
// duplicate.
func ExampleServer_Fault() {
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
	srv.Fault(kinesistest.Fault{Op: "PutRecord", Kind: kinesistest.LostAnswer})

	_, err := client.PutRecord(context.Background(), &kinesis.PutRecordInput{
		StreamName: aws.String("orders"), PartitionKey: aws.String("user-42"), Data: []byte("hello"),
	})
	if err != nil {
		log.Fatal(err)
	}
	records, err := srv.Records("orders", "shardId-000000000000")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("records stored:", len(records))
	// Output: records stored: 2
}
