package stagetest_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/shardlake/shardlake/stage"
	"github.com/shardlake/shardlake/stage/stagetest"
)

// Test a stage alone: Run for what it makes of rows, Open for times, marks, dead
// letters and state.
func Example() {
	words := stage.FlatMap(func(line string, emit func(string)) {
		for _, w := range strings.Fields(line) {
			emit(w)
		}
	})
	rows, err := stagetest.Run(words, "a shard", "is a lane")
	fmt.Println(len(rows), rows, err)

	lane, err := stagetest.Open(words, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer lane.Close()
	err = lane.Push(time.Unix(60, 0), "one minute")
	fmt.Println(lane.Rows, lane.Times, err)
	// Output:
	// 5 [a shard is a lane] <nil>
	// [one minute] [1970-01-01T00:01:00Z 1970-01-01T00:01:00Z] <nil>
}
