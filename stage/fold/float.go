package fold

import (
	"encoding/json/v2"
	"fmt"
)

// Number is what has a mean.
type Number interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 |
		~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 |
		~float32 | ~float64
}

// FloatSum is a sum of float64: a record with the column value. It is the exact
// sum, rounded once to the nearest float64, so the order of the values and the
// grouping of merges do not count.
//
// Infinite and undefined numbers go through as IEEE 754 has it: infinities of both
// signs, or a NaN, make NaN. A sum on the way that is beyond float64 is infinite
// from there on, in whatever grouping meets it.
type FloatSum struct {
	// Value is the sum, 0 of nothing. It is written by the methods.
	Value float64

	parts exact
}

// Add adds v.
func (s *FloatSum) Add(v float64) {
	s.parts.add(v)
	s.Value = s.parts.rounded()
}

// Merge adds what other added up.
func (s *FloatSum) Merge(other FloatSum) {
	s.parts.merge(other.parts)
	s.Value = s.parts.rounded()
}

// MarshalJSON writes the exact sum as a list of numbers.
func (s FloatSum) MarshalJSON() ([]byte, error) { return s.parts.MarshalJSON() }

// UnmarshalJSON reads what MarshalJSON wrote. It refuses lists of more than 64
// parts, and parts that are no numbers, and then leaves the sum as it was.
func (s *FloatSum) UnmarshalJSON(data []byte) error {
	var parts exact
	if err := parts.UnmarshalJSON(data); err != nil {
		return fmt.Errorf("fold.FloatSum: %w", err)
	}
	*s = FloatSum{parts.rounded(), parts}
	return nil
}

// Mean is a mean: a record with the columns sum and count, which SQL adds up and
// divides. The sum is exact, as that of a [FloatSum], also of 64-bit integers.
// Means of time.Duration are in nanoseconds.
type Mean[N Number] struct {
	// Sum is of all values, 0 of nothing. It is written by the methods.
	Sum float64
	// Count is how many there were, at most math.MaxInt64. It is written by the
	// methods.
	Count int64

	parts exact
}

// Add adds v.
func (m *Mean[N]) Add(v N) {
	switch one := N(1); {
	case one/2 != 0:
		m.parts.add(float64(v))
	case v >= 0: // 64 bits do not fit into one float64, two halves do
		m.parts.add(float64(uint64(v)>>32) * (1 << 32))
		m.parts.add(float64(uint64(v) & (1<<32 - 1)))
	default:
		m.parts.add(float64(int64(v)>>32) * (1 << 32))
		m.parts.add(float64(int64(v) & (1<<32 - 1)))
	}
	m.Sum, m.Count = m.parts.rounded(), saturating(m.Count, 1)
}

// Merge adds the values of other.
func (m *Mean[N]) Merge(other Mean[N]) {
	m.parts.merge(other.parts)
	m.Sum, m.Count = m.parts.rounded(), saturating(m.Count, other.Count)
}

// Value is the mean, and false of nothing.
func (m Mean[N]) Value() (float64, bool) {
	if m.Count == 0 {
		return 0, false
	}
	return m.Sum / float64(m.Count), true
}

type meanJSON struct {
	Count int64 `json:"count"`
	Sum   exact `json:"sum"`
}

// MarshalJSON writes the count and the exact sum.
func (m Mean[N]) MarshalJSON() ([]byte, error) { return json.Marshal(meanJSON{m.Count, m.parts}) }

// UnmarshalJSON reads what MarshalJSON wrote. It refuses what that could not have
// written, and then leaves the mean as it was.
func (m *Mean[N]) UnmarshalJSON(data []byte) error {
	var j meanJSON
	if err := json.Unmarshal(data, &j, json.RejectUnknownMembers(true)); err != nil {
		return fmt.Errorf("fold.Mean: %w", err)
	}
	if j.Count < 0 || j.Count == 0 && j.Sum.rounded() != 0 {
		return fmt.Errorf("fold.Mean: a sum of %d values is impossible", j.Count)
	}
	*m = Mean[N]{j.Sum.rounded(), j.Count, j.Sum}
	return nil
}
