package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/stage"
	"github.com/shardlake/shardlake/stage/window"
)

// Totals is what Aggregate and Keyed keep for a key: a row of four numbers.
type Totals struct {
	Count int64
	Sum   float64
	Min   float64
	Max   float64
}

func (t *Totals) add(e Event) {
	if t.Count == 0 {
		t.Min, t.Max = e.Value, e.Value
	}
	t.Count++
	t.Sum += e.Value
	t.Min, t.Max = min(t.Min, e.Value), max(t.Max, e.Value)
}

func (e Event) key() string { return e.Key }

// side is a stage, or what stands in its place in the same pipeline over the same stream.
type side struct {
	name, title string
	fresh       bool
	without     string // the side that is taken off
	make        func(plan) stage.Stage[Event, Totals]
}

func sides() []side {
	return []side{
		{"none", "none", false, "", nothing},
		{"none-fresh", "none, the stream of Dedup", true, "", nothing},
		{"aggregate", "Aggregate", false, "none", aggregate},
		{"dedup", "Dedup", true, "none-fresh", dedup},
		{"keyed", "Keyed", false, "none", keyed},
	}
}

func sideOf(name string) (side, error) {
	all := sides()
	i := slices.IndexFunc(all, func(s side) bool { return s.name == name })
	if i < 0 {
		return side{}, fmt.Errorf("there is no side %q", name)
	}
	return all[i], nil
}

func one(e Event) Totals { return Totals{Count: 1, Sum: e.Value} }

func nothing(plan) stage.Stage[Event, Totals] {
	return stage.Filter(func(e Event) bool { return e.Key == "" }).Then(stage.Map(one))
}

func aggregate(p plan) stage.Stage[Event, Totals] {
	return stage.Aggregate(window.Tumbling(p.size()).Grace(0), Event.key,
		func(string, window.Span) Totals { return Totals{} }, func(t *Totals, e Event) { t.add(e) })
}

func dedup(p plan) stage.Stage[Event, Totals] {
	return stage.Dedup(Event.key, p.ttl()).Then(stage.Map(one))
}

// keyed is a visit that ends when its key has been idle: its wish to be woken moves with
// every row.
func keyed(p plan) stage.Stage[Event, Totals] {
	idle := shardlake.Instant(p.idle().Microseconds())
	type cell = stage.Cell[string, Totals, Totals]
	return stage.Keyed(Event.key,
		func(c *cell, e Event) error {
			c.State().add(e)
			c.Wake(c.Time() + idle)
			return nil
		},
		func(c *cell) error {
			c.Emit(*c.State())
			c.Forget()
			return nil
		})
}

// counting is a sink that adds up the rows of one lane.
type counting struct {
	sink.Discard[Totals]
	rows, count int64
	sealed      func() // called by Seal
}

// Open gives the sink itself: there is one lane.
func (c *counting) Open(*shardlake.Env) (sink.Writer[Totals], error) { return c, nil }

// Write adds up.
func (c *counting) Write(_ context.Context, b shardlake.Batch[Totals]) error {
	c.rows += int64(len(b.Rows))
	for i := range b.Rows {
		c.count += b.Rows[i].Count
	}
	return nil
}

// Seal has nothing to publish.
func (c *counting) Seal(context.Context) ([]shardlake.Pending, error) { c.sealed(); return nil, nil }

// Buffered is nothing.
func (c *counting) Buffered() int64 { return 0 }

// Close gives nothing back.
func (c *counting) Close() error { return nil }
