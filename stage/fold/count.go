package fold

import "math"

// Count is how many: a 64-bit integer column. Beyond 64 bits it says so as a
// [Sum] does.
type Count int64

// Inc counts one.
func (c *Count) Inc() { c.Add(1) }

// Add counts n.
func (c *Count) Add(n int64) { *c = Count(saturating(int64(*c), n)) }

// Merge counts what other counted.
func (c *Count) Merge(other Count) { c.Add(int64(other)) }

// Overflowed tells whether the number did not fit in 64 bits, as of a [Sum].
func (c Count) Overflowed() bool { return saturated(int64(c)) }

// Sum is a sum of integers: a 64-bit integer column, or a decimal if the lake tag
// says so.
//
// A sum beyond 64 bits stays at math.MaxInt64 or math.MinInt64, whatever is added
// later: these two numbers mark an overflow. The first wins over the second. So
// every grouping gives the exact sum or a mark, never a wrong number; all
// groupings give the same if the sum of the absolute values fits in 64 bits, or
// if all values have one sign.
type Sum int64

// Add adds v.
func (s *Sum) Add(v int64) { *s = Sum(saturating(int64(*s), v)) }

// Merge adds what other added up.
func (s *Sum) Merge(other Sum) { s.Add(int64(other)) }

// Overflowed tells whether the sum, or one on the way to it, did not fit in 64
// bits.
func (s Sum) Overflowed() bool { return saturated(int64(s)) }

func saturated(n int64) bool { return n == math.MaxInt64 || n == math.MinInt64 }

func saturating(a, b int64) int64 {
	switch {
	case a == math.MaxInt64 || b == math.MaxInt64:
		return math.MaxInt64
	case a == math.MinInt64 || b == math.MinInt64:
		return math.MinInt64
	case b > 0 && a > math.MaxInt64-b:
		return math.MaxInt64
	case b < 0 && a < math.MinInt64-b:
		return math.MinInt64
	}
	return a + b
}
