package main

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/avro"
	"github.com/shardlake/shardlake/sink/dir"
	"github.com/shardlake/shardlake/sink/parquet"
	"github.com/shardlake/shardlake/source"
	"github.com/shardlake/shardlake/stage"
	"github.com/shardlake/shardlake/stage/window"
)

// Click is a record of the stream, as its producer writes it.
type Click struct {
	ID      int64     `json:"id"`
	Time    time.Time `json:"time"`
	User    string    `json:"user"`
	URL     string    `json:"url"`
	Referer *string   `json:"referer"`
	Agent   string    `json:"agent"`
	Millis  int32     `json:"millis"`
}

func (c Click) when() time.Time { return c.Time }

// View is a page view of a person: a row of the Parquet files.
type View struct {
	ID      int64
	Time    time.Time
	User    string
	Page    string
	Section string
	Referer *string
	Millis  int32
}

// PageMinute counts the views of a section in a minute. Sections are not the
// partition key, so each shard yields a row of its own and a query adds them up.
type PageMinute struct {
	Minute  time.Time
	Section string
	Views   int64
	Millis  int64
}

// build is the whole pipeline. The source decides whether it reads a live stream,
// files of the past, or rows of a test.
func build(p *pipeline.Pipeline, src source.Source[Click], lake *dir.Store) {
	clicks := p.Read(src)
	views := clicks.Via(stage.Filter(human)).Via(stage.TryMap(toView))
	minutes := views.Via(stage.AggregatePartial(window.Tumbling(time.Minute).Grace(30*time.Second), section, newMinute, addView))

	clicks.Write(lake.Folder("raw/clicks"), avro.Format)
	views.Write(lake.Folder("views").By(sink.Day("dt"), sink.Field("section").As("part")), parquet.Format)
	minutes.Write(lake.Folder("page_minutes"), parquet.Format)
	p.Dead().Write(lake.Folder("dead"), avro.Format)
}

func human(c Click) bool { return c.Agent != "robot" }

func toView(c Click) (View, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Path == "" {
		return View{}, shardlake.Reject(errors.Join(fmt.Errorf("its URL %q has no path", c.URL), err))
	}
	return View{c.ID, c.Time, c.User, u.Path, sectionOf(u.Path), c.Referer, c.Millis}, nil
}

func sectionOf(path string) string {
	for i := 1; i < len(path); i++ {
		if path[i] == '/' {
			return path[1:i]
		}
	}
	return "home"
}

func section(v View) string { return v.Section }

func newMinute(section string, s window.Span) PageMinute {
	return PageMinute{Minute: s.Start.Time(), Section: section}
}

func addView(m *PageMinute, v View) { m.Views++; m.Millis += int64(v.Millis) }
