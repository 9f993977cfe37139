package schema_test

import (
	"math"
	"testing"
	"time"
	"unsafe"

	"github.com/shardlake/shardlake"
)

// Partition values are text that says the value in full.
func TestField(t *testing.T) {
	type row struct {
		S   string            `lake:"s"`
		N   *int16            `lake:"n"`
		U   uint64            `lake:"u"`
		B   bool              `lake:"b"`
		T   time.Time         `lake:"t"`
		D   time.Time         `lake:"d,date"`
		I   shardlake.Instant `lake:"i"`
		ID  [16]byte          `lake:"id,uuid"`
		IDL *[16]byte         `lake:"idl,uuid,logical"`
		Z   string            `lake:"z,omitzero"`
		F   float64           `lake:"f"`
		Dec int64             `lake:"dec,decimal(9,2)"`
		L   []string          `lake:"l"`
	}
	n := int16(-7)
	at := time.Date(2026, 1, 2, 23, 4, 5, 678000999, time.FixedZone("", -3600))
	r := row{S: "x/y", N: &n, U: math.MaxUint64, B: true, T: at, D: at, I: -1, ID: [16]byte{0xab}}
	s := of[row](t)
	for name, want := range map[string]string{
		"s": "x/y", "n": "-7", "u": "18446744073709551615", "b": "true", "t": "2026-01-03T00:04:05.678Z", "d": "2026-01-03",
		"i": "1969-12-31T23:59:59.999999Z", "id": "ab000000-0000-0000-0000-000000000000", "idl": "null", "z": "null",
	} {
		get, err := s.Field(name)
		if err != nil {
			t.Fatal(err)
		}
		text, null, err := get(&r)
		if null {
			text = "null"
		}
		if text != want || err != nil {
			t.Errorf("%s is %q, %v; want %q", name, text, err, want)
		}
		for _, wrong := range []any{r, nil, (*row)(nil), new(int)} {
			if _, _, err := get(wrong); err == nil {
				t.Errorf("%T was taken for a row", wrong)
			}
		}
	}
	for _, name := range []string{"f", "dec", "l", "S", "none"} {
		if _, err := s.Field(name); err == nil {
			t.Errorf("column %s names a partition", name)
		}
	}
}

// Times are cut towards the past, before 1970 too.
func TestTimesAreCutTowardsThePast(t *testing.T) {
	type row struct {
		M  time.Time         `lake:"m,millis"`
		D  time.Time         `lake:"d,date"`
		IM shardlake.Instant `lake:"im,millis"`
		ID shardlake.Instant `lake:"id,date"`
	}
	r := row{time.UnixMicro(-1), time.UnixMicro(-1), -1, -1}
	for _, f := range of[row](t).Root.Fields {
		if n := f.Int()(unsafe.Add(unsafe.Pointer(&r), f.Offset)); n != -1 {
			t.Errorf("%s is %d", f.Name, n)
		}
	}
}
