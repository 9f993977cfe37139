package wire

import (
	"strconv"

	"github.com/shardlake/shardlake"
)

// decimal is a number of JSON without a sign, which nothing in an answer has.
type decimal struct {
	digits   uint64 // all of them, the point left out
	places   int    // how many there are behind the point
	exponent int    // what is behind the e, held at ±9999
	short    bool   // digits has not overflowed
	plain    bool   // without point and exponent
	text     []byte
}

// number reads one.
func (c *cursor) number() (d decimal, ok bool) {
	c.space()
	b, p := c.b, c.p
	for p < len(b) && b[p]-'0' <= 9 {
		d.digits = d.digits*10 + uint64(b[p]-'0')
		p++
	}
	whole := p - c.p
	if whole == 0 || whole > 1 && b[c.p] == '0' {
		return d, false
	}
	d.plain = true
	if p < len(b) && b[p] == '.' {
		p++
		at := p
		for p < len(b) && b[p]-'0' <= 9 {
			d.digits = d.digits*10 + uint64(b[p]-'0')
			p++
		}
		if d.places, d.plain = p-at, false; d.places == 0 {
			return d, false
		}
	}
	d.short = whole+d.places <= 19
	if p < len(b) && b[p]|0x20 == 'e' {
		p++
		negative := p < len(b) && b[p] == '-'
		if negative || p < len(b) && b[p] == '+' {
			p++
		}
		at := p
		for p < len(b) && b[p]-'0' <= 9 {
			d.exponent = min(d.exponent*10+int(b[p]-'0'), 9999)
			p++
		}
		if d.plain = false; p == at {
			return d, false
		}
		if negative {
			d.exponent = -d.exponent
		}
	}
	d.text, c.p = b[c.p:p], p
	return d, true
}

// powers are those of ten that a float64 holds exactly. It is not written to.
var powers = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// float is the float64 next to the number. If its digits and the power of ten are
// exact as floats, one operation on them rounds as it has to (W. D. Clinger, How to
// read floating point numbers accurately, 1990).
func (d decimal) float() (float64, bool) {
	if d.short && d.digits < 1<<53 {
		switch e := d.exponent - d.places; {
		case e >= 0 && e < len(powers):
			return float64(d.digits) * powers[e], true
		case e < 0 && -e < len(powers):
			return float64(d.digits) / powers[-e], true
		}
	}
	f, err := strconv.ParseFloat(string(d.text), 64)
	return f, err == nil
}

// timestamp reads seconds since 1970, cut to milliseconds in the way of smithy-go's
// time.ParseEpochSeconds: times 1000, rounded to 53 bits, then cut.
func (c *cursor) timestamp() (shardlake.Instant, bool) {
	d, ok := c.number()
	if !ok {
		return 0, false
	}
	f, ok := d.float()
	if ms := f * 1000; ok && ms < maxArrived {
		return shardlake.Instant(int64(ms)) * 1000, true
	}
	return 0, false
}

// integer reads one of at most 18 digits.
func (c *cursor) integer() (int64, bool) {
	d, ok := c.number()
	return int64(d.digits), ok && d.plain && len(d.text) <= 18
}
