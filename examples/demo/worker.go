package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/shardlake/shardlake/codec"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/sink/dir"
	"github.com/shardlake/shardlake/source/kinesis"
)

// work is the child process: the pipeline, as a task would run it. It tells its
// status on standard output, a line of JSON at a time.
func work(endpoint, lakeDir string) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The parent holds the other end of standard input: when it is gone, so are we.
	go func() {
		if _, err := io.Copy(io.Discard, os.Stdin); err == nil {
			stop()
		}
	}()

	leases, err := lease.OpenFile(filepath.Join(lakeDir, "_shardlake", "leases"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, leases.Close()) }()
	p := pipeline.New(pipeline.Config{Application: "demo", Leases: leases, CommitEvery: 1500 * time.Millisecond})
	build(p, kinesis.Source(kinesis.Config{
		Stream: streamName, Region: "us-east-1", Endpoint: endpoint, Poll: 200 * time.Millisecond,
		Credentials: credentials.NewStaticCredentialsProvider("demo", "demo", ""),
	}, codec.JSON, Click.when), dir.Lake(lakeDir))

	told := make(chan struct{})
	go func() {
		defer close(told)
		tell(ctx, p)
	}()
	err = p.Run(ctx)
	stop()
	<-told
	return err
}

// tell writes the status four times a second.
func tell(ctx context.Context, p *pipeline.Pipeline) {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	out := json.NewEncoder(os.Stdout)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := out.Encode(p.Status()); err != nil {
				return // the parent has gone
			}
		}
	}
}
