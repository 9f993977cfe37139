package schema

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/shardlake/shardlake"
)

var (
	timeType     = reflect.TypeFor[time.Time]()
	instantType  = reflect.TypeFor[shardlake.Instant]()
	durationType = reflect.TypeFor[time.Duration]()
	rawType      = reflect.TypeFor[json.RawMessage]()
)

// column compiles a struct field of type t with all its options.
func (c *compiler) column(f *Field, t reflect.Type, o *options, path string) {
	required, optional, omitzero := o.has("required"), o.has("optional"), o.has("omitzero")
	n := len(c.errs)
	c.value(f, t, o, path)
	if len(c.errs) > n {
		return
	}
	if left := o.left(); len(left) > 0 {
		c.bad(path, "option %s does not fit a %v, or is unknown", strings.Join(left, ", "), t)
	}
	nils := f.pointer || f.nilable()
	switch {
	case required && (optional || omitzero):
		c.bad(path, "it cannot be required and optional at once")
	case required && f.pointer:
		c.bad(path, "a pointer is never required: its nil is null; use %v", f.Type)
	case required:
		f.Optional = false
	case omitzero && (nils || f.Kind == Struct):
		c.bad(path, "option omitzero does not fit a %v: use a pointer for a null", t)
	case omitzero:
		f.Optional, f.omitzero = true, true
	case optional:
		f.Optional = true
	}
}

// value compiles a type in any place: a struct field, an element, a value of a
// map.
func (c *compiler) value(f *Field, t reflect.Type, o *options, path string) {
	if t.Kind() == reflect.Pointer {
		f.pointer, f.Optional = true, true
		t = t.Elem()
		if t.Kind() == reflect.Pointer {
			c.bad(path, "a pointer to a pointer has two nulls, a column has one")
			return
		}
	}
	f.Type = t
	switch t {
	case timeType, instantType:
		f.Kind, f.Millis = Time, o.has("millis")
		if o.has("date") {
			f.Kind, f.Millis = Date, false
		}
	case durationType:
		f.Kind = Int64
	case rawType:
		f.Kind, f.asJSON, f.JSON = String, true, o.has("logical")
		o.has("json")
	default:
		c.kind(f, t, o, path)
	}
	if f.nilable() {
		f.Optional = true
	}
	if f.Kind != Struct && f.Kind != List && f.Kind != Map {
		if c.columns++; c.columns > maxColumns && !c.full {
			c.full = true
			c.bad(path, "there are more than %d columns", maxColumns)
		}
	}
}

// nilable tells whether the value itself, not a pointer to it, can be nil.
func (f *Field) nilable() bool {
	return f.Type != nil && (f.Type.Kind() == reflect.Slice || f.Type.Kind() == reflect.Map)
}

func (c *compiler) kind(f *Field, t reflect.Type, o *options, path string) {
	switch t.Kind() {
	case reflect.Bool:
		f.Kind = Bool
	case reflect.Int8, reflect.Int16, reflect.Uint8, reflect.Uint16:
		f.Kind = Int32
	case reflect.Int32:
		f.Kind = Int32
		c.decimal(f, o, 9, path)
	case reflect.Int, reflect.Int64:
		f.Kind = Int64
		c.decimal(f, o, 18, path)
	case reflect.Uint32:
		f.Kind = Int64
	case reflect.Uint, reflect.Uint64:
		f.Kind, f.Precision = Decimal, 20
	case reflect.Float32:
		f.Kind = Float32
	case reflect.Float64:
		f.Kind = Float64
	case reflect.String:
		f.Kind = String
		c.text(f, o)
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			if f.Kind = Bytes; o.has("json") {
				f.Kind, f.asJSON, f.JSON = String, true, o.has("logical")
			}
			return
		}
		f.Kind, f.Elem = List, &Field{}
		c.value(f.Elem, t.Elem(), o, path)
	case reflect.Array:
		if t.Elem().Kind() != reflect.Uint8 || t.Len() == 0 {
			c.bad(path, "%v is no column: an array must be of bytes", t)
			return
		}
		f.Kind, f.Size = Fixed, t.Len()
		if t.Len() == 16 && o.has("uuid") {
			if f.Kind, f.asUUID, f.Size = String, true, 0; o.has("logical") {
				f.Kind = UUID
			}
		}
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			c.bad(path, "%v is no column: the keys of a map must be strings", t)
			return
		}
		f.Kind, f.Elem = Map, &Field{}
		c.columns++
		c.value(f.Elem, t.Elem(), o, path)
	case reflect.Struct:
		f.Kind = Struct
		c.structure(f, path)
	default:
		c.bad(path, "%v is no column", t)
	}
}

func (c *compiler) text(f *Field, o *options) {
	switch {
	case o.has("json"):
		f.asJSON, f.JSON = true, o.has("logical")
	case o.has("uuid"):
		if f.asUUID = true; o.has("logical") {
			f.Kind = UUID
		}
	}
}

func (c *compiler) decimal(f *Field, o *options, most int, path string) {
	text := o.decimal()
	if text == "" {
		return
	}
	inner, ok := strings.CutPrefix(text, "decimal(")
	inner, closed := strings.CutSuffix(inner, ")")
	p, s, comma := strings.Cut(inner, ",")
	precision, err1 := strconv.Atoi(strings.TrimSpace(p))
	scale, err2 := strconv.Atoi(strings.TrimSpace(s))
	if !ok || !closed || !comma || err1 != nil || err2 != nil || precision < 1 || precision > most || scale < 0 || scale > precision {
		c.bad(path, "option %s: want decimal(precision,scale), of a %v at most decimal(%d,%d)", text, f.Type, most, most)
		return
	}
	f.Kind, f.Precision, f.Scale = Decimal, precision, scale
}
