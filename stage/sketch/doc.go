// Package sketch has fields for rows that say approximately what cannot be said
// exactly in bounded memory: how many different values there were ([Distinct]),
// and what value is greater than 99 of 100 ([Quantiles]). Their errors are known,
// they keep their state through JSON, and they merge without a further error: like
// package stage/fold, whose Merge takes them as it takes its own.
//
// # State and columns
//
// In the row that stage.Aggregate folds into, a sketch is alive. It is no column:
// a sink refuses it, for the estimate would have to be computed anew with each
// value. A Map behind the aggregate makes columns of it, with the method Column:
//
//	visits.Via(stage.Aggregate(w, key, seed, fold)).Via(stage.Map(func(a acc) PageMinute {
//		return PageMinute{Page: a.Page, Visitors: a.Visitors.Column(), Latency: a.Latency.Column()}
//	}))
//
// That is a record with the estimates, for SQL, and the sketch itself, in the
// format of its library: a program that reads rows of the lake merges them by
// UnmarshalBinary and Merge. SQL cannot: sums and means of estimates are wrong,
// and neither Athena nor DuckDB reads these formats, so fold.MergeQuery leaves the
// column out and says so.
//
// # Determinism
//
// The same values in any order, merged in any grouping, are the same bytes. For
// quantiles this holds between processors of one kind: the library takes
// logarithms, whose last bit may differ between architectures, which can put a
// value that lies on the border of two bins in the other one.
//
// # Why these libraries
//
// Distinct is HyperLogLog by github.com/axiomhq/hyperloglog, which keeps few
// values sparsely and nearly exactly, validates what it reads, and has no
// dependencies but a hash and an integer set.
//
// Quantiles is DDSketch by github.com/DataDog/sketches-go, and not a t-digest
// (github.com/caio/go-tdigest): a DDSketch is counts in fixed bins, so merging is
// adding, in any order; its error is relative to the value and has a bound; and
// its format is shared with the libraries for Java and Python. A t-digest moves
// its centroids by the order of arrival and by random numbers. 100,000 values of
// an exponential distribution, whole and in seven parts, made two t-digests of
// 5.9 KB, of different bytes and with 99th percentiles of 463.70 and 463.75
// (truth: 463.78), and twice one DDSketch of 1.3 KB (459.5, within its 1 %). The
// price is protobuf in the program, which the library links for a second format.
//
// Copies of a sketch share its state: use Clone. None is safe for concurrent use,
// not even for reading, since estimates and encodings tidy the state. Zero values
// are empty and ready to use.
package sketch
