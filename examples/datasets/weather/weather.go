// Package weather is the pipeline over hourly weather of three airports, which
// arrives as lines of CSV: observations in both formats, and a summary per day
// and airport.
package weather

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

// Observation is the weather of an hour. Temperatures are in degrees Fahrenheit,
// speeds in miles an hour, precipitation in inches, pressure in millibars. What
// the station wrote as NA is null. Columns with few decimals are decimals; the
// wind was converted from another unit and has 17 digits.
type Observation struct {
	Origin    string
	Year      int32 // Year to Hour are local, and name one hour of the year twice
	Month     int32
	Day       int32
	Hour      int32
	Temp      *int64 `lake:"temp,decimal(9,2)"`
	Dewp      *int64 `lake:"dewp,decimal(9,2)"`
	Humid     *int64 `lake:"humid,decimal(9,2)"`
	WindDir   *int32
	WindSpeed *float64
	WindGust  *float64
	Precip    *int64 `lake:"precip,decimal(9,2)"`
	Pressure  *int64 `lake:"pressure,decimal(9,1)"`
	Visib     *int64 `lake:"visib,decimal(9,2)"`
	TimeHour  time.Time
}

// When is the event time.
func (o Observation) When() time.Time { return o.TimeHour }

// Key is the partition key.
func (o Observation) Key() string { return o.Origin }

// DayOrigin is a day (UTC) of an airport.
type DayOrigin struct {
	DayStart     time.Time `lake:"day_start,date"`
	Origin       string
	Count        int64
	CountTemp    int64
	SumTemp      int64 `lake:"sum_temp,decimal(18,2)"`
	SumPrecip    int64 `lake:"sum_precip,decimal(18,2)"`
	NullWindGust int64
}

// grace is more than a year: the file is one airport's year after the other's, and
// two airports may share a shard, whose watermark is then a year ahead of the
// second one. Days close at the end of the shard.
const grace = 366 * 24 * time.Hour

// Build is the whole pipeline.
func Build(p *pipeline.Pipeline, src source.Source[Observation], lake datasets.Lake) {
	hourly := p.Read(src)
	days := hourly.Via(stage.Aggregate(window.Tumbling(24*time.Hour).Grace(grace), Observation.Key, newDay, add))

	hourly.Write(lake.Folder("observations").By(sink.Field("origin").As("airport"), sink.Time("month_part", "2006-01")), parquet.Format)
	hourly.Write(lake.Folder("observations_avro"), avro.Format)
	days.Write(lake.Folder("day_origin"), parquet.Format)
	days.Write(lake.Folder("day_origin_avro"), avro.Format)
	p.Dead().Write(lake.Folder("dead"), parquet.Format)
	p.Dead().Write(lake.Folder("dead_avro"), avro.Format)
}

func newDay(origin string, s window.Span) DayOrigin {
	return DayOrigin{DayStart: s.Start.Time(), Origin: origin}
}

func add(d *DayOrigin, o Observation) {
	d.Count++
	if o.Temp != nil {
		d.CountTemp++
		d.SumTemp += *o.Temp
	}
	if o.Precip != nil {
		d.SumPrecip += *o.Precip
	}
	if o.WindGust == nil {
		d.NullWindGust++
	}
}
