package nginx

import (
	"errors"
	"strconv"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
)

// Snapshot is the state of the server at one moment. Members whose names are data
// (zones, upstreams, caches) are maps; the others are columns of their JSON name,
// except those that begin with a digit, which no Avro field may. Counters are
// since the start of the server.
type Snapshot struct {
	Time         time.Time `json:"-" lake:"time,millis"`
	LoadTime     time.Time `json:"-" lake:"load_time,millis"`
	Version      int32     `json:"version"`
	NginxVersion string    `json:"nginx_version"`
	Address      string    `json:"address"`
	Generation   int64     `json:"generation"`
	PID          int64     `json:"pid"` // of the worker that answered

	Processes   Processes           `json:"processes"`
	Connections Connections         `json:"connections"`
	SSL         SSL                 `json:"ssl"` // per worker
	Requests    Requests            `json:"requests"`
	ServerZones map[string]Zone     `json:"server_zones"`
	Upstreams   map[string]Upstream `json:"upstreams"`
	Caches      map[string]Cache    `json:"caches"`
	Stream      Stream              `json:"stream"`
}

// When is the event time.
func (s Snapshot) When() time.Time { return s.Time }

// Key is the partition key: each worker has counters of its own.
func (s Snapshot) Key() string { return strconv.FormatInt(s.PID, 10) }

// Processes counts worker processes.
type Processes struct {
	Respawned int64 `json:"respawned"`
}

// Connections of clients.
type Connections struct {
	Accepted int64 `json:"accepted"`
	Dropped  int64 `json:"dropped"`
	Active   int64 `json:"active"`
	Idle     int64 `json:"idle"`
}

// SSL counts handshakes.
type SSL struct {
	Handshakes       int64 `json:"handshakes"`
	HandshakesFailed int64 `json:"handshakes_failed"`
	SessionReuses    int64 `json:"session_reuses"`
}

// Requests of clients.
type Requests struct {
	Total   int64 `json:"total"`
	Current int64 `json:"current"`
}

// Responses by the first digit of their status.
type Responses struct {
	R1xx  int64 `json:"1xx" lake:"r1xx"`
	R2xx  int64 `json:"2xx" lake:"r2xx"`
	R3xx  int64 `json:"3xx" lake:"r3xx"`
	R4xx  int64 `json:"4xx" lake:"r4xx"`
	R5xx  int64 `json:"5xx" lake:"r5xx"`
	Total int64 `json:"total"`
}

// Zone is a virtual server.
type Zone struct {
	Processing int64     `json:"processing"`
	Requests   int64     `json:"requests"`
	Responses  Responses `json:"responses"`
	Discarded  int64     `json:"discarded"`
	Received   int64     `json:"received"`
	Sent       int64     `json:"sent"`
}

// Upstream is a group of peers that requests are passed on to.
type Upstream struct {
	Peers     []Peer `json:"peers"`
	Keepalive int64  `json:"keepalive"`
}

// Peer is a server of an upstream.
type Peer struct {
	ID           int64        `json:"id"`
	Server       string       `json:"server"` // host:port or unix:/path
	Backup       bool         `json:"backup"`
	Weight       int64        `json:"weight"`
	State        string       `json:"state"`
	Active       int64        `json:"active"`
	MaxConns     *int64       `json:"max_conns"`
	Requests     int64        `json:"requests"`
	Responses    Responses    `json:"responses"`
	Sent         int64        `json:"sent"`
	Received     int64        `json:"received"`
	Fails        int64        `json:"fails"`
	Unavail      int64        `json:"unavail"`
	HealthChecks HealthChecks `json:"health_checks"`
	Downtime     int64        `json:"downtime"`
	Downstart    int64        `json:"downstart"`
	Selected     int64        `json:"selected"`
}

// HealthChecks of a peer. LastPassed is null where none has been made.
type HealthChecks struct {
	Checks     int64 `json:"checks"`
	Fails      int64 `json:"fails"`
	Unhealthy  int64 `json:"unhealthy"`
	LastPassed *bool `json:"last_passed"`
}

// Cache of responses.
type Cache struct {
	Size        int64      `json:"size"`
	MaxSize     int64      `json:"max_size"`
	Cold        bool       `json:"cold"`
	Hit         CacheReads `json:"hit"`
	Stale       CacheReads `json:"stale"`
	Updating    CacheReads `json:"updating"`
	Revalidated CacheReads `json:"revalidated"`
	Miss        CacheFills `json:"miss"`
	Expired     CacheFills `json:"expired"`
	Bypass      CacheFills `json:"bypass"`
}

// CacheReads are responses that came from the cache.
type CacheReads struct {
	Responses int64 `json:"responses"`
	Bytes     int64 `json:"bytes"`
}

// CacheFills are responses that did not, and what was put into the cache.
type CacheFills struct {
	Responses        int64 `json:"responses"`
	Bytes            int64 `json:"bytes"`
	ResponsesWritten int64 `json:"responses_written"`
	BytesWritten     int64 `json:"bytes_written"`
}

// Stream is the part of the server that passes on TCP connections.
type Stream struct {
	ServerZones map[string]StreamZone     `json:"server_zones"`
	Upstreams   map[string]StreamUpstream `json:"upstreams"`
}

// StreamZone is a virtual TCP server.
type StreamZone struct {
	Processing  int64 `json:"processing"`
	Connections int64 `json:"connections"`
	Received    int64 `json:"received"`
	Sent        int64 `json:"sent"`
}

// StreamUpstream is a group of TCP peers.
type StreamUpstream struct {
	Peers []StreamPeer `json:"peers"`
}

// StreamPeer is a server of a StreamUpstream. Times are in milliseconds, and null
// for a peer that has never answered.
type StreamPeer struct {
	ID            int64        `json:"id"`
	Server        string       `json:"server"`
	Backup        bool         `json:"backup"`
	Weight        int64        `json:"weight"`
	State         string       `json:"state"`
	Active        int64        `json:"active"`
	MaxConns      *int64       `json:"max_conns"`
	Connections   int64        `json:"connections"`
	ConnectTime   *int64       `json:"connect_time"`
	FirstByteTime *int64       `json:"first_byte_time"`
	ResponseTime  *int64       `json:"response_time"`
	Sent          int64        `json:"sent"`
	Received      int64        `json:"received"`
	Fails         int64        `json:"fails"`
	Unavail       int64        `json:"unavail"`
	HealthChecks  HealthChecks `json:"health_checks"`
	Downtime      int64        `json:"downtime"`
	Downstart     int64        `json:"downstart"`
	Selected      int64        `json:"selected"`
}

// Codec reads snapshots from JSON.
func Codec() (codec.Decoder[Snapshot], error) { return codec.Map(codec.JSON[document], document.row)() }

type document struct {
	Snapshot
	Timestamp     *int64 `json:"timestamp"` // epoch milliseconds
	LoadTimestamp *int64 `json:"load_timestamp"`
}

func (in document) row() (Snapshot, error) {
	if in.Timestamp == nil || in.LoadTimestamp == nil || in.Address == "" || in.ServerZones == nil || in.Upstreams == nil {
		return Snapshot{}, shardlake.Reject(errors.New("not a snapshot: timestamp, load_timestamp, address, server_zones or upstreams is missing"))
	}
	s := in.Snapshot
	s.Time, s.LoadTime = time.UnixMilli(*in.Timestamp).UTC(), time.UnixMilli(*in.LoadTimestamp).UTC()
	return s, nil
}
