package wire

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// decoder is a place in a body of CBOR (RFC 8949). Its methods read something and
// report whether it was there; err says what was wrong.
type decoder struct {
	b        []byte
	p        int
	x        *index
	children []types.ChildShard
	err      error
}

const (
	majorUint = iota
	majorNegative
	majorBytes
	majorText
	majorArray
	majorMap
	majorTag
	majorOther

	indefinite = 31
	stop       = 0xff
	tagTime    = 1
)

// fail keeps the first thing that was wrong, and returns false.
func (c *decoder) fail(format string, args ...any) bool {
	if c.err == nil {
		c.err = fmt.Errorf("byte %d of %d: %s", c.p, len(c.b), fmt.Sprintf(format, args...))
	}
	return false
}

// head reads the start of an item: its type and its argument.
func (c *decoder) head() (major, info byte, argument uint64, ok bool) {
	if c.p >= len(c.b) {
		return 0, 0, 0, c.fail("the end is missing")
	}
	x := c.b[c.p]
	c.p++
	major, info = x>>5, x&31
	if info < 24 {
		return major, info, uint64(info), true
	}
	rest := c.b[c.p:]
	switch {
	case info == 24 && len(rest) >= 1:
		c.p++
		return major, info, uint64(rest[0]), true
	case info == 25 && len(rest) >= 2:
		c.p += 2
		return major, info, uint64(binary.BigEndian.Uint16(rest)), true
	case info == 26 && len(rest) >= 4:
		c.p += 4
		return major, info, uint64(binary.BigEndian.Uint32(rest)), true
	case info == 27 && len(rest) >= 8:
		c.p += 8
		return major, info, binary.BigEndian.Uint64(rest), true
	case info == indefinite && major >= majorBytes && major <= majorMap:
		return major, info, math.MaxUint64, true
	}
	return 0, 0, 0, c.fail("no item begins with 0x%02x here", x)
}

// chunk reads a string. One in several pieces is moved together, where it lies: the
// heads in between make room.
func (c *decoder) chunk(want byte) (span, bool) {
	major, info, n, ok := c.head()
	switch {
	case !ok:
		return span{}, false
	case major != want:
		return span{}, c.fail("an item of major type %d where %d belongs", major, want)
	case info != indefinite:
		if n > uint64(len(c.b)-c.p) {
			return span{}, c.fail("a string of %d bytes does not fit", n)
		}
		s := span{uint32(c.p), uint32(n)}
		c.p += int(n)
		return s, true
	}
	at := c.p
	for end := at; ; {
		if c.p < len(c.b) && c.b[c.p] == stop {
			c.p++
			return span{uint32(at), uint32(end - at)}, true
		}
		major, info, n, ok := c.head()
		switch {
		case !ok:
			return span{}, false
		case major != want || info == indefinite || n > uint64(len(c.b)-c.p):
			return span{}, c.fail("a string in pieces is broken")
		}
		copy(c.b[end:], c.b[c.p:c.p+int(n)])
		end += int(n)
		c.p += int(n)
	}
}

// open reads the head of an array or a map, and how many items or pairs follow.
func (c *decoder) open(want byte) (n uint64, ok bool) {
	major, info, n, ok := c.head()
	switch {
	case !ok:
		return 0, false
	case major != want:
		return 0, c.fail("an item of major type %d where %d belongs", major, want)
	case info != indefinite && n > uint64(len(c.b)-c.p):
		return 0, c.fail("%d items do not fit", n)
	}
	return n, true
}

// more tells whether another item follows. math.MaxUint64 are as many as come.
func (c *decoder) more(n *uint64) bool {
	switch {
	case *n > math.MaxUint64-MaxBody && c.p < len(c.b) && c.b[c.p] == stop:
		c.p++
		return false
	case *n == 0:
		return false
	case c.p >= len(c.b):
		return c.fail("the end is missing")
	}
	return true
}

// null reads a null or an undefined, if there is one.
func (c *decoder) null() bool {
	if c.p < len(c.b) && (c.b[c.p] == 0xf6 || c.b[c.p] == 0xf7) {
		c.p++
		return true
	}
	return false
}

// object reads a map with text keys. A member that is null is as if it were not
// there. depth is how many maps and arrays are around it.
func (c *decoder) object(depth int, member func(name []byte) bool) bool {
	if depth > maxDepth {
		return c.fail("nested more than %d deep", maxDepth)
	}
	n, ok := c.open(majorMap)
	if !ok {
		return false
	}
	for ; c.more(&n); n-- {
		name, ok := c.chunk(majorText)
		if !ok {
			return false
		}
		if !c.null() && !member(c.x.bytes(c.b, name)) {
			return false
		}
	}
	return c.err == nil
}

// list reads an array.
func (c *decoder) list(depth int, item func() bool) bool {
	if depth > maxDepth {
		return c.fail("nested more than %d deep", maxDepth)
	}
	n, ok := c.open(majorArray)
	if !ok {
		return false
	}
	for ; c.more(&n); n-- {
		if !item() {
			return false
		}
	}
	return c.err == nil
}

// skip reads any item.
func (c *decoder) skip(depth int) bool {
	if c.p >= len(c.b) {
		return c.fail("the end is missing")
	}
	switch major := c.b[c.p] >> 5; major {
	case majorBytes, majorText:
		_, ok := c.chunk(major)
		return ok
	case majorArray:
		return c.list(depth, func() bool { return c.skip(depth + 1) })
	case majorMap:
		return c.object(depth, func([]byte) bool { return c.skip(depth + 1) })
	case majorTag:
		if depth > maxDepth {
			return c.fail("nested more than %d deep", maxDepth)
		}
		_, _, _, ok := c.head()
		return ok && c.skip(depth+1)
	}
	_, _, _, ok := c.head()
	return ok
}
