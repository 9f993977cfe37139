package e2e_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/parquet"
	"github.com/shardlake/shardlake/sink/s3"
	"github.com/shardlake/shardlake/sink/s3/s3test"
	"github.com/shardlake/shardlake/source"
)

type reading struct {
	Sensor string
	N      int64
}

// readings are so many for each of so many sensors.
func readings(lane, sensors, each int) (out []reading) {
	for i := range each {
		for s := range sensors {
			out = append(out, reading{fmt.Sprintf("lane-%d/sensor-%03d", lane, s), int64(i)})
		}
	}
	return out
}

func bucket(srv *s3test.Server) *s3.Store {
	return s3.Bucket(s3.Config{Bucket: "lake", Region: "us-east-1", Endpoint: "https://s3.example.com", HTTPClient: srv.Client(),
		Credentials: s3test.AnyCredentials()})
}

// A hundred partitions in each of eight shards, all cut at the same moment, meet a
// bucket that takes twenty requests a second (case C7). It takes minutes, and the
// store says SlowDown all the while; every row arrives, once, and the run does
// not fail.
func TestBucketThatSlowsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const lanes, sensors, each = 8, 100, 3
		srv := s3test.New(s3test.Config{Buckets: []string{"lake"}, Rate: 20, Burst: 20, Now: time.Now})
		var in [][]reading
		for n := range lanes {
			in = append(in, readings(n, sensors, each))
		}
		store := new(lease.Memory)
		p := pipeline.New(pipeline.Config{Leases: store, CommitEvery: time.Hour})
		to := bucket(srv).Folder("readings").By(sink.Field("sensor"))
		to.MaxOpen = sensors
		p.Read(source.Lanes(in...)).Write(to, parquet.Format)
		began := time.Now()
		if err := p.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		took := time.Since(began)
		if n := len(srv.Objects("lake", "")); n != lanes*sensors {
			t.Errorf("%d files, want %d", n, lanes*sensors)
		}
		if slow := srv.ErrorCounts()["SlowDown"]; slow == 0 || took < time.Minute {
			t.Errorf("SlowDown %d times within %v: the bucket did not slow down", slow, took)
		}
		if n := len(srv.Uploads("lake")); n != 0 {
			t.Errorf("%d uploads are left over", n)
		}
		rows, err := store.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if !r.Finished() {
				t.Errorf("lane %s is not finished", r.Lane)
			}
		}
		t.Logf("%v of the bubble's time, %d requests refused", took, srv.ErrorCounts()["SlowDown"])
	})
}
