package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/shardlake/shardlake/codec"
	"github.com/shardlake/shardlake/pipeline"
	onward "github.com/shardlake/shardlake/sink/kinesis"
	"github.com/shardlake/shardlake/sink/s3"
	"github.com/shardlake/shardlake/sink/s3/s3test"
	"github.com/shardlake/shardlake/source/kinesis"
	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

// column adds up a column of whole numbers over all files of a folder, and counts their
// rows.
func column(t *testing.T, srv *s3test.Server, folder, name string) (rows, sum int64) {
	t.Helper()
	for key, o := range srv.Objects("lake", folder+"/") {
		f, err := parquet.OpenFile(bytes.NewReader(o.Body), int64(len(o.Body)))
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		leaf, ok := f.Schema().Lookup(name)
		if !ok {
			t.Fatalf("%s has no column %s: %v", key, name, f.Schema())
		}
		all := make([]parquet.Row, f.NumRows())
		in := parquet.NewReader(f)
		if n, err := in.ReadRows(all); n != len(all) || err != nil && !errors.Is(err, io.EOF) {
			t.Fatalf("%s: %d of %d rows: %v", key, n, len(all), err)
		}
		for _, r := range all {
			rows, sum = rows+1, sum+r[leaf.ColumnIndex].Int64()
		}
	}
	return rows, sum
}

// Events that lie in two shards by their key are counted by user, in the other group.
func TestTwoGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cloud := kinesistest.New(kinesistest.Config{Now: time.Now})
		bucket := s3test.New(s3test.Config{Buckets: []string{"lake"}, Now: time.Now})
		lake := s3.Bucket(s3.Config{Bucket: "lake", Region: "us-east-1", Credentials: s3test.AnyCredentials(), HTTPClient: bucket.Client()})
		for _, stream := range []string{"clicks", "by-user"} {
			if err := cloud.CreateStream(stream, 2); err != nil {
				t.Fatal(err)
			}
		}
		from := func(stream string) kinesis.Config {
			return kinesis.Config{Stream: stream, Region: "us-east-1", Endpoint: cloud.URL(), AllowHTTP: true, Credentials: s3test.AnyCredentials(), HTTPClient: cloud.Client()}
		}
		to := onward.Config{Stream: "by-user", Region: "us-east-1", Endpoint: cloud.URL(), AllowHTTP: true, Credentials: s3test.AnyCredentials(), HTTPClient: cloud.Client()}
		cfg := pipeline.Config{CommitEvery: time.Second, EventTime: pipeline.EventTime{Bound: bound, Idle: idle}}
		first, second := pipeline.New(cfg), pipeline.New(cfg)
		send(first, kinesis.Source(from("clicks"), codec.JSON, Event.when), onward.Regroup(onward.RegroupConfig{Config: to, Buckets: buckets}, Event.user, appendEvent), lake)
		receive(second, kinesis.Frames(from("by-user")), 3*time.Second, lake)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 2)
		for _, p := range []*pipeline.Pipeline{first, second} {
			go func() { ended <- p.Run(ctx) }()
		}
		const n = 120
		for i := range n {
			data := fmt.Appendf(nil, `{"n":%d,"key":"k-%d","user":"u-%d","at":%q}`, i, i%7, i%5, time.Now().Format(time.RFC3339Nano))
			if i == 50 {
				data = fmt.Appendf(nil, `{"n":%d,"at":%q}`, i, time.Now().Format(time.RFC3339Nano))
			}
			if _, _, err := cloud.Put("clicks", fmt.Sprintf("k-%d", i%7), data); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Minute) // both streams are silent, and the windows close
		stop()
		if err := errors.Join(<-ended, <-ended); err != nil {
			t.Fatal(err)
		}
		const sum = n*(n-1)/2 - 50
		if rows, ns := column(t, bucket, "hits", "n"); rows != n-1 || ns != sum {
			t.Errorf("%d rows, whose numbers add up to %d; want %d and %d", rows, ns, n-1, sum)
		}
		_, count := column(t, bucket, "totals", "count")
		_, total := column(t, bucket, "totals", "sum")
		if count != n-1 || total != sum {
			t.Errorf("the totals add up to %d rows and %d, want %d and %d", count, total, n-1, sum)
		}
		for folder, want := range map[string]int{"dead": 1, "late": 0, "refused": 0} {
			got := 0
			for range bucket.Objects("lake", folder+"/") {
				got++
			}
			if got != want {
				t.Errorf("%d files of %s, want %d", got, folder, want)
			}
		}
	})
}
