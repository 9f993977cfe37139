package sketch

import (
	"fmt"
	"math"

	"github.com/DataDog/sketches-go/ddsketch"
)

const (
	// accuracy is the relative error of a quantile.
	accuracy = 0.01
	// maxBins of each sign: the greatest and the least magnitude that are told
	// apart differ by a factor of 6e17.
	maxBins = 2048
)

// Quantiles knows the distribution of values: a DDSketch with an error of 1 %. The
// value of a quantile lies within 1 % of the true one, whatever the distribution.
// Where the magnitudes of values of one sign differ by more than a factor of 6e17,
// the smallest are taken together, and only quantiles among them are wrong.
//
// It takes at most 33 KiB of memory, and counts exactly up to 2^53 values. One
// magnitude is 115 bins; a bin in use is one to nine bytes of the encoding.
type Quantiles struct {
	sketch *ddsketch.DDSketch // nil: empty
}

// Add counts a value. NaN is passed over: it has no place among numbers. What is
// beyond about 1.25e308, also infinity, counts as that; what is nearer to zero than
// 2.3e-308 counts as zero.
func (q *Quantiles) Add(value float64) {
	if value != value {
		return
	}
	if q.sketch == nil {
		q.sketch = newSketch()
	}
	most := q.sketch.MaxIndexableValue()
	if err := q.sketch.Add(max(-most, min(most, value))); err != nil {
		panic(fmt.Sprintf("sketch: %v", err)) // it refuses nothing but what was passed over or cut above
	}
}

// Merge counts the values of other, which is not changed, and shares nothing with
// it.
func (q *Quantiles) Merge(other Quantiles) {
	if other.sketch == nil {
		return
	}
	if q.sketch == nil {
		q.sketch = newSketch()
	}
	if err := q.sketch.MergeWith(other.sketch); err != nil {
		panic(fmt.Sprintf("sketch: %v", err)) // all have one accuracy
	}
}

// Count is how many values there were.
func (q *Quantiles) Count() int64 {
	if q.sketch == nil {
		return 0
	}
	return int64(q.sketch.GetCount())
}

// Quantile is, within 1 %, the value that the share p of all values is not greater
// than: 0 the least, 0.5 the median, 1 the greatest. Between two values it is the
// lower one. It is false if there is no value, or if p is not between 0 and 1.
func (q *Quantiles) Quantile(p float64) (float64, bool) {
	if q.sketch == nil || !(p >= 0 && p <= 1) {
		return 0, false
	}
	v, err := q.sketch.GetValueAtQuantile(p)
	return v, err == nil
}

// Clone returns a copy that shares nothing with q.
func (q *Quantiles) Clone() Quantiles {
	if q.sketch == nil {
		return Quantiles{}
	}
	return Quantiles{q.sketch.Copy()}
}

// MarshalBinary writes the sketch in the library's format with the mapping in it,
// which its versions for Java and Python read. Equal values are equal bytes. There
// is no error.
func (q Quantiles) MarshalBinary() ([]byte, error) {
	s := q.sketch
	if s == nil {
		s = newSketch()
	}
	var b []byte
	s.Encode(&b, false)
	return b, nil
}

// UnmarshalBinary reads what MarshalBinary wrote. It refuses all else, also
// sketches of another accuracy, other encodings of the same content and more than
// 64 KiB, and then leaves q as it was.
func (q *Quantiles) UnmarshalBinary(data []byte) error {
	s, err := decode(data)
	if err != nil {
		return fmt.Errorf("sketch.Quantiles: %w", err)
	}
	q.sketch = s
	return nil
}

// MarshalJSON writes the bytes of MarshalBinary as a string in base64.
func (q Quantiles) MarshalJSON() ([]byte, error) { return marshalJSON(q) }

// UnmarshalJSON reads what MarshalJSON wrote, as UnmarshalBinary does; null is an
// empty sketch.
func (q *Quantiles) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*q = Quantiles{}
		return nil
	}
	return unmarshalJSON(q, data, maxQuantiles)
}

// QuantilesColumn is the record that a Quantiles becomes in a file.
type QuantilesColumn struct {
	// Count is how many values there were.
	Count int64
	// P50 to P99 are percentiles, null of nothing. A mean of percentiles is none.
	P50, P90, P95, P99 *float64
	// Sketch is what Quantiles.UnmarshalBinary reads.
	Sketch []byte
}

// Column makes columns of the sketch: four percentiles and its bytes. A row with
// other ones has fields of its own, and calls Quantile.
func (q *Quantiles) Column() QuantilesColumn {
	at := func(p float64) *float64 {
		if v, ok := q.Quantile(p); ok {
			return &v
		}
		return nil
	}
	return QuantilesColumn{q.Count(), at(0.5), at(0.9), at(0.95), at(0.99), bytesOf(q)}
}

// NotInSQL says why fold.MergeQuery leaves the column out.
func (QuantilesColumn) NotInSQL() string {
	return "SQL cannot merge sketches of DDSketch, and a mean of percentiles is none: " +
		"merge column sketch by sketch.Quantiles of Go, or take percentiles of the rows themselves"
}

func newSketch() *ddsketch.DDSketch {
	s, err := ddsketch.LogCollapsingLowestDenseDDSketch(accuracy, maxBins)
	if err != nil {
		panic(fmt.Sprintf("sketch: %v", err)) // the accuracy is a constant that the library takes
	}
	return s
}

// whole tells whether n is a number of values that is counted exactly.
func whole(n float64) bool { return n >= 0 && n <= 1<<53 && n == math.Trunc(n) }
