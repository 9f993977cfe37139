package shardlake

import "context"

// Emit takes batches of T and the marks between them. Stages and sinks are
// Emits; the lane calls them from one goroutine, in order. An error ends the
// lane: nothing is called after it.
type Emit[T any] interface {
	// Push hands over a batch; see Batch for who owns what. ctx lives as long as
	// the lane. The batch is never empty.
	Push(ctx context.Context, b Batch[T]) error
	// Mark says that every batch before it has been pushed. A stage forwards it
	// after whatever the mark made it emit.
	Mark(ctx context.Context, m Mark) error
}

// Mark is progress, in order with the batches.
type Mark struct {
	// Watermark promises that rows with an earlier event time are late. It never
	// falls.
	Watermark Instant
	// Commit asks for a drain: when Mark returns nil, each row pushed before it
	// has left the stage downstream or is part of the state that the stage keeps
	// (Env.Keep). The lane then seals its files, takes the states and commits.
	Commit bool
	// End is set, with Commit, for the last commit of a lane that is read to its end.
	End *End
}

// End is the end of a lane.
type End struct {
	Heirs []string // lanes that go on where this one ended; none at the end of an input
}
