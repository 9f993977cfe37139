package stage

import (
	"fmt"
	"reflect"
	"time"
	"unicode/utf8"
	"unsafe"
)

// Bytes estimates: each key in a map, its cell, and what they point to. What a value
// points to is looked at when its key is new and at each commit, not at each row.
func (t *table[K, V]) Bytes() int64 {
	var c cell[K, V]
	var k K
	// A map is between 7/16 and 7/8 full; each entry has a byte of its hash.
	entry := 3 * (int64(unsafe.Sizeof(k)) + 8 + 1) / 2
	queued := (int64(cap(t.queue)) + int64(cap(t.dirty))) * 8
	return int64(len(t.cells))*(rounded(int64(unsafe.Sizeof(c)))+entry) + t.sizes + queued
}

// weigh looks at what a cell points to.
func (t *table[K, V]) weigh(c *cell[K, V]) {
	t.sizes -= c.size
	c.size = 0
	shared := t.text != nil && unsafe.StringData(t.text(&c.key)) == unsafe.StringData(c.part)
	if !shared {
		c.size += rounded(int64(len(c.part)))
	}
	if c.home != nil {
		c.size += int64(len(c.home))
	}
	if t.keyed != nil {
		c.size += t.keyed(&c.key)
	}
	if t.holds != nil {
		c.size += t.holds(&c.val)
	}
	t.sizes += c.size
}

// rounded is about what the allocator takes for n bytes: its classes are an eighth
// apart.
func rounded(n int64) int64 {
	if n == 0 {
		return 0
	}
	return (n + n/16 + 15) &^ 7
}

// weigher returns what adds up the bytes that a value of type T points to, or nil for
// types without pointers.
func weigher[T any]() func(*T) int64 {
	t := reflect.TypeFor[T]()
	if t == reflect.TypeFor[string]() {
		return func(v *T) int64 { return rounded(int64(len(*any(v).(*string)))) }
	}
	s := scales{}.of(t)
	if *s == nil {
		return nil
	}
	return func(v *T) int64 { return (*s)(reflect.ValueOf(v).Elem(), maxDepth) }
}

// maxDepth bounds how far a value is followed, which may be a list or a tree.
const maxDepth = 64

// scale adds up what a value of one type points to, to a depth.
type scale func(v reflect.Value, depth int) int64

// scales are those of the types that have been looked at, which may be about to become
// what they are: a type may hold itself.
type scales map[reflect.Type]*scale

// of makes the scale of a type; it points to nil for one that points to nothing which
// is its own.
func (all scales) of(t reflect.Type) *scale {
	if s, ok := all[t]; ok {
		return s
	}
	s := new(scale)
	all[t] = s
	switch t.Kind() {
	case reflect.String:
		*s = func(v reflect.Value, _ int) int64 { return rounded(int64(v.Len())) }
	case reflect.Pointer:
		*s = all.pointer(t)
	case reflect.Slice:
		*s = all.slice(t)
	case reflect.Map:
		*s = all.table(t)
	case reflect.Array:
		if in := all.of(t.Elem()); *in != nil {
			*s = func(v reflect.Value, depth int) (n int64) {
				for i := range v.Len() {
					n += (*in)(v.Index(i), depth)
				}
				return n
			}
		}
	case reflect.Struct:
		if t != reflect.TypeFor[time.Time]() { // its zone belongs to all
			*s = all.fields(t)
		}
	}
	return s
}

func (all scales) pointer(t reflect.Type) scale {
	size, in := rounded(int64(t.Elem().Size())), all.of(t.Elem())
	return func(v reflect.Value, depth int) int64 {
		if v.IsNil() || depth == 0 {
			return 0
		}
		if *in == nil {
			return size
		}
		return size + (*in)(v.Elem(), depth-1)
	}
}

func (all scales) slice(t reflect.Type) scale {
	size, in := int64(t.Elem().Size()), all.of(t.Elem())
	return func(v reflect.Value, depth int) int64 {
		n := rounded(int64(v.Cap()) * size)
		if *in == nil || depth == 0 {
			return n
		}
		for i := range v.Len() {
			n += (*in)(v.Index(i), depth-1)
		}
		return n
	}
}

func (all scales) table(t reflect.Type) scale {
	size := 3 * int64(t.Key().Size()+t.Elem().Size()+1) / 2
	key, value := all.of(t.Key()), all.of(t.Elem())
	return func(v reflect.Value, depth int) int64 {
		if v.IsNil() {
			return 0
		}
		n := 48 + int64(v.Len())*size
		if *key == nil && *value == nil || depth == 0 {
			return n
		}
		for each := v.MapRange(); each.Next(); {
			if *key != nil {
				n += (*key)(each.Key(), depth-1)
			}
			if *value != nil {
				n += (*value)(each.Value(), depth-1)
			}
		}
		return n
	}
}

func (all scales) fields(t reflect.Type) scale {
	type field struct {
		at int
		*scale
	}
	var heavy []field
	for i := range t.NumField() {
		if in := all.of(t.Field(i).Type); *in != nil {
			heavy = append(heavy, field{i, in})
		}
	}
	if heavy == nil {
		return nil
	}
	return func(v reflect.Value, depth int) (n int64) {
		for _, f := range heavy {
			n += (*f.scale)(v.Field(f.at), depth)
		}
		return n
	}
}

// brief is a key in an error: a part of it, if it is long.
func brief(key any) string {
	const most = 100
	s := fmt.Sprint(key)
	if len(s) <= most {
		return s
	}
	n := most
	for n > most-utf8.UTFMax && !utf8.RuneStart(s[n]) {
		n--
	}
	return fmt.Sprintf("%s... (%d bytes)", s[:n], len(s))
}
