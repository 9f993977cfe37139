package dynamotest

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Item is a row: its attributes by name.
type Item map[string]Value

// Value is the value of an attribute.
type Value struct {
	// Type is "S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "L" or "M".
	Type string
	// Text is the text of S, the plain decimal number of N, or the bytes of B.
	Text string
	// Bool is the value of BOOL.
	Bool bool
	// Set has the elements of SS, NS and BS, in order; it is not empty.
	Set []string
	// List has the elements of L.
	List []Value
	// Map has the members of M.
	Map Item
}

// S is a string.
func S(s string) Value { return Value{Type: "S", Text: s} }

// N is a number, given as the service takes it: "17", "-0.5", "1.39E-4".
func N(n string) Value { return Value{Type: "N", Text: n} }

// B is a value of bytes.
func B(b []byte) Value { return Value{Type: "B", Text: string(b)} }

// SS is a set of strings.
func SS(s ...string) Value { return Value{Type: "SS", Set: slices.Sorted(slices.Values(s))} }

// Bool is a truth value.
func Bool(b bool) Value { return Value{Type: "BOOL", Bool: b} }

// Null is the null value.
func Null() Value { return Value{Type: "NULL"} }

// L is a list.
func L(v ...Value) Value { return Value{Type: "L", List: v} }

// M is a map.
func M(m Item) Value { return Value{Type: "M", Map: m} }

// Clone copies an item in depth.
func (i Item) Clone() Item {
	if i == nil {
		return nil
	}
	out := make(Item, len(i))
	for k, v := range i {
		out[k] = v.clone()
	}
	return out
}

func (v Value) clone() Value {
	v.Set, v.Map = slices.Clone(v.Set), v.Map.Clone()
	v.List = slices.Clone(v.List)
	for i, e := range v.List {
		v.List[i] = e.clone()
	}
	return v
}

// Equal tells whether two items have the same attributes with the same values.
// Numbers are compared by value if they were read by the server.
func (i Item) Equal(o Item) bool { return reflect.DeepEqual(i, o) }

func (v Value) equal(o Value) bool { return reflect.DeepEqual(v, o) }

// MarshalJSON renders the value as the protocol does: {"S":"text"}.
func (v Value) MarshalJSON() ([]byte, error) {
	var inner any
	switch v.Type {
	case "S", "N":
		inner = v.Text
	case "B":
		inner = []byte(v.Text)
	case "BOOL":
		inner = v.Bool
	case "NULL":
		inner = true
	case "SS", "NS":
		inner = v.Set
	case "BS":
		var b [][]byte
		for _, s := range v.Set {
			b = append(b, []byte(s))
		}
		inner = b
	case "L":
		inner = slices.Concat([]Value{}, v.List) // [] rather than null
	case "M":
		m := maps.Clone(v.Map)
		if m == nil {
			m = Item{}
		}
		inner = m
	default:
		return nil, fmt.Errorf("dynamotest: a value has the type %q", v.Type)
	}
	return json.Marshal(map[string]any{v.Type: inner})
}

// UnmarshalJSON reads what the protocol carries, and checks it.
func (v *Value) UnmarshalJSON(b []byte) error {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(b, &m); err != nil {
		return err
	}
	if len(m) != 1 {
		return invalid("Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes")
	}
	for t, raw := range m {
		*v = Value{Type: t}
		return v.read(raw)
	}
	return nil
}

func (v *Value) read(raw []byte) error {
	switch v.Type {
	case "S", "N":
		if err := json.Unmarshal(raw, &v.Text); err != nil {
			return err
		}
	case "B":
		var b []byte
		if err := json.Unmarshal(raw, &b); err != nil {
			return err
		}
		v.Text = string(b)
	case "BOOL":
		return json.Unmarshal(raw, &v.Bool)
	case "NULL":
		var yes bool
		if err := json.Unmarshal(raw, &yes); err != nil {
			return err
		}
		if !yes {
			return invalid("One or more parameter values were invalid: Null attribute value types must have the value of true")
		}
	case "SS", "NS", "BS":
		if err := json.Unmarshal(raw, &v.Set); err != nil {
			return err
		}
		if v.Type == "BS" {
			for i, s := range v.Set {
				b, err := base64.StdEncoding.DecodeString(s)
				if err != nil {
					return err
				}
				v.Set[i] = string(b)
			}
		}
	case "L":
		return json.Unmarshal(raw, &v.List)
	case "M":
		return json.Unmarshal(raw, &v.Map)
	default:
		return invalid("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
	}
	return v.settle()
}

// settle brings a value into its one form: numbers plain, sets in order.
func (v *Value) settle() error {
	switch v.Type {
	case "N":
		n, err := decimal(v.Text)
		if err != nil {
			return err
		}
		v.Text = n
	case "SS", "NS", "BS":
		if len(v.Set) == 0 {
			return invalid("One or more parameter values were invalid: An %s set may not be empty", setOf(v.Type))
		}
		for i, s := range v.Set {
			if v.Type == "NS" {
				n, err := decimal(s)
				if err != nil {
					return err
				}
				v.Set[i] = n
			} else if s == "" {
				return invalid("One or more parameter values were invalid: An %s set may not have a empty %s as a member", setOf(v.Type), setOf(v.Type))
			}
		}
		slices.Sort(v.Set)
		if n := len(v.Set); len(slices.Compact(v.Set)) != n {
			return invalid("One or more parameter values were invalid: Input collection contains duplicates")
		}
	case "L":
		for i := range v.List {
			if err := v.List[i].settle(); err != nil {
				return err
			}
		}
	case "M":
		for k, e := range v.Map {
			if err := e.settle(); err != nil {
				return err
			}
			v.Map[k] = e
		}
	case "S", "B", "BOOL", "NULL":
	default:
		return invalid("%q is no type of an attribute", v.Type)
	}
	return nil
}

func setOf(t string) string {
	return map[string]string{"SS": "string", "NS": "number", "BS": "binary"}[t]
}

// Size is what the service counts against its limit of 400 KB, and for capacity:
// names and values (developer guide, "DynamoDB item sizes and formats").
func (i Item) Size() int {
	n := 0
	for k, v := range i {
		n += len(k) + v.size()
	}
	return n
}

func (v Value) size() int {
	n := 0
	switch v.Type {
	case "S", "B":
		return len(v.Text)
	case "N":
		return numberSize(v.Text)
	case "SS", "BS":
		for _, s := range v.Set {
			n += len(s)
		}
	case "NS":
		for _, s := range v.Set {
			n += numberSize(s)
		}
	case "L":
		n = 3
		for _, e := range v.List {
			n += 1 + e.size()
		}
	case "M":
		n = 3 + len(v.Map) + v.Map.Size()
	default:
		return 1
	}
	return n
}

func numberSize(s string) int {
	digits := len(strings.Trim(strings.ReplaceAll(strings.TrimPrefix(s, "-"), ".", ""), "0"))
	n := (digits+1)/2 + 1
	if strings.HasPrefix(s, "-") {
		n++
	}
	return n
}

// isError tells the service's own errors from those of encoding/json, which come
// back unwrapped from UnmarshalJSON.
func isError(err error) (*Error, bool) {
	var e *Error
	return e, errors.As(err, &e)
}
