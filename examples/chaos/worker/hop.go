package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/avro"
	"github.com/shardlake/shardlake/sink/parquet"
	"github.com/shardlake/shardlake/sink/s3"
	"github.com/shardlake/shardlake/source"
	"github.com/shardlake/shardlake/source/kinesis"
	"github.com/shardlake/shardlake/stage"
	"github.com/shardlake/shardlake/stage/window"
)

// bound is how far the event times of a shard may be out of order, and idle how long a
// shard is silent until its watermark follows the clock. The producer stamps a record
// just before it puts it.
const (
	bound = time.Second
	idle  = 5 * time.Second
)

// buckets are four for each shard that the stream between the groups has at most. They
// are few, since each commit sends a frame to every one.
const buckets = 32

// Hit is a row of the second group's files.
type Hit struct {
	N    int64
	Key  string
	User string
	At   time.Time
}

// Total is what a user did within a span.
type Total struct {
	User  string
	Start time.Time
	Count int64
	Sum   int64 // of N
}

func newTotal(user string, s window.Span) Total {
	return Total{User: user, Start: time.UnixMicro(int64(s.Start)).UTC()}
}

func (t *Total) add(e Event) { t.Count, t.Sum = t.Count+1, t.Sum+e.N }

func (e Event) user() string { return e.User }

// appendEvent encodes an event for the second group.
func appendEvent(dst []byte, e Event) ([]byte, error) {
	b, err := json.Marshal(e)
	return append(dst, b...), err
}

// send is the first of two groups: events go on to those who add them up by user.
func send(p *pipeline.Pipeline, src source.Source[Event], to sink.Sink[Event], lake *s3.Store) {
	p.Read(src).Via(stage.TryMap(whole)).Into(to)
	p.Dead().Write(lake.Folder("dead"), avro.Format)
}

func whole(e Event) (Event, error) {
	if e.Key == "" || e.User == "" {
		return Event{}, shardlake.Reject(fmt.Errorf("event %d has no key or no user", e.N))
	}
	return e, nil
}

// receive is the second: it writes all events once more, and the total of each user
// and span. There is nothing to be late, and nothing that could not be read.
func receive(p *pipeline.Pipeline, src source.Source[kinesis.Frame], span time.Duration, lake *s3.Store) {
	events := p.Read(src).Via(kinesis.Receive(codec.JSON[Event]))
	events.Via(stage.Map(func(e Event) Hit { return Hit(e) })).Write(lake.Folder("hits"), parquet.Format)
	events.Via(stage.Aggregate(window.Tumbling(span).Grace(0), Event.user, newTotal, (*Total).add)).Write(lake.Folder("totals"), parquet.Format)
	p.Late().Write(lake.Folder("late"), avro.Format)
	p.Dead().Write(lake.Folder("refused"), avro.Format)
}
