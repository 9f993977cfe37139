package jsonrow

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// What follows walks over JSON text (RFC 8259). An index of -1 says that the text
// is no JSON there, or none that this package reads.

// space is the index of the first byte from i on that is no white space.
func space(b []byte, i int) int {
	if uint(i) < uint(len(b)) && b[i] > ' ' {
		return i
	}
	return spaces(b, i)
}

func spaces(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// special marks, in the high bits, the bytes of x that end a run of plain text:
// quote, backslash, control characters, and what is not ASCII. The lowest mark is
// exact; a subtraction borrows from the byte above a marked one alone, and may so
// set false marks there.
func special(x uint64) uint64 {
	const one, high = 0x0101010101010101, 0x8080808080808080
	return ((x ^ one*'"' - one) | (x ^ one*'\\' - one) | (x - one*' ') | x) & high
}

// plain is the index of the first special byte from i on, or len(b).
func plain(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		if m := special(binary.LittleEndian.Uint64(b[i:])); m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
	}
	for i < len(b) && b[i] >= ' ' && b[i] != '"' && b[i] != '\\' && b[i] < utf8.RuneSelf {
		i++
	}
	return i
}

// text finds the quote that ends the string whose text begins at i, behind its
// first quote. All between is checked.
func text(b []byte, i int) (end int, escaped bool) {
	end = plain(b, i)
	if end < len(b) && b[end] == '"' {
		return end, false
	}
	return unplain(b, i, end)
}

// unplain goes on from a special byte of a string that begins at i.
func unplain(b []byte, i, at int) (end int, escaped bool) {
	foreign := false // is there anything but ASCII?
	for at < len(b) {
		switch c := b[at]; {
		case c == '"':
			if foreign && !utf8.Valid(b[i:at]) {
				return -1, escaped
			}
			return at, escaped
		case c == '\\':
			n := escape(b[at:])
			if n == 0 {
				return -1, escaped
			}
			at, escaped = at+n, true
		case c >= utf8.RuneSelf:
			foreign = true
			for at++; at < len(b) && b[at] >= utf8.RuneSelf; at++ {
			}
		default:
			return -1, escaped // a control character
		}
		at = plain(b, at)
	}
	return -1, escaped
}

// escape is the length of the escape sequence that b begins with, 0 if it is none.
func escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := hex4(b); ok {
			return 6
		}
	}
	return 0
}

// hex4 reads the digits of a \u sequence that b begins with.
func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	for _, c := range b[2:6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// literal is the index behind a word that stands at i.
func literal(b []byte, i int, word string) int {
	if len(b)-i < len(word) || string(b[i:i+len(word)]) != word {
		return -1
	}
	return i + len(word)
}

// null is the index behind a null at i: the place stays zero, as it is.
func null(b []byte, i int) int { return literal(b, i, "null") }

// colon passes over the colon behind a name, and the space around it. There is a
// byte at the index that it gives.
func colon(b []byte, i int) int {
	if i = space(b, i); i >= len(b) || b[i] != ':' {
		return -1
	}
	if i = space(b, i+1); i >= len(b) {
		return -1
	}
	return i
}

// comma reads what follows a value in an object or array that ends with the byte
// end: the index of the next name or value, or that behind the end.
func comma(b []byte, i int, end byte) (next int, done bool) {
	if i = space(b, i); i >= len(b) {
		return -1, false
	}
	switch b[i] {
	case ',':
		if i = space(b, i+1); i < len(b) {
			return i, false
		}
	case end:
		return i + 1, true
	}
	return -1, false
}
