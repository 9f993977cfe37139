package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardlake/shardlake/sink/kinesis"
	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

// service is a Kinesis in this process, in the time of a bubble.
func service(t *testing.T, shards int) *kinesistest.Server {
	t.Helper()
	srv := kinesistest.New(kinesistest.Config{})
	if err := srv.CreateStream("clicks", shards); err != nil {
		t.Fatal(err)
	}
	return srv
}

// keys are what the SDK asks for before each request.
func keys(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
}

func putInto(srv *kinesistest.Server) putOptions {
	return putOptions{every: time.Hour, Config: kinesis.Config{Stream: "clicks", Region: "us-east-1", Endpoint: srv.URL(), AllowHTTP: true, HTTPClient: srv.Client()}}
}

// held are the records of the stream, by shard.
func held(t *testing.T, srv *kinesistest.Server) (all []string) {
	t.Helper()
	shards, err := srv.Shards("clicks")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range shards {
		records, err := srv.Records("clicks", s.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			all = append(all, r.PartitionKey+" "+string(r.Data))
		}
	}
	return all
}

func TestPutTellsBadLines(t *testing.T) {
	keys(t)
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, 1)
		o := putInto(srv)
		o.key, o.MaxRecord = "user", 1000
		in := strings.Join([]string{
			`{"user":"ann","n":1}`, ``, ` {"user":7} `, `{"user":`, `{"n":1}`, `{"user":null}`, `[1]`, "{\"user\":true}\r", `{"user":""}`,
			`{"user":"ann","n":"` + strings.Repeat("x", 1000) + `"}`, `{"user":"é\u0041"}`,
		}, "\n")
		var log bytes.Buffer
		err := o.run(t.Context(), strings.NewReader(in), &log)
		if !errors.Is(err, errLeftOut) || exitCode(err) != 3 || !strings.Contains(err.Error(), "6 of 11") {
			t.Error(err)
		}
		for _, want := range []string{"line 4 is left out", "line 5 is left out: it has no field \"user\"", "line 6 is left out", "line 7 is left out", "line 9 is left out", "line 10 is left out"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("%q is not in\n%s", want, &log)
			}
		}
		want := []string{`7 {"user":7}`, `ann {"user":"ann","n":1}`, `true {"user":true}`, `éA {"user":"é\u0041"}`}
		if got := slices.Sorted(slices.Values(held(t, srv))); !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
	})
}

// Lines that are longer than anything that a stream takes are not read into memory.
func TestPutLongLines(t *testing.T) {
	keys(t)
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, 1)
		o := putInto(srv)
		o.MaxRecord = 10 << 20
		var log bytes.Buffer
		err := o.run(t.Context(), io.MultiReader(io.LimitReader(zeros{}, 40<<20), strings.NewReader("\n1")), &log)
		if !errors.Is(err, errLeftOut) || !strings.Contains(log.String(), "line 1 is left out: it is longer than") {
			t.Error(err, &log)
		}
		if got := held(t, srv); !slices.Equal(got, []string{"2 1"}) {
			t.Errorf("%.100q", got)
		}
	})
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// Lines of one key keep their order, although the stream refuses some.
func TestPutKeepsTheOrderOfKeys(t *testing.T) {
	keys(t)
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, 4)
		srv.Fault(kinesistest.Fault{Op: "PutRecords", Shard: "shardId-000000000001", Nth: 2, Times: 3})
		var in bytes.Buffer
		for i := range 1000 {
			fmt.Fprintf(&in, "{\"user\":%d,\"n\":%05d}\n", i%20, 10000+i)
		}
		o := putInto(srv)
		o.key = "user"
		var log bytes.Buffer
		if err := o.run(t.Context(), &in, &log); err != nil {
			t.Fatal(err, &log)
		}
		last := map[string]string{}
		all := held(t, srv)
		for _, r := range all {
			key, data, _ := strings.Cut(r, " ")
			if data <= last[key] {
				t.Fatalf("%s follows %s", data, last[key])
			}
			last[key] = data
		}
		if len(all) != 1000 || !strings.Contains(log.String(), "at the stream's limit") {
			t.Errorf("%d records; %s", len(all), &log)
		}
	})
}

func TestPutRate(t *testing.T) {
	keys(t)
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, 1)
		o := putInto(srv)
		o.rate, o.every = 10, 2*time.Second
		var log bytes.Buffer
		began := time.Now()
		if err := o.run(t.Context(), strings.NewReader(strings.Repeat("1\n", 101)), &log); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d < 9900*time.Millisecond || d > 10500*time.Millisecond {
			t.Errorf("101 lines at 10 a second took %v", d)
		}
		if n := strings.Count(log.String(), "lines read"); n < 4 || n > 7 {
			t.Errorf("told %d times:\n%s", n, &log)
		}
	})
}

// An interrupt in the middle says how far everything is there, and it is true.
func TestPutInterrupted(t *testing.T) {
	keys(t)
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, 2)
		r, w := io.Pipe()
		defer func() {
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		}()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		var log bytes.Buffer
		go func() { ended <- putInto(srv).run(ctx, r, &log) }()
		if _, err := io.WriteString(w, "1\n2\n3\n"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		cancel()
		if err := <-ended; err == nil || !strings.Contains(err.Error(), "up to line 3") || exitCode(err) != 1 || len(held(t, srv)) != 3 {
			t.Error(err, held(t, srv))
		}
	})
}

func TestPutThatCannotGoOn(t *testing.T) {
	keys(t)
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, 1)
		o := putInto(srv)
		o.Stream = "click"
		var log bytes.Buffer
		if err := o.run(t.Context(), strings.NewReader("1\n"), &log); err == nil || !strings.Contains(err.Error(), "look at the name") || !strings.Contains(err.Error(), "up to line 0") {
			t.Error(err)
		}
		torn := io.MultiReader(strings.NewReader("1\n2"), broken{})
		if err := putInto(srv).run(t.Context(), torn, &log); err == nil || !strings.Contains(err.Error(), "line 2: the disk is gone") {
			t.Error(err)
		}
	})
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the disk is gone") }
