package schema

import (
	"encoding/binary"
	"encoding/hex"
	"reflect"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/shardlake/shardlake"
)

// The functions of this file compile access to values by their address: a row is
// taken apart without reflection and without allocation. An address is that of
// a field in its struct; Deref turns it into that of the value, which the other
// functions take.

// Deref returns a function from the address of a field to that of its value,
// which is false for null. It is nil where nothing has to be done: the column is
// not optional.
func (f *Field) Deref() func(unsafe.Pointer) (unsafe.Pointer, bool) {
	empty := f.nilable()
	switch {
	case !f.Optional:
		return nil
	case f.pointer && empty:
		return func(p unsafe.Pointer) (unsafe.Pointer, bool) {
			q := *(*unsafe.Pointer)(p)
			return q, q != nil && *(*unsafe.Pointer)(q) != nil
		}
	case f.pointer:
		return func(p unsafe.Pointer) (unsafe.Pointer, bool) {
			q := *(*unsafe.Pointer)(p)
			return q, q != nil
		}
	case empty: // the first word of a slice and a map is its pointer
		return func(p unsafe.Pointer) (unsafe.Pointer, bool) { return p, *(*unsafe.Pointer)(p) != nil }
	case f.omitzero:
		zero := f.zero()
		return func(p unsafe.Pointer) (unsafe.Pointer, bool) { return p, !zero(p) }
	}
	return func(p unsafe.Pointer) (unsafe.Pointer, bool) { return p, true }
}

// zero returns a test for the zero value. -0 is not zero: null would lose it.
func (f *Field) zero() func(unsafe.Pointer) bool {
	switch {
	case f.Type == timeType:
		return func(p unsafe.Pointer) bool { return (*time.Time)(p).IsZero() }
	case f.Type.Kind() == reflect.String:
		return func(p unsafe.Pointer) bool { return *(*string)(p) == "" }
	}
	n := f.Type.Size()
	return func(p unsafe.Pointer) bool {
		for _, b := range unsafe.Slice((*byte)(p), n) {
			if b != 0 {
				return false
			}
		}
		return true
	}
}

// Int returns the reader of an Int32, Int64, Time, Date, or Decimal of at most 18
// digits, as the file has it.
func (f *Field) Int() func(unsafe.Pointer) int64 {
	switch f.Kind {
	case Time, Date:
		return f.time()
	}
	switch f.Type.Kind() {
	case reflect.Int8:
		return integer[int8]
	case reflect.Int16:
		return integer[int16]
	case reflect.Int32:
		return integer[int32]
	case reflect.Uint8:
		return integer[uint8]
	case reflect.Uint16:
		return integer[uint16]
	case reflect.Uint32:
		return integer[uint32]
	case reflect.Int:
		return integer[int]
	}
	return integer[int64]
}

func integer[N int8 | int16 | int32 | int64 | int | uint8 | uint16 | uint32](p unsafe.Pointer) int64 {
	return int64(*(*N)(p))
}

const usPerDay = 86_400_000_000

func (f *Field) time() func(unsafe.Pointer) int64 {
	unit := int64(1)
	switch {
	case f.Kind == Date:
		unit = usPerDay
	case f.Millis:
		unit = 1000
	}
	switch {
	case f.Type == instantType && unit == 1:
		return integer[int64]
	case f.Type == instantType:
		return func(p unsafe.Pointer) int64 { return floorDiv(*(*int64)(p), unit) }
	case unit == 1:
		return func(p unsafe.Pointer) int64 { return (*time.Time)(p).UnixMicro() }
	}
	return func(p unsafe.Pointer) int64 { return floorDiv((*time.Time)(p).UnixMicro(), unit) }
}

// floorDiv rounds to the past, before 1970 too.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// Scratch is room for values that are not in memory as a file has them.
type Scratch [36]byte

// Bytes returns the reader of a String, Bytes, Fixed, UUID, or Decimal of more
// than 18 digits (9 bytes, big-endian). The answer is a view of the row, or of the
// scratch, and must not be changed.
func (f *Field) Bytes() func(unsafe.Pointer, *Scratch) []byte {
	switch k := f.Type.Kind(); {
	case f.Kind == Decimal:
		return func(p unsafe.Pointer, s *Scratch) []byte {
			s[0] = 0
			binary.BigEndian.PutUint64(s[1:], *(*uint64)(p))
			return s[:9]
		}
	case f.Kind == String && f.asUUID && k == reflect.Array:
		return func(p unsafe.Pointer, s *Scratch) []byte {
			putUUID(s, (*[16]byte)(p))
			return s[:]
		}
	case f.Kind == UUID && k == reflect.String:
		return func(p unsafe.Pointer, s *Scratch) []byte {
			var id [16]byte
			parseUUID(&id, *(*string)(p))
			return s[:copy(s[:], id[:])]
		}
	case k == reflect.Array:
		n := f.Type.Len()
		return func(p unsafe.Pointer, _ *Scratch) []byte { return unsafe.Slice((*byte)(p), n) }
	case k == reflect.String:
		return func(p unsafe.Pointer, _ *Scratch) []byte {
			s := *(*string)(p)
			return unsafe.Slice(unsafe.StringData(s), len(s))
		}
	case f.Type == rawType: // a nil message that is required reads as JSON has it
		return func(p unsafe.Pointer, s *Scratch) []byte {
			if b := *(*[]byte)(p); b != nil {
				return b
			}
			return s[:copy(s[:], "null")]
		}
	}
	return func(p unsafe.Pointer, _ *Scratch) []byte { return *(*[]byte)(p) }
}

// AppendUUID appends the text of 36 characters.
func AppendUUID(b []byte, id [16]byte) []byte {
	var s Scratch
	putUUID(&s, &id)
	return append(b, s[:]...)
}

func putUUID(s *Scratch, id *[16]byte) {
	hex.Encode(s[:8], id[:4])
	hex.Encode(s[9:13], id[4:6])
	hex.Encode(s[14:18], id[6:8])
	hex.Encode(s[19:23], id[8:10])
	hex.Encode(s[24:], id[10:])
	s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
}

// parseUUID reads text of 36 characters and tells whether it is a UUID.
func parseUUID(id *[16]byte, s string) bool {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return false
	}
	at := 0
	for i := 0; i < 36; i += 2 {
		if s[i] == '-' {
			i++
		}
		hi, lo := strings.IndexByte(digits, s[i]|0x20), strings.IndexByte(digits, s[i+1]|0x20)
		if s[i] < '0' || s[i+1] < '0' || hi < 0 || lo < 0 {
			return false
		}
		id[at] = byte(hi<<4 | lo)
		at++
	}
	return true
}

const digits = "0123456789abcdef"

// Items returns the address of a list's first element, the number of elements
// and their distance.
func (f *Field) Items() func(unsafe.Pointer) (first unsafe.Pointer, n int, size uintptr) {
	size := f.Type.Elem().Size()
	return func(p unsafe.Pointer) (unsafe.Pointer, int, uintptr) {
		s := *(*[]struct{})(p)
		return unsafe.Pointer(unsafe.SliceData(s)), len(s), size
	}
}

// Pair is one entry of a map.
type Pair struct {
	Key   string
	Value unsafe.Pointer // to a copy
}

// Pairs returns a map's entries, sorted by key.
func (f *Field) Pairs() func(unsafe.Pointer) []Pair {
	switch f.Type {
	case reflect.TypeFor[map[string]string]():
		return pairs[string]
	case reflect.TypeFor[map[string]int64]():
		return pairs[int64]
	case reflect.TypeFor[map[string]float64]():
		return pairs[float64]
	case reflect.TypeFor[map[string]bool]():
		return pairs[bool]
	}
	of := reflect.SliceOf(f.Type.Elem())
	return func(p unsafe.Pointer) []Pair {
		m := reflect.NewAt(f.Type, p).Elem()
		out := make([]Pair, 0, m.Len())
		values := reflect.MakeSlice(of, m.Len(), m.Len())
		for it := m.MapRange(); it.Next(); {
			v := values.Index(len(out))
			v.SetIterValue(it)
			out = append(out, Pair{it.Key().String(), v.Addr().UnsafePointer()})
		}
		sortPairs(out)
		return out
	}
}

func pairs[V any](p unsafe.Pointer) []Pair {
	m := *(*map[string]V)(p)
	out, values := make([]Pair, 0, len(m)), make([]V, 0, len(m))
	for k, v := range m {
		values = append(values, v)
		out = append(out, Pair{k, unsafe.Pointer(&values[len(values)-1])})
	}
	sortPairs(out)
	return out
}

func sortPairs(ps []Pair) {
	slices.SortFunc(ps, func(a, b Pair) int { return strings.Compare(a.Key, b.Key) })
}

// instant reads a Time or Date as an Instant.
func (f *Field) instant(p unsafe.Pointer) shardlake.Instant {
	if f.Type == instantType {
		return *(*shardlake.Instant)(p)
	}
	return shardlake.At(*(*time.Time)(p))
}
