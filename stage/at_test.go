package stage_test

import (
	"strings"
	"testing"
	"time"

	"github.com/shardlake/shardlake/stage"
)

func TestAt(t *testing.T) {
	l := open(t, stage.At(func(n int) time.Time { return time.Date(n, 1, 1, 0, 0, 0, 0, time.UTC) }), nil)
	check(t, l.Push(at(7), 2020, 12000, -5, 1970), nil)
	check(t, l.Rows, []int{2020, 1970})
	check(t, l.Times[0].Time().Year(), 2020)
	check(t, l.Times[1].Time().Year(), 1970)
	check(t, len(l.Dead), 2)
	if !strings.Contains(l.Dead[0].Reason, "years 0 to 9999") {
		t.Error(l.Dead[0].Reason)
	}
	l = open(t, stage.At(func(n int) time.Time { panic("no clock") }), nil)
	if err := l.Push(at(1), 1); err == nil || !strings.Contains(err.Error(), "no clock") {
		t.Error(err)
	}
}
