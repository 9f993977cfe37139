package e2e_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/pipeline/lease/dynamo"
	"github.com/shardlake/shardlake/pipeline/lease/dynamo/dynamotest"
	"github.com/shardlake/shardlake/sink/s3/s3test"
)

// A fleet goes on where a stopped fleet of Amazon's KCL stood, each shard behind
// its checkpoint, and leaves a table that the KCL can take over in turn: its own
// attributes as they should be, no owner, nothing pending.
func TestFromTheKCLAndBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t, 2)
		c.produce(100)
		const table, first, second = "clicks", "shardId-000000000000", "shardId-000000000001"
		read, err := c.kinesis.Records("clicks", first)
		if err != nil || len(read) < 10 {
			t.Fatal(len(read), err)
		}
		if err := c.dynamo.MakeTable(table, "leaseKey"); err != nil {
			t.Fatal(err)
		}
		for lane, checkpoint := range map[string]string{first: read[9].SequenceNumber, second: "TRIM_HORIZON"} {
			// As KCL 3.5 leaves it: the owner stays in the row after a stop.
			if err := c.dynamo.Put(table, dynamotest.Item{
				"leaseKey": dynamotest.S(lane), "leaseOwner": dynamotest.S("kcl-worker"), "leaseCounter": dynamotest.N("4711"),
				"ownerSwitchesSinceCheckpoint": dynamotest.N("1"), "checkpoint": dynamotest.S(checkpoint), "checkpointSubSequenceNumber": dynamotest.N("0"),
				"throughputKBps": dynamotest.N("1.39E-4"), "entityType": dynamotest.S("LEASE"), "ours": dynamotest.S("kept"),
			}); err != nil {
				t.Fatal(err)
			}
		}
		a := c.start(nil)
		time.Sleep(time.Minute)
		c.produce(20)
		time.Sleep(time.Minute)
		a.end(t)
		if got := c.stored(); len(got) != 120-10 {
			t.Errorf("%d records are in the lake, want the 110 that the KCL had not read", len(got))
		}
		cfg := pipeline.Config{Leases: dynamo.Table(dynamo.Config{Table: table, Region: "us-east-1", Credentials: s3test.AnyCredentials(), HTTPClient: c.dynamo.Client()})}
		if err := pipeline.HandBack(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		for _, lane := range []string{first, second} {
			records, err := c.kinesis.Records("clicks", lane)
			if err != nil {
				t.Fatal(err)
			}
			item := c.dynamo.Item(table, lane)
			if got, want := item["checkpoint"].Text, records[len(records)-1].SequenceNumber; got != want {
				t.Errorf("%s: checkpoint %s, want that of the last record, %s", lane, got, want)
			}
			for name, want := range map[string]string{"checkpointSubSequenceNumber": "0", "ownerSwitchesSinceCheckpoint": "0", "entityType": "LEASE", "ours": "kept"} {
				if item[name].Text != want {
					t.Errorf("%s: %s is %q, want %q", lane, name, item[name].Text, want)
				}
			}
			if _, owned := item["leaseOwner"]; owned || item["leaseCounter"].Text == "4711" {
				t.Errorf("%s: owner %+v, counter %+v", lane, item["leaseOwner"], item["leaseCounter"])
			}
		}
	})
}
