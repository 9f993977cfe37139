package pipelinetest

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/sink"
)

// process is one start of a worker: a pipeline of its own, until Run returns. The
// driver's goroutine owns it, but for what bus.mu guards.
type process struct {
	*group
	id     int // counts starts
	name   string
	sizes  Sizes
	cancel context.CancelFunc
	pipe   *pipeline.Pipeline

	paused  time.Time // its calls wait until then
	stopped bool      // it was told to
	history uint64    // of the answers it got

	// Guarded by bus.mu:
	dead bool
	done bool // Run has returned
	err  error
}

// start begins a process.
func (g *group) start(slot int) *process {
	p := &process{group: g, id: len(g.procs), sizes: g.policy.sizes()}
	p.name = fmt.Sprintf("%s%d.%d", g.prefix, slot, p.id)
	g.procs = append(g.procs, p)
	cfg := g.config
	cfg.Owner = p.name
	cfg.Leases = g.wrapTable(p.name, simTable{p})
	cfg.CommitRecords = cmp.Or(cfg.CommitRecords, p.sizes.CommitRecords)
	cfg.CommitEvery = cmp.Or(cfg.CommitEvery, p.sizes.CommitEvery)
	cfg.Ahead = cmp.Or(cfg.Ahead, p.sizes.Ahead)
	cfg.Memory = cmp.Or(cfg.Memory, 16<<20)
	cfg.Discover = cmp.Or(cfg.Discover, 10*time.Second)
	if cfg.Log == nil && g.verbose {
		cfg.Log = slog.New(logTo{t: &g.trace, worker: p.name})
	}
	p.pipe = pipeline.New(cfg)
	store := g.wrapStore(p.name, simStore{p})
	g.build(p, func(prefix string) sink.Folder {
		g.oracle.folder(prefix)
		return sink.Folder{Store: store, Prefix: prefix, FileBytes: p.sizes.FileBytes, MaxOpen: p.sizes.MaxOpen}
	})
	var ctx context.Context
	ctx, p.cancel = context.WithCancel(context.Background())
	g.trace.add("%s starts: %+v", p.name, p.sizes)
	g.report.Starts++
	go func() {
		err := p.pipe.Run(ctx)
		p.bus.mu.Lock()
		p.done, p.err = true, err
		p.bus.mu.Unlock()
		p.bus.poke()
	}()
	return p
}

// ended tells whether Run has returned, and what.
func (p *process) ended() (bool, error) {
	p.bus.mu.Lock()
	defer p.bus.mu.Unlock()
	return p.done, p.err
}

// running tells whether the process may still do something.
func (p *process) running() bool {
	p.bus.mu.Lock()
	defer p.bus.mu.Unlock()
	return !p.dead && !p.done
}
