package jsonrow

import (
	"encoding/binary"
	"reflect"
	"strings"
	"unsafe"
)

// A kind says which fields an object decodes itself, without calling an op.
type kind uint8

const (
	otherKind kind = iota
	stringKind
	int64Kind
	int32Kind
	float64Kind
)

// A field is where a member of an object goes, and how.
type field struct {
	// words are the first 16 bytes of the name in quotes with its colon, masks say
	// which of them there are: two comparisons find the name in most documents.
	words, masks [2]uint64
	size         int // of all that, in bytes
	quoted       string
	offset       uintptr
	op           op
	string       int // place of the last string
	kind         kind
}

// at tells whether the field's name stands at b[i].
func (f *field) at(b []byte, i int) bool {
	return len(b)-i >= f.size && string(b[i:i+f.size]) == f.quoted
}

// An object decodes objects into a struct.
type object struct {
	fields []field // in the order of their declaration
	byName map[string]int
}

// structOp leaves structs whose fields it does not understand to encoding/json/v2.
func (p *Program) structOp(t reflect.Type) op {
	list, ok := members(t)
	if !ok {
		return p.leave(t)
	}
	// encoding/json/v2 has the last word on whether there is a mistake in the type.
	if p.general([]byte("{}"), reflect.New(t).Interface()) != nil {
		return p.leave(t)
	}
	o := &object{byName: make(map[string]int)}
	for _, m := range list {
		o.byName[m.name] = len(o.fields)
		o.fields = append(o.fields, p.field(t, m))
	}
	return o.decode
}

func (p *Program) field(t reflect.Type, m member) field {
	// Documents may escape the name: then it is found by name.
	f := field{quoted: `"` + m.name + `":`}
	f.size = len(f.quoted)
	padded := []byte(f.quoted + strings.Repeat("\x00", 16))
	mask := []byte(strings.Repeat("\xff", min(f.size, 16)) + strings.Repeat("\x00", 16))
	for k := range 2 {
		f.words[k] = binary.LittleEndian.Uint64(padded[8*k:])
		f.masks[k] = binary.LittleEndian.Uint64(mask[8*k:])
		f.words[k] &= f.masks[k]
	}
	switch f.op = p.memberOp(m); {
	case m.text || has(m.typ, methods...):
	case m.typ.Kind() == reflect.String:
		f.kind, f.string = stringKind, p.newString()
	case m.typ.Kind() == reflect.Int64 && m.typ != durationType:
		f.kind = int64Kind
	case m.typ.Kind() == reflect.Int32:
		f.kind = int32Kind
	case m.typ.Kind() == reflect.Float64:
		f.kind = float64Kind
	}
	// The way through embedded structs: offsets, and pointers to follow.
	for k, i := range m.index {
		sf := t.Field(i)
		f.offset += sf.Offset
		if t = sf.Type; t.Kind() == reflect.Pointer && k+1 < len(m.index) {
			f.op, f.kind = p.through(sf, m.index[k+1:], f.op), otherKind
			break
		}
	}
	return f
}

// through makes an op for a field of an embedded pointer to a struct, which is
// allocated when the first of its fields is met.
func (p *Program) through(pointer reflect.StructField, index []int, inner op) op {
	if !pointer.IsExported() {
		return giveUp // it cannot be set
	}
	t := pointer.Type.Elem()
	var offset uintptr
	at := t
	for k, i := range index {
		sf := at.Field(i)
		offset += sf.Offset
		if at = sf.Type; at.Kind() == reflect.Pointer && k+1 < len(index) {
			inner = p.through(sf, index[k+1:], inner)
			break
		}
	}
	s := p.newSlab(t)
	return func(d *Decoder, b []byte, i int, q unsafe.Pointer) int {
		place := (*unsafe.Pointer)(q)
		if *place == nil {
			*place = s.one(d)
		}
		return inner(d, b, i, unsafe.Add(*place, offset))
	}
}

func giveUp(*Decoder, []byte, int, unsafe.Pointer) int { return -1 }

// decode fills a struct.
func (o *object) decode(d *Decoder, b []byte, i int, p unsafe.Pointer) int {
	if b[i] != '{' {
		return null(b, i)
	}
	i, done := d.open(b, i, '}')
	var seen uint64 // of the first 64 fields
	base := len(d.seen)
	for n := 64; n < len(o.fields); n += 64 {
		d.seen = append(d.seen, 0)
	}
	names := d.newNames()
	next := 0 // the field that is expected: members come in one order mostly
	for !done {
		if i < 0 {
			return -1
		}
		k, at := o.find(d, b, i, next, &names)
		if at < 0 {
			return -1
		}
		if i = at; k < 0 {
			if i = d.skip(b, i); i < 0 {
				return -1
			}
			i, done = comma(b, i, '}')
			continue
		}
		for next = k; ; { // fields in their order
			f := &o.fields[next]
			if next < 64 {
				if seen&(1<<next) != 0 {
					return -1
				}
				seen |= 1 << next
			} else if !mark(d.seen[base+next/64-1:], next) {
				return -1
			}
			if q := unsafe.Add(p, f.offset); f.kind == stringKind && b[i] == '"' {
				i = d.text(b, i, (*string)(q), f.string)
			} else {
				i = f.decode(d, b, i, q)
			}
			if i < 0 {
				return -1
			}
			if next++; next >= len(o.fields) {
				break
			}
			if i = o.fields[next].follows(b, i); i < 0 {
				i = ^i
				break
			}
		}
		i, done = comma(b, i, '}')
	}
	d.seen = d.seen[:base]
	d.forget(&names)
	d.depth--
	return i
}

// follows tells whether a comma at i and the field's name come next, with a space
// behind comma and colon or none: the index of the value. If anything else comes,
// or too near the end to look, it is the complement of i.
func (f *field) follows(b []byte, i int) int {
	if len(b)-i < 18 || b[i] != ',' {
		return ^i
	}
	at := i + 1
	if b[at] == ' ' {
		at++
	}
	w := b[at : at+16]
	if (binary.LittleEndian.Uint64(w)^f.words[0])&f.masks[0]|(binary.LittleEndian.Uint64(w[8:])^f.words[1])&f.masks[1] != 0 ||
		f.size > 16 && !f.at(b, at) {
		return ^i
	}
	if at += f.size; at+1 >= len(b) {
		return ^i
	}
	if b[at] == ' ' {
		at++
	}
	if b[at] <= ' ' {
		return ^i
	}
	return at
}

// mark puts a field into a set, whose word is the first; false if it is there.
func mark(words []uint64, field int) bool {
	bit := uint64(1) << (field % 64)
	fresh := words[0]&bit == 0
	words[0] |= bit
	return fresh
}

// find looks the name at i up, which is that of the expected field mostly: the
// field, or -1 if it has none and is new to names, and the index of the value.
func (o *object) find(d *Decoder, b []byte, i, expected int, names *nameSet) (k, next int) {
	if expected < len(o.fields) && o.fields[expected].at(b, i) {
		if i = space(b, i+o.fields[expected].size); i < len(b) {
			return expected, i
		}
		return -1, -1
	}
	name, next := d.name(b, i)
	if next < 0 {
		return -1, -1
	}
	if k, ok := o.byName[name]; ok {
		return k, next
	}
	if !d.add(names, name) {
		return -1, -1
	}
	return -1, next
}

// decode fills the field at q.
func (f *field) decode(d *Decoder, b []byte, i int, q unsafe.Pointer) int {
	if b[i] != 'n' {
		switch f.kind {
		case int64Kind:
			v, end := whole(b, i, 64)
			*(*int64)(q) = v
			return end
		case int32Kind:
			v, end := whole(b, i, 32)
			*(*int32)(q) = int32(v)
			return end
		case float64Kind:
			v, end := float(b, i, 64)
			*(*float64)(q) = v
			return end
		}
	}
	return f.op(d, b, i, q)
}
