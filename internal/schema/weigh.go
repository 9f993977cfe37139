package schema

import (
	"reflect"
	"unsafe"
)

// Weigh returns a function from the address of a row to the bytes of its text,
// bytes, lists and maps: what the size of the struct does not show. It is nil if
// rows have none. Encoders use it to take no more rows at once than memory bears.
func (s *Schema) Weigh() func(unsafe.Pointer) int { return s.Root.weigh }

// weigher compiles the weight of f, whose parts have theirs.
func (f *Field) weigher() func(unsafe.Pointer) int {
	value := f.valueWeight()
	deref := f.Deref()
	if value == nil || deref == nil {
		return value
	}
	return func(p unsafe.Pointer) int {
		if q, ok := deref(p); ok {
			return value(q)
		}
		return 0
	}
}

func (f *Field) valueWeight() func(unsafe.Pointer) int {
	switch k := f.Type.Kind(); {
	case f.Kind == List:
		return f.listWeight()
	case f.Kind == Map:
		size, elem, pairs := int(f.Type.Elem().Size()), f.Elem.weigh, f.Pairs()
		return func(p unsafe.Pointer) (n int) {
			for _, e := range pairs(p) {
				n += len(e.Key) + size
				if elem != nil {
					n += elem(e.Value)
				}
			}
			return n
		}
	case f.Kind == Struct:
		return f.structWeight()
	case k == reflect.String:
		return func(p unsafe.Pointer) int { return len(*(*string)(p)) }
	case k == reflect.Slice:
		return func(p unsafe.Pointer) int { return len(*(*[]byte)(p)) }
	}
	return nil
}

func (f *Field) listWeight() func(unsafe.Pointer) int {
	items, elem := f.Items(), f.Elem.weigh
	return func(p unsafe.Pointer) int {
		first, n, size := items(p)
		sum := n * int(size)
		if elem != nil {
			for i := range n {
				sum += elem(unsafe.Add(first, uintptr(i)*size))
			}
		}
		return sum
	}
}

func (f *Field) structWeight() func(unsafe.Pointer) int {
	var strings []uintptr // plain text is by far the most common
	type part struct {
		offset uintptr
		weigh  func(unsafe.Pointer) int
	}
	var parts []part
	for _, g := range f.Fields {
		switch {
		case g.weigh == nil:
		case !g.pointer && g.Type.Kind() == reflect.String:
			strings = append(strings, g.Offset)
		default:
			parts = append(parts, part{g.Offset, g.weigh})
		}
	}
	if len(strings)+len(parts) == 0 {
		return nil
	}
	return func(p unsafe.Pointer) (n int) {
		for _, at := range strings {
			n += len(*(*string)(unsafe.Add(p, at)))
		}
		for i := range parts {
			n += parts[i].weigh(unsafe.Add(p, parts[i].offset))
		}
		return n
	}
}
