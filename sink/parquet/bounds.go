package parquet

import (
	"bytes"
	"encoding/binary"
	"math"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go/format"
)

// bounds are the least and greatest value of a page or chunk, in the order that
// the specification gives the column's type. They are of the values as stored.
type bounds struct {
	ok       bool // there are values, and all have an order
	none     bool // there is a NaN, or text too long to keep: no bounds for the chunk
	lo, hi   int64
	flo, fhi float64
	blo, bhi []byte
}

// maxBound is the length of the longest value that becomes a bound of a chunk.
// Bounds of a chunk are never cut, since readers may take them for values.
const maxBound = 1 << 10

// bounds looks at the page at hand. page tells values of the dictionary that were
// seen in it from those that were not.
func (c *column) bounds(page int32) (b bounds) {
	if c.values == 0 {
		return b
	}
	b.ok = true
	switch c.typ {
	case format.Boolean:
		b.lo, b.hi = c.boolBounds()
	case format.Int32, format.Int64:
		b.lo, b.hi = math.MaxInt64, math.MinInt64
		c.eachNumber(page, func(v uint64) { b.lo, b.hi = min(b.lo, int64(v)), max(b.hi, int64(v)) })
	case format.Float, format.Double:
		b.flo, b.fhi = math.Inf(1), math.Inf(-1)
		c.eachNumber(page, func(v uint64) {
			f := math.Float64frombits(v)
			if c.size == 4 {
				f = float64(math.Float32frombits(uint32(v)))
			}
			b.none = b.none || f != f
			b.flo, b.fhi = min(b.flo, f), max(b.fhi, f)
		})
		b.ok = !b.none
	default:
		c.byteBounds(page, &b)
	}
	return b
}

func (c *column) boolBounds() (lo, hi int64) {
	lo = 1
	for i := range c.values {
		v := int64(c.data[i>>3]>>(i&7)) & 1
		lo, hi = min(lo, v), max(hi, v)
	}
	return lo, hi
}

// eachNumber visits the numbers of the page at hand, those of the dictionary once.
func (c *column) eachNumber(page int32, visit func(uint64)) {
	switch {
	case c.inDict:
		for _, n := range c.indices {
			if c.dict.seen[n] != page {
				c.dict.seen[n] = page
				visit(c.dict.numbers[n])
			}
		}
	case c.typ == format.Int32: // sign-extended, as in the dictionary
		for i := 0; i < len(c.data); i += 4 {
			visit(uint64(int32(binary.LittleEndian.Uint32(c.data[i:]))))
		}
	case c.size == 4:
		for i := 0; i < len(c.data); i += 4 {
			visit(uint64(binary.LittleEndian.Uint32(c.data[i:])))
		}
	default:
		for i := 0; i < len(c.data); i += 8 {
			visit(binary.LittleEndian.Uint64(c.data[i:]))
		}
	}
}

func (c *column) byteBounds(page int32, b *bounds) {
	visit := func(v []byte) {
		if b.blo == nil {
			b.blo, b.bhi = v, v
		} else if bytes.Compare(v, b.blo) < 0 {
			b.blo = v
		} else if bytes.Compare(v, b.bhi) > 0 {
			b.bhi = v
		}
	}
	switch {
	case c.inDict:
		for _, n := range c.indices {
			if c.dict.seen[n] != page {
				c.dict.seen[n] = page
				visit(c.dict.value(n))
			}
		}
	case c.size > 0:
		for i := 0; i < len(c.data); i += c.size {
			visit(c.data[i : i+c.size])
		}
	default:
		for i := 0; i < len(c.data); {
			n := int(binary.LittleEndian.Uint32(c.data[i:]))
			visit(c.data[i+4 : i+4+n])
			i += 4 + n
		}
	}
}

// merge adds the bounds of a page to those of its chunk.
func (b *bounds) merge(p bounds) {
	b.none = b.none || p.none || len(p.blo) > maxBound || len(p.bhi) > maxBound
	switch {
	case !p.ok || b.none:
		b.ok = b.ok && !b.none
	case !b.ok:
		*b = p
		b.blo, b.bhi = bytes.Clone(p.blo), bytes.Clone(p.bhi)
	default:
		b.lo, b.hi = min(b.lo, p.lo), max(b.hi, p.hi)
		b.flo, b.fhi = min(b.flo, p.flo), max(b.fhi, p.fhi)
		if bytes.Compare(p.blo, b.blo) < 0 {
			b.blo = bytes.Clone(p.blo)
		}
		if bytes.Compare(p.bhi, b.bhi) > 0 {
			b.bhi = bytes.Clone(p.bhi)
		}
	}
}

// plain returns a copy of the bounds as the file has them. A zero is -0 below and +0 above,
// by the specification.
func (b *bounds) plain(typ format.Type) (lo, hi []byte) {
	var empty []byte
	switch typ {
	case format.Boolean:
		return []byte{byte(b.lo)}, []byte{byte(b.hi)}
	case format.Int32:
		return le(empty, int(b.lo)), le(empty, int(b.hi))
	case format.Int64:
		return binary.LittleEndian.AppendUint64(empty, uint64(b.lo)), binary.LittleEndian.AppendUint64(empty, uint64(b.hi))
	case format.Float, format.Double:
		flo, fhi := b.flo, b.fhi
		if flo == 0 {
			flo = math.Copysign(0, -1)
		}
		if fhi == 0 {
			fhi = 0
		}
		if typ == format.Float {
			return le(empty, int(math.Float32bits(float32(flo)))), le(empty, int(math.Float32bits(float32(fhi))))
		}
		return binary.LittleEndian.AppendUint64(empty, math.Float64bits(flo)), binary.LittleEndian.AppendUint64(empty, math.Float64bits(fhi))
	}
	return append([]byte{}, b.blo...), append([]byte{}, b.bhi...)
}

// maxIndexed is the length of bounds in the page index, where they may be cut.
const maxIndexed = 64

// cut shortens the bounds of byte arrays for the page index, perhaps to a view of
// them. Text stays text.
func cut(lo, hi []byte) ([]byte, []byte) {
	if len(lo) > maxIndexed {
		n := maxIndexed
		for n > maxIndexed-utf8.UTFMax && !utf8.RuneStart(lo[n]) {
			n--
		}
		lo = lo[:n]
	}
	if len(hi) > maxIndexed {
		// The last ASCII byte that can be one more makes a bound above all that
		// begin alike. If there is none, the whole value is one.
		for n := maxIndexed - 1; n >= 0; n-- {
			if hi[n] < utf8.RuneSelf-1 {
				hi = append(bytes.Clone(hi[:n]), hi[n]+1)
				break
			}
		}
	}
	return lo, hi
}
