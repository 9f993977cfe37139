package stage

import (
	"encoding"
	jsonv1 "encoding/json"
	"encoding/json/v2"
	"fmt"
	"reflect"
	"slices"
)

// exact makes JSON keep the difference between nil and empty, and durations. A
// string that is not UTF-8 is an error, not a changed key.
var exact = json.JoinOptions(json.FormatNilSliceAsNull(true), json.FormatNilMapAsNull(true), jsonv1.FormatDurationAsNano(true))

// shape tells what a type is made of, all the way down, and not how it is called:
// a renamed row type fits its old state, a changed one does not.
func shape(t reflect.Type, above []reflect.Type) string {
	if slices.Contains(above, t) {
		return "recursive"
	}
	if opaque(t) {
		return t.String()
	}
	above = append(above, t)
	switch t.Kind() {
	case reflect.Pointer:
		return "*" + shape(t.Elem(), above)
	case reflect.Slice:
		return "[]" + shape(t.Elem(), above)
	case reflect.Array:
		return fmt.Sprintf("[%d]%s", t.Len(), shape(t.Elem(), above))
	case reflect.Map:
		return "map[" + shape(t.Key(), above) + "]" + shape(t.Elem(), above)
	case reflect.Struct:
		s := "{"
		for f := range t.Fields() {
			s += " " + f.Name + ":" + shape(f.Type, above)
			if tag := f.Tag.Get("json"); tag != "" { // it decides under which name the value lies
				s += fmt.Sprintf("(%s)", tag)
			}
		}
		return s + " }"
	}
	return t.Kind().String()
}

// opaque types marshal themselves, there and back.
func opaque(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(reflect.TypeFor[jsonv1.Unmarshaler]()) && p.Implements(reflect.TypeFor[jsonv1.Marshaler]()) ||
		p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) && p.Implements(reflect.TypeFor[encoding.TextMarshaler]())
}

// comesBackEqual tells why a key of type t would not equal itself when restored.
func comesBackEqual(t reflect.Type) error {
	if opaque(t) && t.Kind() != reflect.Pointer {
		return nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		return fmt.Errorf("a key that holds %v cannot be kept between commits: a restored pointer equals no other", t)
	case reflect.Array:
		return comesBackEqual(t.Elem())
	case reflect.Struct:
		for f := range t.Fields() {
			if err := comesBackEqual(f.Type); err != nil {
				return fmt.Errorf("field %s of %v: %w", f.Name, t, err)
			}
		}
	}
	return nil
}

// keepable tells why values of t would not come back from JSON as they were.
func keepable(t reflect.Type, above []reflect.Type) error {
	for _, u := range above {
		if u == t {
			return nil
		}
	}
	above = append(above, t)
	if opaque(t) {
		return promoted(t)
	}
	switch t.Kind() {
	case reflect.Func, reflect.Chan, reflect.Interface, reflect.UnsafePointer, reflect.Complex64, reflect.Complex128, reflect.Uintptr:
		return fmt.Errorf("%v cannot be kept between commits: it does not survive JSON", t)
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return keepable(t.Elem(), above)
	case reflect.Map:
		if err := keepable(t.Key(), above); err != nil {
			return err
		}
		return keepable(t.Elem(), above)
	case reflect.Struct:
		for f := range t.Fields() {
			if !f.IsExported() || f.Tag.Get("json") == "-" {
				return fmt.Errorf("field %s of %v cannot be kept between commits: it is not exported, or tagged json:\"-\"", f.Name, t)
			}
			if err := keepable(f.Type, above); err != nil {
				return fmt.Errorf("field %s of %v: %w", f.Name, t, err)
			}
		}
	}
	return nil
}

// promoted refuses a struct that marshals itself by an embedded field, which would
// stand for the whole: the other fields would be lost without a word.
func promoted(t reflect.Type) error {
	if t.Kind() != reflect.Struct || t.NumField() < 2 {
		return nil
	}
	for f := range t.Fields() {
		if f.Anonymous && opaque(f.Type) {
			return fmt.Errorf("%v cannot be kept between commits: the JSON of embedded %v would stand for all its fields; give the field a name", t, f.Type)
		}
	}
	return nil
}
