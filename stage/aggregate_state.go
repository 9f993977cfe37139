package stage

import (
	"encoding"
	jsonv1 "encoding/json"
	"encoding/json/v2"
	"fmt"
	"reflect"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/stage/window"
)

type snapshot[K comparable, Row any] struct {
	Schema string
	Last   shardlake.Record
	Open   []*pane[K, Row]
}

// exact makes JSON keep the difference between nil and empty, and durations. A
// string that is not UTF-8 is an error, not a changed key.
var exact = json.JoinOptions(json.FormatNilSliceAsNull(true), json.FormatNilMapAsNull(true), jsonv1.FormatDurationAsNano(true))

// Snapshot makes it a shardlake.State, with Restore.
func (a *aggregate[K, In, Row]) Snapshot() ([]byte, error) {
	return json.Marshal(snapshot[K, Row]{a.schema, a.last, a.open}, exact)
}

// Restore refuses a state of another shape before it touches anything.
func (a *aggregate[K, In, Row]) Restore(data []byte) error {
	var head struct{ Schema string }
	if err := json.Unmarshal(data, &head); err != nil {
		return err
	}
	if head.Schema != a.schema {
		return a.env.Fail(a.name, shardlake.Position{}, fmt.Errorf("the kept windows are %q, this program wants %q", head.Schema, a.schema),
			"let the old program close its windows, or give the stage a new name with stage.Named")
	}
	var s snapshot[K, Row]
	if err := json.Unmarshal(data, &s, exact); err != nil {
		return err
	}
	a.open, a.last, a.rows, a.recent = s.Open, s.Last, 0, nil
	a.index = map[window.Span]*pane[K, Row]{}
	for _, p := range a.open {
		if len(p.Keys) != len(p.Rows) {
			return fmt.Errorf("window %v has %d keys and %d rows", p.Span, len(p.Keys), len(p.Rows))
		}
		p.at = make(map[K]int, len(p.Keys))
		for i, k := range p.Keys {
			p.at[k] = i
		}
		a.index[p.Span] = p
		a.rows += int64(len(p.Rows))
	}
	return nil
}

// shape tells what a type is made of and not how it is called: a renamed row type
// fits its old state, a changed one does not.
func shape(t reflect.Type) (s string) {
	if t.Kind() != reflect.Struct || opaque(t) {
		return t.Kind().String()
	}
	for f := range t.Fields() {
		s += fmt.Sprintf(" %s:%s", f.Name, f.Type)
	}
	return "{" + s + " }"
}

// opaque types marshal themselves.
func opaque(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(reflect.TypeFor[jsonv1.Unmarshaler]()) || p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
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
		return nil
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
