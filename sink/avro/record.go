package avro

import (
	"encoding/binary"
	"math"
	"reflect"
	"unsafe"

	"github.com/shardlake/shardlake/internal/schema"
)

// appendFunc appends the value at an address as Avro has it.
type appendFunc func(b []byte, p unsafe.Pointer) []byte

// Branches of the union of null and a type, and the end of an array or map.
const (
	isNull = 0
	isType = 2
	ends   = 0
)

// compiler compiles the functions of one writer, which share a scratch.
type compiler struct{ scratch *schema.Scratch }

// field compiles f, taking the address of a field.
func (c compiler) field(f *schema.Field) appendFunc {
	value, deref := c.value(f), f.Deref()
	if deref == nil {
		return value
	}
	return func(b []byte, p unsafe.Pointer) []byte {
		if q, ok := deref(p); ok {
			return value(append(b, isType), q)
		}
		return append(b, isNull)
	}
}

// value compiles f, taking the address of its value.
func (c compiler) value(f *schema.Field) appendFunc {
	switch f.Kind {
	case schema.Bool:
		return func(b []byte, p unsafe.Pointer) []byte { return append(b, *(*byte)(p)&1) }
	case schema.Int32, schema.Int64, schema.Time, schema.Date:
		read := f.Int()
		return func(b []byte, p unsafe.Pointer) []byte { return binary.AppendVarint(b, read(p)) }
	case schema.Float32:
		return func(b []byte, p unsafe.Pointer) []byte {
			return binary.LittleEndian.AppendUint32(b, math.Float32bits(*(*float32)(p)))
		}
	case schema.Float64:
		return func(b []byte, p unsafe.Pointer) []byte {
			return binary.LittleEndian.AppendUint64(b, math.Float64bits(*(*float64)(p)))
		}
	case schema.Fixed:
		read := f.Bytes()
		return func(b []byte, p unsafe.Pointer) []byte { return append(b, read(p, c.scratch)...) }
	case schema.UUID:
		return c.uuid(f)
	case schema.Decimal:
		return c.decimal(f)
	case schema.List:
		return c.list(f)
	case schema.Map:
		return c.mapping(f)
	case schema.Struct:
		return c.record(f)
	}
	if f.Type.Kind() == reflect.String {
		return func(b []byte, p unsafe.Pointer) []byte { return appendText(b, *(*string)(p)) }
	}
	read := f.Bytes()
	return func(b []byte, p unsafe.Pointer) []byte {
		v := read(p, c.scratch)
		return append(binary.AppendVarint(b, int64(len(v))), v...)
	}
}

func (c compiler) uuid(f *schema.Field) appendFunc {
	read := f.Bytes()
	return func(b []byte, p unsafe.Pointer) []byte {
		return schema.AppendUUID(binary.AppendVarint(b, 36), [16]byte(read(p, c.scratch)))
	}
}

// decimal appends the least number of bytes in two's complement, high byte first.
func (c compiler) decimal(f *schema.Field) appendFunc {
	if f.Precision > 18 {
		read := f.Bytes()
		return func(b []byte, p unsafe.Pointer) []byte {
			return appendDecimal(b, read(p, c.scratch))
		}
	}
	read := f.Int()
	return func(b []byte, p unsafe.Pointer) []byte {
		var s [8]byte
		binary.BigEndian.PutUint64(s[:], uint64(read(p)))
		return appendDecimal(b, s[:])
	}
}

func appendDecimal(b, v []byte) []byte {
	for len(v) > 1 && (v[0] == 0 && v[1] < 0x80 || v[0] == 0xff && v[1] >= 0x80) {
		v = v[1:]
	}
	return append(binary.AppendVarint(b, int64(len(v))), v...)
}

func (c compiler) list(f *schema.Field) appendFunc {
	items, elem := f.Items(), c.field(f.Elem)
	return func(b []byte, p unsafe.Pointer) []byte {
		first, n, size := items(p)
		if n > 0 {
			b = binary.AppendVarint(b, int64(n))
			for i := range n {
				b = elem(b, unsafe.Add(first, uintptr(i)*size))
			}
		}
		return append(b, ends)
	}
}

func (c compiler) mapping(f *schema.Field) appendFunc {
	pairs, elem := f.Pairs(), c.field(f.Elem)
	return func(b []byte, p unsafe.Pointer) []byte {
		if ps := pairs(p); len(ps) > 0 {
			b = binary.AppendVarint(b, int64(len(ps)))
			for _, e := range ps {
				b = elem(appendText(b, e.Key), e.Value)
			}
		}
		return append(b, ends)
	}
}

func (c compiler) record(f *schema.Field) appendFunc {
	type part struct {
		append appendFunc
		offset uintptr
	}
	var parts []part
	for _, g := range f.Fields {
		parts = append(parts, part{c.field(g), g.Offset})
	}
	return func(b []byte, p unsafe.Pointer) []byte {
		for i := range parts {
			b = parts[i].append(b, unsafe.Add(p, parts[i].offset))
		}
		return b
	}
}
