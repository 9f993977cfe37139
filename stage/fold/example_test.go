package fold_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/stage"
	"github.com/shardlake/shardlake/stage/fold"
	"github.com/shardlake/shardlake/stage/stagetest"
	"github.com/shardlake/shardlake/stage/window"
)

type Visit struct {
	Page string
	Took time.Duration
}

// PageMinute is what a minute's visits of a page are folded into, and a row of
// the lake.
type PageMinute struct {
	Page    string                      `lake:"page"`
	Start   time.Time                   `lake:"start"`
	Views   fold.Count                  `lake:"views"`
	Slowest fold.Max[time.Duration]     `lake:"slowest"`
	Took    fold.Mean[time.Duration]    `lake:"took"`
	First   fold.Min[shardlake.Instant] `lake:"first"`
}

func (m *PageMinute) Merge(other PageMinute) { fold.Merge(m, other) }

func Example() {
	perMinute := stage.Aggregate(window.Tumbling(time.Minute).Grace(0),
		func(v Visit) string { return v.Page },
		func(page string, s window.Span) PageMinute { return PageMinute{Page: page, Start: s.Start.Time()} },
		func(m *PageMinute, v Visit) {
			m.Views.Inc()
			m.Slowest.Add(v.Took)
			m.Took.Add(v.Took)
		})
	lane, err := stagetest.Open(perMinute, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer lane.Close()
	err = errors.Join(
		lane.Push(time.Unix(10, 0), Visit{"/", 20 * time.Millisecond}, Visit{"/", 40 * time.Millisecond}),
		lane.Mark(shardlake.Mark{Watermark: shardlake.Forever}))
	for _, m := range lane.Rows {
		slowest, _ := m.Slowest.Get()
		mean, _ := m.Took.Value()
		fmt.Println(m.Page, m.Views, slowest, time.Duration(mean))
	}
	fmt.Println(err)
	// Output:
	// / 2 40ms 30ms
	// <nil>
}

// Two rows of one page and minute are one.
func ExampleMerge() {
	a, b := PageMinute{Page: "/"}, PageMinute{Page: "/"}
	a.Views.Add(2)
	a.Slowest.Add(time.Second)
	b.Views.Add(3)
	b.Slowest.Add(time.Minute)
	a.Merge(b)
	fmt.Println(a.Views, *a.Slowest.Value)
	// Output: 5 1m0s
}

// Each shard wrote rows of its own for a page and minute: the totals of a page.
func ExampleMergeQuery() {
	query, err := fold.MergeQuery[PageMinute]("page_minutes", "page")
	fmt.Println(query, err)
	// Output:
	// SELECT
	//   p."page" AS "page",
	//   CAST(sum(p."views") AS BIGINT) AS "views",
	//   max(p."slowest"."value") AS "slowest",
	//   sum(p."took"."sum") AS "took_sum",
	//   CAST(sum(p."took"."count") AS BIGINT) AS "took_count",
	//   sum(p."took"."sum") / nullif(sum(p."took"."count"), 0) AS "took_mean",
	//   min(p."first"."value") AS "first"
	// FROM "page_minutes" AS p
	// GROUP BY
	//   p."page"
	//  <nil>
}
