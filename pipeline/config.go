package pipeline

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"runtime/debug"
	"strings"
	"time"
	"unicode"

	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/sink"
)

// Config of a pipeline. The zero value is ready: it keeps positions in memory,
// so each run reads its source from the beginning.
type Config struct {
	// Application names the pipeline in leases and file names; "shardlake" by
	// default. Two applications on one stream have different names.
	Application string
	// Owner is this worker in the lease rows. It must be new for each start of a
	// process; by default it is drawn at random.
	Owner string
	// Leases keeps the positions. By default a lease.Memory of this pipeline.
	Leases lease.Store
	// Publishers publish uploads whose sinks have left the program since they were
	// committed.
	Publishers []sink.Publisher

	// CommitEvery is how long rows may wait to become visible: files are cut that
	// often. 1 minute by default. Longer makes larger files.
	CommitEvery time.Duration
	// CommitRecords commits after so many records of a lane, even earlier. 0 means
	// no such bound.
	CommitRecords int
	// Memory is the budget in bytes for everything that grows with the input:
	// fetched records, open files, part buffers, windows. When it is short, the
	// readers wait and the lane that holds most commits early. By default half of
	// GOMEMLIMIT, or 256 MiB where that is not set. At least 16 MiB.
	Memory int64
	// EventTime says how watermarks follow from records.
	EventTime EventTime
	// Ahead is how many fetched chunks may wait for a lane; 2 by default.
	Ahead int
	// StopTimeout is how long Run may take to commit and publish what it holds
	// once its context has ended. 25 seconds by default, which fits the 30 that
	// Fargate gives before it kills.
	StopTimeout time.Duration
	// Discover is how often the source is asked for new shards besides each end of
	// a shard; 1 minute by default.
	Discover time.Duration

	// What follows matters where several processes share Leases.

	// LeaseTime is how long a lane stays with an owner that gives no sign of life:
	// a third of it lies between two heartbeats. 10 seconds by default, at least 1.
	// A longer time costs a longer wait after a crash, a shorter one more requests.
	LeaseTime time.Duration
	// Balance is how often a worker looks at all rows, to take what is free and to
	// ask others for its fair share; half of LeaseTime by default.
	Balance time.Duration
	// HandOver is how long an owner that was asked for a lane may take to commit,
	// publish and give it up; 30 seconds by default. After it, it gives the lane up
	// as it is: what was not committed is read again.
	HandOver time.Duration
	// Stall is how long a lane may make no progress, in a stage or in an upload,
	// before it shows no sign of life any more and others take it; 15 minutes by
	// default.
	Stall time.Duration
	// MaxLanes bounds the lanes of this process. 0 means no bound. Lanes beyond
	// what all workers may have wait.
	MaxLanes int
	// Lossy lets a lane go on where the stream no longer holds all records that
	// follow its position: the gap is logged, counted and a dead letter. By default
	// the lane stops.
	Lossy bool
	// Repair lets a lane go on when an upload that a commit lists is lost: it
	// removes the other files of that commit and reads its records again. By default
	// the lane stops; see Repair, the function, for one lane.
	Repair bool
	// Log takes what an operator should know. Silent by default.
	Log *slog.Logger
}

const minMemory = 16 << 20

func (c Config) withDefaults() Config {
	c.Application = cmp.Or(c.Application, "shardlake")
	c.Owner = cmp.Or(c.Owner, lease.NewID())
	c.CommitEvery = cmp.Or(c.CommitEvery, time.Minute)
	c.Ahead = cmp.Or(c.Ahead, 2)
	c.StopTimeout = cmp.Or(c.StopTimeout, 25*time.Second)
	c.Discover = cmp.Or(c.Discover, time.Minute)
	c.LeaseTime = cmp.Or(c.LeaseTime, 10*time.Second)
	c.Balance = cmp.Or(c.Balance, c.LeaseTime/2)
	c.HandOver = cmp.Or(c.HandOver, 30*time.Second)
	c.Stall = cmp.Or(c.Stall, 15*time.Minute)
	c.EventTime = c.EventTime.withDefaults()
	if c.Leases == nil {
		c.Leases = new(lease.Memory)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Memory == 0 {
		c.Memory = 256 << 20
		if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
			c.Memory = max(limit/2, minMemory)
		}
	}
	return c
}

// validate reports all reasons together.
func (c Config) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("config: "+format, args...)) }
	if len(c.Application) > 128 || strings.ContainsFunc(c.Application, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsPrint(r) }) {
		bad("Application %q: want at most 128 printable ASCII characters", c.Application)
	}
	if c.CommitEvery < 0 {
		bad("CommitEvery is %v: want a positive duration, or 0 for the default", c.CommitEvery)
	}
	if c.CommitRecords < 0 {
		bad("CommitRecords is %d: want a positive number, or 0 for no bound", c.CommitRecords)
	}
	if c.Memory < minMemory {
		bad("Memory is %d bytes: want at least %d (16 MiB)", c.Memory, minMemory)
	}
	if c.Ahead < 0 {
		bad("Ahead is %d: want 1 or more, or 0 for the default", c.Ahead)
	}
	if c.StopTimeout < 0 || c.Discover < 0 {
		bad("StopTimeout is %v and Discover is %v: want positive durations, or 0 for the defaults", c.StopTimeout, c.Discover)
	}
	if c.LeaseTime < time.Second || c.Balance < 0 || c.HandOver < 0 || c.Stall < 0 {
		bad("LeaseTime is %v, Balance %v, HandOver %v, Stall %v: want at least 1 second, and positive durations, or 0 for the defaults", c.LeaseTime, c.Balance, c.HandOver, c.Stall)
	}
	if c.MaxLanes < 0 {
		bad("MaxLanes is %d: want a positive number, or 0 for no bound", c.MaxLanes)
	}
	return errors.Join(append(errs, c.EventTime.validate())...)
}
