// Package fold has small types for the fields of rows that are accumulators:
// what stage.Aggregate folds into. Each is a column that any reader of the file
// understands, keeps its state through JSON, and merges: two rows of the same key
// and window become one, whatever the grouping.
//
//	type PageMinute struct {
//		Page    string
//		Start   time.Time
//		Views   fold.Count
//		Bytes   fold.Sum
//		Slowest fold.Max[time.Duration]
//		Latency fold.Mean[time.Duration]
//	}
//
//	func (m *PageMinute) Merge(other PageMinute) { fold.Merge(m, other) }
//
// # Columns
//
//	Count, Sum       64-bit integer; with a decimal option, a decimal
//	FloatSum         record {value double}
//	Min[T], Max[T]   record {value T or null}; null is the extreme of nothing
//	Mean[N]          record {sum double, count 64-bit integer}
//
// Count and Sum are plain columns because Go lets them be named integers. The
// others hold more than one word, and Go lets a named type be generic only if it
// is a struct, so they are records: SQL reads slowest.value, and latency.sum /
// latency.count. What they hold besides, to be exact, is no column.
//
// # Equal results
//
// Adding and merging in any order and grouping gives the same columns, bit for
// bit: sums of floats are kept exactly and rounded once. Where a result would not
// fit, it says so: see [Sum] and [FloatSum].
//
// Values may be copied: a copy that goes on does not change the original. None is
// safe for concurrent use. The zero value of each is the fold of nothing.
//
// # SQL
//
// [MergeQuery] writes the query that makes totals of partial rows.
package fold
