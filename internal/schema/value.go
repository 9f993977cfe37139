package schema

import (
	"fmt"
	"reflect"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/shardlake/shardlake"
)

// Micros returns a Time or Date value as microseconds since 1970 UTC. The value
// has passed Check.
func (f *Field) Micros(v reflect.Value) int64 {
	if f.instant {
		return v.Int()
	}
	return v.Interface().(time.Time).UnixMicro()
}

// Days returns a Date value as days since 1970.
func (f *Field) Days(v reflect.Value) int32 {
	us := f.Micros(v)
	d := us / usPerDay
	if us%usPerDay < 0 {
		d--
	}
	return int32(d)
}

const usPerDay = 86_400_000_000

// Deref returns what a value points to, and false for a null.
func (f *Field) Deref(v reflect.Value) (reflect.Value, bool) {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return v, false
		}
		return v.Elem(), true
	}
	if f.Optional && (f.Kind == List || f.Kind == Map || f.raw) && v.IsNil() {
		return v, false
	}
	return v, true
}

// Text returns a String value.
func (f *Field) Text(v reflect.Value) string {
	if f.raw {
		return string(v.Bytes())
	}
	return v.String()
}

// Checked tells whether Check can ever find something.
func (s *Schema) Checked() bool { return s.Root.checked() }

func (f *Field) checked() bool {
	switch f.Kind {
	case String, Time, Date, Decimal, Map:
		return true
	case List:
		return f.Elem.checked()
	case Struct:
		for _, g := range f.Fields {
			if g.checked() {
				return true
			}
		}
	}
	return false
}

// Check finds what no file can hold: a string that is not UTF-8, a time outside of
// the years 0 to 9999, a decimal beyond its precision. v is a struct.
func (s *Schema) Check(v reflect.Value) error { return s.Root.check(v) }

func (f *Field) check(v reflect.Value) error {
	v, ok := f.Deref(v)
	if !ok {
		return nil
	}
	switch f.Kind {
	case String:
		if f.raw && !utf8.Valid(v.Bytes()) || !f.raw && !utf8.ValidString(v.String()) {
			return fmt.Errorf("column %s: the string is not UTF-8", f.Name)
		}
	case Time, Date:
		if f.instant {
			if at := shardlake.Instant(v.Int()); at < shardlake.MinEventTime || at > shardlake.MaxEventTime {
				return fmt.Errorf("column %s: the time lies outside of the years 0 to 9999", f.Name)
			}
			return nil
		}
		if y := v.Interface().(time.Time).UTC().Year(); y < 0 || y > 9999 {
			return fmt.Errorf("column %s: the time lies outside of the years 0 to 9999", f.Name)
		}
	case Decimal:
		limit := int64(1)
		for range f.Precision {
			limit *= 10
		}
		if n := v.Int(); n <= -limit || n >= limit {
			return fmt.Errorf("column %s: %d has more than %d digits", f.Name, n, f.Precision)
		}
	case List:
		if !f.Elem.checked() {
			return nil
		}
		for i := range v.Len() {
			if err := f.Elem.check(v.Index(i)); err != nil {
				return fmt.Errorf("element %d of column %s: %w", i, f.Name, err)
			}
		}
	case Map:
		for it := v.MapRange(); it.Next(); {
			if !utf8.ValidString(it.Key().String()) {
				return fmt.Errorf("column %s: a key is not UTF-8", f.Name)
			}
			if err := f.Elem.check(it.Value()); err != nil {
				return fmt.Errorf("a value of column %s: %w", f.Name, err)
			}
		}
	case Struct:
		for _, g := range f.Fields {
			if err := g.check(g.In(v)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Accessor returns a column of a row, given as a pointer to its struct, as text.
type Accessor func(row any) (text string, null bool, err error)

// Field returns the accessor of a column that can name a partition.
func (s *Schema) Field(name string) (Accessor, error) {
	for _, f := range s.Root.Fields {
		if f.Name != name {
			continue
		}
		switch f.Kind {
		case Bool, Int, Uint, String, Time, Date:
			return f.access, nil
		}
		return nil, fmt.Errorf("column %q is a %v: a partition needs a string, an integer, a bool or a time", name, f.Type)
	}
	return nil, fmt.Errorf("%v has no column %q", s.Root.Type, name)
}

func (f *Field) access(row any) (string, bool, error) {
	v, ok := f.Deref(f.In(reflect.ValueOf(row).Elem()))
	if !ok {
		return "", true, nil
	}
	switch f.Kind {
	case Bool:
		return strconv.FormatBool(v.Bool()), false, nil
	case Int:
		return strconv.FormatInt(v.Int(), 10), false, nil
	case Uint:
		return strconv.FormatUint(v.Uint(), 10), false, nil
	case Date:
		return shardlake.Instant(f.Micros(v)).Time().Format(time.DateOnly), false, nil
	case Time:
		return shardlake.Instant(f.Micros(v)).Time().Format(time.RFC3339Nano), false, nil
	}
	return f.Text(v), false, nil
}
