package pipelinetest

import (
	"cmp"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/sinktest"
	"github.com/shardlake/shardlake/source"
)

// world is what outlives a worker, and the one who runs it.
type world struct {
	bus     bus
	policy  policy
	trace   trace
	groups  []*group // one, or a second one that reads what the first one sends
	procs   []*process
	late    []*call // requests whose caller was told that they failed
	turn    int
	calm    time.Time // when faults ended; zero before
	verbose bool
	report  Report
}

// group is workers that run the same pipeline, and what they have in common.
type group struct {
	*world
	prefix   string // of its workers' names
	stream   *stream
	memory   *sinktest.Memory // what is visible
	lake     sink.Store       // the way to it
	table    lease.Store
	oracle   *oracle
	slots    []slot
	input    int         // rows that are put
	reshards int         // that are left
	uneven   bool        // shards are split at any place
	ready    func() bool // the stream may end; nil says that it may when all rows are in it

	// What the scenario says.
	config    pipeline.Config
	rows      int
	key       func(i int) string
	build     func(p *process, lake func(string) sink.Folder)
	wrapStore func(string, sink.Store) sink.Store
	wrapTable func(string, lease.Store) lease.Store
	want      func() map[string]int64
}

// slot is a place for one worker.
type slot struct {
	now  *process
	next time.Time // when a process is started, if now is nil
	over bool      // its process found nothing left to do
}

// of names the group's stream in a trace, where there are two.
func (g *group) of() string {
	if len(g.groups) == 1 {
		return ""
	}
	return " of " + g.prefix
}

func same[T any](_ string, v T) T { return v }

// newWorld is without workers.
func newWorld(p policy) *world {
	w := &world{policy: p}
	w.bus.notify = make(chan struct{}, 1)
	w.report.Faults = map[string]int{}
	return w
}

// newGroup adds the workers of a scenario to a world.
func newGroup[T any](w *world, s Scenario[T]) *group {
	g := &group{
		world: w, prefix: "w", memory: &sinktest.Memory{Part: 1 << 20}, table: new(lease.Memory), config: s.Config, rows: len(s.Rows),
		stream: newStream(max(1, cmp.Or(s.Shards, 2))), reshards: s.Reshards, wrapStore: same[sink.Store], wrapTable: same[lease.Store],
	}
	w.groups = append(w.groups, g)
	g.lake = g.memory
	if s.Lake != nil {
		g.lake = s.Lake(g.lake)
	}
	if s.Table != nil {
		g.table = s.Table(g.table)
	}
	g.oracle = newOracle(g, s.Read)
	g.slots = make([]slot, max(1, s.Workers))
	g.key = func(i int) string { return s.Key(s.Rows[i]) }
	wrapSource := same[source.Source[T]]
	if s.WrapSource != nil {
		wrapSource = s.WrapSource
	}
	if s.WrapStore != nil {
		g.wrapStore = s.WrapStore
	}
	if s.WrapTable != nil {
		g.wrapTable = s.WrapTable
	}
	g.build = func(p *process, lake func(string) sink.Folder) {
		s.Build(p.pipe, wrapSource(p.name, &simSource[T]{p, s.Rows, s.At}), lake)
	}
	g.want = func() map[string]int64 { return s.Want(shardsOf(g.stream, s.Rows)) }
	return g
}

// shardsOf is what was put into a stream.
func shardsOf[T any](from *stream, rows []T) (shards []Shard[T]) {
	for _, x := range from.shards {
		sh := Shard[T]{ID: x.id, Parents: x.parents, Hashes: x.hashes}
		for _, i := range x.rows {
			sh.Rows = append(sh.Rows, rows[i])
		}
		shards = append(shards, sh)
	}
	return shards
}

// Simulate runs a scenario once, in a bubble of its own, and reports; it fails
// the test only if the scenario is incomplete. Run is Simulate for a pipeline
// that is expected to be right.
func Simulate[T any](t *testing.T, seed uint64, s Scenario[T]) Report {
	t.Helper()
	return simulate(t, seed, s, false)
}

// Run simulates a scenario with a seed, and fails the test with the trace if a
// promise is broken.
func Run[T any](t *testing.T, seed uint64, s Scenario[T]) Report {
	t.Helper()
	return shown(t, seed, func(verbose bool) Report { return simulate(t, seed, s, verbose) })
}

// shown fails the test, with the trace, if a run breaks a promise.
func shown(t *testing.T, seed uint64, run func(verbose bool) Report) Report {
	t.Helper()
	r := run(false)
	if r.Violation != nil {
		// Once more, with the log of the pipeline between the turns.
		again := run(true)
		for _, l := range again.Trace {
			t.Log(l)
		}
		t.Errorf("seed %d, turn %d: %v", seed, r.Turns, r.Violation)
		if again.Hash != r.Hash {
			t.Errorf("seed %d: the second run was another one; the trace is of that", seed)
		}
	}
	return r
}

func simulate[T any](t *testing.T, seed uint64, s Scenario[T], verbose bool) (r Report) {
	t.Helper()
	s.check(t)
	synctest.Test(t, func(*testing.T) {
		w := newWorld(newSeeded(seed, s.Faults.withDefaults()))
		newGroup(w, s)
		w.verbose = verbose
		w.run()
		r = w.report
	})
	r.Seed = seed
	return r
}

func (s Scenario[T]) check(t *testing.T) {
	t.Helper()
	if len(s.Rows) == 0 || s.Key == nil || s.At == nil || s.Build == nil || s.Read == nil || s.Want == nil {
		t.Fatal("pipelinetest: a Scenario needs Rows, Key, At, Build, Read and Want")
	}
}

// violate records the first broken promise. The run ends with the turn.
func (w *world) violate(format string, args ...any) {
	if w.report.Violation == nil {
		w.report.Violation = fmt.Errorf(format, args...)
		w.trace.add("VIOLATION: %v", w.report.Violation)
	}
}

// faulty tells whether anything has gone wrong so far. Shards that split, merge or
// are too old are no fault.
func (w *world) faulty() bool {
	for kind := range w.report.Faults {
		if kind != "reshard" && kind != "trim" {
			return true
		}
	}
	return false
}

// put adds the next n rows to the stream.
func (g *group) put(n int) {
	for ; n > 0 && g.input < g.rows; n-- {
		g.stream.put(g.input, g.key(g.input), shardlake.At(time.Now()))
		g.input++
	}
}
