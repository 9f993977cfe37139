// Package jsonrow decodes JSON documents into rows of one type by a program that is
// made once from the type. It reads what it knows and gives up on all else, bad
// documents included, without saying why: whoever calls it decodes those again with
// encoding/json/v2, which says why. A row that it does make is the one that
// encoding/json/v2 makes with jsontext.AllowInvalidUTF8, numbers in an any as
// json.Number, of a document that is UTF-8.
package jsonrow

import (
	"encoding"
	"encoding/json"
	"encoding/json/jsontext"
	jsonv2 "encoding/json/v2"
	"reflect"
	"time"
	"unsafe"
)

// MaxDepth is how deep objects and arrays may lie in each other, as in
// encoding/json/jsontext.
const MaxDepth = 10_000

// An op decodes the value at b[i], which is there and no white space, to p and
// returns the index behind it, or -1 to give up. What lies at p is zero and of the
// op's type; p stays so typed, so that what an op stores there is seen by the
// garbage collector.
type op func(d *Decoder, b []byte, i int, p unsafe.Pointer) int

// A Program says how to decode documents into rows of a type. It is not changed
// once it is made: several goroutines may use it.
type Program struct {
	root    op // nil: nothing but General would do
	general General
	types   map[reflect.Type]op
	left    map[reflect.Type]bool // to general
	strings int                   // places that compare with their last string
	slabs   int                   // places that allocate
}

// General decodes one value into what the pointer points to, which is zero, by
// encoding/json/v2. The value has been checked and must not be changed.
type General func(value []byte, pointer any) error

// Compile makes the program of a type. Types that it does not know, wherever they
// lie in t, are left to general.
func Compile(t reflect.Type, general General) *Program {
	p := &Program{general: general, types: make(map[reflect.Type]op), left: make(map[reflect.Type]bool)}
	if root := p.compile(t); !p.left[t] {
		p.root = root
	}
	return p
}

// known tells whether values of a type need not go through general. A struct may
// yet be found to.
func known(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Chan, reflect.Func, reflect.UnsafePointer, reflect.Complex64, reflect.Complex128, reflect.Uintptr:
		return false
	case reflect.Interface:
		return t == reflect.TypeFor[any]()
	case reflect.Pointer:
		return true
	case reflect.Map:
		return has(t, methods[:3]...) || t.Key().Kind() == reflect.String && !has(t.Key(), methods...)
	case reflect.Array:
		return has(t, methods[:3]...) || t.Elem().Kind() != reflect.Uint8
	case reflect.Slice:
		return has(t, methods[:3]...) || t.Elem().Kind() != reflect.Uint8 || t.Elem().PkgPath() == ""
	}
	return true
}

// The methods of types that decode or encode themselves, those that decode first,
// in the order of their precedence. They are never changed.
var (
	unmarshalFrom = reflect.TypeFor[jsonv2.UnmarshalerFrom]()
	unmarshalJSON = reflect.TypeFor[json.Unmarshaler]()
	unmarshalText = reflect.TypeFor[encoding.TextUnmarshaler]()

	methods = []reflect.Type{
		unmarshalFrom, unmarshalJSON, unmarshalText,
		reflect.TypeFor[jsonv2.MarshalerTo](), reflect.TypeFor[json.Marshaler](),
		reflect.TypeFor[encoding.TextAppender](), reflect.TypeFor[encoding.TextMarshaler](),
	}
)

// has tells whether a type or its pointer has one of the methods.
func has(t reflect.Type, methods ...reflect.Type) bool {
	for _, m := range methods {
		if t.Implements(m) || reflect.PointerTo(t).Implements(m) {
			return true
		}
	}
	return false
}

// DecodesItself tells whether a type or its pointer has methods that encoding/json/v2
// calls to decode it.
func DecodesItself(t reflect.Type) bool { return has(t, methods[:3]...) }

// compile gives the op of a type, the same one for the same type: types may contain
// themselves.
func (p *Program) compile(t reflect.Type) op {
	if o, ok := p.types[t]; ok {
		return o
	}
	var made op
	p.types[t] = func(d *Decoder, b []byte, i int, q unsafe.Pointer) int { return made(d, b, i, q) }
	made = p.makeOp(t)
	p.types[t] = made
	return made
}

// makeOp follows encoding/json/v2 in what comes first: exact types, methods, kinds.
func (p *Program) makeOp(t reflect.Type) op {
	switch t {
	case reflect.TypeFor[time.Time]():
		return p.timeOp()
	case reflect.TypeFor[json.Number]():
		return numberOp
	case reflect.TypeFor[jsontext.Value]():
		return rawOp
	case reflect.TypeFor[any]():
		return anyOp
	}
	if !known(t) {
		return p.leave(t)
	}
	if k := t.Kind(); k != reflect.Pointer && k != reflect.Interface {
		switch {
		case t == reflect.TypeFor[time.Duration](), has(t, unmarshalFrom):
			return p.leave(t)
		case has(t, unmarshalJSON):
			return jsonMethodOp(t)
		case has(t, unmarshalText):
			return p.textMethodOp(t)
		}
	}
	switch t.Kind() {
	case reflect.Bool:
		return boolOp
	case reflect.String:
		return p.stringOp()
	case reflect.Float32:
		return float32Op
	case reflect.Float64:
		return float64Op
	case reflect.Pointer:
		return p.pointerOp(t)
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return bytesOp
		}
		return p.sliceOp(t)
	case reflect.Array:
		return p.arrayOp(t)
	case reflect.Map:
		return p.mapOp(t)
	case reflect.Struct:
		return p.structOp(t)
	}
	return integerOp(t)
}

// leave leaves a type to encoding/json/v2.
func (p *Program) leave(t reflect.Type) op {
	p.left[t] = true
	return p.generalOp(t)
}

// A Decoder runs a program over one document after another. One goroutine uses it.
// It keeps a few KiB between documents, and what a document of up to 64 KiB left in
// its slabs.
type Decoder struct {
	program *Program
	depth   int

	chunk  []byte       // strings are copied to
	filled int          // bytes of it that are in use
	last   []lastString // by place
	slabs  []slab

	names []string // a stack of the names without field
	used  int      // most names in this document
	spare map[string]struct{}

	values []any    // a stack of array elements
	seen   []uint64 // a stack of bit sets, for structs of many fields
	plain  []byte   // unescaped text of one value
}

// NewDecoder makes a decoder.
func (p *Program) NewDecoder() *Decoder {
	d := &Decoder{program: p}
	d.forgetAll()
	return d
}

// Decode makes the row at p, which is zero and of the program's type, of a document.
// If it does not, the row holds anything. Strings in the row are copies.
func (d *Decoder) Decode(document []byte, p unsafe.Pointer) bool {
	if d.program.root == nil {
		return false
	}
	i := space(document, 0)
	if i >= len(document) || document[i] == 'n' {
		return false // nothing, or a bare null
	}
	d.depth = 0
	i = d.program.root(d, document, i, p)
	ok := i >= 0 && spaces(document, i) == len(document)
	if !ok || d.used > 0 || len(document) > large {
		d.tidy(ok, len(document))
	}
	return ok
}

// tidy forgets what points into the document, all else too if it was large, and
// what a document that was given up has left.
func (d *Decoder) tidy(ok bool, size int) {
	clear(d.names[:d.used])
	d.names, d.used = d.names[:0], 0
	if !ok || size > large || cap(d.names) > maxSpare {
		d.forgetAll()
	}
}

func (d *Decoder) forgetAll() {
	*d = Decoder{program: d.program, chunk: d.chunk, filled: d.filled, last: make([]lastString, d.program.strings), slabs: make([]slab, d.program.slabs)}
}
