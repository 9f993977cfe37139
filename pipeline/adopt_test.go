package pipeline_test

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"testing/synctest"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/source"
)

// merged makes lane 2 the child of lanes 0 and 1, which have half of the hash
// space each.
type merged struct{ *source.Slices[event] }

func (m merged) Lanes(ctx context.Context) (source.Listing, error) {
	l, err := m.Slices.Lanes(ctx)
	low, high := shardlake.MaxHash, shardlake.Hash{}
	low[0], high[0] = 0x7f, 0x80
	l.Lanes[0].Range = shardlake.HashRange{To: low}
	l.Lanes[1].Range = shardlake.HashRange{From: high, To: shardlake.MaxHash}
	l.Lanes[2].Range = shardlake.HashRange{To: shardlake.MaxHash}
	l.Lanes[2].Parents = []string{"values-0", "values-1"}
	return l, err
}

func (m merged) Open(l source.Lane, from source.Start) (source.Fetcher, error) {
	inner, err := m.Slices.Open(l, from)
	if l.ID != "values-2" {
		inner = shardEnd{inner}
	}
	return inner, err
}

// What was late in a shard is late in the child that it was merged into, and what
// was not late in the other parent is not, wherever the process dies in between.
func TestChildAdoptsWatermarks(t *testing.T) {
	// By MD5, "a" lies in the lower half of the hash space and "0" in the upper.
	lanes := [][]event{
		{{ID: 1, Sec: 10, Key: "a"}, {ID: 2, Sec: 1000, Key: "a"}},
		{{ID: 3, Sec: 10, Key: "0"}, {ID: 4, Sec: 200, Key: "0"}},
		{{ID: 6, Sec: 300, Key: "a"}, {ID: 7, Sec: 300, Key: "0"}, {ID: 8, Sec: 30, Key: "0"}, {ID: 9, Sec: 2000, Key: "0"}},
	}
	late := func(pos int) string { return fmt.Sprintf("dead values-2 %d %v", pos, shardlake.ErrLate) }
	sum := func(key string, minute, id int) string {
		return fmt.Sprintf(`sums {"Key":%q,"Min":%d,"N":1,"Sum":%d}`, key, minute, id)
	}
	wanted := map[string]int{
		sum("a", 0, 1): 1, sum("a", 16, 2): 1, sum("0", 0, 3): 1, sum("0", 3, 4): 1,
		late(1): 1, sum("0", 5, 7): 1, late(3): 1, sum("0", 33, 9): 1,
	}
	for _, lane := range lanes {
		for _, e := range lane {
			wanted[fmt.Sprintf(`raw {"ID":%d,"Sec":%d,"Key":%q}`, e.ID, e.Sec, e.Key)] = 1
		}
	}
	for kill := 1; ; kill++ {
		killed := false
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.check = func(visible map[string][]byte) error { return within(rows(visible), wanted) }
			run := func(p *process, b boundaries) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				p.die = cancel
				pipe := pipeline.New(pipeline.Config{Leases: p.table(), CommitRecords: b.commit})
				build(pipe, merged{source.Lanes(lanes...).At(event.when).Keyed(func(e event) string { return e.Key }).Fetching(b.fetch)}, p.folder)
				if err := pipe.Run(ctx); err != nil && !p.dead {
					t.Fatal(err)
				}
				killed = killed || p.dead
			}
			run(&process{world: w, killAt: kill, after: kill%2 == 0}, boundaries{1, 2})
			run(&process{world: w}, boundaries{2, 1})
			if got := rows(w.lake.Objects()); !maps.Equal(got, wanted) {
				t.Errorf("killed at %d:%s", kill, diff(got, wanted))
			}
		})
		if t.Failed() || !killed {
			t.Logf("%d kill points", kill-1)
			return
		}
	}
}
