package stage

import (
	"encoding"
	jsonv1 "encoding/json"
	"encoding/json/v2"
	"fmt"
	"reflect"
	"slices"
	"strings"
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
			if f.Anonymous { // its fields lie among those of t
				s += "(embedded)"
			}
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
	if out, in := marshals(t); out != in {
		return fmt.Errorf("%v cannot be kept between commits: it has a method that writes it as JSON or text, or one that reads it, and not the other", t)
	}
	switch t.Kind() {
	case reflect.Func, reflect.Chan, reflect.Interface, reflect.UnsafePointer, reflect.Complex64, reflect.Complex128, reflect.Uintptr:
		return fmt.Errorf("%v cannot be kept between commits: it does not survive JSON", t)
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return keepable(t.Elem(), above)
	case reflect.Map:
		if k := t.Key().Kind(); !opaque(t.Key()) && k != reflect.String && (k < reflect.Int || k > reflect.Float64) {
			return fmt.Errorf("%v cannot be kept between commits: JSON has no such keys", t)
		}
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

// marshals tells whether t has a method that writes it, and one that reads it.
func marshals(t reflect.Type) (out, in bool) {
	p := reflect.PointerTo(t)
	for _, i := range []reflect.Type{reflect.TypeFor[jsonv1.Marshaler](), reflect.TypeFor[json.MarshalerTo](), reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[encoding.TextAppender]()} {
		out = out || p.Implements(i)
	}
	for _, i := range []reflect.Type{reflect.TypeFor[jsonv1.Unmarshaler](), reflect.TypeFor[json.UnmarshalerFrom](), reflect.TypeFor[encoding.TextUnmarshaler]()} {
		in = in || p.Implements(i)
	}
	return out, in
}

// shadowed tells why JSON has no place for a field of t that another one hides, or why
// it cannot write t at all.
func shadowed[T any]() error {
	t := reflect.TypeFor[T]()
	if err := hidden(t, nil); err != nil {
		return err
	}
	if t.Kind() == reflect.Struct && !opaque(t) {
		if _, err := json.Marshal(new(T), exact); err != nil {
			return fmt.Errorf("%v cannot be kept between commits: %w", t, err)
		}
	}
	return nil
}

// hidden finds fields of embedded structs that lie under a name which is taken.
func hidden(t reflect.Type, above []reflect.Type) error {
	if slices.Contains(above, t) || opaque(t) {
		return nil
	}
	above = append(above, t)
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return hidden(t.Elem(), above)
	case reflect.Struct:
		names := map[string]bool{}
		if err := among(t, t, names, nil); err != nil {
			return err
		}
		for f := range t.Fields() {
			if err := hidden(f.Type, above); err != nil {
				return err
			}
		}
	}
	return nil
}

// among gathers the names under which the fields of a struct of whole lie.
func among(whole, t reflect.Type, names map[string]bool, above []reflect.Type) error {
	if slices.Contains(above, t) {
		return nil
	}
	above = append(above, t)
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		in := f.Type
		if in.Kind() == reflect.Pointer {
			in = in.Elem()
		}
		if f.Anonymous && name == "" && in.Kind() == reflect.Struct && !opaque(in) {
			if err := among(whole, in, names, above); err != nil {
				return err
			}
			continue
		}
		if name == "" {
			name = f.Name
		}
		if names[name] {
			return fmt.Errorf("%v cannot be kept between commits: two of its fields, or of those that it embeds, are %q in JSON, which would keep one of them only", whole, name)
		}
		names[name] = true
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
