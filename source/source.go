// Package source is the contract of what a pipeline reads, and Values, a source
// over rows in memory.
package source

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/shardlake/shardlake"
)

// ErrShardEnd is what a Fetcher returns, with the last records or without, when
// a shard is closed and read to its end. The lane commits the end; only then are
// the lanes that name it as a parent started. What its stages keep, open windows
// too, goes on in those, each key in the lane whose range takes it; if there are none,
// windows are closed.
var ErrShardEnd = errors.New("the shard is closed and read to its end")

// Source lists lanes, fetches raw records and decodes them. Fetching and
// decoding are apart because they run on two goroutines with a bounded channel
// between them: the first waits for the network, the second computes.
//
// A Source makes no connection before Lanes is called.
type Source[T any] interface {
	// Check reports mistakes of configuration, all at once, without I/O.
	Check() error
	// Lanes lists what can be read now, open and closed. The pipeline calls it at
	// the start, whenever a shard ends, and from time to time. It retries what is
	// worth retrying; an error ends the run.
	Lanes(ctx context.Context) (Listing, error)
	// Open makes the fetcher of one lane, which reads what follows the given
	// start. It does no I/O: the first Fetch may.
	Open(lane Lane, from Start) (Fetcher, error)
	// Decoder makes what turns the records of one lane into rows. It does no I/O.
	// An error is a mistake of configuration; it ends the run.
	Decoder() (Decoder[T], error)
}

// Decoder makes rows of the records of one lane. One goroutine uses it.
type Decoder[T any] interface {
	// Decode makes rows[i] of records[i], and tells in times[i] when it happened,
	// one after another until a record gives no row: n is how many did. The error
	// is about records[n]. It is an answer like that of a stage: shardlake.ErrSkip,
	// shardlake.Reject, or stop. Without an error n is at least 1, and less than the
	// number of records if the rows take so much memory that they shall go through
	// the stages before others are made. The three slices are of one length, at least
	// 1; the lane calls again with what follows.
	//
	// The places may hold earlier rows: assign all of each. (A wide row that is
	// returned is copied once more, which costs as much as a stage.) A row may share
	// memory with its record. If Decode panics, the records are decoded again, one
	// at a time, to find the one that did it.
	Decode(ctx context.Context, records []shardlake.Record, rows []T, times []shardlake.Instant) (n int, err error)
}

// Keeper is a Source that keeps records for a limited time.
type Keeper interface {
	// Holds tells whether all records are still there that have arrived since.
	Holds(ctx context.Context, since shardlake.Instant) (bool, error)
}

// Listing is the answer of Lanes.
type Listing struct {
	// Name tells people which stream this is, as in errors and dead letters.
	Name string
	// Identity tells apart everything that has ever been called Name: for Kinesis
	// the stream's ARN and creation time. It becomes part of file names.
	Identity string
	Lanes    []Lane
	// Scattered says that records of one partition key may lie in several lanes at
	// once: for Kinesis, a stream in which the service chooses the shard of a record.
	// Stages whose result needs all records of a key refuse to run.
	Scattered bool
	// Begin is where the source is configured to begin, made concrete: records
	// that arrived before it are not wanted. shardlake.Never wants all. It is
	// asked for once in the life of an application; the first listing's value is
	// kept in every lane's row, so a restart, a new shard or a later change of the
	// configuration never moves it.
	Begin shardlake.Instant
}

// Lane is one shard of a listing.
type Lane struct {
	// ID is unique within a commit store: for Kinesis the shard id.
	ID string
	// Parents are the lanes that must be read to their end before this one. A
	// parent that is not in the listing and has no row is gone and not waited for.
	Parents []string
	// Range is the part of the hash space that the lane takes, if it has one. It
	// decides to which child kept state goes, and shows lanes that are missing.
	Range shardlake.HashRange
}

// Start says where a fetcher begins.
type Start struct {
	// After is the last position that is done with. If it is the zero Position,
	// Begin decides. If it is Partial, the record of After.Seq is fetched again
	// and user records up to After are dropped.
	After shardlake.Position
	// Begin is the Listing.Begin of the application's first run.
	Begin shardlake.Instant
	// Known is a time, by the source's clock, up to which nothing that arrived in
	// the lane is unread; 0 if that is not known. If the source keeps records for a
	// shorter time than has passed since, what came in between may be gone.
	Known shardlake.Instant
	// Lossy lets the fetcher go on where records are gone. By default it fails with
	// a *TrimmedError.
	Lossy bool
}

// TrimmedError says that the source no longer holds all records that follow a
// position: it keeps them for a limited time.
type TrimmedError struct {
	After shardlake.Position // the last record that was read
	Known shardlake.Instant  // nothing that arrived until then is missing
	Until shardlake.Instant  // when the first record that is left arrived; records that arrived between the two may be lost
	Next  shardlake.Position // of that record; zero if the lane itself is gone
}

// Error says between which times records may be lost.
func (e *TrimmedError) Error() string {
	if e.Next.IsStart() {
		return fmt.Sprintf("the lane itself is gone from the stream: what arrived in it after %v may be lost", e.After)
	}
	return fmt.Sprintf("records after %v are no longer in the stream: what arrived between %v and %v may be lost; the next record is %v",
		e.After, e.Known.Time().Format(time.RFC3339), e.Until.Time().Format(time.RFC3339), e.Next)
}

// Fetcher reads one lane. One goroutine calls it.
type Fetcher interface {
	// Fetch blocks for the next records, in order, all after the last ones. It
	// may return without records, to report lag. It returns soon after ctx ends.
	//
	// io.EOF, with or without records, ends a bounded lane for good and closes its
	// windows; ErrShardEnd ends a closed shard. Any other error stops the lane: a
	// fetcher retries what is worth retrying itself, without advancing. A crash
	// after Fetch leaves nothing behind: the records come again.
	Fetch(ctx context.Context) (Chunk, error)
	// Close gives back what the fetcher holds. It is called once, after the last
	// Fetch returned.
	Close() error
}

// Chunk is one answer of a Fetcher.
type Chunk struct {
	Records []shardlake.Record
	// Through is where the chunk ends, if that is beyond the last of Records: what
	// lies between gave no record, like an aggregate that holds none.
	Through shardlake.Position
	// Bytes is the memory that Records keep alive, for the task's budget; 0 lets
	// the lane add up the payloads.
	Bytes int64
	// Behind is how far the end of this chunk is from the tip of the shard: 0 at
	// the tip (MillisBehindLatest). Negative means unknown.
	Behind time.Duration
	// Tip is the source's clock at the time of this chunk if the lane held nothing
	// beyond it, else 0.
	Tip shardlake.Instant
	// Lost is set, once, in the chunk behind a gap, when Start.Lossy let the
	// fetcher go on.
	Lost *TrimmedError
	// Counts are events since the last chunk.
	Counts Counts
	// Children are the lanes that go on where this one ended; with ErrShardEnd.
	Children []string
}

// Counts are what a source has to report of a lane, besides records.
type Counts struct {
	Aggregates int64 // records taken apart into user records
	Broken     int64 // records that began like aggregated ones and were none; they went on as they were
	Misplaced  int64 // user records left out because they belong to another shard
	Throttled  int64 // calls that the service refused for its limits
	Failed     int64 // other calls that failed and were repeated
}

// Plus adds two counts.
func (c Counts) Plus(d Counts) Counts {
	return Counts{c.Aggregates + d.Aggregates, c.Broken + d.Broken, c.Misplaced + d.Misplaced, c.Throttled + d.Throttled, c.Failed + d.Failed}
}
