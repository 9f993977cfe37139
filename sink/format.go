package sink

import (
	"io"

	"github.com/shardlake/shardlake"
)

// Format encodes files of T. A format is passed to Stream.Write as a generic
// constructor, avro.Format or parquet.Config{...}.Format, so T is never written;
// the constructor returns an error for a T that the format cannot hold. A Format
// is safe for concurrent use, an Encoder is not.
type Format[T any] interface {
	// Ext is the ending of file names, without dot.
	Ext() string
	// Check tells whether a file can hold the row: strings that are not UTF-8,
	// times or decimals out of range. A row that cannot be held becomes a dead
	// letter with this error as its reason. Encode may rely on it.
	Check(row *T) error
	// NewEncoder begins a file. It may re-use the memory of an encoder that was
	// closed. info is complete but for First, Last, Rows and the times.
	NewEncoder(w FileWriter, info FileInfo) (Encoder[T], error)
}

// Encoder writes one file.
type Encoder[T any] interface {
	// Encode appends rows. It does not keep them, and may keep what they point to
	// only until it returns.
	Encode(rows []T) error
	// Buffered is the memory in bytes held for what is not yet written to w.
	Buffered() int64
	// Close writes what is left and the footer. info is complete now. A second
	// Close, or an Encode after Close, is an error and writes nothing.
	Close(info FileInfo) error
	// Abandon gives back memory without finishing the file. It is safe after Close.
	Abandon()
}

// FileWriter takes the bytes of one file.
type FileWriter interface {
	io.Writer
	// HoldHead asks, before the first Write, that the first bytes of the file can
	// still be changed by PatchHead until the file is closed. It costs up to one
	// part of memory for as long.
	HoldHead()
	// PatchHead replaces bytes from offset off on. off+len(b) must be at most
	// shardlake.BufferSize and already written.
	PatchHead(off int, b []byte) error
}

// FileInfo says what a file holds and which commit it is of.
type FileInfo struct {
	shardlake.Attempt
	First, Last      shardlake.Position // of the records that the rows came from
	Rows             int64
	MinTime, MaxTime shardlake.Instant // event times of the rows
}

// Pairs returns the file's metadata as readers find it in the Parquet footer and
// the Avro header. Values are ASCII but for stream and shard, which are whatever
// the source calls them.
func (f FileInfo) Pairs() [][2]string {
	return [][2]string{
		{"shardlake.application", f.Application},
		{"shardlake.stream", f.Source},
		{"shardlake.shard", f.Lane},
		{"shardlake.tag", f.Tag},
		{"shardlake.commit", itoa(f.Number)},
		{"shardlake.commit-id", f.ID},
		{"shardlake.fence", itoa(f.Fence)},
		{"shardlake.after", posText(f.From)},
		{"shardlake.first", posText(f.First)},
		{"shardlake.last", posText(f.Last)},
		{"shardlake.rows", itoa(uint64(f.Rows))},
		{"shardlake.min-time", timeText(f.Rows, f.MinTime)},
		{"shardlake.max-time", timeText(f.Rows, f.MaxTime)},
	}
}
