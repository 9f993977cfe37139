// Package quakes is the pipeline over a feed of earthquakes, which arrives newest
// first: quakes in both formats, strong ones apart, and a summary per hour and
// network.
package quakes

import (
	"time"

	"github.com/shardlake/shardlake/examples/datasets"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/avro"
	"github.com/shardlake/shardlake/sink/parquet"
	"github.com/shardlake/shardlake/source"
	"github.com/shardlake/shardlake/stage"
	"github.com/shardlake/shardlake/stage/window"
)

// Quake is one earthquake, explosion or quarry blast. Numbers that the networks
// publish with few decimals are decimals; null is what they did not measure.
type Quake struct {
	ID        string
	Time      time.Time `lake:"time,millis"`
	Updated   time.Time `lake:"updated,millis"`
	TZMinutes int32     `lake:"tz_minutes"` // of the place, from UTC
	Mag       *int64    `lake:"mag,decimal(9,2)"`
	MagType   *string
	Place     string
	URL       string
	Detail    string
	Felt      *int32
	CDI       *int64 `lake:"cdi,decimal(9,1)"`
	MMI       *int64 `lake:"mmi,decimal(9,2)"`
	Alert     *string
	Status    string
	Tsunami   bool
	Sig       int32
	Net       string
	Code      string
	IDs       []string `lake:"ids"`
	Sources   []string
	Types     []string
	NST       *int32 `lake:"nst"`
	Dmin      *float64
	RMS       *int64 `lake:"rms,decimal(9,4)"`
	Gap       *int64 `lake:"gap,decimal(9,2)"`
	Type      string
	Title     string
	Point     Point
}

// Point is where a quake was.
type Point struct {
	Coordinates []float64 `lake:"coordinates"` // longitude, latitude, depth in km
	Longitude   int64     `lake:"longitude,decimal(18,7)"`
	Latitude    int64     `lake:"latitude,decimal(18,7)"`
	DepthKM     int64     `lake:"depth_km,decimal(18,7)"`
}

// When is the event time.
func (q Quake) When() time.Time { return q.Time }

// Key is the partition key.
func (q Quake) Key() string { return q.Net }

// HourNet adds up the quakes of an hour in a network.
type HourNet struct {
	HourStart time.Time
	Net       string
	Count     int64
	CountMag  int64
	SumMag    int64  `lake:"sum_mag,decimal(18,2)"`
	MaxMag    *int64 `lake:"max_mag,decimal(9,2)"`
}

// grace is longer than what the feed covers: the newest quake comes first, and
// every other one is late.
const grace = 8 * 24 * time.Hour

// Build is the whole pipeline.
func Build(p *pipeline.Pipeline, src source.Source[Quake], lake datasets.Lake) {
	quakes := p.Read(src)
	hours := quakes.Via(stage.Aggregate(window.Tumbling(time.Hour).Grace(grace), Quake.Key, newHour, add))

	quakes.Write(lake.Folder("quakes").By(sink.Day("dt")), parquet.Format)
	quakes.Write(lake.Folder("quakes_avro").By(sink.Field("net").As("network")), avro.Format)
	quakes.Via(stage.Filter(strong)).Write(lake.Folder("strong"), parquet.Format)
	hours.Write(lake.Folder("hour_net"), parquet.Format)
	hours.Write(lake.Folder("hour_net_avro"), avro.Format)
	p.Dead().Write(lake.Folder("dead"), parquet.Format)
	p.Dead().Write(lake.Folder("dead_avro"), avro.Format)
}

// strong is magnitude 4.50 and above.
func strong(q Quake) bool { return q.Mag != nil && *q.Mag >= 450 }

func newHour(net string, s window.Span) HourNet {
	return HourNet{HourStart: s.Start.Time(), Net: net}
}

func add(h *HourNet, q Quake) {
	h.Count++
	if q.Mag == nil {
		return
	}
	h.CountMag++
	h.SumMag += *q.Mag
	if h.MaxMag == nil || *q.Mag > *h.MaxMag {
		m := *q.Mag
		h.MaxMag = &m
	}
}
