//go:build judge

package conform_test

import (
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
	"github.com/shardlake/shardlake/source/kinesis/kinesistest/conform"
)

// TestJudgeItself runs the suite against kinesistest over a socket, in real time, with
// one server and one client for all cases.
func TestJudgeItself(t *testing.T) {
	srv, err := kinesistest.Listen(kinesistest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	client := clientOf(srv.URL(), ownBody{&http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}})
	conform.Run(t, conform.Service{New: func(*testing.T) *kinesis.Client { return client }})
}

// TestJudge runs the suite against a server that somebody else wrote, at the URL in
// SHARDLAKE_KINESIS_ENDPOINT. SHARDLAKE_KINESIS_SERVER says which one it is, for its
// gaps: kinesislocal or ferrokinesis.
func TestJudge(t *testing.T) {
	endpoint, server := os.Getenv("SHARDLAKE_KINESIS_ENDPOINT"), os.Getenv("SHARDLAKE_KINESIS_SERVER")
	if endpoint == "" {
		t.Fatal("SHARDLAKE_KINESIS_ENDPOINT is not set")
	}
	known := map[string]func() []conform.Gap{"kinesislocal": conform.LocalGaps, "ferrokinesis": conform.FerroGaps}
	gaps := known[server]
	if gaps == nil {
		t.Fatalf("SHARDLAKE_KINESIS_SERVER is %q, want kinesislocal or ferrokinesis", server)
	}
	client := clientOf(endpoint, ownBody{&http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}})
	conform.Run(t, conform.Service{New: func(*testing.T) *kinesis.Client { return client }, Gaps: gaps(), Timeout: 60 * time.Second})
}
