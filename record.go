package shardlake

import "time"

// Record is one record as its source delivered it. Fetchers make records; from
// then on they are immutable and never re-used, so whoever wants may keep one.
// What keeps a Record keeps its Data alive, and Data may be a part of a larger
// answer of the service.
type Record struct {
	Pos     Position
	Key     string  // partition key, at most 256 characters for Kinesis
	Arrived Instant // when the service took it (ApproximateArrivalTimestamp)
	Data    []byte  // payload, at most 10 MiB for Kinesis

	// Home is the place in the hash space that the record was put to where that is
	// not the hash of its key; nil for most.
	Home *Hash

	// Watermark is the highest event time of the lane up to and including this
	// record. The lane sets it while decoding. It depends on the data alone, not
	// on where a batch or a commit ends, so a late row is late in every attempt.
	Watermark Instant
}

// Place is where the record lies in the hash space.
func (r *Record) Place() Hash {
	if r.Home != nil {
		return *r.Home
	}
	return HashOf(r.Key)
}

// Instant is a point in time in microseconds since 1970-01-01 UTC. Unlike
// nanoseconds it holds the years 0 and 9999.
type Instant int64

// Never is before every event. Forever is the watermark of a lane that is read
// to its end.
const (
	Never   Instant = -1 << 63
	Forever Instant = 1<<63 - 1
)

// At converts a time, cutting it to the microsecond. Years outside of about
// ±290,000 do not fit; the lane refuses event times outside of [MinEventTime]
// and [MaxEventTime] long before that.
func At(t time.Time) Instant { return Instant(t.UnixMicro()) }

// EventTime is At for the time of an event: ok tells whether it lies between
// [MinEventTime] and [MaxEventTime]. At wraps far outside of them.
func EventTime(t time.Time) (at Instant, ok bool) {
	y := t.UTC().Year()
	return At(t), y >= 0 && y <= 9999
}

// MinEventTime and MaxEventTime bound the event times that a lane accepts:
// years 0 to 9999, which is what Avro, Parquet and SQL readers agree on. A
// record beyond them is a dead letter: one absurd clock must not close every
// window.
const (
	MinEventTime Instant = -62167219200000000 // 0000-01-01T00:00:00Z
	MaxEventTime Instant = 253402300799999999 // 9999-12-31T23:59:59.999999Z
)

// Time converts back, in UTC. Never and Forever have no time: they give the
// zero time and the last microsecond of the year 9999.
func (i Instant) Time() time.Time {
	switch i {
	case Never:
		return time.Time{}
	case Forever:
		return time.UnixMicro(int64(MaxEventTime)).UTC()
	}
	return time.UnixMicro(int64(i)).UTC()
}

// Sub returns i-d, held at Never and Forever.
func (i Instant) Sub(d time.Duration) Instant {
	out := i - Instant(d.Microseconds())
	switch {
	case i == Never || i == Forever:
		return i
	case d > 0 && out > i:
		return Never
	case d < 0 && out < i:
		return Forever
	}
	return out
}

// String is RFC 3339 in UTC, or "never" or "forever".
func (i Instant) String() string {
	switch i {
	case Never:
		return "never"
	case Forever:
		return "forever"
	}
	return i.Time().Format("2006-01-02T15:04:05.999999Z07:00")
}
