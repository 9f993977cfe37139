package schematest

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"strings"
	"time"

	"github.com/shardlake/shardlake"
)

// Tree reads a row, given by value, as a file should have it: nil for null, bool,
// int64, string, []any for lists and map[string]any for structs and maps. What has
// no such type is text: the functions below make it.
func Tree(row any) any { return tree(reflect.ValueOf(row), "") }

// Float is the form of a floating-point number, which tells -0 from 0.
func Float(f float64) string {
	if math.IsNaN(f) {
		return "float NaN"
	}
	return fmt.Sprintf("float %x", math.Float64bits(f))
}

// Bytes is the form of bytes and fixed bytes.
func Bytes(b []byte) string { return "bytes " + hex.EncodeToString(b) }

// Decimal is the form of a decimal's unscaled value.
func Decimal(n *big.Int) string { return "decimal " + n.String() }

// UUID is the form of 16 bytes as text.
func UUID(id [16]byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

func tree(v reflect.Value, tag string) any {
	_, options, _ := strings.Cut(tag, ",")
	has := func(o string) bool { return strings.Contains(","+options+",", ","+o+",") }
	if has("omitzero") && v.IsZero() {
		return nil
	}
	switch x := v.Interface().(type) {
	case time.Time:
		return instant(x, has)
	case shardlake.Instant:
		return instant(time.UnixMicro(int64(x)), has)
	case json.RawMessage:
		if x == nil {
			return nil
		}
		return string(x)
	}
	switch v.Kind() {
	case reflect.Bool:
		return v.Bool()
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if strings.Contains(options, "decimal(") {
			return Decimal(big.NewInt(v.Int()))
		}
		return v.Int()
	case reflect.Uint, reflect.Uint64:
		return Decimal(new(big.Int).SetUint64(v.Uint()))
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		return int64(v.Uint())
	case reflect.Float32, reflect.Float64:
		return Float(v.Float())
	case reflect.String:
		return v.String()
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return tree(v.Elem(), tag)
	case reflect.Array:
		b := make([]byte, v.Len())
		reflect.Copy(reflect.ValueOf(b), v)
		if has("uuid") {
			return UUID([16]byte(b))
		}
		return Bytes(b)
	case reflect.Slice:
		return slice(v, tag, has)
	case reflect.Map:
		if v.IsNil() && !has("required") {
			return nil
		}
		m := map[string]any{}
		for it := v.MapRange(); it.Next(); {
			m[it.Key().String()] = tree(it.Value(), tag)
		}
		return m
	}
	m := map[string]any{}
	fields(m, v)
	return m
}

// fields adds the fields of a struct to m. A field without a tag has a name of
// one word.
func fields(m map[string]any, v reflect.Value) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Anonymous {
			fields(m, v.Field(i))
			continue
		}
		tag := f.Tag.Get("lake")
		name, _, _ := strings.Cut(tag, ",")
		if name == "" {
			name = strings.ToLower(f.Name)
		}
		m[name] = tree(v.Field(i), tag)
	}
}

func slice(v reflect.Value, tag string, has func(string) bool) any {
	if v.IsNil() && !has("required") {
		return nil
	}
	if v.Type().Elem().Kind() == reflect.Uint8 {
		if has("json") {
			return string(v.Bytes())
		}
		return Bytes(v.Bytes())
	}
	list := []any{}
	for i := range v.Len() {
		list = append(list, tree(v.Index(i), strings.ReplaceAll(tag, "required", "")))
	}
	return list
}

func instant(t time.Time, has func(string) bool) any {
	switch us := t.UnixMicro(); {
	case has("date"):
		y, m, d := t.UTC().Date()
		return time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400
	case has("millis"):
		return us/1000 - b2i(us%1000 < 0)
	default:
		return us
	}
}

func b2i(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
