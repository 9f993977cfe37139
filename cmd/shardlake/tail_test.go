package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardlake/shardlake/source/kinesis"
	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

func tailOf(srv *kinesistest.Server, from string) tailOptions {
	return tailOptions{from: from, Config: kinesis.Config{Stream: "clicks", Region: "us-east-1", Endpoint: srv.URL(), AllowHTTP: true, HTTPClient: srv.Client(), Log: slog.New(slog.DiscardHandler)}}
}

// shown is what a tail has printed.
type shown struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *shown) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *shown) lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Fields(s.text.String())
}

func TestTailFollowsReshards(t *testing.T) {
	keys(t)
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, 2)
		n := 0
		give := func() {
			for range 50 {
				if _, _, err := srv.Put("clicks", fmt.Sprint("key-", n%10), fmt.Appendf(nil, "key-%d:%05d", n%10, n)); err != nil {
					t.Fatal(err)
				}
				n++
			}
		}
		give()
		ctx, cancel := context.WithCancel(t.Context())
		var out shown
		ended := make(chan error)
		go func() { ended <- tailOf(srv, "oldest").run(ctx, &out) }()
		time.Sleep(5 * time.Second)
		give()
		if _, _, err := srv.Split("clicks", "shardId-000000000000"); err != nil {
			t.Fatal(err)
		}
		give()
		time.Sleep(5 * time.Second)
		if _, err := srv.Merge("clicks", "shardId-000000000003", "shardId-000000000001"); err != nil {
			t.Fatal(err)
		}
		give()
		time.Sleep(30 * time.Second)
		cancel()
		if err := <-ended; err != nil {
			t.Error("an interrupt is an error:", err)
		}
		last := map[string]string{}
		for _, l := range out.lines() {
			key, _, _ := strings.Cut(l, ":")
			if l <= last[key] {
				t.Errorf("%s follows %s", l, last[key])
			}
			last[key] = l
		}
		if len(out.lines()) != n {
			t.Errorf("%d of %d records", len(out.lines()), n)
		}
	})
}

func TestTailFrom(t *testing.T) {
	keys(t)
	for from, want := range map[string][]string{
		"oldest": {"a", "b", "c"}, "latest": {"c"}, "90m": {"b", "c"}, "2000-01-01T01:00:00Z": {"b", "c"},
	} {
		synctest.Test(t, func(t *testing.T) { // begins at midnight of 2000-01-01
			srv := service(t, 1)
			for _, data := range []string{"a", "b"} {
				if _, _, err := srv.Put("clicks", "k", []byte(data)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Hour + time.Second)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var out shown
			ended := make(chan error)
			go func() { ended <- tailOf(srv, from).run(ctx, &out) }()
			time.Sleep(10 * time.Second)
			if _, _, err := srv.Put("clicks", "k", []byte("c")); err != nil {
				t.Fatal(err)
			}
			if err := <-ended; err != nil || !slices.Equal(out.lines(), want) {
				t.Errorf("%s: %q, %v", from, out.lines(), err)
			}
		})
	}
}

func TestTailMeta(t *testing.T) {
	keys(t)
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, 1)
		p := putInto(srv)
		p.key, p.Aggregate = "user", true
		if err := p.run(t.Context(), strings.NewReader("{\"user\":\"a\"}\n{\"user\":\"b\"}\n"), new(bytes.Buffer)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := srv.Put("clicks", "k", []byte("\xff")); err != nil {
			t.Fatal(err)
		}
		o := tailOf(srv, "oldest")
		o.meta, o.n = true, 3
		var out shown
		if err := o.run(t.Context(), &out); err != nil {
			t.Fatal(err)
		}
		var all []record
		for _, l := range out.lines() {
			var r record
			if err := json.Unmarshal([]byte(l), &r); err != nil {
				t.Fatal(err)
			}
			all = append(all, r)
		}
		if len(all) != 3 || all[0].Key != "a" || *all[1].Data != `{"user":"b"}` || all[1].Sub != 1 || all[0].Sequence != all[1].Sequence ||
			all[0].Shard != "shardId-000000000000" || all[0].Arrival.Year() != 2000 || all[2].Data != nil || string(all[2].Base64) != "\xff" {
			t.Errorf("%s", strings.Join(out.lines(), "\n"))
		}
	})
}

func TestTailMistakes(t *testing.T) {
	for want, args := range map[string][]string{
		"-from":         {"-stream", "clicks", "-from", "yesterday"},
		"Stream":        {},
		"-n":            {"-stream", "clicks", "-n", "-1"},
		"is no flag":    {"clicks"},
		"flag provided": {"-what"},
	} {
		if _, err := call(t, append([]string{"tail"}, args...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}
