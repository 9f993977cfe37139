package stateful

import (
	"math"
	"time"

	"github.com/shardlake/shardlake/stage/fold"
	"github.com/shardlake/shardlake/stage/window"
)

// Total is what is known of a key in a span.
type Total struct {
	Key   string
	Start time.Time `fold:"-"`
	End   time.Time `fold:"-"`
	Pane  int32     `fold:"-"` // 0 but for windows with early or late rows
	Count fold.Count
	Units fold.Sum
	Sum   fold.FloatSum
	Least fold.Min[float64]
	Most  fold.Max[float64]
	Mean  fold.Mean[float64]
}

func newTotal(key string, s window.Span) Total {
	return Total{Key: key, Start: s.Start.Time(), End: s.End.Time(), Pane: int32(s.Pane)}
}

func (t *Total) add(e Event) {
	t.Count.Inc()
	t.Units.Add(int64(math.Floor(e.Value)))
	t.Sum.Add(e.Value)
	t.Least.Add(e.Value)
	t.Most.Add(e.Value)
	t.Mean.Add(e.Value)
}

// Merge takes in another total of the key.
func (t *Total) Merge(other Total) { fold.Merge(t, other) }

// SetWindow writes the span of a session.
func (t *Total) SetWindow(s window.Span) { t.Start, t.End = s.Start.Time(), s.End.Time() }

// Part is what one lane knows of a kind in a span. Two of a lane stay apart where
// shards were merged, since it has no method Merge.
type Part struct {
	Kind  string
	Start time.Time
	Count fold.Count
	Units fold.Sum
	Sum   fold.FloatSum
	Least fold.Min[float64]
	Most  fold.Max[float64]
	Mean  fold.Mean[float64]
}

func newPart(kind string, s window.Span) Part { return Part{Kind: kind, Start: s.Start.Time()} }

func (p *Part) add(e Event) {
	p.Count.Inc()
	p.Units.Add(int64(math.Floor(e.Value)))
	p.Sum.Add(e.Value)
	p.Least.Add(e.Value)
	p.Most.Add(e.Value)
	p.Mean.Add(e.Value)
}

// Joined is a Part of which a merge of shards makes one of two.
type Joined struct {
	Kind  string
	Start time.Time
	Count fold.Count
	Units fold.Sum
	Sum   fold.FloatSum
	Least fold.Min[float64]
	Most  fold.Max[float64]
	Mean  fold.Mean[float64]
}

func newJoined(kind string, s window.Span) Joined { return Joined(newPart(kind, s)) }

func (j *Joined) add(e Event) { (*Part)(j).add(e) }

// Merge takes in what another shard knows.
func (j *Joined) Merge(other Joined) { fold.Merge(j, other) }

// Seen is an event that Dedup passed.
type Seen struct {
	Key   string
	Row   string
	Time  time.Time
	Value float64
}

// Run is the running count of a key, or its end.
type Run struct {
	Key   string
	At    time.Time
	Count int64
	Quiet bool // the key came no more; At is when it was woken
}

// Missed is a record that came too late for a stage.
type Missed struct {
	Stage string
	Key   string
	Data  string
	Lane  string
	Seq   string
}
