// Package lint holds the rules that the whole tree keeps, as tests: which package
// may import which, what must be documented, what must not be left behind. It
// exports nothing; run it with go test.
package lint
