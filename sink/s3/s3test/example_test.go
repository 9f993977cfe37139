package s3test_test

import (
	"context"
	"fmt"
	"log"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/shardlake/shardlake/sink/s3/s3test"
)

// The real client, against a server in the same process, through a throttled
// request and a lost answer.
func Example() {
	srv := s3test.New(s3test.Config{Buckets: []string{"lake"}})
	client := s3.New(s3.Options{
		Region:       "us-east-1",
		HTTPClient:   srv.Client(),
		Credentials:  s3test.AnyCredentials(),
		UsePathStyle: true,
	})

	srv.Fault(s3test.Fault{Op: "PutObject", Kind: s3test.SlowDown})
	srv.Fault(s3test.Fault{Op: "PutObject", Nth: 2, Kind: s3test.CutAfter})

	_, err := client.PutObject(context.Background(), &s3.PutObjectInput{
		Bucket:   aws.String("lake"),
		Key:      aws.String("clicks/day=2026-01-31/part-0.jsonl"),
		Body:     strings.NewReader(`{"n":1}` + "\n"),
		Metadata: map[string]string{"commit": "42"},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("requests:", srv.Count("PutObject"))
	for key, o := range srv.Objects("lake", "clicks/") {
		fmt.Println(key, o.Size, o.Metadata["commit"])
	}
	// Output:
	// requests: 3
	// clicks/day=2026-01-31/part-0.jsonl 8 42
}

// A request that arrives after its sender has given up and another has done the
// work: the classic zombie.
func ExampleRule_Release() {
	srv := s3test.New(s3test.Config{Buckets: []string{"lake"}})
	client := s3.New(s3.Options{
		Region:       "us-east-1",
		HTTPClient:   srv.Client(),
		Credentials:  s3test.AnyCredentials(),
		UsePathStyle: true,
		Retryer:      aws.NopRetryer{},
	})
	put := func(body string) error {
		_, err := client.PutObject(context.Background(), &s3.PutObjectInput{
			Bucket: aws.String("lake"), Key: aws.String("state"), Body: strings.NewReader(body), IfNoneMatch: aws.String("*"),
		})
		return err
	}
	late := srv.Fault(s3test.Fault{Op: "PutObject", Kind: s3test.Late})
	fmt.Println("zombie failed:", put("from the zombie") != nil)
	fmt.Println("successor failed:", put("from the successor") != nil)
	late.Release() // If-None-Match: * holds it off
	fmt.Printf("%s\n", srv.Objects("lake", "")["state"].Body)
	// Output:
	// zombie failed: true
	// successor failed: false
	// from the successor
}

// A socket, for a reader in another process.
func ExampleListen() {
	srv, err := s3test.Listen(s3test.Config{Buckets: []string{"lake"}})
	if err != nil {
		log.Fatal(err)
	}
	client := s3.New(s3.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(srv.URL()),
		Credentials:  s3test.AnyCredentials(),
		UsePathStyle: true,
	})
	out, err := client.ListBuckets(context.Background(), &s3.ListBucketsInput{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(*out.Buckets[0].Name)
	if err := srv.Close(); err != nil {
		log.Fatal(err)
	}
	// Output: lake
}
