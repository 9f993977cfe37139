package e2e_test

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardlake/shardlake/codec"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/pipeline/lease/dynamo"
	"github.com/shardlake/shardlake/pipeline/pipelinetest"
	out "github.com/shardlake/shardlake/sink/kinesis"
	"github.com/shardlake/shardlake/sink/s3"
	"github.com/shardlake/shardlake/sink/s3/s3test"
	"github.com/shardlake/shardlake/source/kinesis"
	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
	"github.com/shardlake/shardlake/stage"
	"github.com/shardlake/shardlake/stage/window"
)

// view is a row that goes through two groups of tasks.
type view struct {
	N    int       `json:"n"`
	User string    `json:"user"`
	At   time.Time `json:"at"`
}

func (v view) when() time.Time { return v.At }
func (v view) user() string    { return v.User }

func appendView(dst []byte, v view) ([]byte, error) {
	b, err := json.Marshal(v)
	return append(dst, b...), err
}

// tally is what the second group makes of views: of a user and three seconds, which
// is less than a task that is killed holds up its shards.
type tally struct {
	User   string
	From   int64 // second
	N, Sum int
}

const span = 3

var hops = flag.Uint64("hop.seeds", 1, "how many seeds TestHop runs")

// hopping is a pipeline of two groups of tasks, joined by a stream.
type hopping struct {
	*cloud
	sent []view
}

func (h *hopping) task(table string, build func(*pipeline.Pipeline, *task)) *task {
	t := &task{each: 5 * time.Millisecond}
	creds := s3test.AnyCredentials()
	cfg := pipeline.Config{CommitEvery: 4 * time.Second, EventTime: pipeline.EventTime{Idle: 5 * time.Second},
		Leases: dynamo.Table(dynamo.Config{Table: table, Region: "us-east-1", Credentials: creds, HTTPClient: mortal{t, h.dynamo.Client()}, Large: h.lake(t)})}
	t.pipe = pipeline.New(cfg)
	build(t.pipe, t)
	t.pipe.Dead().Write(h.lake(t).Folder(table+"-dead"), pipelinetest.JSON)
	var ctx context.Context
	ctx, t.stop = context.WithCancel(context.Background())
	t.wg.Go(func() { t.err = t.pipe.Run(ctx) })
	return t
}

func (h *hopping) lake(t *task) *s3.Store {
	return s3.Bucket(s3.Config{Bucket: "lake", Region: "us-east-1", Endpoint: "https://s3.example.com", Credentials: s3test.AnyCredentials(), HTTPClient: mortal{t, h.s3.Client()}})
}

func (h *hopping) sender() *task {
	return h.task("send", func(p *pipeline.Pipeline, t *task) {
		net := mortal{t, h.kinesis.Client()}
		src := kinesis.Source(kinesis.Config{Stream: "clicks", Region: "us-east-1", Endpoint: h.kinesis.URL(), AllowHTTP: true, Credentials: s3test.AnyCredentials(), HTTPClient: net}, codec.JSON[view], view.when)
		to := out.Config{Stream: "by-user", Region: "us-east-1", Endpoint: h.kinesis.URL(), AllowHTTP: true, Credentials: s3test.AnyCredentials(), HTTPClient: net}
		p.Read(src).Into(out.Regroup(out.RegroupConfig{Config: to, Buckets: 16}, view.user, appendView))
	})
}

func (h *hopping) receiver() *task {
	return h.task("receive", func(p *pipeline.Pipeline, t *task) {
		src := kinesis.Frames(kinesis.Config{Stream: "by-user", Region: "us-east-1", Endpoint: h.kinesis.URL(), AllowHTTP: true, Credentials: s3test.AnyCredentials(), HTTPClient: mortal{t, h.kinesis.Client()}})
		views := p.Read(src).Via(kinesis.Receive(codec.JSON[view]))
		views.Write(h.lake(t).Folder("views"), pipelinetest.JSON)
		views.Via(stage.Aggregate(window.Tumbling(span*time.Second).Grace(0), view.user,
			func(u string, s window.Span) tally { return tally{User: u, From: int64(s.Start) / 1e6} },
			func(m *tally, v view) { m.N++; m.Sum += v.N })).Write(h.lake(t).Folder("tallies"), pipelinetest.JSON)
	})
}

func (h *hopping) put(n int) {
	h.t.Helper()
	for range n {
		v := view{len(h.sent), fmt.Sprint("user-", len(h.sent)%23), time.Now()}
		b, err := json.Marshal(v)
		if err == nil {
			_, _, err = h.kinesis.Put("clicks", fmt.Sprint(v.N%10), b)
		}
		if err != nil {
			h.t.Fatal(err)
		}
		h.sent = append(h.sent, v)
	}
}

// reshard splits or merges shards of a stream, chosen by chance.
func (h *hopping) reshard(r *rand.Rand, stream string) {
	h.t.Helper()
	all, err := h.kinesis.Shards(stream)
	if err != nil {
		h.t.Fatal(err)
	}
	open := slices.DeleteFunc(all, func(s kinesistest.Shard) bool { return !s.Open })
	slices.SortFunc(open, func(a, b kinesistest.Shard) int {
		return cmp.Or(cmp.Compare(len(a.StartingHashKey), len(b.StartingHashKey)), cmp.Compare(a.StartingHashKey, b.StartingHashKey))
	})
	i := r.IntN(len(open))
	if len(open) < 3 || len(open) < 6 && r.IntN(2) == 0 {
		_, _, err = h.kinesis.Split(stream, open[i].ID)
	} else {
		i = min(i, len(open)-2)
		_, err = h.kinesis.Merge(stream, open[i].ID, open[i+1].ID)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// Two groups of tasks that are joined by a stream count each row once, although both are killed at any moment and both streams are resharded: the
// totals are those of a plain loop, no row is late, none comes twice.
func TestHop(t *testing.T) {
	for seed := range *hops {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &hopping{cloud: newCloud(t, 3)}
				if err := h.kinesis.CreateStream("by-user", 2); err != nil {
					t.Fatal(err)
				}
				r := rand.New(rand.NewPCG(seed, 7))
				groups := []func() *task{h.sender, h.receiver}
				tasks := [][]*task{{h.sender(), h.sender()}, {h.receiver(), h.receiver()}}
				// Answers are lost, so that frames are sent again: at once, and by others.
				var lost []*kinesistest.Injection
				for nth := 5; nth < 400; nth += 5 + r.IntN(9) {
					lost = append(lost, h.kinesis.Fault(kinesistest.Fault{Op: "PutRecords", Stream: "by-user", Nth: nth, Kind: kinesistest.LostAnswer}))
				}
				for range 25 {
					for range r.IntN(12) {
						h.put(r.IntN(6))
						time.Sleep(time.Duration(r.IntN(1500)) * time.Millisecond)
					}
					g := r.IntN(2)
					switch i := r.IntN(2); r.IntN(4) {
					case 0:
						tasks[g][i].kill()
						tasks[g][i] = groups[g]()
					case 1:
						tasks[g][i].end(t)
						time.Sleep(time.Duration(r.IntN(20)) * time.Second)
						tasks[g][i] = groups[g]()
					case 2:
						h.reshard(r, []string{"clicks", "by-user"}[g])
					}
				}
				time.Sleep(3 * time.Minute) // the windows close, since the streams are silent
				for _, g := range tasks {
					for _, task := range g {
						task.end(t)
					}
				}
				h.check()
				if lost[3].Hits() == 0 {
					t.Error("no answer was lost")
				}
			})
		})
	}
}

// check compares the lake with a plain loop over what was put.
func (h *hopping) check() {
	h.t.Helper()
	want, rows := map[tally]int{}, map[int]int{}
	type key struct {
		user string
		from int64
	}
	sums := map[key]tally{}
	for _, v := range h.sent {
		rows[v.N]++
		k := key{v.User, v.At.Unix() / span * span}
		m := sums[k]
		sums[k] = tally{v.User, k.from, m.N + 1, m.Sum + v.N}
	}
	for _, m := range sums {
		want[m]++
	}
	got, seen := map[tally]int{}, map[int]int{}
	for key, o := range h.s3.Objects("lake", "") {
		switch {
		case len(key) > 8 && key[:8] == "tallies/":
			all, err := pipelinetest.Lines[tally](o.Body)
			if err != nil {
				h.t.Fatal(err)
			}
			for _, m := range all {
				got[m]++
			}
		case len(key) > 6 && key[:6] == "views/":
			all, err := pipelinetest.Lines[view](o.Body)
			if err != nil {
				h.t.Fatal(err)
			}
			for _, v := range all {
				seen[v.N]++
			}
		case key[:min(len(key), 11)] != "_shardlake/":
			h.t.Errorf("%s: %s", key, o.Body)
		}
	}
	if !maps.Equal(seen, rows) {
		h.t.Errorf("%d rows of %d came through the hop", len(seen), len(rows))
	}
	for m, n := range got {
		if want[m] != n {
			h.t.Errorf("%d times %+v, want %d", n, m, want[m])
		}
	}
	for m, n := range want {
		if got[m] != n {
			h.t.Errorf("%d times %+v, want %d", got[m], m, n)
		}
	}
}
