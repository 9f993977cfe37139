// Package schema compiles a Go struct type into the columns of a lake: what both
// file formats and Hive partitions work with, so that a type means the same in
// Parquet, in Avro and in a path.
//
// # Names
//
// A column is called by its lake tag, else by its json tag, else by the Go name
// in snake case. Names have ASCII letters, digits and underscores and do not
// begin with a digit, as Avro demands; two names of one struct must differ in
// more than case, which Athena folds. Embedded structs are inlined. A field
// tagged lake:"-", or json:"-" without a lake tag, is no column.
//
// # Types
//
//	bool                           boolean
//	int8 to int32, uint8, uint16   32-bit integer
//	int, int64, uint32             64-bit integer
//	uint, uint64                   decimal(20,0): neither format's readers agree on
//	                               unsigned 64-bit integers, and a decimal is exact
//	float32, float64               float, double
//	string                         UTF-8 string
//	[]byte                         bytes
//	[N]byte                        N bytes
//	time.Time, shardlake.Instant   timestamp in UTC, microseconds
//	time.Duration                  64-bit integer, nanoseconds
//	json.RawMessage                string
//	[]T                            list
//	map[string]T                   map, keys sorted, so equal rows are equal bytes
//	struct                         record
//	*T                             T or null
//
// Files know two widths of integers, signed, because that is what Avro, Hive and
// Athena have. Times are cut, towards the past, to their unit. The zero time.Time
// is a time like any other, 0001-01-01: use omitzero or a pointer where it means
// nothing.
//
// # Null
//
// nil is null: of a pointer, a slice (also []byte and json.RawMessage) and a map.
// An empty slice or map is not null. What cannot be nil is a required column.
//
// # Options
//
// Options follow the name in a lake tag, `lake:"price,decimal(18,3)"`. Those that
// are about a value reach through pointers, slices and maps to what they hold.
//
//	required        slice or map: nil is written as empty, and the column is not optional
//	optional        the column is optional though this type always has a value
//	omitzero        the zero value is written as null; for types that have no nil
//	millis          timestamp in milliseconds
//	date            time: the day in UTC
//	decimal(p,s)    int64 or int32 that counts units of 10^-s, at most p digits
//	uuid            [16]byte: written as text of 36 characters; string: must be such text
//	json            string or []byte with JSON in it: written as string
//	logical         with uuid and json: marked with the format's own logical type,
//	                which not all engines can read
package schema

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unsafe"
)

// Kind is what a column holds in a file.
type Kind int

// The kinds. What the Go type was is behind the accessors of Field.
const (
	Bool    Kind = iota
	Int32        // Field.Int
	Int64        // Field.Int
	Float32      // IEEE 754
	Float64
	String  // UTF-8; Field.Bytes
	Bytes   // Field.Bytes
	Fixed   // Field.Size bytes; Field.Bytes
	UUID    // 16 bytes; Field.Bytes
	Time    // since 1970 UTC, in microseconds, or milliseconds if Millis; Field.Int
	Date    // days since 1970 in UTC; Field.Int
	Decimal // unscaled; Field.Int up to 18 digits, else Field.Bytes of 9 bytes
	List    // of Elem; Field.Items
	Map     // from strings to Elem; Field.Pairs
	Struct  // of Fields
)

// Field is a column, the element of a list, or the value of a map.
type Field struct {
	Name     string // empty for elements, values and the row itself
	Kind     Kind
	Optional bool // may be null; Deref tells

	Precision, Scale int    // of Decimal
	Size             int    // of Fixed
	Millis           bool   // of Time
	JSON             bool   // of String: marked as JSON
	Elem             *Field // of List, or the values of Map
	Fields           []*Field

	Type   reflect.Type // of the value: what a pointer points to
	Offset uintptr      // in the enclosing struct

	pointer  bool
	omitzero bool
	asJSON   bool
	asUUID   bool // String: of or like a UUID
	check    checker
	weigh    func(unsafe.Pointer) int
}

// Schema is the columns of a row type. It is immutable.
type Schema struct {
	// Root is a Struct that is the row.
	Root *Field
}

// maxColumns bounds what a type can grow to: each leaf has buffers in each open
// file.
const maxColumns = 4096

// Of compiles a struct type. Its error lists all mistakes at once.
func Of(t reflect.Type) (*Schema, error) {
	if t == nil || t.Kind() != reflect.Struct || t == timeType {
		return nil, fmt.Errorf("rows of type %v have no columns: use a struct", t)
	}
	c := compiler{}
	root := &Field{Kind: Struct, Type: t}
	c.structure(root, "")
	if len(c.errs) > 0 {
		return nil, fmt.Errorf("rows of type %v: %w", t, errors.Join(c.errs...))
	}
	root.prepare("")
	return &Schema{root}, nil
}

// prepare compiles what depends on the whole tree.
func (f *Field) prepare(path string) {
	if f.Name != "" {
		path = strings.TrimPrefix(path+"."+f.Name, ".")
	}
	switch f.Kind {
	case Struct:
		for _, g := range f.Fields {
			g.prepare(path)
		}
	case List:
		f.Elem.prepare(path + "[]")
	case Map:
		f.Elem.prepare(path + "{}")
	}
	f.check = f.checker(path)
	f.weigh = f.weigher()
}

// compiler gathers mistakes.
type compiler struct {
	errs    []error
	above   []reflect.Type
	columns int
	full    bool
}

func (c *compiler) bad(where, format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("field %s: %w", where, fmt.Errorf(format, args...)))
}

// structure adds the fields of struct type f.Type to f.
func (c *compiler) structure(f *Field, where string) {
	for _, u := range c.above {
		if u == f.Type {
			c.bad(where, "%v contains itself, and a file's columns are finite", f.Type)
			return
		}
	}
	c.above = append(c.above, f.Type)
	n := len(c.errs)
	seen := map[string]string{}
	c.inline(f, f.Type, 0, where, seen)
	if len(f.Fields) == 0 && len(c.errs) == n {
		c.errs = append(c.errs, fmt.Errorf("%v has no exported fields", f.Type))
	}
	c.above = c.above[:len(c.above)-1]
}

// inline adds the fields of t, which lies at an offset in f's struct.
func (c *compiler) inline(f *Field, t reflect.Type, offset uintptr, where string, seen map[string]string) {
	for sf := range t.Fields() {
		path := strings.TrimPrefix(where+"."+sf.Name, ".")
		tag := parseTag(sf)
		if tag.skip {
			continue
		}
		if sf.Anonymous && tag.name == "" && len(tag.options) == 0 {
			if e := sf.Type; e.Kind() == reflect.Struct && e != timeType {
				for _, u := range c.above {
					if u == e {
						c.bad(path, "%v contains itself, and a file's columns are finite", e)
						return
					}
				}
				c.above = append(c.above, e)
				c.inline(f, e, offset+sf.Offset, path, seen)
				c.above = c.above[:len(c.above)-1]
				continue
			} else if e.Kind() == reflect.Pointer && e.Elem().Kind() == reflect.Struct && e.Elem() != timeType {
				c.bad(path, "an embedded pointer has columns that may not exist: give it a name in a lake tag, or embed the struct itself")
				continue
			}
		}
		if !sf.IsExported() {
			continue
		}
		g := &Field{Name: tag.name, Offset: offset + sf.Offset}
		if g.Name == "" {
			g.Name = snake(sf.Name)
		}
		c.name(g.Name, path, seen)
		c.column(g, sf.Type, newOptions(tag.options), path)
		f.Fields = append(f.Fields, g)
	}
}

// name checks a column's name. Case does not count in comparison.
func (c *compiler) name(name, path string, seen map[string]string) {
	ok := len(name) <= 255
	for i, r := range []byte(name) {
		ok = ok && (r == '_' || r|0x20 >= 'a' && r|0x20 <= 'z' || i > 0 && r >= '0' && r <= '9')
	}
	if !ok {
		c.bad(path, "column name %q: want ASCII letters, digits and underscores, not a digit first, at most 255; give another in a lake tag", name)
	}
	key := strings.ToLower(name)
	if other, dup := seen[key]; dup {
		c.bad(path, "its column %q is also that of field %s (engines do not tell upper from lower case)", name, other)
	}
	seen[key] = path
}
