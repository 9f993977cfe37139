package fold

import (
	"encoding/json/jsontext"
	"encoding/json/v2"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// exact is a sum of float64 without rounding: numbers whose bits do not overlap,
// smallest first, whose mathematical sum it is (Shewchuk, "Adaptive Precision
// Floating-Point Arithmetic", 1997). Numbers of similar size need two or three of
// them, the whole range of float64 forty.
//
// It is a value: most sums fit in the array, and a slice is never changed.
type exact struct {
	few  [3]float64 // zeros fill up; all zero if there is a slice
	many []float64
}

// maxParts bounds a state that is read: compressed, a sum has at most one part
// for each 53 of the 2,098 binary places of float64.
const maxParts = 64

func (e *exact) parts(buf []float64) []float64 {
	if e.many != nil {
		return append(buf, e.many...)
	}
	for _, x := range e.few {
		if x != 0 {
			buf = append(buf, x)
		}
	}
	return buf
}

func (e *exact) keep(parts []float64) {
	*e = exact{}
	if len(parts) > len(e.few) {
		parts = compress(parts)
	}
	if len(parts) > len(e.few) {
		e.many = slices.Clone(parts)
		return
	}
	copy(e.few[:], parts)
}

// add adds x. An infinite or undefined number, or a sum beyond float64, takes the
// place of all parts and goes on as IEEE 754 has it.
func (e *exact) add(x float64) {
	var buf [maxParts]float64
	p := e.parts(buf[:0])
	if finite(x) && (len(p) == 0 || finite(p[0])) {
		p, x = grow(p, x)
	} else if len(p) > 0 && !finite(p[0]) {
		x += p[0]
	}
	if !finite(x) {
		p = p[:0]
	}
	if x != 0 {
		p = append(p, x)
	}
	e.keep(p)
}

// merge adds all parts of other.
func (e *exact) merge(other exact) {
	var buf [maxParts]float64
	for _, x := range other.parts(buf[:0]) {
		e.add(x)
	}
}

// grow adds x to the parts and returns what is left of them and the largest part,
// which goes behind.
func grow(p []float64, x float64) ([]float64, float64) {
	n := 0
	for _, y := range p {
		if math.Abs(x) < math.Abs(y) {
			x, y = y, x
		}
		hi := x + y
		lo := y - (hi - x)
		if lo != 0 {
			p[n] = lo
			n++
		}
		x = hi
	}
	return p[:n], x
}

// compress makes parts as few and as large as they can be, in place.
func compress(p []float64) []float64 {
	bottom := len(p) - 1
	q := p[bottom]
	for i := bottom - 1; i >= 0; i-- {
		hi := q + p[i]
		lo := p[i] - (hi - q)
		q = hi
		if lo != 0 {
			p[bottom] = hi
			bottom--
			q = lo
		}
	}
	p[bottom] = q
	top := 0
	for i := bottom + 1; i < len(p); i++ {
		hi := p[i] + q
		lo := q - (hi - p[i])
		q = hi
		if lo != 0 {
			p[top] = lo
			top++
		}
	}
	p[top] = q
	return p[:top+1]
}

// rounded is the float64 nearest to the sum, ties to even; never -0.
func (e *exact) rounded() float64 {
	var buf [maxParts]float64
	p := e.parts(buf[:0])
	n := len(p)
	if n == 0 {
		return 0
	}
	n--
	hi, lo := p[n], 0.0
	for n > 0 {
		n--
		x, y := hi, p[n]
		hi = x + y
		if lo = y - (hi - x); lo != 0 {
			break
		}
	}
	// hi was rounded, to even if lo was half a unit: what lies below lo may say
	// that it was more than half.
	if n > 0 && (lo < 0 && p[n-1] < 0 || lo > 0 && p[n-1] > 0) {
		y := lo * 2
		if x := hi + y; y == x-hi {
			hi = x
		}
	}
	return hi
}

func finite(x float64) bool { return x-x == 0 }

// MarshalJSON lists the parts; JSON has no number for what is not finite, so that
// is a string.
func (e exact) MarshalJSON() ([]byte, error) {
	var buf [maxParts]float64
	b := []byte{'['}
	for i, x := range e.parts(buf[:0]) {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendFloat(b, x)
	}
	return append(b, ']'), nil
}

func (e *exact) UnmarshalJSON(data []byte) error {
	var list []jsontext.Value
	if err := json.Unmarshal(data, &list); err != nil {
		return err
	}
	if len(list) > maxParts {
		return fmt.Errorf("a sum of %d parts: want at most %d", len(list), maxParts)
	}
	var sum exact
	for _, v := range list {
		x, err := parseFloat(v)
		if err != nil {
			return err
		}
		sum.add(x)
	}
	*e = sum
	return nil
}

// appendFloat writes the shortest number that reads as x.
func appendFloat(b []byte, x float64) []byte {
	switch {
	case math.IsInf(x, 1):
		return append(b, `"Infinity"`...)
	case math.IsInf(x, -1):
		return append(b, `"-Infinity"`...)
	case x != x:
		return append(b, `"NaN"`...)
	}
	return strconv.AppendFloat(b, x, 'g', -1, 64)
}

func parseFloat(data []byte) (float64, error) {
	switch string(data) {
	case `"Infinity"`:
		return math.Inf(1), nil
	case `"-Infinity"`:
		return math.Inf(-1), nil
	case `"NaN"`:
		return math.NaN(), nil
	}
	if k := jsontext.Value(data).Kind(); k != '0' {
		return 0, fmt.Errorf("a JSON %v is no number", k)
	}
	return strconv.ParseFloat(string(data), 64)
}
