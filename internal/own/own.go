// Package own gives values that are kept for long strings of their own. A string
// of a record, or of a row that a codec made, is often a part of a larger piece of
// memory: whoever keeps a few bytes of it keeps all of that alive.
package own

import (
	"reflect"
	"strings"
)

// Of returns a function that copies the strings in a value of type T: in T itself,
// and in the fields and elements of structs and arrays. It does not follow
// pointers, slices, maps and interfaces, nor copy unexported fields. For a type
// without strings it returns its argument. It costs an allocation for each string;
// what it returns is equal to its argument.
func Of[T any]() func(T) T {
	switch t := reflect.TypeFor[T](); {
	case t.Kind() == reflect.String && t == reflect.TypeFor[string]():
		return func(v T) T { return any(strings.Clone(any(v).(string))).(T) }
	case holds(t):
		return func(v T) T {
			clone(reflect.ValueOf(&v).Elem())
			return v
		}
	}
	return func(v T) T { return v }
}

// holds tells whether a value of type t may hold a string that is copied.
func holds(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String:
		return true
	case reflect.Array:
		return holds(t.Elem())
	case reflect.Struct:
		for f := range t.Fields() {
			if f.IsExported() && holds(f.Type) {
				return true
			}
		}
	}
	return false
}

func clone(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(strings.Clone(v.String()))
	case reflect.Array:
		for i := range v.Len() {
			clone(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && holds(v.Field(i).Type()) {
				clone(v.Field(i))
			}
		}
	}
}
