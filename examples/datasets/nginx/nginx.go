// Package nginx is the pipeline over snapshots of a web server's metrics, which
// are deeply nested and keep data in the names of members: those become maps. A
// second stream has one row for each peer of an upstream.
package nginx

import (
	"maps"
	"slices"
	"time"

	"github.com/shardlake/shardlake/examples/datasets"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/sink/avro"
	"github.com/shardlake/shardlake/sink/parquet"
	"github.com/shardlake/shardlake/source"
	"github.com/shardlake/shardlake/stage"
	"github.com/shardlake/shardlake/stage/window"
)

// PeerRow is a peer of an upstream in one snapshot.
type PeerRow struct {
	Time     time.Time `lake:"time,millis"`
	Upstream string
	Peer
}

// MinuteUpstream adds up the peers of an upstream in a minute, per shard.
type MinuteUpstream struct {
	MinuteStart       time.Time
	Upstream          string
	PeerRows          int64
	SumRequests       int64
	SumFails          int64
	MissingLastPassed int64
}

// Build is the whole pipeline.
func Build(p *pipeline.Pipeline, src source.Source[Snapshot], lake datasets.Lake) {
	snapshots := p.Read(src)
	peers := snapshots.Via(stage.FlatMap(peersOf))
	minutes := peers.Via(stage.AggregatePartial(window.Tumbling(time.Minute).Grace(time.Minute), upstream, newMinute, addPeer))

	snapshots.Write(lake.Folder("snapshots"), parquet.Format)
	snapshots.Write(lake.Folder("snapshots_avro"), avro.Format)
	peers.Write(lake.Folder("peers"), parquet.Format)
	peers.Write(lake.Folder("peers_avro"), avro.Format)
	minutes.Write(lake.Folder("minute_upstream"), parquet.Format)
	minutes.Write(lake.Folder("minute_upstream_avro"), avro.Format)
	p.Dead().Write(lake.Folder("dead"), parquet.Format)
	p.Dead().Write(lake.Folder("dead_avro"), avro.Format)
}

// peersOf goes by name: the order of a Go map is another one each time.
func peersOf(s Snapshot, emit func(PeerRow)) {
	for _, name := range slices.Sorted(maps.Keys(s.Upstreams)) {
		for _, p := range s.Upstreams[name].Peers {
			emit(PeerRow{s.Time, name, p})
		}
	}
}

func upstream(p PeerRow) string { return p.Upstream }

func newMinute(upstream string, s window.Span) MinuteUpstream {
	return MinuteUpstream{MinuteStart: s.Start.Time(), Upstream: upstream}
}

// Merge makes one row of those of two shards that were merged.
func (m *MinuteUpstream) Merge(o MinuteUpstream) {
	m.PeerRows, m.SumRequests, m.SumFails = m.PeerRows+o.PeerRows, m.SumRequests+o.SumRequests, m.SumFails+o.SumFails
	m.MissingLastPassed += o.MissingLastPassed
}

func addPeer(m *MinuteUpstream, p PeerRow) {
	m.PeerRows++
	m.SumRequests += p.Requests
	m.SumFails += p.Fails
	if p.HealthChecks.LastPassed == nil {
		m.MissingLastPassed++
	}
}
