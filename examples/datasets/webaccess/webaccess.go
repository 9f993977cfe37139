// Package webaccess is the pipeline over a web server's access log: hits in both
// formats, failures apart, and traffic per hour and status.
package webaccess

import (
	"errors"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
	"github.com/shardlake/shardlake/examples/datasets"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/avro"
	"github.com/shardlake/shardlake/sink/parquet"
	"github.com/shardlake/shardlake/source"
	"github.com/shardlake/shardlake/stage"
	"github.com/shardlake/shardlake/stage/window"
)

// Hit is one request. What the log writes as "-" is null: a response without a
// body has no size, which is not a size of 0.
type Hit struct {
	Time    time.Time `json:"time"`
	IP      string    `json:"ip"`
	User    *string   `json:"user"`
	Method  string    `json:"method"`
	Path    string    `json:"path"`
	Proto   string    `json:"proto"`
	Status  int32     `json:"status"`
	Bytes   *int64    `json:"bytes"`
	Referer *string   `json:"referer"`
	Agent   *string   `json:"agent"`
}

// When is the event time.
func (h Hit) When() time.Time { return h.Time }

// Key is the partition key: the order of one visitor's hits is kept.
func (h Hit) Key() string { return h.IP }

// HourStatus adds up the hits of an hour with one status. Statuses do not follow
// from the partition key: each shard yields a row of its own, and a query adds
// them up.
type HourStatus struct {
	HourStart time.Time
	Status    int32
	Count     int64
	SumBytes  int64
	NullBytes int64
}

// Codec reads hits from JSON.
func Codec() (codec.Decoder[Hit], error) {
	return codec.Map(codec.JSON[Hit], func(h Hit) (Hit, error) { return h, h.check() })()
}

// check finds members that are missing: to a JSON decoder they are zero values.
func (h Hit) check() error {
	if h.Time.IsZero() || h.IP == "" || h.Method == "" || h.Path == "" || h.Proto == "" || h.Status < 100 || h.Status > 599 {
		return shardlake.Reject(errors.New("not a hit: time, ip, method, path, proto or status is missing"))
	}
	return nil
}

// grace is how late hits may be: a server logs a request when it ends.
const grace = 2 * time.Minute

// Build is the whole pipeline.
func Build(p *pipeline.Pipeline, src source.Source[Hit], lake datasets.Lake) {
	hits := p.Read(src)
	hours := hits.Via(stage.AggregatePartial(window.Tumbling(time.Hour).Grace(grace), status, newHour, addHit))

	hits.Write(lake.Folder("hits").By(sink.Day("dt")), parquet.Format)
	hits.Write(lake.Folder("hits_avro"), avro.Format)
	hits.Via(stage.Filter(failed)).Write(lake.Folder("failures"), avro.Format)
	hours.Write(lake.Folder("hour_status"), parquet.Format)
	hours.Write(lake.Folder("hour_status_avro"), avro.Format)
	p.Dead().Write(lake.Folder("dead"), parquet.Format)
	p.Dead().Write(lake.Folder("dead_avro"), avro.Format)
}

func failed(h Hit) bool  { return h.Status >= 400 }
func status(h Hit) int32 { return h.Status }

func newHour(status int32, s window.Span) HourStatus {
	return HourStatus{HourStart: s.Start.Time(), Status: status}
}

// Merge makes one row of those of two shards that were merged.
func (h *HourStatus) Merge(o HourStatus) {
	h.Count, h.SumBytes, h.NullBytes = h.Count+o.Count, h.SumBytes+o.SumBytes, h.NullBytes+o.NullBytes
}

func addHit(m *HourStatus, h Hit) {
	m.Count++
	if h.Bytes == nil {
		m.NullBytes++
		return
	}
	m.SumBytes += *h.Bytes
}
