package lineage_test

import (
	"fmt"
	"log"
	"maps"
	"slices"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/internal/lineage"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/source"
)

// Shard 1 is split while it is read: its children wait for it.
func ExamplePlan() {
	listing := source.Listing{Name: "clicks", Identity: "arn:clicks", Begin: shardlake.Never, Lanes: []source.Lane{
		{ID: "1"}, {ID: "2", Parents: []string{"1"}}, {ID: "3", Parents: []string{"1"}},
	}}
	rows := []lease.Row{{Lane: "1", Source: "arn:clicks", Fence: 1, Number: 12}}
	show := func() lineage.Decision {
		d, err := lineage.Plan(listing, rows)
		if err != nil {
			log.Fatal(err)
		}
		for _, r := range d.Create {
			fmt.Println("create", r.Lane, "behind", r.Parents)
		}
		for _, r := range d.Ready {
			fmt.Println("ready", r.Lane)
		}
		for _, lane := range slices.Sorted(maps.Keys(d.Waiting)) {
			fmt.Println(lane, d.Waiting[lane])
		}
		return d
	}
	rows = append(rows, show().Create...)
	fmt.Println("once they are made:")
	show()
	rows[0].Ended, rows[0].Children = true, []string{"2", "3"}
	fmt.Println("once 1 is read to its end:")
	show()
	// Output:
	// create 2 behind [1]
	// create 3 behind [1]
	// ready 1
	// once they are made:
	// ready 1
	// 2 waits for 1 (not read to its end)
	// 3 waits for 1 (not read to its end)
	// once 1 is read to its end:
	// ready 2
	// ready 3
}

// A shard that no lease covers.
func ExampleHoles() {
	half := shardlake.HashRange{To: shardlake.MaxHash}
	half.From[0] = 0x80
	for _, h := range lineage.Holes([]shardlake.HashRange{half}) {
		fmt.Println(h.From, "to", h.To)
	}
	// Output: 0 to 170141183460469231731687303715884105727
}

// The lease of shard 2, made by a split of 1 like 3, is all that there is.
func ExampleMissing() {
	lanes := []source.Lane{{ID: "1"}, {ID: "2", Parents: []string{"1"}}, {ID: "3", Parents: []string{"1"}}}
	fmt.Println(lineage.Missing(lanes, map[string]bool{"2": true}, lineage.Latest))
	fmt.Println(lineage.Missing(lanes, map[string]bool{"2": true}, lineage.TrimHorizon))
	// Output:
	// [3]
	// [1]
}
