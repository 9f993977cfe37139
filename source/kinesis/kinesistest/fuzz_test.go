package kinesistest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

// Whatever a request holds, the answer is JSON and the server lives on.
func FuzzServeHTTP(f *testing.F) {
	for op, body := range map[string]string{
		"CreateStream":                  `{"StreamName":"t","ShardCount":2}`,
		"DecreaseStreamRetentionPeriod": `{"StreamName":"s","RetentionPeriodHours":-1}`,
		"GetRecords":                    `{"ShardIterator":"aQAA"}`,
		"GetShardIterator":              `{"StreamName":"s","ShardId":"shardId-000000000000","ShardIteratorType":"AT_TIMESTAMP","Timestamp":-1e300}`,
		"ListShards":                    `{"StreamName":"s","ShardFilter":{"Type":"AT_TIMESTAMP","Timestamp":1e300},"MaxResults":1}`,
		"ListStreams":                   `null`,
		"MergeShards":                   `{"StreamName":"s","ShardToMerge":"shardId-000000000000","AdjacentShardToMerge":"shardId-000000000001"}`,
		"PutRecord":                     `{"StreamName":"s","Data":"eA==","PartitionKey":"k","ExplicitHashKey":"5"}`,
		"PutRecords":                    `{"StreamName":"s","Records":[{"Data":"eA==","PartitionKey":"\ud800"},null]}`,
		"SplitShard":                    `{"StreamName":"s","ShardToSplit":"shardId-000000000000","NewStartingHashKey":"7"}`,
		"RegisterStreamConsumer":        `{"StreamARN":"arn:aws:kinesis:us-east-1:000000000000:stream/s","ConsumerName":"c","Tags":null}`,
		"ListStreamConsumers":           `{"StreamARN":"arn:aws:kinesis:us-east-1:000000000000:stream/s","NextToken":"YwAA"}`,
		"SubscribeToShard":              `{"ConsumerARN":"arn:aws:kinesis:us-east-1:000000000000:stream/s/consumer/c:1","ShardId":"shardId-000000000000","StartingPosition":{"Type":"LATEST"}}`,
		"EnableEnhancedMonitoring":      `{"StreamName":"s","ShardLevelMetrics":["ALL"]}`,
		"PutResourcePolicy":             `{"ResourceARN":"arn:aws:kinesis:us-east-1:000000000000:stream/s","Policy":"{}"}`,
		"UpdateStreamMode":              `{"StreamARN":"arn:aws:kinesis:us-east-1:000000000000:stream/s","StreamModeDetails":{"StreamMode":"ON_DEMAND"}}`,
		"UpdateShardCount":              `{"StreamName":"s","TargetShardCount":4,"ScalingType":"UNIFORM_SCALING"}`,
	} {
		f.Add(op, body)
	}
	f.Fuzz(func(t *testing.T, op, body string) {
		srv := kinesistest.New(kinesistest.Config{Now: newClock().Now, MaxBytes: 1 << 20})
		if err := srv.CreateStream("s", 2); err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("X-Amz-Target", "Kinesis_20131202."+op)
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, r)
		if w.Code != 200 && w.Code != 400 && w.Code != 413 || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if _, _, err := srv.Put("s", "k", nil); err != nil && op != "DeleteStream" && op != "PutRecord" && op != "PutRecords" {
			t.Errorf("afterwards: %v", err)
		}
	})
}
