// Command demo shows the main job in under a minute, without an account, Docker
// or a network: an in-process Kinesis is fed with clicks; a worker, which is a
// process of its own, writes them to a lake of Parquet and Avro files; the worker
// is killed on purpose, several times, and started again; and at the end every
// record is counted in the files. It exits with an error if one is missing or
// there twice.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

const (
	streamName = "clicks"
	shards     = 4
)

// The worker is this same program with these two variables set.
const (
	envEndpoint = "SHARDLAKE_DEMO_ENDPOINT"
	envLake     = "SHARDLAKE_DEMO_LAKE"
)

type options struct {
	lake     string
	rate     int
	duration time.Duration
	kills    int
}

func main() {
	if endpoint := os.Getenv(envEndpoint); endpoint != "" {
		exit(work(endpoint, os.Getenv(envLake)))
	}
	var o options
	flag.StringVar(&o.lake, "lake", "lake", "folder under which this run makes its own lake")
	flag.IntVar(&o.rate, "rate", 4000, "records a second")
	flag.DurationVar(&o.duration, "for", 20*time.Second, "how long to feed the stream")
	flag.IntVar(&o.kills, "kills", 5, "how often to kill the worker")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exit(demo(ctx, o))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// demo runs feed and worker, and then compares.
func demo(ctx context.Context, o options) (err error) {
	lake, err := filepath.Abs(filepath.Join(o.lake, "demo-"+time.Now().Format("20060102-150405")))
	if err != nil {
		return err
	}
	srv, err := kinesistest.Listen(kinesistest.Config{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.Close()) }()
	if err := srv.CreateStream(streamName, shards); err != nil {
		return err
	}
	fmt.Printf("A Kinesis stream with %d shards at %s, a lake in %s.\n", shards, srv.URL(), show(lake))
	fmt.Printf("%d records a second for %v; the worker will be killed %d times.\n\n", o.rate, o.duration, o.kills)

	var out produced
	fed := make(chan error, 1)
	go func() { fed <- feed(ctx, srv, o.rate, o.duration, &out) }()
	w := worker{endpoint: srv.URL(), lake: lake, out: &out}
	if err := w.start(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.end(syscall.SIGTERM)) }()
	if err := torment(ctx, &w, o); err != nil {
		return interrupted(ctx, lake, err)
	}
	if err := <-fed; err != nil {
		return interrupted(ctx, lake, err)
	}
	if err := w.caughtUp(ctx, srv); err != nil {
		return interrupted(ctx, lake, err)
	}
	fmt.Printf("\r%-78s\n", "Everything is committed; the worker stops in good order.")
	if err := w.end(syscall.SIGTERM); err != nil {
		return fmt.Errorf("the worker did not stop in good order: %w", err)
	}
	return compare(lake, &out, w.killed)
}

// torment kills the worker at moments that nobody chose, and starts it again.
func torment(ctx context.Context, w *worker, o options) error {
	each := o.duration / time.Duration(o.kills+1)
	for range o.kills {
		if err := w.watch(ctx, each/2+rand.N(each)); err != nil {
			return err
		}
		if err := w.end(syscall.SIGKILL); err != nil {
			return err
		}
		fmt.Printf("\r%-78s\n", fmt.Sprintf("SIGKILL to worker %d, in the middle of whatever it was doing.", w.started))
		if err := w.start(); err != nil {
			return err
		}
	}
	return nil
}

// interrupted tells what Ctrl-C leaves behind.
func interrupted(ctx context.Context, lake string, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return fmt.Errorf("interrupted; the files in %s are whole, and hold what was committed until now", show(lake))
}

// show makes a path short where that works from elsewhere too: make runs the demo
// in its own folder.
func show(path string) string {
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, path); err == nil && filepath.IsLocal(rel) {
			return rel
		}
	}
	return path
}
