// Package examples is the root of a module of its own, so that what the examples
// and their tests need stays out of the library's go.mod. Each folder below is one
// program with its own README; start with demo and quickstart.
package examples
