package e2e_test

import (
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/pipeline/lease/dynamo"
	"github.com/shardlake/shardlake/pipeline/lease/dynamo/dynamotest"
	"github.com/shardlake/shardlake/sink/s3/s3test"
)

// aggregated packs numbers into one record, as the KPL does.
func aggregated(from, n int) []byte {
	m := []byte("\x0a\x01k")
	for i := from; i < from+n; i++ {
		data := fmt.Appendf(nil, `{"key":"k","n":%d}`, i)
		r := append(binary.AppendUvarint([]byte{0x08, 0, 0x1a}, uint64(len(data))), data...)
		m = append(binary.AppendUvarint(append(m, 0x1a), uint64(len(r))), r...)
	}
	sum := md5.Sum(m)
	return append(append([]byte("\xF3\x89\x9A\xC2"), m...), sum[:]...)
}

// The KCL may stop inside of an aggregated record: the fleet goes on behind the
// user record of its checkpoint, and what it gives back says so too.
func TestFromInsideOfAnAggregate(t *testing.T) {
	for at := range 10 {
		synctest.Test(t, func(t *testing.T) {
			c := newCloud(t, 1)
			const table, shard = "clicks", "shardId-000000000000"
			var last string
			for from := 0; from < 30; from += 10 {
				var err error
				if last, _, err = c.kinesis.Put("clicks", "a", aggregated(from, 10)); err != nil {
					t.Fatal(err)
				}
			}
			records, err := c.kinesis.Records("clicks", shard)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.dynamo.MakeTable(table, "leaseKey"); err != nil {
				t.Fatal(err)
			}
			if err := c.dynamo.Put(table, dynamotest.Item{
				"leaseKey": dynamotest.S(shard), "leaseCounter": dynamotest.N("7"), "ownerSwitchesSinceCheckpoint": dynamotest.N("0"),
				"checkpoint": dynamotest.S(records[1].SequenceNumber), "checkpointSubSequenceNumber": dynamotest.N(fmt.Sprint(at)),
			}); err != nil {
				t.Fatal(err)
			}
			a := c.start(nil)
			time.Sleep(time.Minute)
			a.end(t)
			got := c.stored()
			for n := range 30 {
				if want := n > 10+at; (got[n] == 1) != want {
					t.Errorf("behind user record %d: number %d is in the lake: %v, want %v", at, n, got[n], want)
				}
			}
			creds := s3test.AnyCredentials()
			cfg := pipeline.Config{Leases: dynamo.Table(dynamo.Config{Table: table, Region: "us-east-1", Credentials: creds, HTTPClient: c.dynamo.Client()})}
			if err := pipeline.HandBack(t.Context(), cfg); err != nil {
				t.Fatal(err)
			}
			item := c.dynamo.Item(table, shard)
			end := shardlake.Position{Seq: item["checkpoint"].Text}
			if end.Seq != last || item["checkpointSubSequenceNumber"].Text != "9" {
				t.Errorf("given back at %v, user record %s; want %s, 9", end, item["checkpointSubSequenceNumber"].Text, last)
			}
		})
	}
}

// Commits that fall inside of large aggregates, and tasks that are killed at any
// time, lose and double nothing.
func TestKilledInsideOfAggregates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t, 1)
		c.each = 20 * time.Millisecond
		const each, n = 12_000, 3
		for i := range n {
			if _, _, err := c.kinesis.Put("clicks", "a", aggregated(i*each, each)); err != nil {
				t.Fatal(err)
			}
		}
		inside := 0
		for lived := 100 * time.Millisecond; ; lived += 170 * time.Millisecond {
			a := c.start(func(cfg *pipeline.Config) { cfg.CommitRecords, cfg.LeaseTime = 1, time.Second })
			time.Sleep(lived)
			a.kill()
			if item := c.dynamo.Item("clicks", "shardId-000000000000"); item["checkpointSubSequenceNumber"].Text != "" {
				if sub := item["checkpointSubSequenceNumber"].Text; sub != "0" && sub != fmt.Sprint(each-1) {
					inside++
				}
			}
			time.Sleep(3 * time.Second)
			if lived > 2*time.Second {
				break
			}
		}
		last := c.start(nil)
		time.Sleep(time.Minute)
		last.end(t)
		if got := c.stored(); len(got) != each*n {
			t.Errorf("%d of %d numbers are in the lake", len(got), each*n)
		}
		if inside == 0 {
			t.Error("no task died with a commit inside of an aggregate: this test shows nothing")
		}
	})
}
