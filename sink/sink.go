// Package sink is the contract of what a pipeline writes: typed sinks, and for
// files a store (where the bytes lie) times a format (what the bytes are).
package sink

import (
	"context"

	"github.com/shardlake/shardlake"
)

// Publisher makes sealed uploads of one kind visible. It knows neither rows nor
// formats, so any program that has one can publish what another left.
type Publisher interface {
	// Kind is stored in each Pending and finds the publisher again: of the same
	// kind if there is one, else one whose kind is the same up to the first colon.
	Kind() string
	// Publish makes p visible, whole, once, however often and by whomever it is
	// called. It is called only for what a commit row lists. An error is retried
	// for as long as the lane lives, unless it wraps ErrLostUpload.
	Publish(ctx context.Context, p shardlake.Pending) error
}

// Sink opens one writer per lane. It is safe for concurrent use.
type Sink[T any] interface {
	Publisher
	// Open does no I/O. The writer's first Write may.
	Open(env *shardlake.Env) (Writer[T], error)
}

// Writer takes the rows of one lane. One goroutine calls it, in the order
// Write* Seal Write* Seal ... Close.
type Writer[T any] interface {
	// Write takes a batch. Nothing of it is visible before Publish.
	Write(ctx context.Context, b shardlake.Batch[T]) error
	// Seal ends what was written since the last Seal as a list of complete,
	// durable, invisible uploads: none if nothing was. From here on they outlive
	// the writer, the sink and the process.
	Seal(ctx context.Context) ([]shardlake.Pending, error)
	// Buffered is the memory in bytes that the writer holds for rows not yet
	// sealed, beyond what it borrowed with Env.Buffer.
	Buffered() int64
	// Close gives up what was written and not sealed, and must not touch what was
	// sealed: a commit row may list it. A crash instead of Close leaves only
	// invisible uploads, swept later. It is idempotent.
	Close() error
}

// Marked is a Writer that is told the marks between the rows, with the watermark as
// the stages before it pass it on.
type Marked interface {
	// Mark comes in order with Write. Seal follows the mark of a commit.
	Mark(ctx context.Context, m shardlake.Mark) error
}

// Filling is a Writer that holds what it is given until the commit.
type Filling interface {
	// Full asks for a commit before it is time.
	Full() bool
}

// Sweeper is a Publisher that can remove uploads that no commit can refer to.
type Sweeper interface {
	Publisher
	// Sweep aborts the uploads whose file name begins with prefix and for which
	// dead is true. name is the last element of the object's key.
	Sweep(ctx context.Context, prefix string, dead func(name string) bool) (int, error)
}

// Undoer is a Publisher that can take back what a commit listed, so that its
// records can be read again: the repair of a commit of which an upload is lost.
type Undoer interface {
	Publisher
	// Undo aborts the upload, so that nobody can complete it any more, and then
	// removes the object that may have become of it. When it returns nil, nothing
	// of p is visible, or ever will be.
	Undo(ctx context.Context, p shardlake.Pending) error
	// Describe says in a few words what p is: its place, and how many rows it holds.
	Describe(p shardlake.Pending) string
}

// Checker is a Sink that can tell mistakes of configuration without I/O. Run
// asks before it starts anything and lists all answers.
type Checker interface {
	// Check reports all mistakes together.
	Check() error
}
