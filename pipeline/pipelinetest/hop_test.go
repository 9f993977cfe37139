//go:build !race

package pipelinetest

import "testing"

// The same seed is the same run of two groups, too.
func TestSameSeedSameHop(t *testing.T) {
	differ := 0
	for seed := range uint64(25) {
		a, b := hoppingOf(seed).simulate(t, seed, false), hoppingOf(seed).simulate(t, seed, false)
		if a.Hash == b.Hash {
			continue
		}
		if differ++; differ > 3 {
			continue
		}
		for i := range a.Trace {
			if i >= len(b.Trace) || a.Trace[i] != b.Trace[i] {
				t.Logf("seed %d, first  %v", seed, a.Trace[i:min(i+3, len(a.Trace))])
				t.Logf("seed %d, second %v", seed, b.Trace[min(i, len(b.Trace)):min(i+3, len(b.Trace))])
				break
			}
		}
	}
	if differ > 0 {
		t.Errorf("%d seeds of 25 gave two runs", differ)
	}
}

// What is found once is looked for each time: shards of the receiver that merge before
// the first frame has come to one of them.
func TestHopMergeBeforeTheFirstFrames(t *testing.T) {
	for _, seed := range []uint64{531, 532, 1783} {
		RunHop(t, seed)
	}
}
