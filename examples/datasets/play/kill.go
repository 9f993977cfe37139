package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/shardlake/shardlake/examples/datasets"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/source/kinesis"
)

// deaths starts the pipeline as a process of its own and kills it at a moment that
// nobody chose, kills times. What it leaves is for the lives that follow.
func (o options) deaths(ctx context.Context, endpoint string, m *manifest) error {
	share := (m.Records + len(m.Malformed)) / len(m.Last) / (o.kills + 1)
	for i := range o.kills {
		if err := o.death(ctx, endpoint, m, min(10_000, max(10, share/(1+i%3))), 500*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// death is one of them. The process fetches so many records at once, and is killed
// within a time of its start.
func (o options) death(ctx context.Context, endpoint string, m *manifest, fetch int, within time.Duration) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, "-worker", strconv.Itoa(fetch), "-set", o.set, "-endpoint", endpoint, "-stream", m.Stream,
		"-lake", o.lake, "-leases", o.leases)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	err = sleep(ctx, 80*time.Millisecond+rand.N(within))
	// The process may have ended by itself, which Wait tells.
	if err := errors.Join(err, ignoreDone(cmd.Process.Kill())); err != nil {
		return err
	}
	err = cmd.Wait()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		return fmt.Errorf("worker %d ended by itself before it was killed: %w", m.Killed+1, err)
	}
	if ws, ok := exit.Sys().(syscall.WaitStatus); !ok || !ws.Signaled() || ws.Signal() != syscall.SIGKILL {
		return fmt.Errorf("worker %d failed before it was killed: %w", m.Killed+1, err)
	}
	m.Killed++
	return nil
}

func ignoreDone(err error) error {
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// work is the process that is killed: the pipeline with many small fetches and
// commits.
func (o options) work(ctx context.Context, s set, lake datasets.Lake) (err error) {
	leases, err := lease.OpenFile(o.leases)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, leases.Close()) }()
	p := pipeline.New(pipeline.Config{
		Application: application, Leases: leases, CommitEvery: 100 * time.Millisecond, CommitRecords: 1 + o.worker/2, Discover: 500 * time.Millisecond,
	})
	s.build(p, kinesis.Config{
		Stream: o.stream, Region: region, Endpoint: o.endpoint, Consumer: o.consumer, Poll: 200 * time.Millisecond, Limit: o.worker,
		Credentials: credentials.NewStaticCredentialsProvider("test", "testtest", ""),
	}, nil, lake)
	if err := p.Run(ctx); err != nil {
		return err
	}
	return errors.New("the worker was not killed")
}

// staged lists the bytes that unfinished uploads keep in a local lake: what killed
// workers left, the next owner of a shard sweeps. A death inside the making of an
// upload may leave its description without bytes for a day.
func staged(folder string) ([]string, error) {
	names, err := filepath.Glob(filepath.Join(folder, "_shardlake", "staging", "*.data"))
	if err != nil {
		return nil, fmt.Errorf("look for unfinished uploads: %w", err)
	}
	return names, nil
}
