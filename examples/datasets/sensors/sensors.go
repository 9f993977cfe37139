// Package sensors is the pipeline over readings of machines, offices, roads and
// cloud servers: readings in both formats, and their count, sum and range per hour
// and sensor, with every digit.
package sensors

import (
	"errors"
	"fmt"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
	"github.com/shardlake/shardlake/examples/datasets"
	"github.com/shardlake/shardlake/examples/datasets/exact"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/avro"
	"github.com/shardlake/shardlake/sink/parquet"
	"github.com/shardlake/shardlake/source"
	"github.com/shardlake/shardlake/stage"
	"github.com/shardlake/shardlake/stage/window"
)

// Reading is one reading. Value is for queries; ValueText has the digits as the
// sensor wrote them, up to 17 of them and more decimals than a decimal column of
// 18 digits holds.
type Reading struct {
	Sensor    string
	Time      time.Time
	Value     float64
	ValueText exact.Decimal
	N         int64 // the sensor's own count
}

// When is the event time.
func (r Reading) When() time.Time { return r.Time }

// Key is the partition key: the readings of one sensor stay in order.
func (r Reading) Key() string { return r.Sensor }

// HourSensor adds up the readings of a sensor in an hour. The sensor is the
// partition key, so there is one row for an hour and sensor, also where the stream is
// resharded meanwhile. Numbers are text, since they keep all digits.
type HourSensor struct {
	HourStart time.Time
	Sensor    string
	Count     int64
	SumValue  exact.Decimal
	MinValue  exact.Decimal
	MaxValue  exact.Decimal
}

// Codec reads readings from JSON.
func Codec() (codec.Decoder[Reading], error) { return codec.Map(codec.JSON[reading], reading.row)() }

type reading struct {
	Sensor *string        `json:"sensor"`
	Time   *string        `json:"time"`
	Value  *exact.Decimal `json:"value"`
	N      *int64         `json:"n"`
}

func (in reading) row() (Reading, error) {
	if in.Sensor == nil || in.Time == nil || in.Value == nil || in.N == nil {
		return Reading{}, shardlake.Reject(errors.New("not a reading: sensor, time, value or n is missing"))
	}
	t, err := time.Parse(time.DateTime, *in.Time)
	if err != nil {
		return Reading{}, shardlake.Reject(fmt.Errorf("time: %w", err))
	}
	return Reading{Sensor: *in.Sensor, Time: t, Value: in.Value.Float64(), ValueText: *in.Value, N: *in.N}, nil
}

// grace is how far a sensor's clock may step back.
const grace = time.Hour

// Build is the whole pipeline.
func Build(p *pipeline.Pipeline, src source.Source[Reading], lake datasets.Lake) {
	readings := p.Read(src)
	hours := readings.Via(stage.Aggregate(window.Tumbling(time.Hour).Grace(grace), sensor, newHour, add))

	readings.Write(lake.Folder("readings").By(sink.Day("dt")), parquet.Format)
	readings.Write(lake.Folder("readings_avro").By(sink.Field("sensor").As("sensor_part")), avro.Format)
	hours.Write(lake.Folder("hour_sensor"), parquet.Format)
	hours.Write(lake.Folder("hour_sensor_avro"), avro.Format)
	p.Dead().Write(lake.Folder("dead"), parquet.Format)
	p.Dead().Write(lake.Folder("dead_avro"), avro.Format)
}

func sensor(r Reading) string { return r.Sensor }

func newHour(sensor string, s window.Span) HourSensor {
	return HourSensor{HourStart: s.Start.Time(), Sensor: sensor}
}

func add(h *HourSensor, r Reading) {
	if h.Count == 0 || r.ValueText.Compare(h.MinValue) < 0 {
		h.MinValue = r.ValueText
	}
	if h.Count == 0 || r.ValueText.Compare(h.MaxValue) > 0 {
		h.MaxValue = r.ValueText
	}
	h.Count++
	h.SumValue = h.SumValue.Add(r.ValueText)
}
