package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"time"

	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/sink/dir"
	"github.com/shardlake/shardlake/sink/parquet"
	"github.com/shardlake/shardlake/stage"
)

// job is what one process does.
type job struct {
	side, plan string
	folder     string // of the lake and the leases
	resume     bool   // read what follows the stop of a job before it in the same folder
	profile    string // file for a CPU profile, if any
}

// outcome is what it says.
type outcome struct {
	Commits []Commit
	Spots   []Spot
	Open    Cost
	First   Cost
	Rows    int64 // that came out
	Count   int64 // that they count
}

// run is one pipeline from a stream to a lake in a folder: the measured stage, and
// beside it one of a hundred records into Parquet files, so that each commit has one to
// publish.
func (j job) run(ctx context.Context) (out outcome, err error) {
	s, err := sideOf(j.side)
	if err != nil {
		return out, err
	}
	pl, err := planOf(j.plan, s.fresh)
	if err != nil {
		return out, err
	}
	file, err := lease.OpenFile(filepath.Join(j.folder, "leases"))
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	running, stop := context.WithCancel(ctx)
	defer stop()
	r := &recorder{plan: pl, wake: make(chan struct{}, 1), stop: stop}
	if pl.stops() {
		r.stopAt = pl.commits(false)
	}
	if j.resume {
		r.done, r.stopAt = r.stopAt, pl.commits(true)-r.stopAt
	}
	src := &stream{plan: pl, end: pl.ends(j.resume), stop: r.stopAt > 0, wake: r.wake, met: r.met}
	if j.resume {
		r.wake <- struct{}{} // the commit that it would wait for was made
	}
	sum := &counting{sealed: r.seal}
	p := pipeline.New(pipeline.Config{Leases: store{file, r}, CommitEvery: time.Hour, CommitRecords: pl.perCommit, Memory: 4 << 30})
	in := p.Read(src)
	in.Via(stage.Filter(func(e Event) bool { return e.Value == 0 })).Write(dir.Lake(filepath.Join(j.folder, "lake")).Folder("sample"), parquet.Format)
	in.Via(r.before()).Via(s.make(pl)).Via(r.behind()).Into(sum)
	end, err := profiled(j.profile)
	if err != nil {
		return out, err
	}
	r.began = r.now()
	err = errors.Join(p.Run(running), end(), r.err, ctx.Err())
	want := r.stopAt
	if want == 0 {
		want = pl.commits(true) + 1 // with the one that ends the stream
	}
	if err == nil && len(r.Commits) != want {
		err = fmt.Errorf("%d commits were made, of %d", len(r.Commits), want)
	}
	return outcome{r.Commits, r.Spots, r.Open, r.First, sum.rows, sum.count}, err
}

// profiled begins a CPU profile, unless there is no file for it, and returns what
// ends it.
func profiled(file string) (end func() error, err error) {
	if file == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error { pprof.StopCPUProfile(); return f.Close() }, nil
}

// check compares what came out with what must: in all processes of one stream, every
// record is counted once, and Dedup passes each key once.
func check(s side, p plan, rows, count int64) error {
	all := int64(p.ends(true))
	if p.stops() && !s.fresh {
		all = 0 // all rows are still kept
	}
	switch {
	case s.without == "" && rows != 0:
		return fmt.Errorf("%s, %v: %d rows came out of nothing", s.name, p, rows)
	case s.without == "":
		return nil
	case s.fresh && rows != int64(p.distinct()):
		return fmt.Errorf("%s, %v: %d rows came out, for %d keys", s.name, p, rows, p.distinct())
	case !s.fresh && count != all:
		return fmt.Errorf("%s, %v: the rows count %d records, of %d", s.name, p, count, all)
	}
	return nil
}
