package e2e_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardlake/shardlake/codec"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/pipeline/lease/dynamo"
	"github.com/shardlake/shardlake/pipeline/lease/dynamo/dynamotest"
	"github.com/shardlake/shardlake/pipeline/pipelinetest"
	"github.com/shardlake/shardlake/sink/s3"
	"github.com/shardlake/shardlake/sink/s3/s3test"
	"github.com/shardlake/shardlake/source/kinesis"
	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

// numbered is a record of the fleet tests.
type numbered struct {
	Key string `json:"key"`
	N   int    `json:"n"`
}

// cloud is everything that a fleet needs, as services that the real clients call.
type cloud struct {
	t       *testing.T
	kinesis *kinesistest.Server
	dynamo  *dynamotest.Server
	s3      *s3test.Server
	put     int
	each    time.Duration // that a request takes
}

func newCloud(t *testing.T, shards int) *cloud {
	c := &cloud{t: t, kinesis: kinesistest.New(kinesistest.Config{Now: time.Now}), dynamo: dynamotest.New(dynamotest.Config{}),
		s3: s3test.New(s3test.Config{Buckets: []string{"lake"}, Now: time.Now})}
	if err := c.kinesis.CreateStream("clicks", shards); err != nil {
		t.Fatal(err)
	}
	return c
}

// produce puts n more records, of ten keys in turn.
func (c *cloud) produce(n int) {
	c.t.Helper()
	for range n {
		r := numbered{fmt.Sprint("key-", c.put%10), c.put}
		b, err := json.Marshal(r)
		if err == nil {
			_, _, err = c.kinesis.Put("clicks", r.Key, b)
		}
		if err != nil {
			c.t.Fatal(err)
		}
		c.put++
	}
}

// scale splits every open shard, or merges each with its neighbour.
func (c *cloud) scale(to int) {
	c.t.Helper()
	all, err := c.kinesis.Shards("clicks")
	if err != nil {
		c.t.Fatal(err)
	}
	open := slices.DeleteFunc(all, func(s kinesistest.Shard) bool { return !s.Open })
	slices.SortFunc(open, func(a, b kinesistest.Shard) int {
		return cmp.Or(cmp.Compare(len(a.StartingHashKey), len(b.StartingHashKey)), cmp.Compare(a.StartingHashKey, b.StartingHashKey))
	})
	for i, s := range open {
		switch {
		case to > len(open):
			_, _, err = c.kinesis.Split("clicks", s.ID)
		case i%2 == 0:
			_, err = c.kinesis.Merge("clicks", s.ID, open[i+1].ID)
		}
		if err != nil {
			c.t.Fatal(err)
		}
	}
}

// stored counts how often each number is in the lake.
func (c *cloud) stored() map[int]int {
	c.t.Helper()
	got := map[int]int{}
	for key, o := range c.s3.Objects("lake", "clicks/") {
		rows, err := pipelinetest.Lines[numbered](o.Body)
		if err != nil {
			c.t.Fatalf("%s: %v", key, err)
		}
		for _, r := range rows {
			got[r.N]++
		}
	}
	for n, times := range got {
		if times > 1 {
			c.t.Errorf("record %d is in the lake %d times", n, times)
		}
	}
	return got
}

// task is one process of the fleet. killed, all that it sends is lost.
type task struct {
	pipe   *pipeline.Pipeline
	stop   context.CancelFunc
	killed atomic.Bool
	each   time.Duration // that a request takes
	wg     sync.WaitGroup
	err    error
}

// mortal is the network of a task that may be killed.
type mortal struct {
	task *task
	via  interface {
		Do(*http.Request) (*http.Response, error)
	}
}

func (m mortal) Do(r *http.Request) (*http.Response, error) {
	if m.task.killed.Load() {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	time.Sleep(m.task.each)
	return m.via.Do(r)
}

func (c *cloud) start(change func(*pipeline.Config)) *task {
	t := &task{each: c.each}
	creds := s3test.AnyCredentials()
	lake := s3.Bucket(s3.Config{Bucket: "lake", Region: "us-east-1", Endpoint: "https://s3.example.com", Credentials: creds, HTTPClient: mortal{t, c.s3.Client()}})
	cfg := pipeline.Config{CommitEvery: 10 * time.Second, Leases: dynamo.Table(dynamo.Config{
		Table: "clicks", Region: "us-east-1", Credentials: creds, HTTPClient: mortal{t, c.dynamo.Client()}, Large: lake})}
	if change != nil {
		change(&cfg)
	}
	t.pipe = pipeline.New(cfg)
	src := kinesis.Source(kinesis.Config{Stream: "clicks", Region: "us-east-1", Endpoint: c.kinesis.URL(), AllowHTTP: true, Credentials: creds,
		HTTPClient: mortal{t, c.kinesis.Client()}}, codec.JSON[numbered], nil)
	t.pipe.Read(src).Write(lake.Folder("clicks"), pipelinetest.JSON)
	t.pipe.Dead().Write(lake.Folder("dead"), pipelinetest.JSON)
	var ctx context.Context
	ctx, t.stop = context.WithCancel(context.Background())
	t.wg.Go(func() { t.err = t.pipe.Run(ctx) })
	return t
}

// end stops a task in good order.
func (t *task) end(tb testing.TB) {
	tb.Helper()
	t.stop()
	t.wg.Wait()
	if t.err != nil {
		tb.Error(t.err)
	}
}

func (t *task) kill() { t.killed.Store(true); t.stop(); t.wg.Wait() }

// lanes counts the lanes that a task runs.
func (t *task) lanes() (n int) {
	for _, l := range t.pipe.Status().Lanes {
		if l.State == "running" {
			n++
		}
	}
	return n
}

// A stream doubles its shards 4 -> 8 -> 16 and halves them again under load, on
// three tasks of which one is killed and one leaves (case D1): new shards are owned
// soon, and every record is in the lake once.
func TestFleetOnAStreamThatScales(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t, 4)
		tasks := []*task{c.start(nil), c.start(nil), c.start(nil)}
		load := func(d time.Duration) {
			for range int(d / time.Second) {
				c.produce(20)
				time.Sleep(time.Second)
			}
		}
		owned := func(want int) {
			t.Helper()
			n := 0
			for _, x := range tasks {
				if !x.killed.Load() {
					n += x.lanes()
				}
			}
			if n != want {
				t.Errorf("%d shards are being read, want %d", n, want)
			}
		}
		load(30 * time.Second)
		owned(4)
		for _, step := range []struct {
			shards int
			change func()
		}{{8, func() { tasks[0].kill() }}, {16, func() { tasks[1].end(t) }}, {8, func() {}}, {4, func() { tasks = append(tasks, c.start(nil)) }}} {
			c.scale(step.shards)
			step.change()
			load(60 * time.Second)
			owned(step.shards)
		}
		for _, x := range tasks {
			if !x.killed.Load() {
				x.end(t)
			}
		}
		if got := c.stored(); len(got) != c.put {
			t.Errorf("%d of %d records are in the lake", len(got), c.put)
		}
		if left := c.s3.Uploads("lake"); len(left) != 0 {
			t.Errorf("%d uploads are left over", len(left))
		}
	})
}

// What a shard costs in requests to DynamoDB, idle and busy.
func TestRequestsOfAFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const shards, minutes = 10, 6
		perHour := func(n float64) float64 { return n * 60 / minutes / shards }
		c := newCloud(t, shards)
		minute := func(p *pipeline.Config) { p.CommitEvery = time.Minute }
		a, b := c.start(minute), c.start(minute)
		time.Sleep(2 * time.Minute)
		for name, busy := range map[string]bool{"idle": false, "busy, a commit a minute": true} {
			c.dynamo.ResetUsage()
			for range minutes {
				if busy {
					c.produce(100)
				}
				time.Sleep(time.Minute)
			}
			line := name + ", per shard and hour:"
			for _, op := range []string{"UpdateItem", "Scan", "GetItem"} {
				u := c.dynamo.Usage(op)
				line += fmt.Sprintf(" %s %.0f (%.0f write units, %.0f read units)", op, perHour(float64(u.Calls)), perHour(u.Write), perHour(u.Read))
			}
			t.Log(line)
			// 1,090 heartbeats, and two writes a commit.
			if n := perHour(float64(c.dynamo.Usage("UpdateItem").Calls)); n < 1000 || n > 1400 {
				t.Errorf("%s: %.0f writes per shard and hour", name, n)
			}
		}
		a.end(t)
		b.end(t)
		if got := c.stored(); len(got) != c.put {
			t.Errorf("%d of %d records are in the lake", len(got), c.put)
		}
	})
}
