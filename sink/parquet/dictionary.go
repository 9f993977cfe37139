package parquet

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
)

// dictionary numbers the distinct values of a column chunk in the order of their
// first appearance: numbers by their bits, or byte strings. It is an
// open-addressing table; its seed is random so that nobody can send values that
// all collide, and has no influence on the numbering.
type dictionary struct {
	seed  maphash.Seed
	mix   uint64
	slots []slot // a power of two, at most half full

	numbers []uint64 // of a dictionary of numbers

	ends  []uint32 // of a dictionary of byte strings
	arena []byte

	seen []int32 // page in which a value was last seen, for bounds
}

// slot has 32 bits of a hash above the number + 1 of the value, or is 0: other values are
// passed over, and the table grows, without a look at them.
type slot uint64

const firstSlots = 256

func newDictionary() *dictionary {
	d := &dictionary{seed: maphash.MakeSeed(), slots: make([]slot, firstSlots)}
	d.mix = maphash.String(d.seed, "")
	return d
}

func (d *dictionary) len() int { return len(d.seen) }

// number returns the number of a numeric value.
func (d *dictionary) number(v uint64) int32 {
	mask := uint32(len(d.slots) - 1)
	h := d.hash(v)
	for at := h & mask; ; at = (at + 1) & mask {
		s := d.slots[at]
		if s == 0 {
			d.numbers = append(room(d.numbers, 1), v)
			return d.enter(at, h)
		}
		if uint32(s>>32) == h && d.numbers[uint32(s)-1] == v {
			return int32(uint32(s) - 1)
		}
	}
}

func (d *dictionary) hash(v uint64) uint32 {
	hi, lo := bits.Mul64(v^d.mix, 0x9E3779B97F4A7C15)
	return uint32(hi ^ lo)
}

// bytes returns the number of a byte string, which it copies if it is new.
func (d *dictionary) bytes(v []byte) int32 {
	mask := uint32(len(d.slots) - 1)
	h := uint32(maphash.Bytes(d.seed, v))
	for at := h & mask; ; at = (at + 1) & mask {
		s := d.slots[at]
		if s == 0 {
			d.arena = append(room(d.arena, len(v)), v...)
			d.ends = append(room(d.ends, 1), uint32(len(d.arena)))
			return d.enter(at, h)
		}
		if uint32(s>>32) == h && string(d.value(int32(uint32(s)-1))) == string(v) {
			return int32(uint32(s) - 1)
		}
	}
}

// value returns the byte string of a number.
func (d *dictionary) value(n int32) []byte {
	from := uint32(0)
	if n > 0 {
		from = d.ends[n-1]
	}
	return d.arena[from:d.ends[n]]
}

// enter gives the value just appended a slot.
func (d *dictionary) enter(at, hash uint32) int32 {
	d.seen = append(room(d.seen, 1), -1)
	n := len(d.seen)
	d.slots[at] = slot(hash)<<32 | slot(n)
	if 2*n > len(d.slots) {
		d.grow()
	}
	return int32(n - 1)
}

func (d *dictionary) grow() {
	// By four while that is little memory: each growth finds all values new slots.
	by := 4
	if len(d.slots) >= 16<<10 {
		by = 2
	}
	old := d.slots
	d.slots = make([]slot, by*len(old))
	mask := uint32(len(d.slots) - 1)
	for _, s := range old {
		if s == 0 {
			continue
		}
		at := uint32(s>>32) & mask
		for d.slots[at] != 0 {
			at = (at + 1) & mask
		}
		d.slots[at] = s
	}
}

// plain appends the dictionary page's values. size is that of a number, or of a
// byte string of fixed length; 0 puts the length before each.
func (d *dictionary) plain(b []byte, size int) []byte {
	for i := range d.numbers {
		b = appendNumber(b, d.numbers[i], size)
	}
	for i := range d.ends {
		b = appendBytes(b, d.value(int32(i)), size)
	}
	return b
}

func appendNumber(b []byte, v uint64, size int) []byte {
	b = room(b, 8)
	if size == 4 {
		return binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	return binary.LittleEndian.AppendUint64(b, v)
}

func appendBytes(b, v []byte, size int) []byte {
	b = room(b, 4+len(v))
	if size == 0 {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(v)))
	}
	return append(b, v...)
}

// plainSize is the length of what plain appends.
func (d *dictionary) plainSize(size int) int {
	switch {
	case len(d.numbers) > 0:
		return size * len(d.numbers)
	case size == 0:
		return len(d.arena) + 4*len(d.ends)
	}
	return len(d.arena)
}

// held is the memory with its reserves.
func (d *dictionary) held() int {
	return cap(d.arena) + 8*cap(d.numbers) + 4*(cap(d.seen)+cap(d.ends)) + 8*cap(d.slots)
}

// memory is what the dictionary holds in bytes.
func (d *dictionary) memory() int {
	return len(d.arena) + 8*len(d.numbers) + 8*len(d.seen) + 8*len(d.slots)
}

// reset forgets all values, and memory beyond what small dictionaries need.
func (d *dictionary) reset() {
	if len(d.slots) > 1<<15 || cap(d.arena) > 1<<20 {
		*d = dictionary{seed: d.seed, mix: d.mix, slots: make([]slot, firstSlots)}
		return
	}
	clear(d.slots)
	d.numbers, d.ends, d.arena, d.seen = d.numbers[:0], d.ends[:0], d.arena[:0], d.seen[:0]
}
