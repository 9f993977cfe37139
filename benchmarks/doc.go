// Package benchmarks is the root of a module of its own, so that the libraries
// which Shardlake is measured against stay out of the library's go.mod. Each folder
// below answers one question; results holds the figures with machine, command and
// date.
package benchmarks
