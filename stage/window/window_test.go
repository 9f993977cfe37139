package window_test

import (
	"testing"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/stage/window"
)

func TestSpanRoundsDownOnBothSidesOf1970(t *testing.T) {
	w := window.Tumbling(10 * time.Microsecond).Grace(0)
	for at, start := range map[shardlake.Instant]shardlake.Instant{0: 0, 9: 0, 10: 10, -1: -10, -10: -10, -11: -20} {
		if got, want := w.Span(at), (window.Span{Start: start, End: start + 10}); got != want {
			t.Errorf("%d: %v, want %v", at, got, want)
		}
	}
}

func TestClosedNeedsEndAndGrace(t *testing.T) {
	w := window.Tumbling(10 * time.Microsecond).Grace(5 * time.Microsecond)
	for mark, want := range map[shardlake.Instant]bool{shardlake.Never: false, 10: false, 14: false, 15: true, shardlake.Forever: true} {
		if got := w.Closed(window.Span{Start: 0, End: 10}, mark); got != want {
			t.Errorf("%v: %v", mark, got)
		}
	}
}

// Every mistake is told, and none is found in what is right.
func TestCheck(t *testing.T) {
	us := time.Microsecond
	for name, w := range map[string]window.Window{
		"least":   window.Tumbling(us).Grace(0),
		"hour":    window.Tumbling(time.Hour).Grace(time.Hour).Early(time.Minute).Late(time.Hour),
		"hopping": window.Hopping(time.Hour, time.Minute).Grace(0),
		"session": window.Sessions(time.Minute).Grace(0),
		"long":    window.Sessions(48 * time.Hour).Grace(0),
	} {
		if err := w.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, w := range map[string]window.Window{
		"nothing":      {},
		"no size":      window.Tumbling(0).Grace(0),
		"negative":     window.Tumbling(-time.Hour).Grace(0),
		"nanoseconds":  window.Tumbling(1500).Grace(0),
		"grace":        window.Tumbling(time.Hour).Grace(-us),
		"early":        window.Tumbling(time.Hour).Grace(0).Early(-us),
		"late":         window.Tumbling(time.Hour).Grace(0).Late(1),
		"uneven hop":   window.Hopping(time.Hour, 7*time.Minute).Grace(0),
		"many hops":    window.Hopping(time.Hour, time.Second).Grace(0),
		"no hop":       window.Hopping(time.Hour, 0).Grace(0),
		"short":        window.Sessions(time.Hour).Longest(time.Minute).Grace(0),
		"early visits": window.Sessions(time.Hour).Grace(0).Early(us),
		"not for it":   window.Tumbling(time.Hour).Longest(time.Hour).Grace(0),
	} {
		if w.Check() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A row is in each span that holds its time, and in no other.
func TestHoppingSpans(t *testing.T) {
	w := window.Hopping(30*time.Microsecond, 10*time.Microsecond).Grace(0)
	for at := shardlake.Instant(-45); at < 45; at++ {
		n := 0
		for s, ok := w.Span(at), true; ok; s, ok = w.Before(s, at) {
			if at < s.Start || at >= s.End || s.End-s.Start != 30 || s.Start%10 != 0 {
				t.Fatalf("%d in %v", at, s)
			}
			n++
		}
		if n != 3 {
			t.Fatalf("%d is in %d spans", at, n)
		}
	}
}

// Panes follow each other without a hole, each comes out later than the rows that
// it is made of were seen, the last one when the window closes.
func TestPanes(t *testing.T) {
	span := window.Span{Start: 100, End: 160}
	us := time.Microsecond
	for name, w := range map[string]window.Window{
		"plain":          window.Tumbling(60 * us).Grace(7 * us),
		"early":          window.Tumbling(60 * us).Grace(7 * us).Early(25 * us),
		"even":           window.Tumbling(60 * us).Grace(0).Early(20 * us),
		"late":           window.Tumbling(60 * us).Grace(7 * us).Late(100 * us),
		"early and late": window.Tumbling(60 * us).Grace(7 * us).Early(25 * us).Late(40 * us),
	} {
		last, lastAt := -1, shardlake.Never
		for mark := shardlake.Instant(-100); !w.Closed(span, mark); mark++ {
			n, at := w.Pane(span, mark)
			switch {
			case at <= mark:
				t.Fatalf("%s: at %d, pane %d comes out at %d", name, mark, n, at)
			case n == last && at != lastAt, n != last && (n != last+1 || lastAt > mark):
				t.Fatalf("%s: at %d, pane %d at %d follows pane %d at %d", name, mark, n, at, last, lastAt)
			}
			last, lastAt = n, at
		}
		if want := span.End + shardlake.Instant(w.Lateness()/us); lastAt != want {
			t.Errorf("%s: the last pane comes out at %d, want %d", name, lastAt, want)
		}
		if n, _ := w.Pane(span, shardlake.Never); n != 0 {
			t.Errorf("%s: the first pane is %d", name, n)
		}
	}
}
