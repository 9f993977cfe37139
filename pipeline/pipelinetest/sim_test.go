package pipelinetest_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shardlake/shardlake/pipeline/pipelinetest"
)

// make sim sets these.
var (
	seeds   = flag.Uint64("sim.seeds", 120, "how many seeds to run")
	from    = flag.Uint64("sim.from", 0, "the first seed")
	only    = flag.Int64("sim.seed", -1, "run this seed alone and show its trace")
	summary = flag.String("sim.summary", "", "write the line of counts to this file")
)

// scenarioOf is what a seed runs: one worker, a fleet, a fleet that repairs, and
// a fleet to which nothing happens but splits and merges.
func scenarioOf(seed uint64) pipelinetest.Scenario[click] {
	switch seed % 5 {
	case 0:
		return scenario(1, 2, 2)
	case 1:
		s := scenario(3, 3, 4)
		s.Config.Repair = true
		s.Faults = pipelinetest.Faults{Refused: 10, Unanswered: 30, Late: 40, Slow: 40, Crash: 10, Reshard: 10, Vanish: 100}
		return s
	case 2:
		s := scenario(2, 4, 4)
		s.Faults = pipelinetest.NoFaults()
		return s
	}
	return scenario(3, 3, 4)
}

// Everything that a seed decides may happen to a fleet, and each row is in the
// lake once.
func TestSim(t *testing.T) {
	if *only >= 0 {
		r := pipelinetest.Run(t, uint64(*only), scenarioOf(uint64(*only)))
		for _, l := range r.Trace {
			t.Log(l)
		}
		note(t, []pipelinetest.Report{r}, 0)
		return
	}
	begun := time.Now()
	var all []pipelinetest.Report
	for seed := *from; seed < *from+*seeds && !t.Failed(); seed++ {
		r := pipelinetest.Run(t, seed, scenarioOf(seed))
		r.Trace = nil
		all = append(all, r)
	}
	note(t, all, time.Since(begun))
}

// note adds up what happened, in one line.
func note(t *testing.T, all []pipelinetest.Report, wall time.Duration) {
	var turns, starts, failed, commits, handOvers, leftover int
	var virtual time.Duration
	faults := map[string]int{}
	for _, r := range all {
		turns, starts, failed, commits, handOvers, leftover = turns+r.Turns, starts+r.Starts, failed+r.Failed, commits+r.Commits, handOvers+r.HandOvers, leftover+r.Leftover
		virtual += r.Virtual
		for k, n := range r.Faults {
			faults[k] += n
		}
	}
	var kinds []string
	for _, k := range slices.Sorted(maps.Keys(faults)) {
		kinds = append(kinds, fmt.Sprintf("%s %d", k, faults[k]))
	}
	line := fmt.Sprintf("seeds %d, calls %d, faults {%s}, starts %d, failed %d, commits %d, hand-overs %d, left uploads %d, virtual %v, wall %v",
		len(all), turns, strings.Join(kinds, ", "), starts, failed, commits, handOvers, leftover, virtual.Round(time.Second), wall.Round(time.Millisecond))
	t.Log(line)
	if *summary != "" {
		if err := os.WriteFile(*summary, []byte(line+"\n"), 0o644); err != nil {
			t.Error(err)
		}
	}
}
