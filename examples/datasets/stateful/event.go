// Package stateful runs every stage that keeps state over real data: windows of all
// kinds, deduplication and a timer per key, each in a folder of its own. The judge
// computes what the folders must hold from the input alone and compares it with what
// runs of several kinds have left: one without a stop, one that was killed and
// stopped many times, one of several workers under resharding.
package stateful

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
)

// Event is one record of any set.
type Event struct {
	Of    string // the partition key: visitor, or sensor
	Kind  string // lies in several shards: status, or kind of place
	Row   string // with Of and Time tells events apart
	Time  time.Time
	Value float64
	Again bool // put once more much later: for Distinct and for late rows
}

// endKey is the partition key of the records that move a shard's watermark beyond all others.
const endKey = "~end"

// When is the event time.
func (e Event) When() time.Time { return e.Time }

// Key is the partition key.
func (e Event) Key() string { return e.Of }

// End is whether the event only closes windows, and counts in none.
func (e Event) End() bool { return e.Of == endKey }

// hit is a request in a web server's log.
type hit struct {
	Time   time.Time `json:"time"`
	IP     string    `json:"ip"`
	Method string    `json:"method"`
	Path   string    `json:"path"`
	Status int32     `json:"status"`
	Bytes  *int64    `json:"bytes"`
	Again  bool      `json:"again"`
}

func (h hit) event() (Event, error) {
	if h.IP == "" || h.Time.IsZero() {
		return Event{}, shardlake.Reject(errors.New("not a hit: ip or time is missing"))
	}
	e := Event{Of: h.IP, Kind: strconv.Itoa(int(h.Status)), Time: h.Time, Again: h.Again}
	size := "-"
	if h.Bytes != nil {
		size, e.Value = strconv.FormatInt(*h.Bytes, 10), float64(*h.Bytes)
	}
	e.Row = h.Method + " " + h.Path + " " + e.Kind + " " + size
	return e, nil
}

// reading is what a sensor says.
type reading struct {
	Sensor string  `json:"sensor"`
	Time   string  `json:"time"`
	Value  float64 `json:"value"`
	N      int64   `json:"n"`
	Again  bool    `json:"again"`
}

func (r reading) event() (Event, error) {
	t, err := time.Parse(time.DateTime, r.Time)
	if err != nil || r.Sensor == "" {
		return Event{}, shardlake.Reject(fmt.Errorf("not a reading: sensor %.100q, time %.100q: %w", r.Sensor, r.Time, err))
	}
	kind, _, _ := strings.Cut(r.Sensor, "/")
	return Event{Of: r.Sensor, Kind: kind, Row: strconv.FormatInt(r.N, 10), Time: t, Value: r.Value, Again: r.Again}, nil
}

// Set is a data set and how its stages are set.
type Set struct {
	// Codec reads its records.
	Codec func() (codec.Decoder[Event], error)
	// End is a record that closes all windows.
	End string
	// Cut says how time is cut.
	Cut Cut
}

// Sets are the data sets, by the names of their folders: one with times that are out
// of order nearly everywhere, and one in which a clock steps back.
func Sets() map[string]Set {
	return map[string]Set{
		"web-access": {
			Codec: codec.Map(codec.JSON[hit], hit.event),
			End:   `{"time":"2019-01-01T00:00:00Z","ip":"` + endKey + `","method":"","path":"","status":200}`,
			Cut: Cut{
				Window: 10 * time.Second, Hops: 3, Gap: 20 * time.Second, Longest: 30 * time.Second, Grace: 2 * time.Hour,
				TTL: 3 * time.Hour, Quiet: 4 * time.Hour, Every: 1,
				Narrow: 5 * time.Second, Pane: 20 * time.Second, Early: 5 * time.Second, Late: 10 * time.Second,
			},
		},
		"machine-sensors": {
			Codec: codec.Map(codec.JSON[reading], reading.event),
			End:   `{"sensor":"` + endKey + `","time":"2019-01-01 00:00:00","value":0,"n":0}`,
			Cut: Cut{
				Window: 2 * time.Hour, Hops: 3, Gap: 3 * time.Hour, Longest: 24 * time.Hour, Grace: 24 * time.Hour,
				TTL: 48 * time.Hour, Quiet: 6 * time.Hour, Every: 10,
				Narrow: 5 * time.Minute, Pane: 6 * time.Hour, Early: time.Hour, Late: 30 * time.Minute,
			},
		},
	}
}
