package stateful

import (
	"errors"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/examples/datasets"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/sink/avro"
	"github.com/shardlake/shardlake/sink/parquet"
	"github.com/shardlake/shardlake/source"
	"github.com/shardlake/shardlake/stage"
	"github.com/shardlake/shardlake/stage/fold"
	"github.com/shardlake/shardlake/stage/window"
)

// Cut says how time is cut. Nothing that was not put again may be late for Grace.
type Cut struct {
	Window  time.Duration // of tumbling windows, and between hops
	Hops    int           // windows that an event belongs to
	Gap     time.Duration // that ends a session
	Longest time.Duration // of the sessions in the folder bounded
	Grace   time.Duration
	TTL     time.Duration // in which an event that comes again is dropped
	Quiet   time.Duration // after which a key is forgotten
	Every   int64         // how many events of a key make a row of running counts

	// Narrow is the grace of windows that do miss rows, Pane the length of those with
	// Early and Late rows.
	Narrow, Pane, Early, Late time.Duration
}

// unbounded is longer than any session of the sets.
const unbounded = 100_000 * time.Hour

// seen tells events apart.
type seen struct {
	Key, Row string
	At       shardlake.Instant
}

// pulse is what a key has done so far.
type pulse struct {
	Count int64
	Last  shardlake.Instant
}

// Build is the whole pipeline. Each folder is there in both formats.
func (c Cut) Build(p *pipeline.Pipeline, src source.Source[Event], lake datasets.Lake) {
	all := p.Read(src).Via(stage.Filter(func(e Event) bool { return !e.End() }))
	once := all.Via(stage.Filter(func(e Event) bool { return !e.Again }))

	total := func(from pipeline.Stream[Event], folder string, w window.Window) {
		write(lake, folder, from.Via(stage.Named(folder, stage.Aggregate(w, Event.Key, newTotal, (*Total).add))))
	}
	hopping := window.Hopping(time.Duration(c.Hops)*c.Window, c.Window)
	total(once, "tumbling", window.Tumbling(c.Window).Grace(c.Grace))
	total(once, "hopping", hopping.Grace(c.Grace))
	total(once, "sessions", window.Sessions(c.Gap).Longest(unbounded).Grace(c.Grace))
	total(once, "bounded", window.Sessions(c.Gap).Longest(c.Longest).Grace(c.Grace))
	total(all, "late_tumbling", window.Tumbling(c.Window).Grace(c.Narrow))
	total(all, "late_hopping", hopping.Grace(c.Narrow))
	total(all, "panes", window.Tumbling(c.Pane).Grace(c.Narrow).Early(c.Early).Late(c.Late))

	kind := func(e Event) string { return e.Kind }
	by := window.Tumbling(c.Window).Grace(c.Grace)
	write(lake, "parts", once.Via(stage.Named("parts", stage.AggregatePartial(by, kind, newPart, (*Part).add))))
	write(lake, "joined", once.Via(stage.Named("joined", stage.AggregatePartial(by, kind, newJoined, (*Joined).add))))

	write(lake, "distinct", all.
		Via(stage.Dedup(func(e Event) seen { return seen{e.Of, e.Row, shardlake.At(e.Time)} }, c.TTL)).
		Via(stage.Map(func(e Event) Seen { return Seen{e.Of, e.Row, e.Time, e.Value} })))
	write(lake, "running", all.Via(stage.Keyed(Event.Key, c.count, quiet)))
	write(lake, "late", p.Late().Via(stage.Map(func(d shardlake.DeadLetter) Missed {
		return Missed{Stage: d.Stage, Key: d.Key, Data: string(d.Data), Lane: d.Lane, Seq: d.Seq}
	})))
	write(lake, "dead", p.Dead())
}

// write is for a folder in both formats.
func write[T any](lake datasets.Lake, folder string, rows pipeline.Stream[T]) {
	rows.Write(lake.Folder(folder), parquet.Format)
	rows.Write(lake.Folder(folder+"_avro"), avro.Format)
}

func (c Cut) count(cell *stage.Cell[string, pulse, Run], e Event) error {
	s := cell.State()
	s.Count++
	s.Last = max(s.Last, cell.Time())
	if s.Count%c.Every == 0 {
		cell.Emit(Run{Key: e.Of, At: e.Time, Count: s.Count})
	}
	cell.Wake(s.Last.Sub(-c.Quiet))
	return nil
}

func quiet(cell *stage.Cell[string, pulse, Run]) error {
	cell.Emit(Run{Key: cell.Key(), At: cell.Time().Time(), Count: cell.State().Count, Quiet: true})
	cell.Forget()
	return nil
}

// Queries add up the rows of the folders of partial rows, by folder: SQL over a table
// of its name.
func Queries() (map[string]string, error) {
	parts, err := fold.MergeQuery[Part]("parts")
	joined, other := fold.MergeQuery[Joined]("joined")
	return map[string]string{"parts": parts, "joined": joined}, errors.Join(err, other)
}
