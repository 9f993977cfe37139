// Package window assigns event times to spans of time, and says when a span takes
// no more rows.
package window

import (
	"errors"
	"fmt"
	"time"

	"github.com/shardlake/shardlake"
)

// Span is the half-open interval [Start, End) of event time.
type Span struct {
	Start, End shardlake.Instant
	// Pane tells the rows that come out for one span apart, from 0. It is always 0
	// unless the window has early or late rows.
	Pane int
}

// Ungraced is a window that still lacks its lateness decision: only Grace turns it
// into something that Aggregate takes, so nobody forgets to decide.
type Ungraced struct{ w Window }

// Window is a way to cut event time into spans, with its grace.
type Window struct {
	sessions     bool
	size, every  time.Duration // tumbling and hopping
	gap, longest time.Duration // sessions
	grace        time.Duration
	early, late  time.Duration
}

// Tumbling cuts event time into spans of d, aligned to 1970-01-01 UTC. d is at
// least a microsecond, and a whole number of them, as are all durations here.
func Tumbling(d time.Duration) Ungraced { return Ungraced{Window{size: d, every: d}} }

// Hopping makes spans of size that begin every so often, aligned to 1970-01-01 UTC: a
// row belongs to size/every of them, and is folded into each. size is a whole number
// of times every, at most 1,000.
func Hopping(size, every time.Duration) Ungraced { return Ungraced{Window{size: size, every: every}} }

// Sessions makes, for each key, spans that end where no row of the key comes for gap.
// A session of more than a day is cut; see Longest.
func Sessions(gap time.Duration) Ungraced {
	return Ungraced{Window{sessions: true, gap: gap, longest: max(24*time.Hour, gap)}}
}

// Longest bounds the length of a session, from its first row to its last, so that a
// key that never rests has an end too: the row that would make it longer begins
// another session. A day by default. It is for sessions only.
func (u Ungraced) Longest(d time.Duration) Ungraced { u.w.longest = d; return u }

// Grace keeps a window open for rows until the watermark passes its end by g. The
// watermark is the highest event time that the lane has read, less
// pipeline.EventTime.Bound, so g is how far rows may be out of order. Rows later than
// that go to Pipeline.Late, or to the dead letters, unless the window takes Late rows.
//
// A program may come back with another grace: windows that are open then close by the
// new one. One that has closed by a shorter grace is open again by a longer, and rows
// of it make another row, with a pane that has come out before.
func (u Ungraced) Grace(g time.Duration) Window { u.w.grace = g; return u.w }

// Early makes rows come out every so often while a span is open, by event time,
// each with what was folded since the one before: a delta. All rows of a key and
// span, with their panes 0, 1, 2, ..., add up to the total. Not for sessions.
func (w Window) Early(every time.Duration) Window { w.early = every; return w }

// Late makes rows that come after the grace, but within another d of it, come out as
// further deltas: at each step of Early, or of the window's size, that the watermark
// passes. Not for sessions.
func (w Window) Late(d time.Duration) Window { w.late = d; return w }

// maxHops bounds how many spans one row belongs to, maxPanes how many rows come out for
// one span and key.
const (
	maxHops  = 1000
	maxPanes = 1 << 20
)

// Check tells all that is wrong with the durations.
func (w Window) Check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("window: "+format, args...)) }
	for _, s := range []struct {
		name string
		d    time.Duration
	}{{"size", w.size}, {"step", w.every}, {"gap", w.gap}, {"longest session", w.longest}, {"early", w.early}, {"late", w.late}, {"grace", w.grace}} {
		if s.d < 0 || s.d%time.Microsecond != 0 {
			bad("%s is %v: want whole microseconds, and not a negative number", s.name, s.d)
		}
		if s.d > maxDuration {
			bad("%s is %v: want at most %v", s.name, s.d, maxDuration)
		}
	}
	switch {
	case w.IsSession():
		if w.gap < time.Microsecond {
			bad("the gap of sessions is %v: want at least a microsecond", w.gap)
		}
		if w.longest < w.gap {
			bad("the longest session is %v: want at least the gap, %v", w.longest, w.gap)
		}
		if w.early > 0 || w.late > 0 {
			bad("sessions have no early or late rows: their bounds move while they are open")
		}
	case w.longest > 0:
		bad("Longest is for sessions")
	case w.size < time.Microsecond || w.every < time.Microsecond:
		bad("a span of %v every %v: want at least a microsecond", w.size, w.every)
	case w.size%w.every != 0 || w.size/w.every > maxHops:
		bad("a span of %v every %v: want a whole number of times, at most %d", w.size, w.every, maxHops)
	case len(errs) == 0 && w.panes() > maxPanes:
		bad("up to %d rows come out for each span and key: want at most %d; make the step of Early longer", w.panes(), maxPanes)
	}
	return errors.Join(errs...)
}

// maxDuration keeps sums of a few durations, and times that lie as far from an event,
// from overflowing.
const maxDuration = 100 * 365 * 24 * time.Hour

// panes bounds the number of panes of one span.
func (w Window) panes() int64 {
	step, on := w.size, int64(1)
	if w.early > 0 {
		step, on = w.early, int64((w.size+w.grace)/w.early)+1
	}
	return on + int64(w.late/step) + 1
}

// IsSession tells sessions from windows that are aligned.
func (w Window) IsSession() bool { return w.sessions }

// Span returns the newest span of t. It rounds down before 1970 too. It is not for
// sessions.
func (w Window) Span(t shardlake.Instant) Span {
	n := micros(w.every)
	r := t % n
	if r < 0 {
		r += n
	}
	return Span{Start: t - r, End: t - r + micros(w.size)}
}

// Before is the span that begins one step before s; ok tells whether t lies in it.
func (w Window) Before(s Span, t shardlake.Instant) (b Span, ok bool) {
	b = Span{Start: s.Start - micros(w.every), End: s.End - micros(w.every)}
	return b, t < b.End
}

// Gap is that of sessions; 0 for others.
func (w Window) Gap() time.Duration { return w.gap }

// Longest is the bound of a session.
func (w Window) Longest() time.Duration { return w.longest }

// Lateness is how far behind the watermark a window still gives rows: the grace, and
// what Late adds to it.
func (w Window) Lateness() time.Duration { return w.grace + w.late }

// Closed tells whether s takes no more rows once the watermark is mark.
func (w Window) Closed(s Span, mark shardlake.Instant) bool {
	return mark.Sub(w.Lateness()) >= s.End
}

// Pane says, for a row of span s that comes when the watermark is mark, in which pane
// it is counted, and at which watermark that comes out. The span is not Closed.
func (w Window) Pane(s Span, mark shardlake.Instant) (n int, at shardlake.Instant) {
	due := s.End + micros(w.grace)
	last, step := 0, micros(w.size)
	if w.early > 0 {
		step = micros(w.early)
		last = int((due - s.Start - 1) / step) // of the pane that comes out when due
	}
	switch {
	case mark >= due:
		j := (mark-due)/step + 1
		return last + int(j), min(due+j*step, due+micros(w.late))
	case w.early == 0:
		return 0, due
	case mark < s.Start:
		return 0, min(s.Start+step, due)
	}
	k := (mark-s.Start)/step + 1
	return min(int(k)-1, last), min(s.Start+k*step, due)
}

// String says what the window is, but for its grace and Late, and for the bound of
// sessions, which may be changed while spans are open. Early is a part of it: another
// step counts the panes of a span in another way.
func (w Window) String() string {
	var s string
	switch {
	case w.IsSession():
		s = fmt.Sprintf("sessions of %v", w.gap)
	case w.size == w.every:
		s = w.size.String()
	default:
		s = fmt.Sprintf("%v every %v", w.size, w.every)
	}
	if w.early > 0 {
		s += fmt.Sprintf(" early %v", w.early)
	}
	return s
}

func micros(d time.Duration) shardlake.Instant { return shardlake.Instant(d.Microseconds()) }
