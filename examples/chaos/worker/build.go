package main

import (
	"fmt"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/avro"
	"github.com/shardlake/shardlake/sink/parquet"
	"github.com/shardlake/shardlake/sink/s3"
	"github.com/shardlake/shardlake/source"
	"github.com/shardlake/shardlake/stage"
)

// Event is a record of the stream: a number that no other record has, the
// partition key once more, another key, and when it was made.
type Event struct {
	N    int64     `json:"n"`
	Key  string    `json:"key"`
	User string    `json:"user"`
	At   time.Time `json:"at"`
}

func (e Event) when() time.Time { return e.At }

// Row is a row of the files.
type Row struct {
	N     int64
	Key   string
	Class string
	At    time.Time
}

// build is the whole pipeline: rows twice, in two formats, by the class of their
// key, and what is no event as dead letters.
func build(p *pipeline.Pipeline, src source.Source[Event], lake *s3.Store) {
	rows := p.Read(src).Via(stage.TryMap(toRow))
	rows.Write(lake.Folder("events").By(sink.Field("class").As("part")), parquet.Format)
	rows.Write(lake.Folder("events_avro").By(sink.Field("class").As("part")), avro.Format)
	p.Dead().Write(lake.Folder("dead"), avro.Format)
}

func toRow(e Event) (Row, error) {
	if e.Key == "" {
		return Row{}, shardlake.Reject(fmt.Errorf("event %d has no key", e.N))
	}
	return Row{e.N, e.Key, e.Key[:1], e.At}, nil
}
