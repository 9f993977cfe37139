package parquet

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/parquet-go/parquet-go/format"

	"github.com/shardlake/shardlake/internal/schema"
)

// column gathers one leaf of the schema: the values and levels of the page at
// hand, and the finished pages of the row group.
type column struct {
	w              *writer
	path           []string
	typ            format.Type
	size           int // of a number or of fixed bytes, 0 of a byte array
	maxRep, maxDef uint8
	depth          int

	// The page at hand. Values are numbers of the dictionary while that is in use,
	// plain otherwise.
	rep, def []byte
	indices  []int32
	data     []byte
	values   int // without nulls
	firstRow int64

	dict     *dictionary // nil for columns that have none
	inDict   bool        // the page at hand
	hopeless bool        // none paid in the last row group of the file: the next begins plain

	chunk chunk
}

func newColumn(w *writer, f *schema.Field, path []string, maxRep, maxDef uint8) *column {
	c := &column{w: w, path: path, maxRep: maxRep, maxDef: maxDef}
	c.typ, c.size = physical(f)
	switch c.typ {
	case format.Int32, format.Float:
		c.size = 4
	case format.Int64, format.Double:
		c.size = 8
	}
	if c.typ != format.Boolean && w.DictionaryMaxBytes > 0 {
		c.dict = newDictionary()
	}
	c.inDict = c.dict != nil
	return c
}

// level begins an entry, of which there is at least one per row. A null, and an
// empty list, is nothing but its levels.
func (c *column) level(rep, def uint8) {
	if c.maxRep > 0 {
		c.rep = append(room(c.rep, 1), rep)
	}
	if c.maxDef > 0 {
		c.def = append(room(c.def, 1), def)
	}
}

func (c *column) boolean(v bool) {
	if c.values&7 == 0 {
		c.data = append(room(c.data, 1), 0)
	}
	if v {
		c.data[len(c.data)-1] |= 1 << (c.values & 7)
	}
	c.values++
}

// number adds an integer, sign-extended, or the bits of a floating-point number.
func (c *column) number(v uint64) {
	c.values++
	if !c.inDict {
		c.data = appendNumber(c.data, v, c.size)
		return
	}
	c.indices = append(room(c.indices, 1), c.dict.number(v))
}

func (c *column) bytes(v []byte) {
	c.values++
	if !c.inDict {
		c.data = appendBytes(c.data, v, c.size)
		return
	}
	c.indices = append(room(c.indices, 1), c.dict.bytes(v))
}

// entries is the number of values with nulls.
func (c *column) entries() int {
	if c.maxDef > 0 {
		return len(c.def)
	}
	return c.values
}

// pageBytes is about the size of the page at hand before compression.
func (c *column) pageBytes() int {
	n := len(c.data) + (len(c.def)+len(c.rep))/4
	if c.inDict {
		n += len(c.indices) * c.width() / 8
	}
	return n
}

// width is the number of bits of an index.
func (c *column) width() int { return max(1, bits.Len(uint(c.dict.len()-1))) }

// memory is what the column holds in bytes.
func (c *column) memory() int {
	n := len(c.data) + len(c.def) + len(c.rep) + 4*len(c.indices) + c.chunk.memory()
	if c.inDict || c.chunk.dictPages > 0 {
		n += c.dict.memory()
	}
	return n
}

// held is the memory that the column keeps from being used otherwise.
func (c *column) held() int {
	n := cap(c.data) + cap(c.def) + cap(c.rep) + 4*cap(c.indices) + c.chunk.memory()
	if c.dict != nil {
		n += c.dict.held()
	}
	return n
}

// finishPage encodes, compresses and keeps the page at hand. Its end is the end
// of a row, as a page index needs it.
func (c *column) finishPage() error {
	n := c.entries()
	if n == 0 {
		return nil
	}
	if c.dict != nil && len(c.chunk.pages) == 0 {
		if !c.inDict {
			c.redict()
		} else if !c.dictPays() {
			c.unDict()
		}
		c.hopeless = !c.inDict
	}
	b := c.bounds(int32(c.chunk.dictPages))
	w := c.w
	w.page = w.page[:0]
	var err error
	if w.page, err = w.levels(w.page, c.rep, c.maxRep); err != nil {
		return err
	}
	if w.page, err = w.levels(w.page, c.def, c.maxDef); err != nil {
		return err
	}
	encoding := format.Plain
	switch {
	case c.inDict:
		encoding = format.RLEDictionary
		if w.page, err = w.indices(w.page, c.indices, c.width()); err != nil {
			return err
		}
	case len(w.page) > 0:
		w.page = append(w.page, c.data...)
	}
	page := w.page
	if len(page) == 0 { // no levels before plain values
		page = c.data
	}
	if err := c.addPage(page, encoding, n, b); err != nil {
		return err
	}
	c.clearPage()
	c.firstRow = w.groupRows
	return nil
}

func (c *column) clearPage() {
	c.rep, c.def, c.indices, c.values = c.rep[:0], c.def[:0], c.indices[:0], 0
	if cap(c.data) > keepBytes {
		c.data = nil
	}
	c.data = c.data[:0]
}

// reset forgets everything for the next file, and memory that few files need.
func (c *column) reset() {
	c.clearPage()
	if cap(c.rep) > keepBytes {
		c.rep = nil
	}
	if cap(c.def) > keepBytes {
		c.def = nil
	}
	if cap(c.indices) > keepBytes/4 {
		c.indices = nil
	}
	c.hopeless = false
	c.resetChunk()
}

// resetChunk begins the next row group.
func (c *column) resetChunk() {
	c.chunk.reset(c.w)
	c.firstRow = 0
	c.inDict = false
	if c.dict != nil {
		c.dict.reset()
		c.inDict = !c.hopeless
	}
}

// room makes room for n more elements. Capacity doubles: append's own growth of a quarter
// copies large buffers four times as often.
func room[E any](s []E, n int) []E {
	if cap(s)-len(s) < n {
		return double(s, n)
	}
	return s
}

func double[E any](s []E, n int) []E { return slices.Grow(s, max(n, cap(s), 64)) }

// le appends a 4-byte length.
func le(b []byte, n int) []byte { return binary.LittleEndian.AppendUint32(b, uint32(n)) }
