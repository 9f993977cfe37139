package kinesistest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"

	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

// clock is a clock that the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// newClient makes a real SDK client, without retries. Inside the process it opens
// no socket.
func newClient(srv *kinesistest.Server, inProcess bool) *kinesis.Client {
	o := kinesis.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(srv.URL()),
		Credentials:  credentials.NewStaticCredentialsProvider("test", "test", ""),
		Retryer:      aws.NopRetryer{},
	}
	o.HTTPClient = srv.Client()
	if !inProcess {
		o.HTTPClient = socketClient{&http.Client{Transport: &http.Transport{}}}
	}
	return kinesis.New(o)
}

// socketClient hides the WriteTo of request bodies; see Listen for why.
type socketClient struct{ *http.Client }

func (c socketClient) Do(r *http.Request) (*http.Response, error) {
	r = r.WithContext(r.Context()) // a copy
	if r.Body != nil {
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return c.Client.Do(r)
}

// world is a server and a client of it.
type world struct {
	*testing.T
	srv    *kinesistest.Server
	client *kinesis.Client
	clock  *clock
	ctx    context.Context
}

// each runs a test over a socket and in the process.
func each(t *testing.T, config kinesistest.Config, test func(w *world)) {
	t.Run("socket", func(t *testing.T) {
		c, k := config, newClock()
		c.Now = k.Now
		srv, err := kinesistest.Listen(c)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := srv.Close(); err != nil {
				t.Error(err)
			}
		}()
		test(&world{T: t, srv: srv, client: newClient(srv, false), clock: k, ctx: t.Context()})
	})
	t.Run("in-process", func(t *testing.T) {
		test(newWorld(t, config))
	})
}

// newWorld makes a server that is called in the process.
func newWorld(t *testing.T, config kinesistest.Config) *world {
	k := newClock()
	config.Now = k.Now
	srv := kinesistest.New(config)
	return &world{T: t, srv: srv, client: newClient(srv, true), clock: k, ctx: t.Context()}
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// fails asserts an error's code.
func (w *world) fails(err error, code string) {
	w.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code {
		w.Errorf("error %v, want %s", err, code)
	}
}

func (w *world) createStream(name string, shards int) {
	w.Helper()
	w.must(w.srv.CreateStream(name, shards))
}

func (w *world) put(stream, key, data string) (seq, shard string) {
	w.Helper()
	seq, shard, err := w.srv.Put(stream, key, []byte(data))
	w.must(err)
	return seq, shard
}

// iterator gets an iterator; seq is only for the types that need one.
func (w *world) iterator(stream, shard string, typ types.ShardIteratorType, seq string) string {
	w.Helper()
	in := &kinesis.GetShardIteratorInput{StreamName: &stream, ShardId: &shard, ShardIteratorType: typ}
	if seq != "" {
		in.StartingSequenceNumber = &seq
	}
	out, err := w.client.GetShardIterator(w.ctx, in)
	w.must(err)
	return *out.ShardIterator
}

func (w *world) get(iterator string) *kinesis.GetRecordsOutput {
	w.Helper()
	out, err := w.client.GetRecords(w.ctx, &kinesis.GetRecordsInput{ShardIterator: &iterator})
	w.must(err)
	return out
}

func (w *world) fetch(iterator string) error {
	_, err := w.client.GetRecords(w.ctx, &kinesis.GetRecordsInput{ShardIterator: &iterator})
	return err
}

// data lists the records' data.
func data(records []types.Record) []string {
	s := []string{}
	for _, r := range records {
		s = append(s, string(r.Data))
	}
	return s
}

func (w *world) equal(got, want any) {
	w.Helper()
	if g, s := fmt.Sprint(got), fmt.Sprint(want); g != s {
		w.Errorf("got %s, want %s", g, s)
	}
}

func shardID(n int) string { return fmt.Sprintf("shardId-%012d", n) }

func ids(shards []types.Shard) []string {
	s := []string{}
	for _, sh := range shards {
		s = append(s, *sh.ShardId)
	}
	return s
}

func drain(r io.ReadCloser) (n int64, err error) {
	n, err = io.Copy(io.Discard, r)
	return n, errors.Join(err, r.Close())
}
