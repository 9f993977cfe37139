package schema

import (
	"fmt"
	"reflect"
	"strconv"
	"time"
	"unsafe"
)

// Accessor returns a column of a row as text that can name a Hive partition. The
// row is a pointer to the struct that the schema is of. Integers are decimal, a
// bool is true or false, a date is 2006-01-02, another time RFC 3339 in UTC with
// as many digits as it has, up to microseconds. It is safe for concurrent use.
type Accessor func(row any) (text string, null bool, err error)

// Field returns the accessor of a top-level column: a string, integer, bool, time
// or UUID, or a pointer to one. A row that does not pass Check may have text that
// is not what files have.
func (s *Schema) Field(name string) (Accessor, error) {
	for _, f := range s.Root.Fields {
		if f.Name != name {
			continue
		}
		text := f.text()
		if text == nil {
			return nil, fmt.Errorf("column %q is a %v: a partition needs a string, an integer, a bool or a time", name, f.Type)
		}
		row, deref, offset := reflect.PointerTo(s.Root.Type), f.Deref(), f.Offset
		return func(r any) (string, bool, error) {
			v := reflect.ValueOf(r)
			if !v.IsValid() || v.Type() != row || v.IsNil() {
				return "", false, fmt.Errorf("schema: the row is a %T, not a %v", r, row)
			}
			p, ok := unsafe.Add(v.UnsafePointer(), offset), true
			if deref != nil {
				p, ok = deref(p)
			}
			if !ok {
				return "", true, nil
			}
			return text(p), false, nil
		}, nil
	}
	return nil, fmt.Errorf("%v has no column %q", s.Root.Type, name)
}

// text returns the reader of a value as text, or nil if its kind has none.
func (f *Field) text() func(unsafe.Pointer) string {
	switch f.Kind {
	case Bool:
		return func(p unsafe.Pointer) string { return strconv.FormatBool(*(*bool)(p)) }
	case Int32, Int64:
		read := f.Int()
		return func(p unsafe.Pointer) string { return strconv.FormatInt(read(p), 10) }
	case Decimal:
		if f.Precision <= 18 {
			return nil
		}
		return func(p unsafe.Pointer) string { return strconv.FormatUint(*(*uint64)(p), 10) }
	case Date:
		return func(p unsafe.Pointer) string { return f.instant(p).Time().Format(time.DateOnly) }
	case Time:
		return func(p unsafe.Pointer) string { return f.instant(p).String() }
	case UUID:
		if f.Type.Kind() == reflect.String {
			return func(p unsafe.Pointer) string { return *(*string)(p) }
		}
		return func(p unsafe.Pointer) string { return string(AppendUUID(nil, *(*[16]byte)(p))) }
	case String:
		if f.Type.Kind() == reflect.String {
			return func(p unsafe.Pointer) string { return *(*string)(p) }
		}
		read := f.Bytes()
		return func(p unsafe.Pointer) string {
			var s Scratch
			return string(read(p, &s))
		}
	}
	return nil
}
