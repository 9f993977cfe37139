package spread_test

import (
	"fmt"
	"testing"

	"github.com/shardlake/shardlake/internal/spread"
)

// A thousand who wait, or a thousand tries of one, fall into ten parts evenly.
func TestOf(t *testing.T) {
	for name, at := range map[string]func(int) float64{
		"who":   func(i int) float64 { return spread.Of(fmt.Sprintf("worker-1shardId-%012d", i), 1) },
		"tries": func(i int) float64 { return spread.Of("worker-1", i) },
	} {
		var part [10]int
		for i := range 1000 {
			x := at(i)
			if x < 0 || x >= 1 || x != at(i) {
				t.Fatalf("%s %d: %v, then %v", name, i, x, at(i))
			}
			part[int(x*10)]++
		}
		for _, n := range part {
			if n < 60 || n > 140 {
				t.Errorf("by %s: %v", name, part)
				break
			}
		}
	}
}
