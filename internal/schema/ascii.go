package schema

import (
	"encoding/binary"
	"reflect"
	"unsafe"
)

// Most text is ASCII, which is UTF-8. So the check of a row first gathers the high
// bits of all its plain text, a word at a time and without a branch for each string;
// only if one is set is each string looked at by itself.

// highBits is the high bit of each byte.
const highBits = 0x8080808080808080

// gather returns words that have a high bit if a byte of s is not ASCII.
func gather(s string) (bits uint64) {
	b := unsafe.Slice(unsafe.StringData(s), len(s))
	n := len(b)
	switch {
	case n >= 8:
		bits = binary.LittleEndian.Uint64(b[n-8:]) // may overlap
		for ; len(b) > 8; b = b[8:] {
			bits |= binary.LittleEndian.Uint64(b)
		}
	case n >= 4:
		bits = uint64(binary.LittleEndian.Uint32(b) | binary.LittleEndian.Uint32(b[n-4:]))
	case n > 0:
		bits = uint64(b[0] | b[n/2] | b[n-1])
	}
	return bits
}

// plainText tells whether the check of f is that of UTF-8 in a string. An optional
// one may be behind a pointer.
func (f *Field) plainText() bool {
	return f.Kind == String && !f.asUUID && !f.JSON && f.Type.Kind() == reflect.String
}

// ascii returns a test of a struct's plain text. It is nil if the struct has none.
func (f *Field) ascii() func(unsafe.Pointer) bool {
	var values, pointers []uintptr
	for _, g := range f.Fields {
		switch {
		case !g.plainText():
		case g.pointer:
			pointers = append(pointers, g.Offset)
		default:
			values = append(values, g.Offset)
		}
	}
	if len(values)+len(pointers) == 0 {
		return nil
	}
	return func(p unsafe.Pointer) bool {
		var bits uint64
		for _, at := range values {
			bits |= gather(*(*string)(unsafe.Add(p, at)))
		}
		for _, at := range pointers {
			if s := *(**string)(unsafe.Add(p, at)); s != nil {
				bits |= gather(*s)
			}
		}
		return bits&highBits == 0
	}
}
