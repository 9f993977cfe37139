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
	bus    bus
	policy policy
	trace  trace
	stream *stream
	memory *sinktest.Memory // what is visible
	lake   sink.Store       // the way to it
	table  lease.Store
	oracle *oracle

	procs []*process
	slots []slot
	late  []*call // requests whose caller was told that they failed
	turn  int
	calm  time.Time // when faults ended; zero before
	input int       // rows that are put

	// What the scenario says.
	config    pipeline.Config
	rows      int
	key       func(i int) string
	build     func(p *process, lake func(string) sink.Folder)
	wrapStore func(string, sink.Store) sink.Store
	wrapTable func(string, lease.Store) lease.Store
	want      func() map[string]int64
	verbose   bool

	report Report
}

// slot is a place for one worker.
type slot struct {
	now  *process
	next time.Time // when a process is started, if now is nil
	over bool      // its process found nothing left to do
}

func same[T any](_ string, v T) T { return v }

// newWorld ties a scenario to a policy.
func newWorld[T any](s Scenario[T], p policy) *world {
	w := &world{
		policy: p, memory: &sinktest.Memory{Part: 1 << 20}, table: new(lease.Memory), config: s.Config, rows: len(s.Rows),
		stream: newStream(max(1, cmp.Or(s.Shards, 2))), wrapStore: same[sink.Store], wrapTable: same[lease.Store],
	}
	w.lake = w.memory
	if s.Lake != nil {
		w.lake = s.Lake(w.lake)
	}
	if s.Table != nil {
		w.table = s.Table(w.table)
	}
	w.bus.notify = make(chan struct{}, 1)
	w.oracle = newOracle(w, s.Read)
	w.slots = make([]slot, max(1, s.Workers))
	w.report.Faults = map[string]int{}
	w.key = func(i int) string { return s.Key(s.Rows[i]) }
	wrapSource := same[source.Source[T]]
	if s.WrapSource != nil {
		wrapSource = s.WrapSource
	}
	if s.WrapStore != nil {
		w.wrapStore = s.WrapStore
	}
	if s.WrapTable != nil {
		w.wrapTable = s.WrapTable
	}
	w.build = func(p *process, lake func(string) sink.Folder) {
		s.Build(p.pipe, wrapSource(p.name, &simSource[T]{p, s.Rows, s.At}), lake)
	}
	w.want = func() map[string]int64 {
		var shards []Shard[T]
		for _, x := range w.stream.shards {
			sh := Shard[T]{ID: x.id, Parents: x.parents, Hashes: x.hashes}
			for _, i := range x.rows {
				sh.Rows = append(sh.Rows, s.Rows[i])
			}
			shards = append(shards, sh)
		}
		return s.Want(shards)
	}
	return w
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
	r := simulate(t, seed, s, false)
	if r.Violation != nil {
		// Once more, with the log of the pipeline between the turns.
		again := simulate(t, seed, s, true)
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
		w := newWorld(s, newSeeded(seed, s.Faults.withDefaults(), s.Reshards))
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
func (w *world) put(n int) {
	for ; n > 0 && w.input < w.rows; n-- {
		w.stream.put(w.input, w.key(w.input), shardlake.At(time.Now()))
		w.input++
	}
}
