//go:build !race

package pipelinetest_test

import (
	"testing"

	"github.com/shardlake/shardlake/pipeline/pipelinetest"
)

// The same seed is the same run, turn by turn. (Not under the race detector: it
// wakes goroutines that wait for one instant in another order each time.)
func TestSameSeedSameRun(t *testing.T) {
	const seeds = 60
	differ := 0
	for seed := range uint64(seeds) {
		a, b := pipelinetest.Simulate(t, seed, scenarioOf(seed)), pipelinetest.Simulate(t, seed, scenarioOf(seed))
		if a.Hash == b.Hash {
			continue
		}
		if differ++; differ > 3 {
			continue
		}
		for i := range a.Trace {
			if i >= len(b.Trace) || a.Trace[i] != b.Trace[i] {
				for _, l := range a.Trace[max(0, i-6):i] {
					t.Log(l)
				}
				t.Logf("first  %v", a.Trace[i:min(i+3, len(a.Trace))])
				t.Logf("second %v", b.Trace[i:min(i+3, len(b.Trace))])
				break
			}
		}
	}
	if differ > 0 {
		t.Errorf("%d seeds of %d gave two runs", differ, seeds)
	}
}
