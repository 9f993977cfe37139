//go:build race

package e2e_test

// racing tells that the race detector is on, which makes everything some ten times
// slower: the longest tests do a part of their work with it, and all without it (make
// test runs both).
const racing = true
