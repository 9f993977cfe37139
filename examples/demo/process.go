package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

// worker is the child process as its parent sees it.
type worker struct {
	endpoint, lake  string
	out             *produced
	started, killed int

	cmd    *exec.Cmd
	input  io.Closer
	reader chan struct{} // closed when its output has ended

	mu     sync.Mutex
	status pipeline.Status

	// Of the rate shown: records read at a moment, and per second up to it.
	began time.Time
	mark  int64
	rate  float64
}

func (w *worker) start() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	w.cmd = exec.CommandContext(context.Background(), self)
	w.cmd.Env = append(os.Environ(), envEndpoint+"="+w.endpoint, envLake+"="+w.lake)
	w.cmd.Stderr = os.Stderr
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if w.input, err = w.cmd.StdinPipe(); err != nil {
		return err
	}
	if err := w.cmd.Start(); err != nil {
		return err
	}
	w.started++
	w.mu.Lock()
	w.status = pipeline.Status{} // of the one before
	w.began, w.mark, w.rate = time.Now(), 0, 0
	w.mu.Unlock()
	w.reader = make(chan struct{})
	go w.read(out)
	return nil
}

// read keeps the worker's last word.
func (w *worker) read(out io.Reader) {
	defer close(w.reader)
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var s pipeline.Status
		if json.Unmarshal(lines.Bytes(), &s) != nil {
			continue // a line that the kill cut short
		}
		w.mu.Lock()
		w.status = s
		w.mu.Unlock()
	}
}

// end sends a signal and waits. A worker that is told to stop must exit with 0.
func (w *worker) end(sig syscall.Signal) error {
	if w.cmd == nil {
		return nil
	}
	cmd := w.cmd
	w.cmd = nil
	if err := cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-w.reader
	err := errors.Join(cmd.Wait(), ignoreClosed(w.input.Close()))
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && sig == syscall.SIGKILL {
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() && ws.Signal() == sig {
			w.killed++
			return nil
		}
	}
	return err
}

func ignoreClosed(err error) error {
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

// watch shows progress for a while.
func (w *worker) watch(ctx context.Context, d time.Duration) error {
	end := time.NewTimer(d)
	defer end.Stop()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.reader:
			return errors.New("the worker ended by itself")
		case <-end.C:
			return nil
		case <-tick.C:
			w.show()
		}
	}
}

func (w *worker) show() {
	w.mu.Lock()
	s := w.status
	w.mu.Unlock()
	var records, files, dead int64
	var lag time.Duration
	for _, l := range s.Lanes {
		records, files, dead, lag = records+l.Records, files+l.Files, dead+l.Dead, max(lag, l.Behind)
	}
	if d := time.Since(w.began); d >= time.Second {
		w.rate = float64(records-w.mark) / d.Seconds()
		w.began, w.mark = time.Now(), records
	}
	fmt.Printf("\r%-78s", fmt.Sprintf("put %6d | worker %d read %6d (%.0f/s), lag %v, files %d, dead letters %d",
		w.out.total.Load(), w.started, records, w.rate, lag.Round(100*time.Millisecond), files, dead))
}

// caughtUp waits until the last record of each shard is committed.
func (w *worker) caughtUp(ctx context.Context, srv *kinesistest.Server) error {
	last := map[string]string{}
	all, err := srv.Shards(streamName)
	if err != nil {
		return err
	}
	for _, s := range all {
		recs, err := srv.Records(streamName, s.ID)
		if err != nil {
			return err
		}
		if n := len(recs); n > 0 {
			last[s.ID] = recs[n-1].SequenceNumber
		}
	}
	for begin := time.Now(); ; {
		if err := w.watch(ctx, 500*time.Millisecond); err != nil {
			return err
		}
		w.mu.Lock()
		done := 0
		for _, l := range w.status.Lanes {
			if last[l.Lane] == l.Committed.Seq {
				done++
			}
		}
		w.mu.Unlock()
		if done == len(last) {
			return nil
		}
		if time.Since(begin) > time.Minute {
			return errors.New("the worker has not caught up within a minute")
		}
	}
}
