// Package kpl reads and writes aggregated records: the form in which the Kinesis
// Producer Library, and others after it, pack many user records into one record of
// a stream. It is F3 89 9A C2, a protobuf message, and the MD5 of the message:
//
//	message AggregatedRecord {
//	  repeated string partition_key_table = 1;
//	  repeated string explicit_hash_key_table = 2;
//	  repeated Record records = 3;
//	}
//	message Record {
//	  required uint64 partition_key_index = 1;
//	  optional uint64 explicit_hash_key_index = 2;
//	  required bytes data = 3;
//	  repeated Tag tags = 4; // not used
//	}
//
// From github.com/awslabs/kinesis-aggregation, KPL_AGGREGATION_FORMAT.md.
package kpl

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
)

var magic = [4]byte{0xF3, 0x89, 0x9A, 0xC2}

// Verdict says what a record is.
type Verdict int

const (
	// Plain is a record that is not aggregated.
	Plain Verdict = iota
	// Broken is a record that begins like an aggregated one and is none: its digest
	// is wrong, its message torn, an index leads nowhere, or it has more than a
	// million keys. It is to be taken as it is, whole.
	Broken
	// Whole is an aggregated record.
	Whole
)

// maxKeys bounds what a record's tables may hold: each entry costs memory, and an
// entry takes two bytes of a record of up to 10 MiB.
const maxKeys = 1 << 20

// User is a user record. Its data is a part of the aggregated record, its strings
// are not.
type User struct {
	Key  string // partition key
	Hash string // explicit hash key, decimal; "" if the producer gave none
	Data []byte // never nil
}

// Aggregate reads the user records of one aggregated record, in order.
type Aggregate struct {
	rest         []byte // of the message
	keys, hashes []string
	left         int
}

// Begins tells whether a record begins like an aggregated one.
func Begins(data []byte) bool { return len(data) > len(magic) && [4]byte(data[:4]) == magic }

// Parse looks at a record. Everything is checked before the first user record is
// given out, so that a record is taken apart as a whole or not at all.
func Parse(data []byte) (Aggregate, Verdict) {
	if len(data) < len(magic) || !bytes.Equal(data[:4], magic[:]) {
		return Aggregate{}, Plain
	}
	if len(data) <= len(magic)+md5.Size {
		return Aggregate{}, Plain // there is no room for a message: Amazon's readers say the same
	}
	end := len(data) - md5.Size
	m := data[len(magic):end]
	if md5.Sum(m) != [md5.Size]byte(data[end:]) {
		return Aggregate{}, Broken
	}
	a := Aggregate{rest: m}
	if !a.tables() || !a.check() {
		return Aggregate{}, Broken
	}
	return a, Whole
}

// Left is the number of user records that Next has not given yet.
func (a *Aggregate) Left() int { return a.left }

// Next gives the next user record.
func (a *Aggregate) Next() (u User, ok bool) {
	for len(a.rest) > 0 {
		f, _ := field(&a.rest)
		if f.number != 3 || f.kind != bytesKind {
			continue
		}
		a.left--
		r, _ := user(f.bytes)
		u = User{Key: a.keys[r.key], Data: r.data}
		if r.hashed {
			u.Hash = a.hashes[r.hash]
		}
		return u, true
	}
	return User{}, false
}

// tables reads the two tables, into one string, and counts the records.
func (a *Aggregate) tables() bool {
	var keys, hashes, size int
	for m := a.rest; len(m) > 0; {
		f, ok := field(&m)
		switch {
		case !ok:
			return false
		case f.kind != bytesKind:
		case f.number == 1:
			keys, size = keys+1, size+len(f.bytes)
		case f.number == 2:
			hashes, size = hashes+1, size+len(f.bytes)
		case f.number == 3:
			a.left++
		}
	}
	if keys+hashes > maxKeys {
		return false
	}
	text := make([]byte, 0, size)
	for _, number := range []int{1, 2} {
		for m := a.rest; len(m) > 0; {
			if f, _ := field(&m); f.number == number && f.kind == bytesKind {
				text = append(text, f.bytes...)
			}
		}
	}
	all := string(text)
	table := make([]string, 0, keys+hashes)
	for _, number := range []int{1, 2} {
		for m := a.rest; len(m) > 0; {
			if f, _ := field(&m); f.number == number && f.kind == bytesKind {
				table, all = append(table, all[:len(f.bytes)]), all[len(f.bytes):]
			}
		}
	}
	a.keys, a.hashes = table[:keys:keys], table[keys:]
	return true
}

// check reads all user records once.
func (a *Aggregate) check() bool {
	for m := a.rest; len(m) > 0; {
		f, _ := field(&m)
		if f.number != 3 || f.kind != bytesKind {
			continue
		}
		r, ok := user(f.bytes)
		if !ok || r.key >= uint64(len(a.keys)) || r.hashed && r.hash >= uint64(len(a.hashes)) {
			return false
		}
	}
	return true
}

type record struct {
	key, hash uint64
	hashed    bool
	data      []byte
}

// user reads a Record message. Of a field that is given twice the last counts, as
// protobuf has it.
func user(m []byte) (r record, ok bool) {
	keyed := false
	for len(m) > 0 {
		f, ok := field(&m)
		switch {
		case !ok:
			return r, false
		case f.number == 1 && f.kind == varintKind:
			r.key, keyed = f.value, true
		case f.number == 2 && f.kind == varintKind:
			r.hash, r.hashed = f.value, true
		case f.number == 3 && f.kind == bytesKind:
			r.data = f.bytes
		}
	}
	return r, keyed && r.data != nil
}

const (
	varintKind = 0
	bytesKind  = 2
)

type wireField struct {
	number int
	kind   int
	value  uint64
	bytes  []byte // never nil where kind is bytesKind
}

// field takes the next field off a message; ok is false if it is torn.
func field(m *[]byte) (f wireField, ok bool) {
	tag, n := binary.Uvarint(*m)
	if n <= 0 || tag>>3 == 0 || tag>>3 > 1<<29-1 {
		return f, false
	}
	b := (*m)[n:]
	f.number, f.kind = int(tag>>3), int(tag&7)
	switch f.kind {
	case varintKind:
		if f.value, n = binary.Uvarint(b); n <= 0 {
			return f, false
		}
		b = b[n:]
	case bytesKind:
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return f, false
		}
		end := n + int(size)
		f.bytes, b = b[n:end:end], b[end:]
	case 1:
		if len(b) < 8 {
			return f, false
		}
		b = b[8:]
	case 5:
		if len(b) < 4 {
			return f, false
		}
		b = b[4:]
	default: // groups, which proto2 has given up, and what is not defined
		return f, false
	}
	*m = b
	return f, true
}
