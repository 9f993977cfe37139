package stage_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/stage"
	"github.com/shardlake/shardlake/stage/stagetest"
)

// A state for each key, and a call when the key has been silent for a while.
func ExampleKeyed() {
	const silence = shardlake.Instant(30 * time.Minute / time.Microsecond)
	type cell = stage.Cell[string, int, string]
	visits := stage.Keyed(func(user string) string { return user },
		func(c *cell, _ string) error {
			*c.State()++
			c.Wake(c.Time() + silence)
			return nil
		},
		func(c *cell) error {
			c.Emit(fmt.Sprintf("%s looked at %d pages", c.Key(), *c.State()))
			c.Forget()
			return nil
		})
	lane, err := stagetest.Open(visits, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer lane.Close()
	hour := time.Unix(3600, 0)
	err = errors.Join(
		lane.Push(hour, "ada", "ada", "bob"),
		lane.Push(hour.Add(31*time.Minute), "ada"), // a new visit
		lane.Mark(shardlake.Mark{Watermark: shardlake.Forever, Commit: true}))
	for i, row := range lane.Rows {
		fmt.Println(lane.Times[i], row)
	}
	fmt.Println(err)
	// Output:
	// 1970-01-01T01:30:00Z ada looked at 2 pages
	// 1970-01-01T01:30:00Z bob looked at 1 pages
	// 1970-01-01T02:01:00Z ada looked at 1 pages
	// <nil>
}

// A copy is dropped until the watermark is the time to live beyond the first.
func ExampleDedup() {
	lane, err := stagetest.Open(stage.Dedup(func(id string) string { return id }, time.Minute), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer lane.Close()
	err = errors.Join(lane.Push(time.Unix(0, 0), "a", "b", "a"), lane.Push(time.Unix(59, 0), "b"), lane.Push(time.Unix(60, 0), "a"))
	fmt.Println(lane.Rows, err)
	// Output: [a b a] <nil>
}
