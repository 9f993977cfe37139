package avro

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"reflect"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/shardlake/shardlake/internal/schema"
)

var (
	errTwice = errors.New("a map has a key twice")
	errUUID  = errors.New("a string is no UUID of 36 characters")

	durationType = reflect.TypeFor[time.Duration]()
)

func readBool(n *node) step {
	if n.kind != boolean {
		return nil
	}
	return func(s *input, at unsafe.Pointer) (err error) {
		*(*bool)(at), err = s.bool()
		return err
	}
}

// number reads an int or long, with its range; nil for other types.
func wholeNumber(n *node) func(*input) (int64, error) {
	switch n.kind {
	case integer:
		return (*input).int
	case long:
		return (*input).long
	}
	return nil
}

func readInt(n *node, f *schema.Field) step {
	read, set := wholeNumber(n), setterOf(f.Type.Kind())
	if read == nil || set == nil {
		return nil
	}
	unit := int64(1)
	if f.Type == durationType {
		switch n.logical {
		case "": // nanoseconds, as files of package sink/avro have it
		case "time-millis":
			unit = int64(time.Millisecond)
		case "time-micros":
			unit = int64(time.Microsecond)
		default:
			return nil
		}
	}
	return func(s *input, at unsafe.Pointer) error {
		v, err := read(s)
		if err != nil {
			return err
		}
		if v > math.MaxInt64/unit || v < math.MinInt64/unit || !set(at, v*unit) {
			return fmt.Errorf("%d does not fit %v", v, f.Type)
		}
		return nil
	}
}

// setterOf stores a number as one of a kind, and tells whether it fits.
func setterOf(k reflect.Kind) func(unsafe.Pointer, int64) bool {
	switch k {
	case reflect.Int8:
		return set[int8]
	case reflect.Int16:
		return set[int16]
	case reflect.Int32:
		return set[int32]
	case reflect.Int64:
		return set[int64]
	case reflect.Int:
		return set[int]
	case reflect.Uint8:
		return set[uint8]
	case reflect.Uint16:
		return set[uint16]
	case reflect.Uint32:
		return set[uint32]
	case reflect.Uint64:
		return set[uint64]
	case reflect.Uint:
		return set[uint]
	}
	return nil
}

func set[N int8 | int16 | int32 | int64 | int | uint8 | uint16 | uint32 | uint64 | uint](at unsafe.Pointer, v int64) bool {
	n := N(v)
	*(*N)(at) = n
	return int64(n) == v && (n < 0) == (v < 0)
}

// readFloat allows for the promotions of the specification, which round: int and
// long to float and double, float to double.
func readFloat(n *node, f *schema.Field) step {
	var read func(*input) (float64, error)
	switch {
	case n.kind == float:
		read = func(s *input) (float64, error) { v, err := s.float(); return float64(v), err }
	case n.kind == double && f.Kind == schema.Float64:
		read = (*input).double
	case wholeNumber(n) != nil:
		whole := wholeNumber(n)
		if f.Kind == schema.Float32 { // rounded once
			return func(s *input, at unsafe.Pointer) error {
				v, err := whole(s)
				*(*float32)(at) = float32(v)
				return err
			}
		}
		read = func(s *input) (float64, error) { v, err := whole(s); return float64(v), err }
	default:
		return nil
	}
	if f.Kind == schema.Float32 {
		return func(s *input, at unsafe.Pointer) (err error) {
			*(*float32)(at), err = s.float() // without a detour: NaNs keep their bits
			return err
		}
	}
	return func(s *input, at unsafe.Pointer) (err error) {
		*(*float64)(at), err = read(s)
		return err
	}
}

// raw reads what has a text or bytes; nil for other types. The answer is a part of
// the datum or of the schema. utf says that it is UTF-8.
func raw(n *node) (read func(*input) ([]byte, error), utf bool) {
	if n.logical == "decimal" {
		return nil, false
	}
	switch n.kind {
	case text:
		return (*input).text, true
	case binary:
		return (*input).bytes, false
	case fixed:
		return func(s *input) ([]byte, error) { return s.take(n.size) }, false
	case enum:
		var symbols [][]byte
		for _, s := range n.symbols {
			symbols = append(symbols, []byte(s))
		}
		return func(s *input) ([]byte, error) {
			i, err := s.index(len(symbols), "symbol")
			if err != nil {
				return nil, err
			}
			return symbols[i], nil
		}, true
	}
	return nil, false
}

// readText reads texts, bytes and UUIDs.
func readText(n *node, f *schema.Field) step {
	read, utf := raw(n)
	kind := f.Type.Kind()
	switch {
	case read == nil:
		return nil
	case kind == reflect.Array:
		return readArray(n, f, read)
	case n.kind == fixed && n.size == 16 && n.logical == "uuid" && kind == reflect.String:
		return func(s *input, at unsafe.Pointer) error {
			b, err := read(s)
			if err != nil {
				return err
			}
			*(*string)(at) = s.string(schema.AppendUUID(nil, [16]byte(b)))
			return nil
		}
	case n.kind == fixed && f.Kind != schema.Bytes:
		return nil
	case f.Kind != schema.Bytes && !utf: // bytes as a string
		inner := read
		read = func(s *input) ([]byte, error) {
			b, err := inner(s)
			if err == nil && !utf8.Valid(b) {
				err = errUTF8
			}
			return b, err
		}
	}
	if kind == reflect.String {
		return func(s *input, at unsafe.Pointer) error {
			b, err := read(s)
			*(*string)(at) = s.string(b)
			return err
		}
	}
	return func(s *input, at unsafe.Pointer) error {
		b, err := read(s)
		*(*[]byte)(at) = append([]byte{}, b...) // empty is not null
		return err
	}
}

// readArray reads a fixed of the same size, or the text of a UUID.
func readArray(n *node, f *schema.Field, read func(*input) ([]byte, error)) step {
	size := f.Type.Len()
	switch {
	case n.kind == fixed && n.size == size:
		return func(s *input, at unsafe.Pointer) error {
			b, err := read(s)
			copy(reflect.NewAt(f.Type, at).Elem().Bytes(), b)
			return err
		}
	case n.kind == text && size == 16:
		return func(s *input, at unsafe.Pointer) error {
			b, err := read(s)
			if err == nil && !parseUUID((*[16]byte)(at), b) {
				err = errUUID
			}
			return err
		}
	}
	return nil
}

// parseUUID reads a text of 36 characters, RFC 9562, section 4, in either case.
func parseUUID(id *[16]byte, b []byte) bool {
	if len(b) != 36 || b[8] != '-' || b[13] != '-' || b[18] != '-' || b[23] != '-' {
		return false
	}
	var digits [32]byte
	n := copy(digits[:], b[:8])
	n += copy(digits[n:], b[9:13])
	n += copy(digits[n:], b[14:18])
	n += copy(digits[n:], b[19:23])
	copy(digits[n:], b[24:])
	_, err := hex.Decode(id[:], digits[:])
	return err == nil
}
