package wire

import (
	"bytes"
	"math"
	"unsafe"

	"github.com/shardlake/shardlake"
)

// maxRecords is the most that the service gives at once (API reference, Limit).
const maxRecords = 10_000

// index says where the parts of an answer lie in its body.
type index struct {
	entries []entry
	extra   []byte // strings whose escapes have been resolved

	next      span
	hasNext   bool
	behind    int64 // milliseconds
	hasBehind bool
}

// entry is one record.
type entry struct {
	data, key, seq span
	arrived        shardlake.Instant
	hasData        bool
	sameKey        bool // as the record before
}

const entrySize = int64(unsafe.Sizeof(entry{}))

// span is a part of the body or, if inExtra is added to its start, of index.extra.
// Bodies have at most MaxBody bytes.
type span struct{ at, n uint32 }

const inExtra = 1 << 31

func (x *index) reset() { *x = index{entries: x.entries[:0], extra: x.extra[:0]} }

// add makes room for one more record, unless there are too many.
func (x *index) add() *entry {
	if len(x.entries) == maxRecords {
		return nil
	}
	x.entries = append(x.entries, entry{})
	return &x.entries[len(x.entries)-1]
}

func (x *index) bytes(body []byte, s span) []byte {
	if s.at&inExtra != 0 {
		body = x.extra
	}
	at := s.at &^ inExtra
	return body[at : at+s.n : at+s.n]
}

// fill makes the answer. binary says that payloads are in the body as they are, not
// in base64. It reports false, and leaves a as it was, if one is no base64.
//
// The memory is new for each answer, since records are never re-used, and of the
// exact size: one piece for all payloads, keys and sequence numbers, and the
// records. The other way, decoding each payload in place in a body that is new for
// each answer, saves a second piece but has to clear and keep alive all of the body:
// for records of 316 bytes it takes 1.08 times as long and holds 1.5 times the memory
// (BenchmarkInPlace).
func (x *index) fill(a *Answer, body []byte, binary bool) bool {
	size, counted := 0, 0
	for i := range x.entries {
		e := &x.entries[i]
		n := int(e.data.n)
		if !binary {
			n = decodedLen(x.bytes(body, e.data))
		}
		e.sameKey = i > 0 && bytes.Equal(x.bytes(body, e.key), x.bytes(body, x.entries[i-1].key))
		if !e.sameKey {
			size += int(e.key.n)
		}
		counted += n + int(e.key.n)
		size += n + int(e.seq.n)
	}
	arena := make([]byte, size)
	records := make([]shardlake.Record, len(x.entries))
	free := arena
	keep := func(b []byte) string {
		s := unsafe.String(unsafe.SliceData(free), copy(free, b))
		free = free[len(b):]
		return s
	}
	for i := range x.entries {
		e, r := &x.entries[i], &records[i]
		r.Arrived = e.arrived
		if e.hasData {
			src := x.bytes(body, e.data)
			n := len(src)
			if binary {
				copy(free, src)
			} else if n = decodedLen(src); !decodeBase64(free[:n], src) {
				return false
			}
			r.Data, free = free[:n:n], free[n:]
		}
		r.Pos.Seq = keep(x.bytes(body, e.seq))
		if e.sameKey {
			r.Key = records[i-1].Key
		} else {
			r.Key = keep(x.bytes(body, e.key))
		}
	}
	a.Records, a.Bytes, a.Held = records, int64(counted), int64(size)+int64(len(records))*recordSize
	if x.hasNext {
		a.Next, a.HasNext = string(x.bytes(body, x.next)), true
	}
	if x.hasBehind {
		a.Behind = behind(x.behind)
	}
	return true
}

// maxArrived bounds the milliseconds since 1970 that are read here, to the year
// 2261: what lies beyond overflows the SDK's time.
const maxArrived = math.MaxInt64 / 1_000_000
