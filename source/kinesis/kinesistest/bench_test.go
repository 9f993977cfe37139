package kinesistest_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

// BenchmarkGetRecords measures the server: answers of about 10 MiB are read and
// thrown away. MB/s counts the records' data.
func BenchmarkGetRecords(b *testing.B) {
	for _, size := range []int{200, 1000, 20_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			srv := kinesistest.New(kinesistest.Config{})
			if err := srv.CreateStream("s", 1); err != nil {
				b.Fatal(err)
			}
			n := min(10_000, 10<<20/(size+10))
			for i := range n {
				if _, _, err := srv.Put("s", fmt.Sprint("key-", i%1000), bytes.Repeat([]byte("x"), size)); err != nil {
					b.Fatal(err)
				}
			}
			out, err := newClient(srv, true).GetShardIterator(b.Context(), &kinesis.GetShardIteratorInput{
				StreamName: aws.String("s"), ShardId: aws.String(shardID(0)), ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
			if err != nil {
				b.Fatal(err)
			}
			body := `{"ShardIterator":"` + *out.ShardIterator + `"}`
			b.SetBytes(int64(n * size))
			for b.Loop() {
				r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, srv.URL(), strings.NewReader(body))
				if err != nil {
					b.Fatal(err)
				}
				r.Header.Set("X-Amz-Target", "Kinesis_20131202.GetRecords")
				resp, err := srv.Client().Do(r)
				if err != nil {
					b.Fatal(err)
				}
				if got, err := drain(resp.Body); err != nil || got < int64(n*size) {
					b.Fatal(got, err)
				}
			}
		})
	}
}

// BenchmarkPut measures a put from Go.
func BenchmarkPut(b *testing.B) {
	srv := kinesistest.New(kinesistest.Config{TrimOldest: true})
	if err := srv.CreateStream("s", 4); err != nil {
		b.Fatal(err)
	}
	data := make([]byte, 1000)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, _, err := srv.Put("s", "key", data); err != nil {
			b.Fatal(err)
		}
	}
}
