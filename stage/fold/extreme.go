package fold

import (
	"cmp"
	"encoding/json/jsontext"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// Min is the least value: a record with the column value, which is null for
// nothing. Times are a Min[shardlake.Instant]. A NaN is passed over, since it is
// neither less nor more than a number; -0 is 0.
type Min[T cmp.Ordered] struct {
	// Value is the least so far, nil of nothing. What it points to never changes.
	Value *T
}

// Add takes v if it is less than all before it.
func (m *Min[T]) Add(v T) {
	if v == v && (m.Value == nil || v < *m.Value) {
		m.Value = owned(v)
	}
}

// Merge takes the value of other if it is less.
func (m *Min[T]) Merge(other Min[T]) {
	if other.Value != nil {
		m.Add(*other.Value)
	}
}

// Get is the least value, and false of nothing.
func (m Min[T]) Get() (T, bool) { return get(m.Value) }

// MarshalJSON writes the value, or null.
func (m Min[T]) MarshalJSON() ([]byte, error) { return marshal(m.Value) }

// UnmarshalJSON reads what MarshalJSON wrote. It refuses what is no T, and then
// leaves the extreme as it was.
func (m *Min[T]) UnmarshalJSON(data []byte) error { return unmarshal(&m.Value, data) }

// Max is the greatest value, in all else like [Min].
type Max[T cmp.Ordered] struct {
	// Value is the greatest so far, nil of nothing. What it points to never changes.
	Value *T
}

// Add takes v if it is greater than all before it.
func (m *Max[T]) Add(v T) {
	if v == v && (m.Value == nil || v > *m.Value) {
		m.Value = owned(v)
	}
}

// Merge takes the value of other if it is greater.
func (m *Max[T]) Merge(other Max[T]) {
	if other.Value != nil {
		m.Add(*other.Value)
	}
}

// Get is the greatest value, and false of nothing.
func (m Max[T]) Get() (T, bool) { return get(m.Value) }

// MarshalJSON writes the value, or null.
func (m Max[T]) MarshalJSON() ([]byte, error) { return marshal(m.Value) }

// UnmarshalJSON reads what MarshalJSON wrote. It refuses what is no T, and then
// leaves the extreme as it was.
func (m *Max[T]) UnmarshalJSON(data []byte) error { return unmarshal(&m.Value, data) }

// owned copies v to where it stays: text may be a view of a batch that goes.
func owned[T cmp.Ordered](v T) *T {
	var zero T
	if v == zero {
		v = zero // -0 and 0 are equal: which comes first must not count
	}
	if r := reflect.ValueOf(&v).Elem(); r.Kind() == reflect.String {
		r.SetString(strings.Clone(r.String()))
	}
	return &v
}

func get[T any](p *T) (v T, ok bool) {
	if p == nil {
		return v, false
	}
	return *p, true
}

// marshal goes by the kind of T, not by its methods: a duration has no form in
// JSON, and an infinite number neither.
func marshal[T cmp.Ordered](p *T) ([]byte, error) {
	if p == nil {
		return []byte("null"), nil
	}
	switch r := reflect.ValueOf(p).Elem(); {
	case r.CanInt():
		return strconv.AppendInt(nil, r.Int(), 10), nil
	case r.CanUint():
		return strconv.AppendUint(nil, r.Uint(), 10), nil
	case r.CanFloat():
		return appendFloat(nil, r.Float()), nil
	default:
		return jsontext.AppendQuote(nil, r.String())
	}
}

func unmarshal[T cmp.Ordered](p **T, data []byte) error {
	if string(data) == "null" {
		*p = nil
		return nil
	}
	var v T
	r := reflect.ValueOf(&v).Elem()
	err := set(r, data)
	if err != nil {
		return fmt.Errorf("fold: JSON %.40s is no extreme of type %v: %w", data, r.Type(), err)
	}
	if v != v {
		return fmt.Errorf("fold: NaN is no extreme of type %v", r.Type())
	}
	*p = &v
	return nil
}

func set(r reflect.Value, data []byte) error {
	bits := r.Type().Bits
	switch {
	case r.CanInt():
		n, err := strconv.ParseInt(string(data), 10, bits())
		r.SetInt(n)
		return err
	case r.CanUint():
		n, err := strconv.ParseUint(string(data), 10, bits())
		r.SetUint(n)
		return err
	case r.CanFloat():
		x, err := parseFloat(data)
		if err == nil && r.OverflowFloat(x) {
			err = strconv.ErrRange
		}
		r.SetFloat(x)
		return err
	}
	b, err := jsontext.AppendUnquote(nil, data)
	r.SetString(string(b))
	return err
}
