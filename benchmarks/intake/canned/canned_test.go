package canned_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardlake/shardlake/benchmarks/intake/canned"
)

func service() (*kinesis.Client, func()) {
	srv := httptest.NewServer(new(canned.Server))
	return kinesis.New(kinesis.Options{
		Region: "us-east-1", BaseEndpoint: aws.String(srv.URL), HTTPClient: ownBody{srv.Client()},
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""), RetryMaxAttempts: 1,
	}), srv.Close
}

// ownBody gives a request a body that the SDK does not close while net/http is at its
// end, which would break one large answer in fifty (aws-sdk-go-v2 issue 2737).
type ownBody struct{ next *http.Client }

// Do sends the request with a copy of its body.
func (c ownBody) Do(r *http.Request) (*http.Response, error) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	own := r.Clone(r.Context())
	own.Body = io.NopCloser(bytes.NewReader(b))
	return c.next.Do(own)
}

// A stream exists by being named: its shards give what the name says, and then no more.
func Example() {
	c, end := service()
	defer end()
	ctx := context.Background()
	name := aws.String(canned.Stream{Shards: 2, Answers: 3, Records: 10}.String())
	list, err := c.ListShards(ctx, &kinesis.ListShardsInput{StreamName: name})
	if err != nil {
		log.Fatal(err)
	}
	it, err := c.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{StreamName: name, ShardId: list.Shards[1].ShardId, ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	if err != nil {
		log.Fatal(err)
	}
	next := it.ShardIterator
	for range 4 {
		out, err := c.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: next})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(len(out.Records), "records,", *out.MillisBehindLatest, "ms behind")
		next = out.NextShardIterator
	}
	// Output:
	// 10 records, 60000 ms behind
	// 10 records, 60000 ms behind
	// 10 records, 60000 ms behind
	// 0 records, 0 ms behind
}

// Sequence numbers rise from answer to answer, payloads are clicks of the size that
// the benchmark is about, and every record has all of its members.
func TestRecordsAreLikeThoseOfTheService(t *testing.T) {
	c, end := service()
	defer end()
	s := canned.Stream{Shards: 1, Answers: 2, Records: 500}
	it := canned.Iterator(s, "shardId-000000000000", 0)
	var last string
	var size, records int
	for range s.Answers {
		out, err := c.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: &it})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range out.Records {
			var row canned.Click
			if err := json.Unmarshal(r.Data, &row); err != nil {
				t.Fatal(err)
			}
			if *r.SequenceNumber <= last || len(*r.SequenceNumber) != 56 || *r.PartitionKey != row.User || r.ApproximateArrivalTimestamp.UnixMilli() != row.When().UnixMilli()+40 {
				t.Fatalf("%s after %s, key %s, arrived %v: %s", *r.SequenceNumber, last, *r.PartitionKey, r.ApproximateArrivalTimestamp, r.Data)
			}
			last, size, records = *r.SequenceNumber, size+len(r.Data), records+1
		}
		it = *out.NextShardIterator
	}
	if mean := size / records; records != s.PerShard() || mean < 306 || mean > 326 {
		t.Errorf("%d records of %d bytes each, want %d of about 316", records, mean, s.PerShard())
	}
}

// A consumer that lost its iterator goes on behind the last record of an answer.
func TestIteratorBehindARecord(t *testing.T) {
	c, end := service()
	defer end()
	s := canned.Stream{Shards: 1, Answers: 3, Records: 4}
	it := canned.Iterator(s, "shardId-000000000000", 1)
	out, err := c.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: &it})
	if err != nil {
		t.Fatal(err)
	}
	ask := &kinesis.GetShardIteratorInput{StreamName: aws.String(s.String()), ShardId: aws.String("shardId-000000000000"), ShardIteratorType: types.ShardIteratorTypeAfterSequenceNumber}
	for i, r := range out.Records {
		ask.StartingSequenceNumber = r.SequenceNumber
		got, err := c.GetShardIterator(t.Context(), ask)
		if last := i == s.Records-1; last != (err == nil) || last && *got.ShardIterator != *out.NextShardIterator {
			t.Errorf("behind record %d: %v", i, err)
		}
	}
}

// What the server does not know is an error, not an empty answer.
func TestUnknownIsRefused(t *testing.T) {
	c, end := service()
	defer end()
	if _, err := c.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: aws.String("orders")}); err == nil || !strings.Contains(err.Error(), "orders") {
		t.Error(err)
	}
	for _, it := range []string{"it.clicks-1-1-0.shard.0.", "it.clicks-1-1-1.shard", "it.clicks-1-1-1.shard.x.", "AAAA"} {
		if out, err := c.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: &it}); err == nil {
			t.Errorf("%s: %d records", it, len(out.Records))
		}
	}
	if _, err := c.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String("clicks-1-1-1")}); err == nil {
		t.Error("the stream was deleted")
	}
}

// The server's process ends with its input, as when its parent dies.
func TestServeEndsWithItsInput(t *testing.T) {
	in, parent := io.Pipe()
	address, out := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- canned.Serve(t.Context(), in, out) }()
	var url string
	if _, err := fmt.Fscanln(address, &url); err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(`{"StreamName":"clicks-3-1-1"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Amz-Target", "Kinesis_20131202.ListShards")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	var list struct{ Shards []any }
	if err := json.NewDecoder(resp.Body).Decode(&list); err != nil || len(list.Shards) != 3 {
		t.Errorf("%d shards: %v", len(list.Shards), err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
	if err := parent.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
