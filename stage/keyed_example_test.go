package stage_test

import (
	"fmt"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/stage"
	"github.com/shardlake/shardlake/stage/stagetest"
	"github.com/shardlake/shardlake/stage/window"
)

// A user who is silent for ten minutes has left.
func ExampleKeyed() {
	type stay struct{ Pages int }
	left := stage.Keyed(func(user string) string { return user },
		func(c *stage.Cell[string, stay, string], _ string) error {
			c.State().Pages++
			c.Wake(c.Time() + 600e6)
			return nil
		},
		func(c *stage.Cell[string, stay, string]) error {
			c.Emit(fmt.Sprintf("%s left after %d pages", c.Key(), c.State().Pages))
			c.Forget()
			return nil
		})
	l, err := stagetest.Open(left, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	at := func(minute int) time.Time { return time.Unix(int64(minute)*60, 0) }
	for minute, user := range []string{"ana", "bob", "ana", "ana"} {
		err = l.Push(at(minute), user)
	}
	fmt.Println(err, l.Mark(shardlake.Mark{Watermark: shardlake.At(at(12))}), l.Rows)
	fmt.Println(l.Mark(shardlake.Mark{Watermark: shardlake.At(at(13))}), l.Rows)
	// Output:
	// <nil> <nil> [bob left after 1 pages]
	// <nil> [bob left after 1 pages ana left after 3 pages]
}

func ExampleDedup() {
	once := stage.Dedup(func(s string) string { return s }, time.Hour)
	fmt.Println(stagetest.Run(once, "a", "b", "a", "c", "b"))
	// Output: [a b c] <nil>
}

// visit is a session of a user. Sessions meet when a row comes between two of them,
// so one must be able to take in another.
type visit struct {
	User  string
	Pages int
	Took  time.Duration
}

func (v *visit) Merge(o visit)           { v.Pages += o.Pages }
func (v *visit) SetWindow(s window.Span) { v.Took = s.End.Time().Sub(s.Start.Time()) }

func ExampleAggregate_sessions() {
	visits := stage.Aggregate(window.Sessions(10*time.Minute).Grace(0), func(user string) string { return user },
		func(user string, _ window.Span) visit { return visit{User: user} },
		func(v *visit, _ string) { v.Pages++ })
	l, err := stagetest.Open(visits, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	for _, minute := range []int64{0, 4, 9, 30} {
		err = l.Push(time.Unix(minute*60, 0), "ana")
	}
	fmt.Println(err, l.Mark(end))
	for _, v := range l.Rows {
		fmt.Println(v.User, v.Pages, v.Took)
	}
	// Output:
	// <nil> <nil>
	// ana 3 19m0s
	// ana 1 10m0s
}
