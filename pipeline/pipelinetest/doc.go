// Package pipelinetest runs a pipeline, the real one with its stages and file
// sinks, in a simulated world, and checks what the world's readers are promised:
// every row visible at most once at any instant, exactly once in the end, in
// order per key, and nothing that was not committed.
//
// The world is a stream of shards that split and merge, an object store and a
// lease table, all in memory, and time that is not the wall clock's. Every call
// of a worker to the world stops at one place and waits for its turn. A seed
// decides whose turn it is and what goes wrong in it: an error before the effect
// or after it, a request that arrives late, a worker that dies, stands still
// longer than its lease, is stopped or started. The same seed gives the same run,
// step by step:
//
//	func TestMyPipeline(t *testing.T) {
//		for seed := range uint64(100) {
//			pipelinetest.Run(t, seed, scenario)
//		}
//	}
//
// A run that breaks a promise fails the test with its seed and its trace. Run the
// seed alone to see it again.
//
// What a run needs from the pipeline is what makes it the same each time: stages
// must not read the wall clock or random numbers, nor let the order of goroutines
// decide what they emit.
package pipelinetest
