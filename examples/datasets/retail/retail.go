// Package retail is the pipeline over a shop's invoice lines: lines by country in
// both formats, cancellations apart, and turnover per hour and country and per
// minute. Money is exact everywhere: no number passes through a float64.
package retail

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

// Line is one line of an invoice. Money is in thousandths of a pound.
type Line struct {
	InvoiceNo   string
	StockCode   string
	Description *string
	Quantity    int64
	InvoiceDate time.Time
	UnitPrice   int64 `lake:"unit_price,decimal(18,3)"`
	Amount      int64 `lake:"amount,decimal(18,3)"` // Quantity times UnitPrice
	CustomerID  *int64
	Country     string
}

// When is the event time.
func (l Line) When() time.Time { return l.InvoiceDate }

// Key is the partition key: the lines of one invoice stay in order.
func (l Line) Key() string { return l.InvoiceNo }

// HourCountry adds up the lines of an hour and country. Each shard yields rows of
// its own, since countries do not follow from the partition key.
type HourCountry struct {
	HourStart    time.Time
	Country      string
	Count        int64
	SumQuantity  int64
	SumAmount    int64 `lake:"sum_amount,decimal(18,3)"`
	NullCustomer int64
}

// Minute adds up the lines of a minute, per shard.
type Minute struct {
	MinuteStart time.Time
	Count       int64
	SumQuantity int64
	SumAmount   int64 `lake:"sum_amount,decimal(18,3)"`
}

// Build is the whole pipeline.
func Build(p *pipeline.Pipeline, src source.Source[Line], lake datasets.Lake) {
	lines := p.Read(src)
	hours := lines.Via(stage.AggregatePartial(window.Tumbling(time.Hour).Grace(time.Minute), country, newHour, addToHour))
	minutes := lines.Via(stage.AggregatePartial(window.Tumbling(time.Minute).Grace(time.Minute), all, newMinute, addToMinute))

	lines.Write(lake.Folder("lines").By(sink.Field("country").As("country_part")), parquet.Format)
	lines.Write(lake.Folder("lines_avro"), avro.Format)
	lines.Via(stage.Filter(takenBack)).Write(lake.Folder("taken_back"), avro.Format)
	hours.Write(lake.Folder("hour_country"), parquet.Format)
	hours.Write(lake.Folder("hour_country_avro"), avro.Format)
	minutes.Write(lake.Folder("minute"), parquet.Format)
	p.Dead().Write(lake.Folder("dead"), parquet.Format)
	p.Dead().Write(lake.Folder("dead_avro"), avro.Format)
}

func takenBack(l Line) bool { return l.Quantity < 0 }
func country(l Line) string { return l.Country }
func all(Line) struct{}     { return struct{}{} }

func newHour(country string, s window.Span) HourCountry {
	return HourCountry{HourStart: s.Start.Time(), Country: country}
}

func addToHour(h *HourCountry, l Line) {
	h.Count++
	h.SumQuantity += l.Quantity
	h.SumAmount += l.Amount
	if l.CustomerID == nil {
		h.NullCustomer++
	}
}

// Merge makes one row of those of two shards that were merged.
func (h *HourCountry) Merge(o HourCountry) {
	h.Count, h.SumQuantity, h.SumAmount, h.NullCustomer = h.Count+o.Count, h.SumQuantity+o.SumQuantity, h.SumAmount+o.SumAmount, h.NullCustomer+o.NullCustomer
}

// Merge makes one row of those of two shards that were merged.
func (m *Minute) Merge(o Minute) {
	m.Count, m.SumQuantity, m.SumAmount = m.Count+o.Count, m.SumQuantity+o.SumQuantity, m.SumAmount+o.SumAmount
}

func newMinute(_ struct{}, s window.Span) Minute { return Minute{MinuteStart: s.Start.Time()} }

func addToMinute(m *Minute, l Line) {
	m.Count++
	m.SumQuantity += l.Quantity
	m.SumAmount += l.Amount
}
