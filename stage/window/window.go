// Package window assigns event times to spans.
package window

import (
	"time"

	"github.com/shardlake/shardlake"
)

// Span is the half-open interval [Start, End) of event time.
type Span struct{ Start, End shardlake.Instant }

// Ungraced is a tumbling window that still lacks its lateness decision: only
// Grace turns it into something Aggregate takes, so nobody forgets to decide.
type Ungraced time.Duration

// Window is a tumbling window with its grace.
type Window struct{ size, grace time.Duration }

// Tumbling cuts event time into spans of d, aligned to 1970-01-01 UTC. d is at
// least a microsecond, and a whole number of them.
func Tumbling(d time.Duration) Ungraced { return Ungraced(d) }

// Grace keeps a window open for rows until the watermark passes its end by g.
// The watermark is the highest event time that the lane has read, so g is how
// far rows may be out of order; rows later than that are dead letters.
func (s Ungraced) Grace(g time.Duration) Window { return Window{time.Duration(s), g} }

// Valid tells whether size and grace make sense.
func (w Window) Valid() bool {
	return w.size >= time.Microsecond && w.size%time.Microsecond == 0 && w.grace >= 0
}

// Span returns the span of t. It rounds down before 1970 too.
func (w Window) Span(t shardlake.Instant) Span {
	n := shardlake.Instant(w.size.Microseconds())
	r := t % n
	if r < 0 {
		r += n
	}
	return Span{t - r, t - r + n}
}

// Size is the length of a span.
func (w Window) Size() time.Duration { return w.size }

// Lateness is the grace.
func (w Window) Lateness() time.Duration { return w.grace }

// Closed tells whether s takes no more rows once the watermark is mark.
func (w Window) Closed(s Span, mark shardlake.Instant) bool { return mark.Sub(w.grace) >= s.End }
