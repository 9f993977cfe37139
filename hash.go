package shardlake

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"math/big"
	"math/bits"
)

// Hash is a place in the 128-bit space of hash keys, as a big-endian number.
type Hash [16]byte

// HashOf is where a partition key lies: its MD5, as Amazon Kinesis computes it.
func HashOf(key string) Hash { return md5.Sum([]byte(key)) }

// MaxHash is the last place.
var MaxHash = Hash(bytes.Repeat([]byte{0xff}, 16))

// ParseHash reads a decimal number from 0 to 2^128-1.
func ParseHash(decimal string) (h Hash, err error) {
	n, ok := new(big.Int).SetString(decimal, 10)
	if !ok || n.Sign() < 0 || n.BitLen() > 128 || decimal[0] < '0' || decimal[0] > '9' {
		return h, fmt.Errorf("hash key %.60q: want a decimal number from 0 to 2^128-1", decimal)
	}
	n.FillBytes(h[:])
	return h, nil
}

// String is the decimal number.
func (h Hash) String() string { return new(big.Int).SetBytes(h[:]).String() }

// Compare orders hashes as numbers.
func (h Hash) Compare(o Hash) int { return bytes.Compare(h[:], o[:]) }

// Next is the place behind h; ok is false behind the last one.
func (h Hash) Next() (next Hash, ok bool) {
	lo, carry := bits.Add64(binary.BigEndian.Uint64(h[8:]), 1, 0)
	hi, carry := bits.Add64(binary.BigEndian.Uint64(h[:8]), 0, carry)
	binary.BigEndian.PutUint64(next[:8], hi)
	binary.BigEndian.PutUint64(next[8:], lo)
	return next, carry == 0
}

// MarshalText renders the decimal number.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads what MarshalText made.
func (h *Hash) UnmarshalText(b []byte) (err error) { *h, err = ParseHash(string(b)); return err }

// HashRange is the part of the hash space that a shard takes, both ends
// included. The zero value says that it is not known, as for sources that have
// no such thing.
type HashRange struct {
	From Hash `json:"from"`
	To   Hash `json:"to"`
}

// IsZero tells whether the range is not known.
func (r HashRange) IsZero() bool { return r == HashRange{} }

// Contains tells whether h lies in the range.
func (r HashRange) Contains(h Hash) bool { return r.From.Compare(h) <= 0 && h.Compare(r.To) <= 0 }

// Overlaps tells whether the two known ranges have a place in common.
func (r HashRange) Overlaps(o HashRange) bool {
	return !r.IsZero() && !o.IsZero() && r.From.Compare(o.To) <= 0 && o.From.Compare(r.To) <= 0
}
