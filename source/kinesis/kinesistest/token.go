package kinesistest

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"time"
)

// Iterators and page tokens are opaque to clients: base64 of fixed-width numbers
// and a checksum. They hold all of their state, so they can be used any number of
// times and cost the server nothing. They are the same in every run of a test,
// which a random key would prevent.

const (
	iteratorMark  = 'i'
	shardsMark    = 'n'
	consumersMark = 'c'
)

// iterator is a place in a shard.
type iterator struct {
	stream  uint64 // stream.id
	shard   uint32
	index   uint64 // of the next record
	created int64  // milliseconds
}

func (it iterator) String() string {
	b := []byte{iteratorMark}
	b = binary.BigEndian.AppendUint64(b, it.stream)
	b = binary.BigEndian.AppendUint32(b, it.shard)
	b = binary.BigEndian.AppendUint64(b, it.index)
	b = binary.BigEndian.AppendUint64(b, uint64(it.created))
	return seal(b)
}

func parseIterator(s string) (iterator, bool) {
	b, ok := unseal(s, iteratorMark, 28)
	if !ok {
		return iterator{}, false
	}
	return iterator{
		stream:  binary.BigEndian.Uint64(b),
		shard:   binary.BigEndian.Uint32(b[8:]),
		index:   binary.BigEndian.Uint64(b[12:]),
		created: int64(binary.BigEndian.Uint64(b[20:])),
	}, true
}

// expired tells whether more than ttl has passed.
func (it iterator) expired(now time.Time, ttl time.Duration) bool {
	return now.Sub(time.UnixMilli(it.created)) > ttl
}

// nextToken is a place in a listing of shards, with the filter of its first page, or
// in one of consumers.
type nextToken struct {
	mark    byte
	stream  uint64
	after   uint32 // the last shard listed, or the first consumer to come
	filter  byte   // index of filterTypes
	at      int64  // the filter's timestamp in milliseconds
	created int64
}

func (t nextToken) String() string {
	b := []byte{t.mark}
	b = binary.BigEndian.AppendUint64(b, t.stream)
	b = binary.BigEndian.AppendUint32(b, t.after)
	b = append(b, t.filter)
	b = binary.BigEndian.AppendUint64(b, uint64(t.at))
	b = binary.BigEndian.AppendUint64(b, uint64(t.created))
	return seal(b)
}

func parseNextToken(s string, mark byte) (nextToken, bool) {
	b, ok := unseal(s, mark, 29)
	if !ok {
		return nextToken{}, false
	}
	return nextToken{
		mark:    mark,
		stream:  binary.BigEndian.Uint64(b),
		after:   binary.BigEndian.Uint32(b[8:]),
		filter:  b[12],
		at:      int64(binary.BigEndian.Uint64(b[13:])),
		created: int64(binary.BigEndian.Uint64(b[21:])),
	}, true
}

// expired is the error for a token that is too old, nil for one that is not.
func (t nextToken) expired(now time.Time) *Error {
	if now.Sub(time.UnixMilli(t.created)) <= nextTokenTTL {
		return nil
	}
	return failure(codeExpiredNextToken, "The NextToken was created at %s, and it is valid for %d seconds.",
		utc(time.UnixMilli(t.created)), int(nextTokenTTL.Seconds()))
}

func seal(b []byte) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b)))
}

// unseal returns the body of n bytes of a token of a kind.
func unseal(s string, mark byte, n int) ([]byte, bool) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil || len(b) != 1+n+4 || b[0] != mark {
		return nil, false
	}
	body := b[:1+n]
	return body[1:], binary.BigEndian.Uint32(b[1+n:]) == crc32.ChecksumIEEE(body)
}
