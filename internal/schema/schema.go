// Package schema compiles a Go struct type into the columns that file formats and
// partitions work with. A column's name is that of its lake tag, else of its json
// tag, else the Go name in snake case. Both formats see the same columns.
package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/shardlake/shardlake"
)

// Kind is what a column holds.
type Kind int

// The kinds. Int and Uint have Bits; Decimal has Precision and Scale.
const (
	Bool Kind = iota
	Int
	Uint
	Float
	String
	Bytes
	Fixed // an array of bytes, of Size
	Time  // microseconds, or milliseconds if Millis
	Date
	Decimal
	List
	Map
	Struct
)

// Field is a column, an element of a list, or the value of a map.
type Field struct {
	Name     string
	Kind     Kind
	Optional bool // may be null

	Bits, Precision, Scale, Size int
	Millis, JSON                 bool

	Elem   *Field   // of a List, or the value of a Map, whose keys are strings
	Fields []*Field // of a Struct

	Type    reflect.Type
	index   []int // in the struct above
	instant bool  // Time is a shardlake.Instant
	raw     bool  // String is a json.RawMessage
}

// Schema is a row type's columns.
type Schema struct {
	Root *Field
}

// Of compiles a struct type. Its error lists everything that is wrong.
func Of(t reflect.Type) (*Schema, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("rows of type %v have no columns: use a struct", t)
	}
	root := &Field{Kind: Struct, Type: t}
	if err := root.structure(t, nil); err != nil {
		return nil, fmt.Errorf("rows of type %v: %w", t, err)
	}
	return &Schema{root}, nil
}

// In returns the value of field f of a struct.
func (f *Field) In(v reflect.Value) reflect.Value { return v.FieldByIndex(f.index) }

func (f *Field) structure(t reflect.Type, above []reflect.Type) error {
	for _, u := range above {
		if u == t {
			return fmt.Errorf("%v contains itself: a file's columns are finite", t)
		}
	}
	above = append(above[:len(above):len(above)], t)
	var errs []error
	seen := map[string]string{}
	for sf := range t.Fields() {
		if sf.Anonymous && sf.Type.Kind() == reflect.Struct && sf.Tag.Get("lake") == "" && sf.Tag.Get("json") == "" {
			inner := &Field{Kind: Struct}
			if err := inner.structure(sf.Type, above); err != nil {
				errs = append(errs, err)
			}
			for _, g := range inner.Fields {
				g.index = append([]int{sf.Index[0]}, g.index...)
				errs = append(errs, f.add(g, sf.Name+"."+g.Name, seen))
			}
			continue
		}
		if !sf.IsExported() {
			continue
		}
		name, opts, skip := naming(sf)
		if skip {
			continue
		}
		g, err := column(sf.Type, opts, above)
		if err != nil {
			errs = append(errs, fmt.Errorf("field %s: %w", sf.Name, err))
			continue
		}
		g.Name, g.index = name, sf.Index
		errs = append(errs, f.add(g, sf.Name, seen))
	}
	if len(f.Fields) == 0 && errors.Join(errs...) == nil {
		errs = append(errs, fmt.Errorf("%v has no exported fields", t))
	}
	return errors.Join(errs...)
}

// add takes a column whose name is its own. Case does not count: engines fold it.
func (f *Field) add(g *Field, from string, seen map[string]string) error {
	if g.Name == "" || len(g.Name) > 255 {
		return fmt.Errorf("field %s: its column name %q is empty or longer than 255 bytes", from, g.Name)
	}
	key := strings.ToLower(g.Name)
	if other, dup := seen[key]; dup {
		return fmt.Errorf("fields %s and %s have one column name, %q", other, from, g.Name)
	}
	seen[key] = from
	f.Fields = append(f.Fields, g)
	return nil
}

func naming(sf reflect.StructField) (name string, opts []string, skip bool) {
	tag, ok := sf.Tag.Lookup("lake")
	j, _, _ := strings.Cut(sf.Tag.Get("json"), ",")
	if tag == "-" || !ok && j == "-" {
		return "", nil, true
	}
	name, rest := tag, ""
	if i := strings.IndexByte(tag, ','); i >= 0 {
		name, rest = tag[:i], tag[i+1:]
	}
	// decimal(18,3) has a comma of its own.
	for rest != "" {
		end := strings.IndexByte(rest, ',')
		if p := strings.IndexByte(rest, '('); p >= 0 && p < end {
			if q := strings.IndexByte(rest, ')'); q >= 0 {
				end = strings.IndexByte(rest[q:], ',')
				if end >= 0 {
					end += q
				}
			}
		}
		if end < 0 {
			opts, rest = append(opts, rest), ""
			break
		}
		opts, rest = append(opts, rest[:end]), rest[end+1:]
	}
	if name == "" && j != "-" {
		name = j
	}
	if name == "" {
		name = snake(sf.Name)
	}
	return name, opts, false
}

// snake turns PageURLs into page_urls.
func snake(s string) string {
	r := []rune(s)
	var b strings.Builder
	for i, c := range r {
		if unicode.IsUpper(c) && i > 0 && (unicode.IsLower(r[i-1]) || unicode.IsDigit(r[i-1]) || i+1 < len(r) && unicode.IsLower(r[i+1]) && r[i-1] != '_' && !(i+2 == len(r) && r[i+1] == 's')) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}

var (
	timeType     = reflect.TypeFor[time.Time]()
	instantType  = reflect.TypeFor[shardlake.Instant]()
	rawType      = reflect.TypeFor[json.RawMessage]()
	durationType = reflect.TypeFor[time.Duration]()
)

// column compiles a field's type and its tag's options.
func column(t reflect.Type, opts []string, above []reflect.Type) (*Field, error) {
	f := &Field{Type: t}
	if t.Kind() == reflect.Pointer {
		g, err := column(t.Elem(), opts, above)
		if err != nil {
			return nil, err
		}
		if t.Elem().Kind() == reflect.Pointer {
			return nil, fmt.Errorf("%v: a pointer to a pointer has two nulls", t)
		}
		g.Type, g.Optional = t, true
		return g, nil
	}
	if err := f.kind(t, above); err != nil {
		return nil, err
	}
	for _, o := range opts {
		if err := f.option(o); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func (f *Field) kind(t reflect.Type, above []reflect.Type) (err error) {
	switch t {
	case timeType:
		f.Kind = Time
		return nil
	case instantType:
		f.Kind, f.instant = Time, true
		return nil
	case rawType:
		f.Kind, f.raw, f.Optional = String, true, true
		return nil
	case durationType:
		f.Kind, f.Bits = Int, 64
		return nil
	}
	switch k := t.Kind(); k {
	case reflect.Bool:
		f.Kind = Bool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		f.Kind, f.Bits = Int, t.Bits()
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		f.Kind, f.Bits = Uint, t.Bits()
	case reflect.Float32, reflect.Float64:
		f.Kind, f.Bits = Float, t.Bits()
	case reflect.String:
		f.Kind = String
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			f.Kind = Bytes
			return nil
		}
		f.Kind, f.Optional = List, true
		f.Elem, err = column(t.Elem(), nil, above)
	case reflect.Array:
		if t.Elem().Kind() != reflect.Uint8 || t.Len() == 0 {
			return fmt.Errorf("%v is no column: an array must be of bytes", t)
		}
		f.Kind, f.Size = Fixed, t.Len()
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			return fmt.Errorf("%v is no column: keys of a map must be strings", t)
		}
		f.Kind, f.Optional = Map, true
		f.Elem, err = column(t.Elem(), nil, above)
	case reflect.Struct:
		f.Kind = Struct
		err = f.structure(t, above)
	default:
		err = fmt.Errorf("%v is no column", t)
	}
	return err
}

func (f *Field) option(o string) error {
	switch {
	case o == "optional":
		return errors.New("option optional: use a pointer, whose nil is the null")
	case o == "required" && (f.Kind == List || f.Kind == Map):
		f.Optional = false
	case o == "millis" && f.Kind == Time:
		f.Millis = true
	case o == "date" && f.Kind == Time:
		f.Kind = Date
	case o == "json" && f.Kind == String:
		f.JSON = true
	case strings.HasPrefix(o, "decimal(") && strings.HasSuffix(o, ")") && f.Kind == Int && f.Bits >= 32:
		p, s, _ := strings.Cut(o[len("decimal("):len(o)-1], ",")
		var err1, err2 error
		f.Precision, err1 = strconv.Atoi(strings.TrimSpace(p))
		f.Scale, err2 = strconv.Atoi(strings.TrimSpace(s))
		most := 18
		if f.Bits == 32 {
			most = 9
		}
		if err1 != nil || err2 != nil || f.Precision < 1 || f.Precision > most || f.Scale < 0 || f.Scale > f.Precision {
			return fmt.Errorf("option %s: want decimal(precision,scale) with a precision of at most %d", o, most)
		}
		f.Kind = Decimal
	default:
		return fmt.Errorf("option %q does not fit a %v", o, f.Type)
	}
	return nil
}
