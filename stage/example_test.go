package stage_test

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/stage"
	"github.com/shardlake/shardlake/stage/stagetest"
	"github.com/shardlake/shardlake/stage/window"
)

func ExampleFilter() {
	rows, err := stagetest.Run(stage.Filter(func(n int) bool { return n > 2 }), 1, 2, 3, 4)
	fmt.Println(rows, err)
	// Output: [3 4] <nil>
}

// The three answers about a bad row: skip it, make it a dead letter, or stop.
func ExampleTryMap() {
	parse := func(s string) (int, error) {
		if s == "" {
			return 0, shardlake.ErrSkip
		}
		n, err := strconv.Atoi(s)
		if err != nil {
			return 0, shardlake.Reject(err)
		}
		if n < 0 {
			return 0, errors.New("a negative count: something is wrong upstream")
		}
		return n, nil
	}
	lane, err := stagetest.Open(stage.Named("parse", stage.TryMap(parse)), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer lane.Close()
	err = lane.Push(time.Unix(0, 0), "1", "", "x", "2")
	fmt.Println(lane.Rows, err)
	fmt.Println(lane.Dead[0].Stage, lane.Dead[0].Seq, lane.Dead[0].Reason)
	var e *shardlake.Error
	if errors.As(lane.Push(time.Unix(0, 0), "-1"), &e) {
		fmt.Println(e.Stage, e.Pos, e.Err)
	}
	// Output:
	// [1 2] <nil>
	// parse 3 strconv.Atoi: parsing "x": invalid syntax
	// parse 5.0 a negative count: something is wrong upstream
}

func ExampleAggregate() {
	type count struct {
		Page  string
		Start time.Time
		Views int
	}
	perMinute := stage.Aggregate(window.Tumbling(time.Minute).Grace(30*time.Second),
		func(page string) string { return page },
		func(page string, s window.Span) count { return count{Page: page, Start: s.Start.Time()} },
		func(c *count, _ string) { c.Views++ })
	lane, err := stagetest.Open(perMinute, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer lane.Close()
	err = errors.Join(
		lane.Push(time.Unix(10, 0), "/", "/about", "/"),
		lane.Push(time.Unix(80, 0), "/"),
		lane.Push(time.Unix(50, 0), "/"), // 30 s out of order: in time
		lane.Push(time.Unix(90, 0), "/"), // closes the first minute
		lane.Push(time.Unix(59, 0), "/"), // late
		lane.Mark(shardlake.Mark{Watermark: shardlake.Forever}))
	for _, c := range lane.Rows {
		fmt.Println(c.Start.Format(time.TimeOnly), c.Page, c.Views)
	}
	fmt.Println(lane.Dead[0].Reason, err)
	// Output:
	// 00:00:00 / 3
	// 00:00:00 /about 1
	// 00:01:00 / 2
	// late: its window is closed <nil>
}

func ExampleNamed() {
	inverse := stage.Named("inverse", stage.Map(func(n int) int { return 60 / n }))
	_, err := stagetest.Run(inverse, 3, 0)
	var e *shardlake.Error
	if errors.As(err, &e) {
		fmt.Println(e.Stage, e.Lane, e.Pos, e.Err)
	}
	// Output: inverse test 2.0 panic: runtime error: integer divide by zero
}
