package e2e_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardlake/shardlake/codec/cloudwatch"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/pipeline/pipelinetest"
	"github.com/shardlake/shardlake/sink/s3"
	"github.com/shardlake/shardlake/sink/s3/s3test"
	"github.com/shardlake/shardlake/source/kinesis"
	"github.com/shardlake/shardlake/stage"
)

// subscription is a record of a log subscription with events from to from+n-1.
func subscription(t *testing.T, from, n int) []byte {
	t.Helper()
	type event struct {
		ID        string `json:"id"`
		Timestamp int64  `json:"timestamp"`
		Message   string `json:"message"`
	}
	m := map[string]any{"messageType": "DATA_MESSAGE", "owner": "123456789012", "logGroup": "g", "logStream": "s", "subscriptionFilters": []string{"f"}}
	var events []event
	for i := range n {
		events = append(events, event{fmt.Sprint(from + i), 1_700_000_000_000 + int64(i), "hello"})
	}
	m["logEvents"] = events
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

// A record of a log subscription holds many events. A death between any two of
// them, whatever was committed before, leaves each in the lake once, in order and
// with its index (case: one record, many rows).
func TestDeathInsideOfALogRecord(t *testing.T) {
	const records, each = 4, 5
	for dies := range records * each {
		synctest.Test(t, func(t *testing.T) {
			c := newCloud(t, 1)
			for i := range records {
				if _, _, err := c.kinesis.Put("clicks", "k", subscription(t, i*each, each)); err != nil {
					t.Fatal(err)
				}
			}
			store, creds := new(lease.Memory), s3test.AnyCredentials()
			run := func(die int) error {
				lake := s3.Bucket(s3.Config{Bucket: "lake", Region: "us-east-1", Endpoint: "https://s3.example.com", Credentials: creds, HTTPClient: c.s3.Client()})
				p := pipeline.New(pipeline.Config{Leases: store, CommitRecords: 1, CommitEvery: time.Second})
				src := kinesis.Source(kinesis.Config{Stream: "clicks", Region: "us-east-1", Endpoint: c.kinesis.URL(), AllowHTTP: true, Credentials: creds,
					HTTPClient: c.kinesis.Client(), Limit: 1}, cloudwatch.Logs, cloudwatch.Batch.When)
				p.Read(src).Via(stage.FlatMap(cloudwatch.Batch.Entries)).Via(stage.Inspect(func(e cloudwatch.Entry) {
					if e.ID == fmt.Sprint(die) {
						panic("the process dies")
					}
				})).Write(lake.Folder("logs"), pipelinetest.JSON)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				return p.Run(ctx)
			}
			if err := run(dies); err == nil {
				t.Fatal("it did not die")
			}
			if err := run(-1); err != nil {
				t.Fatal(err)
			}
			seen := map[string]int{}
			for key, o := range c.s3.Objects("lake", "logs/") {
				rows, err := pipelinetest.Lines[cloudwatch.Entry](o.Body)
				if err != nil {
					t.Fatalf("%s: %v", key, err)
				}
				for i, r := range rows {
					seen[r.ID]++
					if want := fmt.Sprint(r.Index); fmt.Sprint(i%each) != want {
						t.Errorf("%s: row %d is event %s of its record", key, i, want)
					}
				}
			}
			for n := range records * each {
				if seen[fmt.Sprint(n)] != 1 {
					t.Errorf("death at event %d: event %d is in the lake %d times", dies, n, seen[fmt.Sprint(n)])
				}
			}
			if len(seen) != records*each {
				t.Errorf("%d events are in the lake", len(seen))
			}
		})
	}
}
