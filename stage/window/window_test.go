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

func TestValid(t *testing.T) {
	for _, c := range []struct {
		size, grace time.Duration
		want        bool
	}{{time.Microsecond, 0, true}, {time.Hour, time.Hour, true}, {0, 0, false}, {-time.Hour, 0, false}, {999, 0, false}, {1500, 0, false}, {time.Hour, -1, false}} {
		w := window.Tumbling(c.size).Grace(c.grace)
		if w.Valid() != c.want || w.Size() != c.size || w.Lateness() != c.grace {
			t.Errorf("%v", c)
		}
	}
}
