//go:build judge

package conform_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
	"github.com/shardlake/shardlake/source/kinesis/kinesistest/conform"
)

// TestJudgeItself runs the suite against kinesistest over a socket, in real time.
func TestJudgeItself(t *testing.T) {
	srv, err := kinesistest.Listen(kinesistest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	}()
	conform.Run(t, conform.Service{Prefix: "c", New: func(*testing.T) *kinesis.Client { return client(srv.URL(), nil) }})
}

// TestJudge runs the suite against a server of somebody else, whose gaps are
// declared by its name.
func TestJudge(t *testing.T) {
	endpoint, server := os.Getenv("SHARDLAKE_KINESIS_ENDPOINT"), os.Getenv("SHARDLAKE_KINESIS_SERVER")
	gaps, known := conform.Gaps[server]
	if endpoint == "" || !known {
		t.Fatalf("SHARDLAKE_KINESIS_ENDPOINT is %q and SHARDLAKE_KINESIS_SERVER %q: set both", endpoint, server)
	}
	conform.Run(t, conform.Service{Prefix: fmt.Sprintf("conform-%x", time.Now().Unix()), Gaps: gaps,
		New: func(*testing.T) *kinesis.Client { return client(endpoint, nil) }})
}
