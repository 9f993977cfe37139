package e2e_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/avro"
	"github.com/shardlake/shardlake/sink/parquet"
	"github.com/shardlake/shardlake/sink/sinktest"
	"github.com/shardlake/shardlake/source"
	"github.com/shardlake/shardlake/stage"
)

type wide struct {
	Part string
	N    int64
	Text string
}

// text does not compress away.
func text(n int) string {
	b := make([]byte, n)
	x := uint64(1)
	for i := range b {
		x = x*6364136223846793005 + 1442695040888963407
		b[i] = "0123456789abcdefghijklmnopqrstuv"[x>>59]
	}
	return string(b)
}

// hole is a store that keeps no bytes.
type hole struct{ *sinktest.Memory }

func (hole) PutPart(_ context.Context, _, _ string, n int, b sink.Body) (sink.Part, error) {
	return sink.Part{N: n, Size: b.Size(), CRC: b.CRC32()}, nil
}
func (hole) Prepare(context.Context, string, string, []sink.Part) error { return nil }
func (h hole) Complete(ctx context.Context, key, id string, _ []sink.Part) error {
	return h.Abort(ctx, key, id)
}

// A hundred partitions of rows of 60 KB (case A7): memory is bounded by bytes,
// whatever the number of rows, open files and columns.
func TestMemoryDoesNotGrowWithRows(t *testing.T) {
	const budget = 24 << 20
	noise := text(1 << 20)
	peak := func(rows int) uint64 {
		var high uint64
		lake := hole{new(sinktest.Memory)}
		ids := make([]int64, rows)
		for i := range ids {
			ids[i] = int64(i)
		}
		p := pipeline.New(pipeline.Config{Memory: budget})
		in := p.Read(source.Values(ids...).Fetching(8)).Via(stage.Map(func(n int64) wide {
			if n%100 == 0 {
				var m runtime.MemStats
				runtime.GC() // what is alive, not what is not yet collected
				runtime.ReadMemStats(&m)
				high = max(high, m.HeapAlloc)
			}
			at := int(n*7919) % (len(noise) - 60_000)
			return wide{fmt.Sprintf("p%02d", n%100), n, strings.Clone(noise[at : at+60_000])}
		}))
		to := sink.Folder{Store: lake, Prefix: "wide"}.By(sink.Field("part"))
		to.MaxOpen = 100
		in.Write(to, parquet.Format)
		in.Write(sink.Folder{Store: lake, Prefix: "raw"}, avro.Format)
		if err := p.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if m := p.Status().MemoryPeak; m > budget*3/2 {
			t.Errorf("%d rows: the budget of %d MiB was overdrawn to %d MiB", rows, budget>>20, m>>20)
		}
		return high
	}
	few, many := 1000, 4000
	if racing {
		few, many = 600, 1200
	}
	one, four := peak(few), peak(many)
	t.Logf("alive at the peak: %d MiB with %d rows of 60 KB, %d MiB with %d; the budget is %d MiB", one>>20, few, four>>20, many, budget>>20)
	// Beside the budget: decoded rows, encoders that wait, compressors.
	if limit := uint64(budget + 48<<20); one > limit || four > limit {
		t.Errorf("want at most %d MiB", limit>>20)
	}
}
