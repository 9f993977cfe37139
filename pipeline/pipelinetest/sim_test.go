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

// hopEvery is how many seeds of one fleet there are to one of two, which takes longer.
const hopEvery = 3

// Everything that a seed decides may happen to a fleet, or to one and another that goes
// on with its rows, and each row is in the lake once.
func TestSim(t *testing.T) {
	fleet := func(t *testing.T, seed uint64) pipelinetest.Report {
		return pipelinetest.Run(t, seed, scenarioOf(seed))
	}
	// The last line is that of the single fleet.
	lines := simulations(t, "hop", hopEvery, pipelinetest.RunHop) + simulations(t, "fleet", 1, fleet)
	if *summary != "" {
		if err := os.WriteFile(*summary, []byte(lines), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// simulations runs the seeds that are asked for, of so many one, and adds up what
// happened in a line.
func simulations(t *testing.T, what string, every uint64, run func(*testing.T, uint64) pipelinetest.Report) (line string) {
	t.Run(what, func(t *testing.T) {
		begun := time.Now()
		var all []pipelinetest.Report
		first, behind := *from, *from+*seeds
		if *only >= 0 {
			first, behind, every = uint64(*only), uint64(*only)+1, 1
		}
		for seed := first; seed < behind && !t.Failed(); seed += every {
			r := run(t, seed)
			if *only >= 0 {
				for _, l := range r.Trace {
					t.Log(l)
				}
			}
			r.Trace = nil
			all = append(all, r)
		}
		line = note(all, time.Since(begun))
		if what != "fleet" {
			line = what + ": " + line
		}
		t.Log(line)
	})
	return line + "\n"
}

// note adds up what happened, in one line.
func note(all []pipelinetest.Report, wall time.Duration) string {
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
	return fmt.Sprintf("seeds %d, calls %d, faults {%s}, starts %d, failed %d, commits %d, hand-overs %d, left uploads %d, virtual %v, wall %v",
		len(all), turns, strings.Join(kinds, ", "), starts, failed, commits, handOvers, leftover, virtual.Round(time.Second), wall.Round(time.Millisecond))
}
