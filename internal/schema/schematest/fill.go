package schematest

import (
	"encoding/json"
	"math/big"
	"reflect"
	"strings"
	"time"

	"github.com/shardlake/shardlake"
)

// Fill sets the value that p points to, of any type of this package or made like
// them, to a random one that files can hold. nan allows for NaNs.
func (r Random) Fill(p any, nan bool) { r.fill(reflect.ValueOf(p).Elem(), "", nan) }

// Rows returns n random rows.
func Rows[T any](seed uint64, n int, nan bool) []T {
	r, rows := NewRandom(seed), make([]T, n)
	for i := range rows[min(1, n):] { // the first is the zero row
		r.Fill(&rows[i+1], nan)
	}
	return rows
}

func (r Random) fill(v reflect.Value, tag string, nan bool) {
	switch v.Type() {
	case reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(r.Time()))
		return
	case reflect.TypeFor[shardlake.Instant]():
		v.SetInt(int64(shardlake.At(r.Time())))
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n := r.Int(v.Type().Bits())
		if limit := digits(tag); limit > 0 {
			n %= limit
		}
		v.SetInt(n)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(r.Int(v.Type().Bits())) << (64 - v.Type().Bits()) >> (64 - v.Type().Bits()))
	case reflect.Float32, reflect.Float64:
		v.SetFloat(r.Float(nan))
	case reflect.String:
		v.SetString(r.Text())
	case reflect.Pointer:
		if v.SetZero(); r.IntN(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			r.fill(v.Elem(), tag, nan)
		}
	case reflect.Array:
		for i := range v.Len() {
			v.Index(i).SetUint(uint64(r.IntN(256)))
		}
	case reflect.Slice:
		r.slice(v, tag, nan)
	case reflect.Map:
		if v.SetZero(); r.IntN(4) == 0 {
			return
		}
		v.Set(reflect.MakeMap(v.Type()))
		for range r.IntN(4) {
			e := reflect.New(v.Type().Elem()).Elem()
			r.fill(e, tag, nan)
			v.SetMapIndex(reflect.ValueOf(r.Text()), e)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			r.fill(v.Field(i), v.Type().Field(i).Tag.Get("lake"), nan)
		}
	}
}

func (r Random) slice(v reflect.Value, tag string, nan bool) {
	if v.SetZero(); r.IntN(4) == 0 {
		return
	}
	if v.Type().Elem().Kind() == reflect.Uint8 {
		b := []byte(r.Text())
		if v.Type() == reflect.TypeFor[json.RawMessage]() {
			b = append([]byte(`"`), append([]byte(big.NewInt(r.Int64()).String()), '"')...)
		}
		v.SetBytes(b)
		return
	}
	n := r.IntN(4)
	if r.IntN(50) == 0 {
		n = 40
	}
	v.Set(reflect.MakeSlice(v.Type(), n, n))
	for i := range n {
		r.fill(v.Index(i), tag, nan)
	}
}

// digits is the limit of a decimal column: 10 to the power of its precision.
func digits(tag string) int64 {
	_, rest, ok := strings.Cut(tag, "decimal(")
	if !ok {
		return 0
	}
	n, limit := 0, int64(1)
	for _, c := range rest {
		if c < '0' || c > '9' {
			break
		}
		n = 10*n + int(c-'0')
	}
	for range n {
		limit *= 10
	}
	return limit
}
