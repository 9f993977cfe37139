package main

import (
	"strings"
	"testing"
	"time"

	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/sink/s3"
	"github.com/shardlake/shardlake/sink/s3/s3test"
	"github.com/shardlake/shardlake/source"
)

// The pipeline of the service over rows of a test: a file of each format for each
// class of keys, and one of dead letters.
func TestBuild(t *testing.T) {
	srv := s3test.New(s3test.Config{Buckets: []string{"lake"}})
	lake := s3.Bucket(s3.Config{Bucket: "lake", Region: "us-east-1", Credentials: s3test.AnyCredentials(), HTTPClient: srv.Client()})
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	p := pipeline.New(pipeline.Config{})
	build(p, source.Values(Event{1, "a-1", "u", at}, Event{2, "b-2", "u", at}, Event{3, "", "u", at}, Event{4, "a-3", "u", at}).At(Event.when), lake)
	if err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for key := range srv.Objects("lake", "") {
		got[key[:strings.LastIndexByte(key, '/')]]++
	}
	want := []string{"events/part=a", "events/part=b", "events_avro/part=a", "events_avro/part=b", "dead"}
	for _, folder := range want {
		if got[folder] != 1 {
			t.Errorf("%d files in %s, want 1", got[folder], folder)
		}
	}
	if len(got) != len(want) {
		t.Errorf("files in %v, want them in %v", got, want)
	}
}
