package main

import (
	"net/http/httptest"
	"testing"

	"github.com/shardlake/shardlake/benchmarks/intake/canned"
	"github.com/shardlake/shardlake/benchmarks/intake/round"
)

// The library reads all of a stream with checkpoints in memory.
func TestKCLReadsAll(t *testing.T) {
	srv := httptest.NewServer(new(canned.Server))
	defer srv.Close()
	t.Setenv("AWS_ENDPOINT_URL_KINESIS", srv.URL)
	t.Setenv("AWS_REGION", "us-east-1")
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	s := canned.Stream{Shards: 3, Answers: 2, Records: 70}
	for _, work := range []string{round.ToRecords, round.ToParquet} {
		r := round.Round{Side: "kcl", Work: work, Stream: s.String(), Folder: t.TempDir()}
		out, err := r.Run(t.Context(), kcl, "")
		if err != nil || out.Records != s.Total() {
			t.Errorf("%s: %d of %d records: %v", work, out.Records, s.Total(), err)
		}
	}
}
