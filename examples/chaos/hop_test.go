//go:build unix

package main

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

// served is a stream of a server that runs as long as the test.
func served(t *testing.T, name string, shards int) (*kinesistest.Server, *stream) {
	t.Helper()
	srv, err := kinesistest.Listen(kinesistest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	s := newStream(srv.URL(), name)
	if err := s.create(t.Context(), shards); err != nil {
		t.Fatal(err)
	}
	return srv, s
}

// What two groups have between them is read to its end, with what was sent again.
func TestFramesThatWereSentAgain(t *testing.T) {
	srv, s := served(t, "by-user", 2)
	if _, err := s.read(t.Context()); err == nil {
		t.Error("a stream to which nothing was sent is no failure")
	}
	for _, put := range [][2]string{{"a", "1"}, {"b", "2"}, {"a", "1"}, {"a", "3"}, {"b", "2"}, {"b", "2"}} {
		if _, _, err := srv.Put("by-user", put[0], []byte(put[1])); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.split(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if _, _, err := srv.Put("by-user", "a", []byte("4")); err != nil {
		t.Fatal(err)
	}
	f, err := s.read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if f.all != 7 || f.repeats != 3 {
		t.Errorf("%d frames, %d of them again; want 7 and 3", f.all, f.repeats)
	}
	all, err := srv.Shards("by-user")
	if err != nil {
		t.Fatal(err)
	}
	for _, sh := range all {
		recs, err := srv.Records("by-user", sh.ID)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(recs); n > 0 && f.last[sh.ID] != recs[n-1].SequenceNumber {
			t.Errorf("last of %s: %q, want %s", sh.ID, f.last[sh.ID], recs[n-1].SequenceNumber)
		}
	}
}

// Each shard that takes records gets one that closes all windows before it.
func TestClosingReachesEveryOpenShard(t *testing.T) {
	_, s := served(t, "clicks", 3)
	if _, err := s.split(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	p, err := newProducer(s, 1, filepath.Join(t.TempDir(), "put.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.closing(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.file.Close(); err != nil {
		t.Fatal(err)
	}
	open, err := s.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	put, last := p.state()
	if put.acked != 4 || len(open) != 4 {
		t.Errorf("%d records in %d open shards, want 4 in 4", put.acked, len(open))
	}
	for _, sh := range open {
		if last[*sh.ShardId] == "" {
			t.Errorf("%s got none", *sh.ShardId)
		}
	}
}

func TestARepeatedRecordIsStampedAnew(t *testing.T) {
	r := record{n: 7, key: "a-01", user: "u-02", kind: "row", at: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	const want = `{"n":7,"key":"a-01","user":"u-02","at":"2026-01-02T03:04:05Z"}`
	if got := string(r.payload()); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	r.at = r.at.Add(time.Minute)
	if got := string(r.payload()); got == want {
		t.Error("the second try has the time of the first")
	}
}

// Of two groups only the first cannot do without Kinesis, and names the stream of the
// second.
func TestTwoGroupsAreJoined(t *testing.T) {
	groups, judged := hop(options{workers: 2}, "run")
	send, receive := groups[0], groups[1]
	if send.to != receive.stream || send.table == receive.table {
		t.Errorf("%+v sends to %+v", send, receive)
	}
	if !slices.Contains(send.needs, toKinesis) || slices.Contains(receive.needs, toKinesis) {
		t.Errorf("needs are %v and %v", send.needs, receive.needs)
	}
	if got := send.join("http://k", "127.0.0.1:1"); !slices.Equal(got, []string{"-to", receive.stream, "-to-kinesis", "http://k", "-to-via", "127.0.0.1:1"}) {
		t.Errorf("flags %v", got)
	}
	if got := receive.join("http://k", "127.0.0.1:1"); !slices.Equal(got, []string{"-frames", "-span", "3s"}) {
		t.Errorf("flags %v", got)
	}
	for i, want := range map[int]string{1: send.table, 3: receive.table} {
		if judged[i] != want {
			t.Errorf("the oracle is told %v", judged)
		}
	}
	f := fleet{groups: groups, kinesis: "127.0.0.1:1", dynamo: "127.0.0.1:1"}
	if err := f.open("127.0.0.1:1"); err != nil {
		t.Fatal(err)
	}
	if len(f.slots) != 4 || len(f.of(send)) != 2 || f.of(receive)[0] != f.slots[2] {
		t.Errorf("%d places, %d and %d of the groups", len(f.slots), len(f.of(send)), len(f.of(receive)))
	}
	if err := f.close(); err != nil {
		t.Error(err)
	}
}
