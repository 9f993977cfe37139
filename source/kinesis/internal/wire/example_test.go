package wire_test

import (
	"context"
	"fmt"
	"log"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardlake/shardlake/source/kinesis/internal/wire"
	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

// newClient makes a client of a new server with a stream of one shard and three
// records, and an iterator at the first of them.
func newClient(options ...func(*kinesis.Options)) (*kinesis.Client, string) {
	srv := kinesistest.New(kinesistest.Config{})
	if err := srv.CreateStream("orders", 1); err != nil {
		log.Fatal(err)
	}
	for i := range 3 {
		if _, _, err := srv.Put("orders", "customer-7", fmt.Appendf(nil, "order %d", i)); err != nil {
			log.Fatal(err)
		}
	}
	client := kinesis.New(kinesis.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(srv.URL()), HTTPClient: srv.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}, options...)
	out, err := client.GetShardIterator(context.Background(), &kinesis.GetShardIteratorInput{
		StreamName: aws.String("orders"), ShardId: aws.String("shardId-000000000000"), ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
	})
	if err != nil {
		log.Fatal(err)
	}
	return client, *out.ShardIterator
}

// The reader of a shard has its buffers and calls with them until it is at the tip.
func Example() {
	client, iterator := newClient(wire.JSON)
	var buffers wire.Buffers
	for {
		var a wire.Answer
		in := &kinesis.GetRecordsInput{ShardIterator: &iterator, Limit: aws.Int32(2)}
		if err := wire.GetRecords(context.Background(), client, in, &buffers, &a); err != nil {
			log.Fatal(err)
		}
		for _, r := range a.Records {
			fmt.Printf("%s: %s\n", r.Key, r.Data)
		}
		if !a.HasNext || a.Behind == 0 && len(a.Records) == 0 {
			break
		}
		iterator = a.Next
	}
	// Output:
	// customer-7: order 0
	// customer-7: order 1
	// customer-7: order 2
}

// The server of this example does not speak CBOR: the first call is repeated in JSON.
func ExampleCBOR() {
	client, iterator := newClient(wire.CBOR(nil))
	var a wire.Answer
	if err := wire.GetRecords(context.Background(), client, &kinesis.GetRecordsInput{ShardIterator: &iterator}, nil, &a); err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(a.Records), "records,", a.Bytes, "bytes")
	// Output: 3 records, 51 bytes
}
