package jsonrow

import (
	"encoding/json"
	"reflect"
	"unsafe"
)

func (p *Program) pointerOp(t reflect.Type) op { return p.pointerTo(t.Elem(), p.compile(t.Elem())) }

func (p *Program) pointerTo(elem reflect.Type, inner op) op {
	s := p.newSlab(elem)
	return func(d *Decoder, b []byte, i int, q unsafe.Pointer) int {
		if b[i] == 'n' {
			return null(b, i)
		}
		v := s.one(d)
		*(*unsafe.Pointer)(q) = v
		return inner(d, b, i, v)
	}
}

// sliceOp decodes arrays into slices. Elements are decoded where they stay, in a
// slab; one that runs out is left for a larger one.
func (p *Program) sliceOp(t reflect.Type) op {
	inner := p.compile(t.Elem())
	s := p.newSlab(t.Elem())
	return func(d *Decoder, b []byte, i int, q unsafe.Pointer) int {
		if b[i] != '[' {
			return null(b, i)
		}
		i, done := d.open(b, i, ']')
		if done {
			*(*header)(q) = header{unsafe.Pointer(&nothing), 0, 0}
			d.depth--
			return i
		}
		// The slab is taken out meanwhile: elements may hold slices of this type.
		m := d.slabs[s.index]
		d.slabs[s.index] = slab{}
		var base unsafe.Pointer
		room := m.n - m.at
		if room > 0 {
			base = unsafe.Add(m.base, uintptr(m.at)*s.size)
		} // else it would point behind the slab, into other memory
		k := 0
		for ; !done; k++ {
			if i < 0 {
				return -1
			}
			if k == room {
				room = max(s.n, 2*k)
				m = s.make(room)
				if k > 0 {
					s.copy(m.base, base, k)
				}
				base = m.base
			}
			if i = inner(d, b, i, unsafe.Add(base, uintptr(k)*s.size)); i < 0 {
				return -1
			}
			i, done = comma(b, i, ']')
		}
		*(*header)(q) = header{base, k, k}
		if m.at += k; m.n <= s.n { // a larger one is all this slice's
			d.slabs[s.index] = m
		}
		d.depth--
		return i
	}
}

// nothing is what empty slices point to: they are not nil.
var nothing struct{}

// arrayOp wants as many elements as the array has.
func (p *Program) arrayOp(t reflect.Type) op {
	inner, n, size := p.compile(t.Elem()), t.Len(), t.Elem().Size()
	return func(d *Decoder, b []byte, i int, q unsafe.Pointer) int {
		if b[i] != '[' {
			return null(b, i)
		}
		i, done := d.open(b, i, ']')
		k := 0
		for ; !done; k++ {
			if i < 0 || k == n {
				return -1
			}
			if i = inner(d, b, i, unsafe.Add(q, uintptr(k)*size)); i < 0 {
				return -1
			}
			i, done = comma(b, i, ']')
		}
		if k != n {
			return -1
		}
		d.depth--
		return i
	}
}

// mapOp decodes objects into maps with keys of a string kind.
func (p *Program) mapOp(t reflect.Type) op {
	if t.Key() == reflect.TypeFor[string]() {
		switch t.Elem() {
		case reflect.TypeFor[any]():
			return mapAnyOp
		case reflect.TypeFor[string]():
			return mapStringOp
		}
	}
	inner := p.compile(t.Elem())
	return func(d *Decoder, b []byte, i int, q unsafe.Pointer) int {
		if b[i] != '{' {
			return null(b, i)
		}
		i, done := d.open(b, i, '}')
		m, key, value := reflect.MakeMap(t), reflect.New(t.Key()).Elem(), reflect.New(t.Elem())
		for n := 1; !done; n++ {
			var name string
			if name, i = d.key(b, i); i < 0 {
				return -1
			}
			value.Elem().SetZero()
			if i = inner(d, b, i, value.UnsafePointer()); i < 0 {
				return -1
			}
			key.SetString(name)
			if m.SetMapIndex(key, value.Elem()); m.Len() != n {
				return -1
			}
			i, done = comma(b, i, '}')
		}
		reflect.NewAt(t, q).Elem().Set(m)
		d.depth--
		return i
	}
}

// key reads a name that stays, and its colon.
func (d *Decoder) key(b []byte, i int) (name string, next int) {
	if i < 0 || b[i] != '"' {
		return "", -1
	}
	if name, i = d.string(b, i); i < 0 {
		return "", -1
	}
	return name, colon(b, i)
}

// mapStringOp is for map[string]string and types that are made of it, which lie in
// memory alike.
func mapStringOp(d *Decoder, b []byte, i int, q unsafe.Pointer) int {
	if b[i] != '{' {
		return null(b, i)
	}
	i, done := d.open(b, i, '}')
	m := make(map[string]string)
	for n := 1; !done; n++ {
		var name, value string
		if name, i = d.key(b, i); i < 0 {
			return -1
		}
		if b[i] == '"' {
			value, i = d.string(b, i)
		} else {
			i = null(b, i)
		}
		if i < 0 {
			return -1
		}
		if m[name] = value; len(m) != n {
			return -1
		}
		i, done = comma(b, i, '}')
	}
	*(*map[string]string)(q) = m
	d.depth--
	return i
}

// mapAnyOp is for map[string]any and types that are made of it.
func mapAnyOp(d *Decoder, b []byte, i int, q unsafe.Pointer) int {
	if b[i] != '{' {
		return null(b, i)
	}
	m, i := d.anyObject(b, i)
	*(*map[string]any)(q) = m
	return i
}

func anyOp(d *Decoder, b []byte, i int, q unsafe.Pointer) int {
	v, i := d.any(b, i)
	*(*any)(q) = v
	return i
}

// any decodes the value at i into what holds it whole: numbers keep their digits.
func (d *Decoder) any(b []byte, i int) (v any, next int) {
	switch b[i] {
	case '"':
		s, next := d.string(b, i)
		return s, next
	case '{':
		m, next := d.anyObject(b, i)
		return m, next
	case '[':
		return d.anyArray(b, i)
	case 't':
		return true, literal(b, i, "true")
	case 'f':
		return false, literal(b, i, "false")
	case 'n':
		return nil, null(b, i)
	}
	end := number(b, i)
	if end < 0 {
		return nil, -1
	}
	return json.Number(d.keep(b[i:end])), end
}

func (d *Decoder) anyObject(b []byte, i int) (m map[string]any, next int) {
	i, done := d.open(b, i, '}')
	m = make(map[string]any)
	for n := 1; !done; n++ {
		var name string
		if name, i = d.key(b, i); i < 0 {
			return nil, -1
		}
		var v any
		if v, i = d.any(b, i); i < 0 {
			return nil, -1
		}
		if m[name] = v; len(m) != n {
			return nil, -1
		}
		i, done = comma(b, i, '}')
	}
	d.depth--
	return m, i
}

// anyArray gathers elements on a stack, and copies them when their number is known.
func (d *Decoder) anyArray(b []byte, i int) (v any, next int) {
	i, done := d.open(b, i, ']')
	base := len(d.values)
	for !done {
		if i < 0 {
			return nil, -1
		}
		var v any
		if v, i = d.any(b, i); i < 0 {
			return nil, -1
		}
		d.values = append(d.values, v)
		i, done = comma(b, i, ']')
	}
	list := append(make([]any, 0, len(d.values)-base), d.values[base:]...)
	clear(d.values[base:])
	d.values = d.values[:base]
	d.depth--
	return list, i
}
