package jsonrow

import (
	"strconv"
	"unsafe"
)

// number is the index behind the number at i.
func number(b []byte, i int) int {
	if i < len(b) && b[i] == '-' {
		i++
	}
	n := digits(b, i)
	if n == i || n > i+1 && b[i] == '0' {
		return -1
	}
	if i = n; i < len(b) && b[i] == '.' {
		if n = digits(b, i+1); n == i+1 {
			return -1
		}
		i = n
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		if i++; i < len(b) && (b[i] == '-' || b[i] == '+') {
			i++
		}
		if n = digits(b, i); n == i {
			return -1
		}
		i = n
	}
	return i
}

func digits(b []byte, i int) int {
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}

// natural reads digits that make a whole number up to 2^64-1 and nothing else:
// 1.0 and 1e3 are none, as an integer field refuses them.
func natural(b []byte, i int) (v uint64, end int) {
	start := i
	for i < len(b) {
		c := b[i] - '0'
		if c > 9 {
			break
		}
		v = v*10 + uint64(c)
		i++
	}
	switch n := i - start; {
	case n == 0, n > 1 && b[start] == '0', n > 20:
		return 0, -1
	// Twenty digits that begin with 1 are below 2e19: those beyond 2^64 come round
	// to less than 1e19.
	case n == 20 && (b[start] != '1' || v < 1e19):
		return 0, -1
	}
	if i < len(b) && (b[i] == '.' || b[i]|0x20 == 'e') {
		return 0, -1
	}
	return v, i
}

// whole reads an integer of so many bits.
func whole(b []byte, i int, bits uint) (v int64, end int) {
	var minus uint64
	if i < len(b) && b[i] == '-' {
		minus = 1
		i++
	}
	u, end := natural(b, i)
	if u > 1<<(bits-1)-1+minus {
		return 0, -1
	}
	if minus != 0 {
		u = -u
	}
	return int64(u), end
}

// float reads a number as the nearest float of 32 or 64 bits, as strconv.ParseFloat
// does. Few digits and a small power of ten need one operation on exact floats,
// which is rounded once, and so rightly (Clinger, How to Read Floating Point
// Numbers Accurately, 1990).
func float(b []byte, i int, bits int) (f float64, end int) {
	start := i
	minus := i < len(b) && b[i] == '-'
	if minus {
		i++
	}
	var mantissa uint64
	first := i
	for i < len(b) && b[i]-'0' <= 9 {
		mantissa = mantissa*10 + uint64(b[i]-'0')
		i++
	}
	count, power := i-first, 0
	if count == 0 || count > 1 && b[first] == '0' {
		return 0, -1
	}
	if i < len(b) && b[i] == '.' {
		point := i + 1
		for i = point; i < len(b) && b[i]-'0' <= 9; i++ {
			mantissa = mantissa*10 + uint64(b[i]-'0')
		}
		if i == point {
			return 0, -1
		}
		count, power = count+i-point, point-i
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		if end = number(b, start); end < 0 {
			return 0, -1
		}
		count = 1 << 10 // rare enough for the long way
	} else {
		end = i
	}
	switch {
	case count > 19: // the mantissa may have come round
	case bits == 64 && mantissa <= 1<<53 && power >= -22:
		f = float64(mantissa) / tens[-power]
		if minus {
			f = -f
		}
		return f, end
	case bits == 32 && mantissa <= 1<<24 && power >= -10:
		f32 := float32(mantissa) / float32(tens[-power])
		if minus {
			f32 = -f32
		}
		return float64(f32), end
	}
	f, err := strconv.ParseFloat(view(b[start:end]), bits)
	if err != nil {
		return 0, -1
	}
	return f, end
}

// tens are the powers of ten that a float64 holds exactly; those up to 10 a
// float32 does. They are never changed.
var tens = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// view is b as a string without a copy, for calls that do not keep it.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
