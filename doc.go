// Package shardlake is the vocabulary that sources, stages, sinks and the
// pipeline share: a [Record] as it was fetched, its [Position] in a shard, a
// typed [Batch] of rows, the [Emit] through which batches and marks flow, the
// [Env] that one lane lends to what is opened in it, and the answers that user
// code gives about a bad row ([ErrSkip], [Reject], or stop).
//
// One shard is one lane, and one lane is one commit domain. A lane is
// sequential: everything between its fetcher and its sinks runs on one
// goroutine, so no stage or writer needs a lock. Parallelism is the number of
// lanes.
//
// A program starts at package pipeline; this package is what the parts of one
// are written against. It imports the standard library only.
package shardlake
