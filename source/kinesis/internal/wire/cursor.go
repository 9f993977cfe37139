package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/json/jsontext"
	"math/bits"
)

// cursor is a place in a body of JSON. Its methods skip white space, read something
// and report whether it was there; after a false nothing more can be read.
type cursor struct {
	b       []byte
	p       int
	x       *index
	careful bool // payloads may have escapes
}

func (c *cursor) space() {
	for c.p < len(c.b) {
		switch c.b[c.p] {
		case ' ', '\n', '\t', '\r':
			c.p++
		default:
			return
		}
	}
}

func (c *cursor) take(want byte) bool {
	if c.p < len(c.b) && c.b[c.p] <= ' ' {
		c.space()
	}
	if c.p < len(c.b) && c.b[c.p] == want {
		c.p++
		return true
	}
	return false
}

// null reads a null, if there is one.
func (c *cursor) null() bool {
	c.space()
	return c.p < len(c.b) && c.b[c.p] == 'n' && c.literal("null")
}

func (c *cursor) literal(s string) bool {
	if len(c.b)-c.p < len(s) || string(c.b[c.p:c.p+len(s)]) != s {
		return false
	}
	c.p += len(s)
	return true
}

// name reads the name of a member, and its colon. The SDK resolves escapes in names;
// nobody writes them.
func (c *cursor) name() ([]byte, bool) {
	if !c.take('"') {
		return nil, false
	}
	at := c.p
	if escaped, ok := c.finish(); escaped || !ok {
		return nil, false
	}
	end := c.p - 1
	return c.b[at:end], c.take(':')
}

// text reads a string.
func (c *cursor) text() (span, bool) {
	if !c.take('"') {
		return span{}, false
	}
	at := c.p
	escaped, ok := c.finish()
	switch {
	case !ok:
		return span{}, false
	case escaped:
		return c.unquote(c.b[at-1 : c.p])
	}
	return span{uint32(at), uint32(c.p - 1 - at)}, true
}

// unquote resolves the escapes of a string, given with its quotes. In a string that
// has some, the SDK replaces what is no UTF-8; that is left to it.
func (c *cursor) unquote(quoted []byte) (span, bool) {
	at := len(c.x.extra)
	out, err := jsontext.AppendUnquote(c.x.extra, quoted)
	if err != nil {
		return span{}, false
	}
	c.x.extra = out
	return span{uint32(at) | inExtra, uint32(len(out) - at)}, true
}

// payload reads a string of base64. Whether it is any, decoding it shows.
func (c *cursor) payload() (span, bool) {
	if c.careful {
		return c.text()
	}
	if !c.take('"') {
		return span{}, false
	}
	n := bytes.IndexByte(c.b[c.p:], '"')
	if n < 0 {
		return span{}, false
	}
	s := span{uint32(c.p), uint32(n)}
	c.p += n + 1
	return s, true
}

const (
	ones = 0x0101010101010101
	tops = 0x8080808080808080
)

// finish goes behind the quote that ends a string, eight bytes at a time. It
// reports whether the string has escapes, and false if it has no end or a control
// character, which JSON has to escape.
func (c *cursor) finish() (escaped, ok bool) {
	b, p := c.b, c.p
	for {
		for len(b)-p >= 8 {
			v := binary.LittleEndian.Uint64(b[p:])
			// The lowest bit that is set belongs to the first byte that is a quote, a
			// backslash or below 0x20; those above it may be false.
			quote, slash := v^ones*'"', v^ones*'\\'
			found := ((v-ones*0x20)&^v | (quote-ones)&^quote | (slash-ones)&^slash) & tops
			if found != 0 {
				p += bits.TrailingZeros64(found) / 8
				break
			}
			p += 8
		}
		if p >= len(b) {
			return escaped, false
		}
		switch x := b[p]; {
		case x == '"':
			c.p = p + 1
			return escaped, true
		case x < 0x20:
			return escaped, false
		case x == '\\':
			escaped = true
			p += 2
		default: // the last seven bytes
			p++
		}
	}
}

// maxDepth is how deep unknown members may be nested before the SDK has to look.
const maxDepth = 16

// skip reads any value.
func (c *cursor) skip(depth int) bool {
	c.space()
	if c.p >= len(c.b) || depth > maxDepth {
		return false
	}
	switch c.b[c.p] {
	case '"':
		kept := len(c.x.extra)
		_, ok := c.text()
		c.x.extra = c.x.extra[:kept]
		return ok
	case 't':
		return c.literal("true")
	case 'f':
		return c.literal("false")
	case 'n':
		return c.literal("null")
	case '[':
		c.p++
		if c.take(']') {
			return true
		}
		for {
			if !c.skip(depth + 1) {
				return false
			}
			if !c.take(',') {
				return c.take(']')
			}
		}
	case '{':
		c.p++
		if c.take('}') {
			return true
		}
		for {
			if _, ok := c.name(); !ok || !c.skip(depth+1) {
				return false
			}
			if !c.take(',') {
				return c.take('}')
			}
		}
	}
	_, ok := c.number()
	return ok
}
