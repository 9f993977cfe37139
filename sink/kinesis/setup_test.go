package kinesis_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/internal/kpl"
	"github.com/shardlake/shardlake/sink/kinesis"
	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

func config(srv *kinesistest.Server) kinesis.Config {
	return kinesis.Config{Stream: "out", Region: "us-east-1", Endpoint: srv.URL(), HTTPClient: srv.Client(), AllowHTTP: true,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")}
}

func service(t *testing.T, cfg kinesistest.Config, shards int) *kinesistest.Server {
	t.Helper()
	srv := kinesistest.New(cfg)
	if err := srv.CreateStream("out", shards); err != nil {
		t.Fatal(err)
	}
	return srv
}

func producer(t *testing.T, cfg kinesis.Config) *kinesis.Producer {
	t.Helper()
	p, err := kinesis.NewProducer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// user is a record as a reader of the stream gets it.
type user struct {
	shard, key, data string
	packed           int  // how many came in the same record
	fits             bool // it belongs to the shard by its key
	whole            bool // so do all that came with it
}

// stream reads all records, parents first, aggregates taken apart.
func stream(t *testing.T, srv *kinesistest.Server) (all []user) {
	t.Helper()
	shards, err := srv.Shards("out")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range shards {
		from, err := shardlake.ParseHash(s.StartingHashKey)
		to, err2 := shardlake.ParseHash(s.EndingHashKey)
		records, err3 := srv.Records("out", s.ID)
		if err := errors.Join(err, err2, err3); err != nil {
			t.Fatal(err)
		}
		fits := func(key string) bool {
			return shardlake.HashRange{From: from, To: to}.Contains(shardlake.HashOf(key))
		}
		for _, r := range records {
			a, v := kpl.Parse(r.Data)
			if v != kpl.Whole {
				all = append(all, user{s.ID, r.PartitionKey, string(r.Data), 1, fits(r.PartitionKey), fits(r.PartitionKey)})
				continue
			}
			n, whole := a.Left(), true
			first := len(all)
			for u, ok := a.Next(); ok; u, ok = a.Next() {
				whole = whole && fits(u.Key)
				all = append(all, user{s.ID, u.Key, string(u.Data), n, fits(u.Key), true})
			}
			for i := range all[first:] {
				all[first+i].whole = whole
			}
		}
	}
	return all
}

// inOrder wants 0 to n-1 of each key. A repeat may come again where it is followed
// by all that was before it.
func inOrder(t *testing.T, all []user, keys, n int, repeats bool) {
	t.Helper()
	next := map[string]int{}
	for _, u := range all {
		i, err := strconv.Atoi(strings.TrimLeft(u.data, "x"))
		if err != nil {
			t.Fatal(err)
		}
		if i > next[u.key] || i < next[u.key] && !repeats {
			t.Fatalf("%s has %d where %d is due", u.key, i, next[u.key])
		}
		next[u.key] = i + 1
	}
	for k := range keys {
		if key := fmt.Sprint("key-", k); next[key] != n {
			t.Errorf("%s ends with %d of %d", key, next[key], n)
		}
	}
}

func put(t *testing.T, p *kinesis.Producer, keys, from, n int) {
	t.Helper()
	for i := from; i < from+n; i++ {
		for k := range keys {
			if err := p.Put(t.Context(), fmt.Sprint("key-", k), []byte(strconv.Itoa(i))); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func flush(t *testing.T, p *kinesis.Producer) {
	t.Helper()
	if err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

var modes = map[string]func(*kinesis.Config){
	"plain":      func(*kinesis.Config) {},
	"aggregated": func(c *kinesis.Config) { c.Aggregate = true },
}
