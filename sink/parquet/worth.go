package parquet

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/parquet-go/parquet-go/format"
)

// A dictionary costs hashing, and is in vain where values (nearly) all differ: ids,
// times, sessions. So it is given up early, after a few hundred values that hardly
// repeat, and values are taken plain. That may be too early: devices that report in
// turn repeat only after the last of them. So when the chunk's first page ends
// plain, its distinct values are counted, roughly, by a cheap pass in cache, and
// if a dictionary seems to pay the page gets one after all. Nothing of this depends
// on earlier files, so that equal rows make equal files, and data that change need no
// probing.

const (
	// firstJudged is the number of values from which on repeats say something.
	firstJudged = stepRows
	// rareValues is how many equally likely values repeat so rarely that the
	// dictionary is given up for now. By the birthday problem, n of them have
	// n*n/2/rareValues repeats while n is small; from n = rareValues on half must be
	// repeats. Some columns come back to the dictionary at the end of their first
	// page. That costs little: what had been hashed till then is hashed now.
	rareValues = 4 << 10
)

// rare tells whether the chunk's values repeat too rarely for a dictionary.
func (c *column) rare() bool {
	n := int(c.chunk.values-c.chunk.nulls) + c.values
	repeats := n - c.dict.len()
	return n >= firstJudged && 2*rareValues*repeats <= n*min(n, rareValues)
}

// full tells whether the dictionary has reached its size.
func (c *column) full() bool { return c.dict.plainSize(c.size) >= c.w.DictionaryMaxBytes }

// judge decides at the end of a row whether to go over to plain values.
func (c *column) judge() error {
	rare := c.rare()
	if !rare && !c.full() {
		return nil
	}
	switch {
	case c.chunk.dictPages > 0, !rare && c.dictPays():
		// What the dictionary serves keeps it.
		if err := c.finishPage(); err != nil {
			return err
		}
	default:
		c.unDict()
	}
	c.inDict = false
	return nil
}

// dictPays compares the page at hand, which is all that the dictionary serves, with
// what it would be if it were plain.
func (c *column) dictPays() bool {
	return c.pays(c.dict.len(), c.dict.plainSize(c.size), c.plainBytes())
}

// pays compares a page, its dictionary of so many values and bytes included, with
// the bytes of the same page if it were plain.
func (c *column) pays(distinct, dict, plain int) bool {
	width := max(1, bits.Len(uint(distinct-1)))
	return dict+c.values*width/8 < plain*c.w.Compression.dictShare()/16
}

// dictShare is the size that a dictionary and its indices may have before
// compression, in sixteenths of the plain values. Plain values have repeats and
// order that a codec with an entropy coder makes small; indices hide both. 9 is the best
// of 8 to 16 for zstd, on sensors, shop orders, weather, web logs and random values.
func (c Compression) dictShare() int {
	if c == Snappy || c == None {
		return 16
	}
	return 9
}

// plainBytes is the size of the page at hand if it were plain.
func (c *column) plainBytes() (sum int) {
	if c.size > 0 {
		return c.size * len(c.indices)
	}
	for _, n := range c.indices {
		sum += 4 + len(c.dict.value(n))
	}
	return sum
}

// unDict makes the page at hand plain.
func (c *column) unDict() {
	numbers := len(c.dict.numbers) > 0
	for _, n := range c.indices {
		if numbers {
			c.data = appendNumber(c.data, c.dict.numbers[n], c.size)
		} else {
			c.data = appendBytes(c.data, c.dict.value(n), c.size)
		}
	}
	c.indices = c.indices[:0]
	c.dict.reset()
	c.inDict = false
}

// redict gives the page at hand, which is plain, a dictionary if that pays.
func (c *column) redict() {
	if c.values == 0 {
		return
	}
	n := c.distinct()
	if guess := len(c.data) * n / c.values; guess >= c.w.DictionaryMaxBytes || !c.pays(n, guess, len(c.data)) {
		return
	}
	for at := 0; at < len(c.data); {
		var n int32
		if c.isBytes() {
			var from int
			from, at = c.bytesAt(at)
			n = c.dict.bytes(c.data[from:at])
		} else {
			n, at = c.dict.number(c.numberAt(at)), at+c.size
		}
		c.indices = append(room(c.indices, 1), n)
	}
	if c.full() || !c.pays(c.dict.len(), c.dict.plainSize(c.size), len(c.data)) {
		c.indices = c.indices[:0]
		c.dict.reset()
		return
	}
	c.data, c.inDict = c.data[:0], true
}

// tallyBits is the size of the bitmap that counts distinct values.
const tallyBits = 64 << 10

// tally counts distinct values by linear counting (Whang, Vander-Zanden, Taylor,
// 1990): each sets a bit of a bitmap by its hash, and the share of bits that stay
// zero tells of how many values. The answer is some 0.3 % off for 64 Ki values. The hash
// has no seed, for equal rows to make equal files: who sends values that collide
// makes a dictionary be tried in vain.
type tally [tallyBits / 64]uint64

func (t *tally) add(h uint64) { t[h>>54] |= 1 << (h >> 48 & 63) }

func (t *tally) count() int {
	zeros := tallyBits
	for _, w := range t {
		zeros -= bits.OnesCount64(w)
	}
	return int(tallyBits * math.Log(tallyBits/float64(max(zeros, 1))))
}

// distinct is about the number of distinct values of the page at hand, which is plain.
func (c *column) distinct() int {
	t := &c.w.tally
	clear(t[:])
	if c.isBytes() {
		for at := 0; at < len(c.data); {
			from, to := c.bytesAt(at)
			t.add(sketch(c.data[from:to]))
			at = to
		}
	} else {
		for at := 0; at < len(c.data); at += c.size {
			t.add(fold(c.numberAt(at), 0))
		}
	}
	return min(t.count(), c.values)
}

func (c *column) isBytes() bool {
	return c.typ == format.ByteArray || c.typ == format.FixedLenByteArray
}

// numberAt reads the number at an offset of the plain data as the dictionary has it.
func (c *column) numberAt(at int) uint64 {
	if c.size == 8 {
		return binary.LittleEndian.Uint64(c.data[at:])
	}
	v := binary.LittleEndian.Uint32(c.data[at:])
	if c.typ == format.Int32 {
		return uint64(int32(v))
	}
	return uint64(v)
}

// bytesAt tells where the byte string lies that begins at an offset of the plain data.
func (c *column) bytesAt(at int) (from, to int) {
	if c.size > 0 {
		return at, at + c.size
	}
	from = at + 4
	return from, from + int(binary.LittleEndian.Uint32(c.data[at:]))
}

// sketch hashes the length and 24 bytes at the ends and in the middle.
func sketch(b []byte) uint64 {
	n := len(b)
	switch {
	case n > 16:
		return fold(word(b[n-8:])^fold(word(b[n/2-4:]), uint64(n)), word(b))
	case n >= 8:
		return fold(word(b[n-8:])^uint64(n)<<32, word(b))
	case n >= 4:
		return fold(uint64(binary.LittleEndian.Uint32(b))<<32|uint64(binary.LittleEndian.Uint32(b[n-4:])), uint64(n))
	case n > 0:
		return fold(uint64(b[0])<<16|uint64(b[n/2])<<8|uint64(b[n-1]), uint64(n))
	}
	return fold(0, 0)
}

func word(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

// fold mixes two words by a product of 128 bits, as wyhash does.
func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0xA0761D6478BD642F, b^0xE7037ED1A0B428DB)
	hi, lo = bits.Mul64(hi^lo, 0x9E3779B97F4A7C15)
	return hi ^ lo
}
