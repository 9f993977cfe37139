package pipelinetest

import "testing"

// Whatever happens to two groups of workers and to both streams, each row comes
// through once, and nothing that was in order is late.
func TestHop(t *testing.T) {
	for seed := range uint64(20) {
		RunHop(t, seed)
	}
}
