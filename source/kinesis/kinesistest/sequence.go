package kinesistest

import (
	"math"
	"math/bits"
	"strconv"
)

// sequence is a sequence number in the layout (version 2) that the service has
// used since 2014, a decimal integer of 186 bits:
//
//	bits 184-187  2
//	bits 148-183  epoch: the second the shard was created
//	bits 144-147  low 4 bits of the shard's number
//	bits  80-143  index within the shard
//	bits  72- 79  0
//	bits  36- 71  the second the record arrived
//	bits   4- 35  the shard's number
//	bits   0-  3  2, the version
//
// Within a shard the index decides the order. A child's epoch is greater than
// those of its parents, so its numbers follow theirs.
type sequence struct {
	epoch, seconds uint64 // 36 bits each
	index          uint64 // 63 bits
	shard          uint32
}

// endIndex is the index of the EndingSequenceNumber of every closed shard.
const endIndex = math.MaxInt64

const (
	mask36 = 1<<36 - 1
	e19    = 1e19 // the largest power of ten that fits 64 bits
	// sequenceDigits: 2^185 and 2^186 - 1 both have 56 digits.
	sequenceDigits = 56
)

func (q sequence) words() (w2, w1, w0 uint64) {
	epoch, seconds := q.epoch&mask36, q.seconds&mask36
	w0 = 2 | uint64(q.shard)<<4 | seconds<<36
	w1 = seconds>>28 | q.index<<16
	w2 = q.index>>48 | uint64(q.shard&15)<<16 | epoch<<20 | 2<<56
	return w2, w1, w0
}

// appendTo appends the decimal form. It does not allocate, since GetRecords
// writes one for each record.
func (q sequence) appendTo(b []byte) []byte {
	w2, w1, w0 := q.words()
	var low, mid uint64
	w2, w1, w0, low = divE19(w2, w1, w0)
	_, _, w0, mid = divE19(w2, w1, w0)
	b = strconv.AppendUint(b, w0, 10)
	b = appendPadded(b, mid)
	return appendPadded(b, low)
}

func (q sequence) String() string { return string(q.appendTo(make([]byte, 0, sequenceDigits))) }

func divE19(w2, w1, w0 uint64) (q2, q1, q0, rem uint64) {
	q2, rem = w2/e19, w2%e19
	q1, rem = bits.Div64(rem, w1, e19)
	q0, rem = bits.Div64(rem, w0, e19)
	return q2, q1, q0, rem
}

func appendPadded(b []byte, v uint64) []byte {
	var digits [19]byte
	for i := len(digits) - 1; i >= 0; i-- {
		digits[i] = byte('0' + v%10)
		v /= 10
	}
	return append(b, digits[:]...)
}

// parseSequence reads the decimal form. It fails for numbers of another layout.
func parseSequence(s string) (sequence, bool) {
	if len(s) != sequenceDigits || !canonicalDecimal(s, sequenceDigits) {
		return sequence{}, false
	}
	var w2, w1, w0 uint64
	for i := range len(s) {
		// (w2, w1, w0) = 10*(w2, w1, w0) + digit; 56 digits stay below 2^187.
		h0, l0 := bits.Mul64(w0, 10)
		h1, l1 := bits.Mul64(w1, 10)
		var carry uint64
		w0, carry = bits.Add64(l0, uint64(s[i]-'0'), 0)
		w1, carry = bits.Add64(l1, h0, carry)
		w2 = w2*10 + h1 + carry
	}
	q := sequence{
		epoch:   w2 >> 20 & mask36,
		seconds: w0>>36 | w1&0xff<<28,
		index:   w1>>16 | w2<<48,
		shard:   uint32(w0 >> 4),
	}
	return q, w2>>56 == 2 && w0&15 == 2 && uint32(w2>>16&15) == q.shard&15 && q.index <= endIndex
}
