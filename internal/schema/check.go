package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/shardlake/shardlake"
)

// checker finds what a file cannot hold, at the address of a field.
type checker func(unsafe.Pointer) error

var (
	errUTF8 = errors.New("the text is not valid UTF-8")
	errYear = errors.New("the time lies outside of the years 0 to 9999")
	errUUID = errors.New("the text is no UUID of 36 characters")
	errJSON = errors.New("the text is not valid JSON")
)

// Check returns a function that finds what no file can hold: text and map keys
// that are not UTF-8, times outside of the years 0 to 9999, decimals with too many
// digits, and text that is not the UUID or marked JSON that it claims to be. It
// takes the address of a row, allocates only for an error, and visits only the
// columns that need it. It is nil if none does.
func (s *Schema) Check() func(unsafe.Pointer) error { return s.Root.check }

// checker compiles the check of f, whose parts have theirs.
func (f *Field) checker(path string) checker {
	value := f.valueCheck(path)
	deref := f.Deref()
	if value == nil || deref == nil {
		return value
	}
	return func(p unsafe.Pointer) error {
		if q, ok := deref(p); ok {
			return value(q)
		}
		return nil
	}
}

func (f *Field) valueCheck(path string) checker {
	fail := func(err error) error { return fmt.Errorf("column %s: %w", path, err) }
	switch f.Kind {
	case String, UUID:
		return f.textCheck(fail)
	case Time, Date:
		return f.timeCheck(fail)
	case Decimal:
		return f.decimalCheck(fail)
	case List:
		return f.listCheck()
	case Map:
		return f.mapCheck(fail)
	case Struct:
		return f.structCheck()
	}
	return nil
}

func (f *Field) textCheck(fail func(error) error) checker {
	switch {
	case f.asUUID && f.Type.Kind() == reflect.Array:
		return nil
	case f.asUUID:
		return func(p unsafe.Pointer) error {
			var id [16]byte
			if !parseUUID(&id, *(*string)(p)) {
				return fail(errUUID)
			}
			return nil
		}
	case f.JSON:
		read := f.Bytes()
		return func(p unsafe.Pointer) error {
			var s Scratch
			if b := read(p, &s); !utf8.Valid(b) || !json.Valid(b) {
				return fail(errJSON)
			}
			return nil
		}
	case f.Type.Kind() == reflect.String:
		return func(p unsafe.Pointer) error {
			if !utf8.ValidString(*(*string)(p)) {
				return fail(errUTF8)
			}
			return nil
		}
	}
	return func(p unsafe.Pointer) error {
		if !utf8.Valid(*(*[]byte)(p)) {
			return fail(errUTF8)
		}
		return nil
	}
}

func (f *Field) timeCheck(fail func(error) error) checker {
	if f.Type == instantType {
		return func(p unsafe.Pointer) error {
			if at := *(*shardlake.Instant)(p); at < shardlake.MinEventTime || at > shardlake.MaxEventTime {
				return fail(errYear)
			}
			return nil
		}
	}
	const first, last = int64(shardlake.MinEventTime) / 1e6, int64(shardlake.MaxEventTime) / 1e6
	return func(p unsafe.Pointer) error {
		if s := (*time.Time)(p).Unix(); s < first || s > last {
			return fail(errYear)
		}
		return nil
	}
}

func (f *Field) decimalCheck(fail func(error) error) checker {
	if f.Precision > 18 { // it holds all of its type
		return nil
	}
	limit := int64(1)
	for range f.Precision {
		limit *= 10
	}
	read, digits := f.Int(), f.Precision
	return func(p unsafe.Pointer) error {
		if n := read(p); n <= -limit || n >= limit {
			return fail(fmt.Errorf("%d has more than %d digits", n, digits))
		}
		return nil
	}
}

func (f *Field) listCheck() checker {
	if f.Elem.check == nil {
		return nil
	}
	items, elem := f.Items(), f.Elem.check
	if f.Elem.plainText() && !f.Elem.pointer {
		return func(p unsafe.Pointer) error {
			list := *(*[]string)(p)
			for i := range list {
				if gather(list[i])&highBits == 0 {
					continue
				}
				if err := elem(unsafe.Pointer(&list[i])); err != nil {
					return err
				}
			}
			return nil
		}
	}
	return func(p unsafe.Pointer) error {
		first, n, size := items(p)
		for i := range n {
			if err := elem(unsafe.Add(first, uintptr(i)*size)); err != nil {
				return err
			}
		}
		return nil
	}
}

// mapCheck visits entries in the order of the map: which of several mistakes is
// named may differ from call to call.
func (f *Field) mapCheck(fail func(error) error) checker {
	pairs, elem := f.Pairs(), f.Elem.check
	keys := func(m reflect.Value) error {
		for it := m.MapRange(); it.Next(); {
			if !utf8.ValidString(it.Key().String()) {
				return fail(errUTF8)
			}
		}
		return nil
	}
	if f.Type == reflect.TypeFor[map[string]string]() {
		return func(p unsafe.Pointer) error {
			for k, v := range *(*map[string]string)(p) {
				if !utf8.ValidString(k) || !utf8.ValidString(v) {
					return fail(errUTF8)
				}
			}
			return nil
		}
	}
	if elem == nil {
		return func(p unsafe.Pointer) error { return keys(reflect.NewAt(f.Type, p).Elem()) }
	}
	return func(p unsafe.Pointer) error {
		for _, e := range pairs(p) {
			if !utf8.ValidString(e.Key) {
				return fail(errUTF8)
			}
			if err := elem(e.Value); err != nil {
				return err
			}
		}
		return nil
	}
}

// structCheck names the first mistake in the order of fields.
func (f *Field) structCheck() checker {
	var every, others []part
	for _, g := range f.Fields {
		if g.check == nil {
			continue
		}
		every = append(every, part{g.Offset, g.check})
		if !g.plainText() {
			others = append(others, every[len(every)-1])
		}
	}
	if len(every) == 0 {
		return nil
	}
	ascii := f.ascii()
	if ascii == nil {
		return func(p unsafe.Pointer) error { return checkParts(every, p) }
	}
	return func(p unsafe.Pointer) error {
		if ascii(p) {
			return checkParts(others, p)
		}
		return checkParts(every, p)
	}
}

// part is a field that has a check.
type part struct {
	offset uintptr
	check  checker
}

func checkParts(parts []part, p unsafe.Pointer) error {
	for i := range parts {
		if err := parts[i].check(unsafe.Add(p, parts[i].offset)); err != nil {
			return err
		}
	}
	return nil
}
