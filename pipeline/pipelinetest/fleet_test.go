package pipelinetest_test

import (
	"strings"
	"testing"

	"github.com/shardlake/shardlake/pipeline/pipelinetest"
)

func TestFleet(t *testing.T) {
	for seed := range uint64(500) {
		r := pipelinetest.Run(t, seed, scenario(3, 3, 4))
		if testing.Verbose() {
			t.Log(r.Seed, r.Turns, r.Faults, r.Starts, r.Failed, r.Commits, r.HandOvers, r.Files, r.Leftover, r.Unreturned, r.Virtual)
		}
		for _, l := range r.Trace {
			if strings.Contains(l, " | ") {
				t.Log(l)
			}
		}
		if t.Failed() {
			break
		}
	}
}
