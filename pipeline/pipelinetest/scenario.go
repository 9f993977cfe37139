package pipelinetest

import (
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/source"
)

// Scenario is a pipeline and the rows that go through it. T is the source's row.
// Rows, Key, At, Build, Read and Want are needed; the rest has defaults.
type Scenario[T any] struct {
	// Rows are put into the stream one by one, in this order, while the workers
	// run. A hundred make a run of a few milliseconds.
	Rows []T
	// Key is the partition key of a row: rows of one key stay in order.
	Key func(T) string
	// At is the event time of a row.
	At func(T) time.Time
	// Build makes the pipeline, as in production. It is called for each start of a
	// worker, one at a time. lake gives the folder of a prefix; its file size
	// differs from start to start, and may be changed further.
	Build func(p *pipeline.Pipeline, src source.Source[T], lake func(prefix string) sink.Folder)
	// Read reads a visible file. It should not use the code that wrote it. Lines
	// helps with files of package function JSON.
	Read func(folder string, file []byte) ([]Row, error)
	// Want tells what must be visible in the end: for each Row.ID how often, or the
	// sum of Row.Value. It is computed from what was in the shards, by other means
	// than the pipeline.
	Want func(shards []Shard[T]) map[string]int64

	// Workers is how many run at once; 1 by default.
	Workers int
	// Shards is how many the stream begins with; 2 by default.
	Shards int
	// Reshards bounds how many splits and merges the stream goes through; 0 by
	// default.
	Reshards int
	// Config is the workers' configuration, of which the simulator sets Owner and
	// Leases, and, where they are 0, times and sizes that differ from one start to
	// the next.
	Config pipeline.Config
	// Faults says what goes wrong; see Faults.
	Faults Faults

	// WrapSource, WrapStore and WrapTable, if not nil, stand between each worker
	// and the world: to observe what passes, or to break a rule on purpose and see
	// that it is noticed. Each call of what they are given is a turn of its own.
	// worker names the process.
	WrapSource func(worker string, s source.Source[T]) source.Source[T]
	WrapStore  func(worker string, s sink.Store) sink.Store
	WrapTable  func(worker string, s lease.Store) lease.Store
	// Lake and Table, if not nil, stand on the far side, where a request arrives:
	// what they do is part of its turn.
	Lake  func(s sink.Store) sink.Store
	Table func(s lease.Store) lease.Store
}

// Shard is what was put into one shard, in order.
type Shard[T any] struct {
	ID      string
	Parents []string
	Hashes  shardlake.HashRange
	Rows    []T
}

// Row is what the simulator has to know about one row in a file. A row that
// counts in several ways may be several of them.
type Row struct {
	// ID tells what is counted apart, over all folders.
	ID string
	// Value, if not 0, is part of a sum: the Values of one ID add up to what
	// Scenario.Want tells, and never to more. 0 says that ID is that of one row,
	// which must never be visible twice.
	Value int64
	// Key, if not "", says that rows of one key, in each Hive partition, are in
	// ascending Order, and over all partitions from commit to commit.
	Key   string
	Order int64
}

// Faults are the chances, per thousand, that a fault happens to a call, or in a
// turn. The zero value stands for DefaultFaults. Each seed leaves some kinds out
// and stops all of them after a while; then the pipeline must finish its work.
type Faults struct {
	Refused    int // the call fails and has no effect
	Unanswered int // the call has its effect and fails
	Late       int // the call fails, and has its effect later, some turns or up to 30 minutes
	Slow       int // the call waits, some turns or up to 20 seconds
	Crash      int // the worker dies, before or after the effect; requests under way may still arrive
	Stop       int // per turn: a worker is told to stop in good order
	Pause      int // per turn: a worker stands still for up to a minute; another one takes its place
	Reshard    int // per turn: a shard splits, or two merge
	Jump       int // per turn: all calls wait while the clock runs on by up to 5 minutes
	Trim       int // per turn: a shard that is read to its end is not listed any more
	Vanish     int // per turn: an upload that a commit lists is removed; only with Config.Repair
}

// DefaultFaults is what Faults{} stands for.
func DefaultFaults() Faults {
	return Faults{Refused: 30, Unanswered: 30, Late: 15, Slow: 40, Crash: 12, Stop: 4, Pause: 4, Reshard: 12, Jump: 1, Trim: 8, Vanish: 8}
}

// NoFaults leaves everything out but what the world does by itself: sizes that
// differ and calls that are answered in any order.
func NoFaults() Faults { return Faults{Refused: -1} }

func (f Faults) withDefaults() Faults {
	switch {
	case f == Faults{}:
		return DefaultFaults()
	case f == NoFaults():
		return Faults{}
	}
	return f
}

// Sizes are drawn anew for each start of a worker: a test with constant batch and
// file sizes hides the worst mistakes.
type Sizes struct {
	Fetch         int // records per fetch, at most
	Part          int // bytes per part
	FileBytes     int64
	MaxOpen       int
	CommitRecords int
	CommitEvery   time.Duration
	Ahead         int
}

// Report tells what happened in a run.
type Report struct {
	Seed      uint64
	Hash      uint64 // of the trace: two runs of one seed have the same
	Violation error  // the first promise that was broken; nil if none was
	Trace     []string

	Turns     int            // calls that had their turn
	Faults    map[string]int // by kind
	Starts    int            // of workers
	Failed    int            // runs of workers that ended with an error
	Commits   int
	HandOvers int           // acquisitions of a lane that somebody had had before
	Files     int           // visible in the end
	Leftover  int           // uploads that nobody refers to, of dead workers' late requests
	Virtual   time.Duration // by the simulated clock
}
