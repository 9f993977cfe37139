// Package pipeline connects sources, stages and sinks and runs them, one lane
// per shard, each lane a private instance of the whole tree.
//
// A program builds a graph with five verbs and runs it:
//
//	p := pipeline.New(pipeline.Config{Leases: leases})
//	clicks := p.Read(src)                          // a source gives a stream
//	views := clicks.Via(stage.Filter(human))       // stages transform it
//	views.Write(lake.Folder("views"), parquet.Format)
//	p.Dead().Write(lake.Folder("dead"), avro.Format)
//	err := p.Run(ctx)
//
// Mistakes made while building surface in Run, all at once. What a lane does,
// and why its rows are in the lake exactly once, is told in docs/DESIGN.md.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/source"
)

// Error is an error that names stage, lane, position and remedy.
type Error = shardlake.Error

// Pipeline is a graph under construction, and then running. Building is for one
// goroutine; Status may be called from any, at any time.
type Pipeline struct {
	cfg   Config
	reads []reader
	dead  *node[shardlake.DeadLetter]
	late  *node[shardlake.DeadLetter]
	kinds map[string]sink.Publisher
	sinks []sink.Publisher
	errs  []error
	mem   *memory
	slots chan struct{} // publishing calls at once, of all lanes
	began atomic.Bool

	mu    sync.Mutex
	lanes map[string]*stats
	after []error // what was called too late
}

// maxPublishing bounds the Complete calls under way in one process.
const maxPublishing = 16

// reader is the only place where a type is forgotten: a root of any T.
type reader interface {
	check(p *Pipeline) error
	list(ctx context.Context) (source.Listing, error)
	run(ctx context.Context, r *runner, a acquired) error
	meet(lanes []string)
}

// New returns an empty pipeline. It starts nothing.
func New(cfg Config) *Pipeline {
	cfg = cfg.withDefaults()
	p := &Pipeline{
		cfg: cfg, dead: &node[shardlake.DeadLetter]{name: "the dead letters"}, late: &node[shardlake.DeadLetter]{name: "the late rows"},
		kinds: map[string]sink.Publisher{}, lanes: map[string]*stats{},
		mem: newMemory(cfg.Memory), slots: make(chan struct{}, maxPublishing),
	}
	for _, pub := range cfg.Publishers {
		p.kinds[pub.Kind()] = pub
	}
	return p
}

// Read adds a source. T follows from the source.
func (p *Pipeline) Read[T any](src source.Source[T]) Stream[T] {
	n := &node[T]{name: fmt.Sprintf("source %d", len(p.reads)+1)}
	if !p.building("Read") {
		return Stream[T]{p, n}
	}
	if src == nil {
		p.mistake("Read(nil): want a source")
	} else {
		p.reads = append(p.reads, &root[T]{p: p, src: src, node: n})
	}
	return Stream[T]{p, n}
}

// Dead is the stream of dead letters of all lanes, decoders, stages and sinks.
// Written nowhere, a dead letter stops its lane: nothing is dropped in silence.
func (p *Pipeline) Dead() Stream[shardlake.DeadLetter] {
	return Stream[shardlake.DeadLetter]{p, p.dead}
}

// Late is the stream of rows that came after their window had closed, as dead letters
// with shardlake.ErrLate, in the same commit as the windows that they missed. Written
// nowhere, they are among those of Dead.
func (p *Pipeline) Late() Stream[shardlake.DeadLetter] {
	return Stream[shardlake.DeadLetter]{p, p.late}
}

// Run reads every lane to its end, or until ctx ends, or until a lane fails. It
// is the only call that blocks and the only place where errors surface.
//
// When ctx ends, each lane commits and publishes what it holds and gives up its
// lease, within Config.StopTimeout; then Run returns nil. When a lane fails, the
// others stop in the same way and Run returns its error. Whatever was not
// committed is read again by the next run. A pipeline runs once.
func (p *Pipeline) Run(ctx context.Context) error {
	if p.began.Swap(true) {
		return errors.New("this pipeline has been run: build another one")
	}
	if err := p.check(); err != nil {
		return err
	}
	r, err := newRunner(p)
	if err == nil {
		err = r.run(ctx)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return errors.Join(append([]error{err}, p.after...)...)
}

// check reports everything that is wrong with the graph, without I/O.
func (p *Pipeline) check() error {
	errs := append([]error{p.cfg.validate()}, p.errs...)
	if len(p.reads) == 0 {
		errs = append(errs, errors.New("nothing is read: call Read"))
	}
	places := map[string]bool{}
	for _, k := range p.sinks {
		if c, ok := k.(sink.Checker); ok {
			errs = append(errs, c.Check())
		}
		if f, ok := k.(interface{ Place() string }); ok {
			if places[f.Place()] {
				errs = append(errs, fmt.Errorf("two streams are written to %s: files of two kinds under one prefix cannot be told apart; give each its own folder", f.Place()))
			}
			places[f.Place()] = true
		}
	}
	for _, r := range p.reads {
		errs = append(errs, r.check(p))
	}
	return errors.Join(errs...)
}

// errMistaken stands for a mistake that is in p.errs already.
var errMistaken = errors.New("see the other errors")

func (p *Pipeline) mistake(format string, args ...any) {
	p.errs = append(p.errs, fmt.Errorf(format, args...))
}

// building tells whether the graph may still change. What comes after Run began
// is not part of the run: it is left out and Run returns that it was.
func (p *Pipeline) building(verb string) bool {
	if !p.began.Load() {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.after = append(p.after, fmt.Errorf("%s was called while the pipeline ran: it has no effect; build first, then Run", verb))
	return false
}

// addSink remembers a sink for Run's checks and for publishing.
func (p *Pipeline) addSink(k sink.Publisher) {
	p.kinds[k.Kind()] = k
	p.sinks = append(p.sinks, k)
}
