// Package datasets is the home of pipelines over real data, one package a data
// set: what its records look like, a codec that refuses what they must not look
// like, and one Build for a live stream, a replay and a test. Command play puts a
// data set on a Kinesis stream and runs its pipeline; the checkers in judge then
// compare the lake with answers that no code of this module computed.
package datasets

import "github.com/shardlake/shardlake/sink"

// Lake is where a pipeline writes: a *dir.Store or a *s3.Store.
type Lake interface {
	// Folder returns the folder with the given prefix.
	Folder(prefix string) sink.Folder
}
