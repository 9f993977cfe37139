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
	shared := false
	if key, ok := t.text(c.key); ok {
		shared = len(key) == len(c.part) && unsafe.StringData(key) == unsafe.StringData(c.part)
	}
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
	switch t := reflect.TypeFor[T](); {
	case flat(t, nil):
		return nil
	case t == reflect.TypeFor[string]():
		return func(v *T) int64 { return rounded(int64(len(*any(v).(*string)))) }
	}
	return func(v *T) int64 { return heavy(reflect.ValueOf(v).Elem(), maxDepth) }
}

// maxDepth bounds how far a value is followed, which may be a list or a tree.
const maxDepth = 64

// flat tells that a value of type t points to nothing that is its own.
func flat(t reflect.Type, above []reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Slice, reflect.Map, reflect.Pointer, reflect.Interface, reflect.Func, reflect.Chan:
		return false
	case reflect.Array:
		return flat(t.Elem(), above)
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return true // its zone belongs to all
		}
		for f := range t.Fields() {
			if !flat(f.Type, above) {
				return false
			}
		}
	}
	return true
}

// heavy adds up what v points to.
func heavy(v reflect.Value, depth int) (n int64) {
	t := v.Type()
	if depth == 0 || flat(t, nil) {
		return 0
	}
	switch v.Kind() {
	case reflect.String:
		n = rounded(int64(v.Len()))
	case reflect.Pointer:
		if !v.IsNil() {
			n = rounded(int64(t.Elem().Size())) + heavy(v.Elem(), depth-1)
		}
	case reflect.Slice:
		n = rounded(int64(v.Cap()) * int64(t.Elem().Size()))
		if !flat(t.Elem(), nil) {
			for i := range v.Len() {
				n += heavy(v.Index(i), depth-1)
			}
		}
	case reflect.Array:
		for i := range v.Len() {
			n += heavy(v.Index(i), depth-1)
		}
	case reflect.Map:
		if v.IsNil() {
			break
		}
		n = 48 + int64(v.Len())*3*int64(t.Key().Size()+t.Elem().Size()+1)/2
		if !flat(t.Key(), nil) || !flat(t.Elem(), nil) {
			for each := v.MapRange(); each.Next(); {
				n += heavy(each.Key(), depth-1) + heavy(each.Value(), depth-1)
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			n += heavy(v.Field(i), depth-1)
		}
	}
	return n
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
