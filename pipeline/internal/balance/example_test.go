package balance_test

import (
	"fmt"
	"log"
	"time"

	"github.com/shardlake/shardlake/pipeline/internal/balance"
	"github.com/shardlake/shardlake/pipeline/lease"
)

// A worker joins a fleet of one that runs all four lanes. It shows itself with one
// lane, and asks for its whole share a round later.
func ExampleWatch_Decide() {
	w, err := balance.New("joiner", balance.Options{})
	if err != nil {
		log.Fatal(err)
	}
	rows := []lease.Row{
		{Lane: "shard-0", Owner: "first"}, {Lane: "shard-1", Owner: "first"},
		{Lane: "shard-2", Owner: "first"}, {Lane: "shard-3", Owner: "first"},
	}
	now := time.Unix(0, 0)
	for round := range 3 {
		w.See(rows, now.Add(time.Duration(round)*5*time.Second))
		var lanes []balance.Lane
		for _, r := range rows {
			lanes = append(lanes, balance.Lane{Row: r, Ready: true})
		}
		plan := w.Decide(lanes)
		fmt.Printf("round %d: %d lanes, %d workers, ask for %d\n", round, plan.Lanes, plan.Workers, len(plan.Ask))
		for i := range rows {
			rows[i].Beat++ // the owner lives
			for _, a := range plan.Ask {
				if a.Lane == rows[i].Lane {
					rows[i].Want = "joiner"
				}
			}
		}
	}
	// Output:
	// round 0: 4 lanes, 2 workers, ask for 1
	// round 1: 4 lanes, 2 workers, ask for 1
	// round 2: 4 lanes, 2 workers, ask for 0
}
