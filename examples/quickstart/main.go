// Command quickstart is the program of the README.
package main

import (
	"context"
	"log"
	"os/signal"
	"syscall"
	"time"

	"github.com/shardlake/shardlake/codec"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/sink/dir"
	"github.com/shardlake/shardlake/sink/parquet"
	"github.com/shardlake/shardlake/source/kinesis"
	"github.com/shardlake/shardlake/stage"
)

// Click is a record of the stream.
type Click struct {
	Time time.Time `json:"time"`
	User string    `json:"user"`
	Page string    `json:"page"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	leases, err := lease.OpenFile("lake/_shardlake/leases")
	if err != nil {
		log.Fatal(err)
	}
	lake := dir.Lake("lake") // or s3.Bucket(s3.Config{Bucket: "lake"})
	p := pipeline.New(pipeline.Config{Leases: leases})
	clicks := p.Read(kinesis.Source(kinesis.Config{Stream: "clicks"}, codec.JSON, func(c Click) time.Time { return c.Time }))
	clicks.Via(stage.Filter(func(c Click) bool { return c.User != "" })).Write(lake.Folder("clicks"), parquet.Format)
	p.Dead().Write(lake.Folder("dead"), parquet.Format)
	if err := p.Run(ctx); err != nil {
		log.Fatal(err)
	}
}
