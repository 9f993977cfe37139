package kinesis_test

import (
	"context"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/sink/kinesis"
	"github.com/shardlake/shardlake/source"
	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
	"github.com/shardlake/shardlake/stage"
)

func ExampleSink() {
	srv := kinesistest.New(kinesistest.Config{}) // in place of an account
	if err := srv.CreateStream("squares", 2); err != nil {
		fmt.Println(err)
	}
	cfg := kinesis.Config{Stream: "squares", Region: "us-east-1", Endpoint: srv.URL(), HTTPClient: srv.Client(),
		AllowHTTP: true, Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")}
	p := pipeline.New(pipeline.Config{Leases: new(lease.Memory)})
	squares := p.Read(source.Values(1, 2, 3)).Via(stage.Map(func(n int) int { return n * n }))
	squares.Into(kinesis.Sink(cfg, strconv.Itoa, func(dst []byte, n int, id kinesis.ID) ([]byte, error) {
		return fmt.Appendf(dst, `{"id":%q,"n":%d}`, id, n), nil
	}))
	if err := p.Run(context.Background()); err != nil {
		fmt.Println(err)
	}
	shards, err := srv.Shards("squares")
	if err != nil {
		fmt.Println(err)
	}
	for _, s := range shards {
		records, err := srv.Records("squares", s.ID)
		if err != nil {
			fmt.Println(err)
		}
		for _, r := range records {
			fmt.Println(string(r.Data))
		}
	}
	// Unordered output:
	// {"id":"values/values-0/1.0/0","n":1}
	// {"id":"values/values-0/2.0/0","n":4}
	// {"id":"values/values-0/3.0/0","n":9}
}

func ExampleProducer() {
	srv := kinesistest.New(kinesistest.Config{}) // in place of an account
	if err := srv.CreateStream("out", 2); err != nil {
		fmt.Println(err)
	}
	p, err := kinesis.NewProducer(kinesis.Config{Stream: "out", Region: "us-east-1", Endpoint: srv.URL(), HTTPClient: srv.Client(),
		AllowHTTP: true, Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	ctx := context.Background()
	for _, page := range []string{"/", "/about", "/buy"} {
		if err := p.Put(ctx, "user-42", []byte(page)); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(p.Flush(ctx), p.Stats().Records)
	// Output: <nil> 3
}

// Rows go on to a second stream, grouped by another key; the tasks that read it do so
// with Frames and Receive of source/kinesis:
//
//	p.Read(kinesis.Frames(cfg)).Via(kinesis.Receive(codec.JSON[Square]))
func ExampleRegroup() {
	srv := kinesistest.New(kinesistest.Config{}) // in place of an account
	if err := srv.CreateStream("by-parity", 1); err != nil {
		fmt.Println(err)
	}
	cfg := kinesis.Config{Stream: "by-parity", Region: "us-east-1", Endpoint: srv.URL(), HTTPClient: srv.Client(),
		AllowHTTP: true, Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")}
	parity := func(n int) string { return []string{"even", "odd"}[n%2] }
	p := pipeline.New(pipeline.Config{})
	p.Read(source.Values(1, 2, 3)).Into(kinesis.Regroup(kinesis.RegroupConfig{Config: cfg, Buckets: 4}, parity,
		func(dst []byte, n int) ([]byte, error) { return strconv.AppendInt(dst, int64(n), 10), nil }))
	if err := p.Run(context.Background()); err != nil {
		fmt.Println(err)
	}
	records, err := srv.Records("by-parity", "shardId-000000000000")
	fmt.Println(len(records), "frames, one for each bucket of the one commit", err)
	// Output:
	// 4 frames, one for each bucket of the one commit <nil>
}
