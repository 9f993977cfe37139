package e2e_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/avro"
	"github.com/shardlake/shardlake/sink/dir"
	"github.com/shardlake/shardlake/sink/parquet"
	"github.com/shardlake/shardlake/source"
	"github.com/shardlake/shardlake/stage"
)

type wide struct {
	Part string
	N    int64
	Text string
}

// A hundred partitions of rows of 60 KB (case A7): memory is bounded by bytes,
// whatever the number of rows, open files and columns.
func TestMemoryDoesNotGrowWithRows(t *testing.T) {
	const budget = 48 << 20
	peak := func(rows int) uint64 {
		var high uint64
		lake := dir.Lake(t.TempDir())
		ids := make([]int64, rows)
		for i := range ids {
			ids[i] = int64(i)
		}
		p := pipeline.New(pipeline.Config{Memory: budget})
		in := p.Read(source.Values(ids...).Fetching(64)).Via(stage.Map(func(n int64) wide {
			if n%100 == 0 {
				var m runtime.MemStats
				runtime.GC() // what is alive, not what is not yet collected
				runtime.ReadMemStats(&m)
				high = max(high, m.HeapAlloc)
			}
			// Text that does not compress away.
			var b strings.Builder
			for x := uint64(n + 1); b.Len() < 60_000; {
				x = x*6364136223846793005 + 1442695040888963407
				fmt.Fprintf(&b, "%016x", x)
			}
			return wide{fmt.Sprintf("p%02d", n%100), n, b.String()}
		}))
		to := lake.Folder("wide").By(sink.Field("part"))
		to.MaxOpen = 100
		in.Write(to, parquet.Format)
		in.Write(lake.Folder("raw"), avro.Format)
		if err := p.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if m := p.Status().MemoryPeak; m > budget*3/2 {
			t.Errorf("%d rows: the budget of %d MiB was overdrawn to %d MiB", rows, budget>>20, m>>20)
		}
		return high
	}
	one, four := peak(1000), peak(4000)
	t.Logf("alive at the peak: %d MiB with 1,000 rows (60 MB), %d MiB with 4,000 (240 MB); the budget is %d MiB", one>>20, four>>20, budget>>20)
	if four > 2*budget || four > one+(16<<20) {
		t.Errorf("alive at the peak: %d MiB with 1,000 rows, %d MiB with 4,000", one>>20, four>>20)
	}
}
