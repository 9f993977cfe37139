package kinesistest

import (
	"crypto/md5"
	"encoding/binary"
	"math"
	"math/big"
	"math/bits"
)

// hashKey is an unsigned integer of 128 bits, by which records find their shard.
type hashKey struct{ hi, lo uint64 }

var maxHashKey = hashKey{math.MaxUint64, math.MaxUint64}

func (a hashKey) less(b hashKey) bool { return a.hi < b.hi || a.hi == b.hi && a.lo < b.lo }

// next is a+1 modulo 2^128.
func (a hashKey) next() hashKey {
	lo, carry := bits.Add64(a.lo, 1, 0)
	return hashKey{a.hi + carry, lo}
}

// prev is a-1 modulo 2^128.
func (a hashKey) prev() hashKey {
	lo, borrow := bits.Sub64(a.lo, 1, 0)
	return hashKey{a.hi - borrow, lo}
}

// middle is the first key of the upper half of [lo, hi].
func middle(lo, hi hashKey) hashKey {
	var d hashKey
	var borrow uint64
	d.lo, borrow = bits.Sub64(hi.lo, lo.lo, 0)
	d.hi, _ = bits.Sub64(hi.hi, lo.hi, borrow)
	// floor(d/2) + 1, so that both halves of a range of 2^k keys are equal.
	d = hashKey{d.hi >> 1, d.lo>>1 | d.hi<<63}.next()
	sum, carry := bits.Add64(lo.lo, d.lo, 0)
	return hashKey{lo.hi + d.hi + carry, sum}
}

func (a hashKey) big() *big.Int {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], a.hi)
	binary.BigEndian.PutUint64(b[8:], a.lo)
	return new(big.Int).SetBytes(b[:])
}

// String is the decimal form that requests and answers carry.
func (a hashKey) String() string { return a.big().String() }

func hashKeyOf(v *big.Int) hashKey {
	var b [16]byte
	v.FillBytes(b[:])
	return hashKey{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

// parseHashKey reads the decimal form; the API reference gives its pattern as
// 0|([1-9]\d{0,38}).
func parseHashKey(s string) (hashKey, bool) {
	if !canonicalDecimal(s, 39) {
		return hashKey{}, false
	}
	v, ok := new(big.Int).SetString(s, 10)
	if !ok || v.BitLen() > 128 {
		return hashKey{}, false
	}
	return hashKeyOf(v), true
}

// canonicalDecimal tells whether s is a decimal integer of at most n digits
// without leading zeros.
func canonicalDecimal(s string, n int) bool {
	if s == "" || len(s) > n || s[0] == '0' && len(s) > 1 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// hashOf is the MD5 of the partition key's UTF-8 form, read as a big-endian
// integer (API reference of PutRecord).
func hashOf(partitionKey string) hashKey {
	sum := md5.Sum([]byte(partitionKey))
	return hashKey{binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:])}
}

// uniformStarts are the starting hash keys of n equal shards: multiples of
// floor(2^128/n). The last shard gets the remainder.
func uniformStarts(n int) []hashKey {
	size := new(big.Int).Lsh(big.NewInt(1), 128)
	size.Div(size, big.NewInt(int64(n)))
	starts := make([]hashKey, n)
	at := new(big.Int)
	for i := range starts {
		starts[i] = hashKeyOf(at)
		at.Add(at, size)
	}
	return starts
}
