package sketch_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/stage"
	"github.com/shardlake/shardlake/stage/fold"
	"github.com/shardlake/shardlake/stage/sketch"
	"github.com/shardlake/shardlake/stage/stagetest"
	"github.com/shardlake/shardlake/stage/window"
)

type Visit struct {
	Page, Visitor string
	Took          time.Duration
}

// acc is what the visits of a page and minute are folded into.
type acc struct {
	Page     string
	Start    time.Time
	Views    fold.Count
	Visitors sketch.Distinct
	Latency  sketch.Quantiles
}

func (a *acc) Merge(other acc) { fold.Merge(a, other) }

// PageMinute is the row of the lake.
type PageMinute struct {
	Page     string                 `lake:"page"`
	Start    time.Time              `lake:"start"`
	Views    fold.Count             `lake:"views"`
	Visitors sketch.DistinctColumn  `lake:"visitors"`
	Latency  sketch.QuantilesColumn `lake:"latency"` // in milliseconds
}

// The sketches live in the accumulator; a Map behind the aggregate makes columns
// of them. A program that reads the lake merges the column sketch.
func Example() {
	perMinute := stage.Aggregate(window.Tumbling(time.Minute).Grace(0),
		func(v Visit) string { return v.Page },
		func(page string, s window.Span) acc { return acc{Page: page, Start: s.Start.Time()} },
		func(a *acc, v Visit) {
			a.Views.Inc()
			a.Visitors.Add(v.Visitor)
			a.Latency.Add(v.Took.Seconds() * 1000)
		}).Then(stage.Map(func(a acc) PageMinute {
		return PageMinute{a.Page, a.Start, a.Views, a.Visitors.Column(), a.Latency.Column()}
	}))
	lane, err := stagetest.Open(perMinute, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer lane.Close()
	for i := range 300 { // a hundred visitors in each minute, the same in both
		err = errors.Join(err, lane.Push(time.Unix(int64(i/150*60), 0),
			Visit{"/", fmt.Sprint("visitor ", i%100), time.Duration(i%150+1) * time.Millisecond}))
	}
	err = errors.Join(err, lane.Mark(shardlake.Mark{Watermark: shardlake.Forever}))
	var both sketch.Distinct
	for _, m := range lane.Rows {
		fmt.Printf("%s %d views, %d visitors, 99 %% within %.0f ms\n", m.Page, m.Views, m.Visitors.Estimate, *m.Latency.P99)
		var one sketch.Distinct
		err = errors.Join(err, one.UnmarshalBinary(m.Visitors.Sketch))
		both.Merge(one)
	}
	fmt.Println(both.Estimate(), "visitors of both minutes", err)
	// Output:
	// / 150 views, 100 visitors, 99 % within 147 ms
	// / 150 views, 100 visitors, 99 % within 147 ms
	// 100 visitors of both minutes <nil>
}

// SQL makes totals of the rest of the row, and says what it leaves out.
func ExampleDistinctColumn_NotInSQL() {
	query, err := fold.MergeQuery[PageMinute]("page_minutes", "page")
	fmt.Println(query, err)
	// Output:
	// -- left out: visitors: SQL cannot merge sketches of HyperLogLog in this format, and estimates must not be added: merge column sketch by sketch.Distinct of Go, or count distinct values of the rows themselves
	// -- left out: latency: SQL cannot merge sketches of DDSketch, and a mean of percentiles is none: merge column sketch by sketch.Quantiles of Go, or take percentiles of the rows themselves
	// SELECT
	//   p."page" AS "page",
	//   CAST(sum(p."views") AS BIGINT) AS "views"
	// FROM "page_minutes" AS p
	// GROUP BY
	//   p."page"
	//  <nil>
}
