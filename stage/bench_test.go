package stage_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/stage"
	"github.com/shardlake/shardlake/stage/window"
)

// adder is an end that costs as little as the loop's.
type adder struct{ sum int }

func (a *adder) Push(_ context.Context, b shardlake.Batch[int]) error {
	for _, v := range b.Rows {
		a.sum += v
	}
	return nil
}
func (a *adder) Mark(context.Context, shardlake.Mark) error { return nil }

// BenchmarkChain weighs filter, map and map over batches of 256 rows against the
// loop that one would write by hand.
func BenchmarkChain(b *testing.B) {
	const rows = 256
	keep, triple, less := func(n int) bool { return n%8 != 0 }, func(n int) int { return 3 * n }, func(n int) int { return n - 1 }
	full := make([]int, rows)
	for i := range full {
		full[i] = i
	}
	b.Run("loop", func(b *testing.B) {
		sum := 0
		for b.Loop() {
			for _, v := range full {
				if keep(v) {
					sum += less(triple(v))
				}
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*rows), "ns/row")
		if sum == 0 {
			b.Fatal("nothing was added")
		}
	})
	b.Run("stages", func(b *testing.B) {
		env := shardlake.NewEnv(b.Context(), shardlake.Host{})
		defer env.Close()
		end := &adder{}
		in, err := stage.Filter(keep).Then(stage.Map(triple)).Then(stage.Map(less))(env, end)
		if err != nil {
			b.Fatal(err)
		}
		batch := shardlake.Batch[int]{Rows: make([]int, rows), Origins: make([]shardlake.Origin, rows), Records: make([]shardlake.Record, 1)}
		b.ReportAllocs()
		for b.Loop() {
			copy(batch.Rows, full) // the stages own the batch and change it
			if err := in.Push(b.Context(), batch); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*rows), "ns/row")
		if end.sum == 0 {
			b.Fatal("nothing was added")
		}
	})
}

// BenchmarkAggregate weighs a tumbling window over string keys: all rows of one key, of
// ten thousand in turn, and of a million that come once each.
func BenchmarkAggregate(b *testing.B) {
	type row struct {
		Key string
		N   int
	}
	for _, keys := range []int{1, 10_000, 1_000_000} {
		b.Run(strconv.Itoa(keys), func(b *testing.B) {
			st := stage.Aggregate(window.Tumbling(time.Minute).Grace(30*time.Second), func(s string) string { return s },
				func(k string, _ window.Span) row { return row{Key: k} }, func(r *row, _ string) { r.N++ })
			names := make([]string, keys)
			for i := range names {
				names[i] = "user-" + strconv.Itoa(i)
			}
			const rows = 1000
			batch := shardlake.Batch[string]{Rows: make([]string, rows), Origins: make([]shardlake.Origin, rows), Records: make([]shardlake.Record, rows)}
			for i := range rows {
				batch.Origins[i].Record = int32(i)
			}
			var env *shardlake.Env
			var in shardlake.Emit[string]
			n := keys // so that the lane is opened at first
			b.ReportAllocs()
			for b.Loop() {
				if n >= max(keys, 1_000_000) || env == nil {
					b.StopTimer()
					if env != nil {
						env.Close()
					}
					env = shardlake.NewEnv(b.Context(), shardlake.Host{})
					var err error
					if in, err = st(env, &thrown[row]{}); err != nil {
						b.Fatal(err)
					}
					n = 0
					b.StartTimer()
				}
				for i := range rows {
					k := names[(n+i)%keys]
					batch.Rows[i], batch.Records[i].Key = k, k
				}
				n += rows
				if err := in.Push(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
			}
			env.Close()
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*rows), "ns/row")
		})
	}
}
