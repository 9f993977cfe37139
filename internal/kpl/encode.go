package kpl

import (
	"crypto/md5"
	"encoding/binary"
)

// Overhead is what an aggregated record has around its message: magic and digest.
const Overhead = len(magic) + md5.Size

// Builder packs user records into one aggregated record, as the Kinesis Producer
// Library does: keys first, then explicit hash keys, then records, each key once.
// It grows to the size of what it is given and is used again after Reset: a record
// costs no allocation then. One goroutine uses it.
type Builder struct {
	limit               int
	n                   int
	keys, hashes        map[string]uint64
	keyTable, hashTable []byte
	records             []byte
	head                []byte // of one record, all but its payload
}

// NewBuilder returns a builder of aggregated records of at most limit bytes, magic
// and digest included. Below 1 there is no limit.
func NewBuilder(limit int) *Builder {
	return &Builder{limit: limit, keys: map[string]uint64{}, hashes: map[string]uint64{}}
}

// Add appends a user record: its partition key, its explicit hash key in decimal
// or "", and its payload, which is copied; the two strings are kept until Reset. It
// tells whether the record fits; one that does not leaves the builder as it was,
// and one that does not fit into an empty builder is to be sent by itself.
func (b *Builder) Add(key, hash string, data []byte) (fits bool) {
	k, oldKey := b.keys[key]
	if !oldKey {
		k = uint64(len(b.keys))
	}
	h, oldHash := b.hashes[hash]
	if !oldHash {
		h = uint64(len(b.hashes))
	}
	oldHash = oldHash || hash == ""
	b.head = binary.AppendUvarint(append(b.head[:0], 1<<3|varintKind), k)
	if hash != "" {
		b.head = binary.AppendUvarint(append(b.head, 2<<3|varintKind), h)
	}
	b.head = binary.AppendUvarint(append(b.head, 3<<3|bytesKind), uint64(len(data)))
	body := len(b.head) + len(data)
	more := 1 + uvarintSize(body) + body
	entries := len(b.keys) + len(b.hashes)
	if !oldKey {
		more += 1 + uvarintSize(len(key)) + len(key)
		entries++
	}
	if !oldHash {
		more += 1 + uvarintSize(len(hash)) + len(hash)
		entries++
	}
	if b.limit > 0 && b.Size()+more > b.limit || entries > maxKeys {
		return false
	}
	if !oldKey {
		b.keys[key] = k
		b.keyTable = appendString(b.keyTable, 1, key)
	}
	if !oldHash {
		b.hashes[hash] = h
		b.hashTable = appendString(b.hashTable, 2, hash)
	}
	b.records = binary.AppendUvarint(append(b.records, 3<<3|bytesKind), uint64(body))
	b.records = append(append(b.records, b.head...), data...)
	b.n++
	return true
}

// Len is the number of records added since the last Reset.
func (b *Builder) Len() int { return b.n }

// Size is the number of bytes that Append appends.
func (b *Builder) Size() int {
	return Overhead + len(b.keyTable) + len(b.hashTable) + len(b.records)
}

// Append appends the aggregated record to dst. Without records it appends what
// readers take for a plain record: do not send it.
func (b *Builder) Append(dst []byte) []byte {
	dst = append(dst, magic[:]...)
	from := len(dst)
	dst = append(append(append(dst, b.keyTable...), b.hashTable...), b.records...)
	sum := md5.Sum(dst[from:])
	return append(dst, sum[:]...)
}

// Reset empties the builder and keeps its memory.
func (b *Builder) Reset() {
	b.n = 0
	clear(b.keys)
	clear(b.hashes)
	b.keyTable, b.hashTable, b.records = b.keyTable[:0], b.hashTable[:0], b.records[:0]
}

func appendString(dst []byte, number byte, s string) []byte {
	dst = binary.AppendUvarint(append(dst, number<<3|bytesKind), uint64(len(s)))
	return append(dst, s...)
}

func uvarintSize(n int) (size int) {
	for size = 1; n >= 0x80; n >>= 7 {
		size++
	}
	return size
}
