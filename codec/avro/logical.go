package avro

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"time"
	"unsafe"

	bits "encoding/binary"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/internal/schema"
)

var (
	errYear     = errors.New("a time lies outside of the years 0 to 9999")
	errNoDigits = errors.New("a decimal has no bytes")

	instantType = reflect.TypeFor[shardlake.Instant]()
)

// clocks turn a number of a logical type into a time. Local timestamps have no
// zone; they are read as if they were UTC. What a number may be at most follows from
// the years 0 to 9999, beyond which no file takes a time.
var clocks = map[string]func(int64) time.Time{
	"date":                   func(v int64) time.Time { return time.Unix(v*86400, 0) }, // of 32 bits
	"timestamp-millis":       time.UnixMilli,
	"timestamp-micros":       time.UnixMicro,
	"timestamp-nanos":        func(v int64) time.Time { return time.Unix(0, v) },
	"local-timestamp-millis": time.UnixMilli,
	"local-timestamp-micros": time.UnixMicro,
	"local-timestamp-nanos":  func(v int64) time.Time { return time.Unix(0, v) },
}

// readTime reads a date or timestamp. A day becomes its midnight in UTC.
func readTime(n *node, f *schema.Field) step {
	const first, last = int64(shardlake.MinEventTime) / 1e6, int64(shardlake.MaxEventTime) / 1e6
	clock, read := clocks[n.logical], wholeNumber(n)
	if clock == nil || read == nil {
		return nil
	}
	instant := f.Type == instantType
	return func(s *input, at unsafe.Pointer) error {
		v, err := read(s)
		if err != nil {
			return err
		}
		t := clock(v).UTC()
		if sec := t.Unix(); sec < first || sec > last {
			return errYear
		}
		if instant {
			*(*shardlake.Instant)(at) = shardlake.At(t)
		} else {
			*(*time.Time)(at) = t
		}
		return nil
	}
}

// readDecimal reads a decimal to an integer that counts units of the row's scale,
// which must hold it exactly; and whole numbers where the row has no fraction.
func readDecimal(n *node, f *schema.Field) step {
	set, kind := setterOf(f.Type.Kind()), f.Type.Kind()
	fail := fmt.Errorf("a decimal does not fit %v, decimal(%d,%d), without rounding", f.Type, f.Precision, f.Scale)
	if read := wholeNumber(n); read != nil && n.logical == "" && f.Scale == 0 {
		return func(s *input, at unsafe.Pointer) error {
			v, err := read(s)
			if err == nil && !set(at, v) {
				err = fmt.Errorf("%d does not fit %v", v, f.Type)
			}
			return err
		}
	}
	if n.logical != "decimal" {
		return nil
	}
	shift := f.Scale - n.scale
	wide := kind == reflect.Uint64 || kind == reflect.Uint
	return func(s *input, at unsafe.Pointer) error {
		b, err := digitsOf(n, s)
		if err != nil {
			return err
		}
		v, big, ok := unscaled(b)
		switch {
		case ok:
			if v, ok = rescale(v, shift); !ok || !set(at, v) {
				return fail
			}
		case wide && big && shift == 0: // 2^63 to 2^64-1
			*(*uint64)(at) = bits.BigEndian.Uint64(b[len(b)-8:])
		default:
			return fail
		}
		return nil
	}
}

func digitsOf(n *node, s *input) ([]byte, error) {
	if n.kind == fixed {
		if n.size == 0 {
			return nil, errNoDigits
		}
		return s.take(n.size)
	}
	b, err := s.bytes()
	if err == nil && len(b) == 0 {
		err = errNoDigits
	}
	return b, err
}

// unscaled reads a number in two's complement, high byte first. ok tells whether it
// has 64 bits, big whether it has with another bit for the sign, which is plus.
func unscaled(b []byte) (v int64, big, ok bool) {
	for len(b) > 1 && (b[0] == 0 && b[1] < 0x80 || b[0] == 0xff && b[1] >= 0x80) {
		b = b[1:]
	}
	if len(b) > 8 {
		return 0, len(b) == 9 && b[0] == 0, false
	}
	v = int64(int8(b[0]))
	for _, d := range b[1:] {
		v = v<<8 | int64(d)
	}
	return v, false, true
}

// rescale multiplies by 10^shift and tells whether the result is exact.
func rescale(v int64, shift int) (int64, bool) {
	for ; shift > 0 && v != 0; shift-- {
		if v > math.MaxInt64/10 || v < math.MinInt64/10 {
			return 0, false
		}
		v *= 10
	}
	for ; shift < 0 && v != 0; shift++ {
		if v%10 != 0 {
			return 0, false
		}
		v /= 10
	}
	return v, true
}
