package avro_test

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/shardlake/shardlake/internal/schema/schematest"
	"github.com/shardlake/shardlake/sink/avro"
)

func configs() []avro.Config {
	return []avro.Config{
		{},
		{Codec: avro.Deflate, BlockSize: 1},
		{Codec: avro.Zstandard, BlockSize: 1 << 10},
		{Codec: avro.Null, BlockSize: 1 << 20},
	}
}

func roundTrip[T any](t *testing.T, seed uint64, n int) {
	rows := schematest.Rows[T](seed, n, true)
	for i, c := range configs() {
		f := newFormat[T](t, c)
		for k := range rows {
			if err := f.Check(&rows[k]); err != nil {
				t.Fatal(err)
			}
		}
		got := read(t, encode(t, f, rows, 100+i))
		if len(got) != len(rows) {
			t.Fatalf("%+v: %d rows of %d", c, len(got), len(rows))
		}
		for k := range rows {
			if want := schematest.Tree(rows[k]); !reflect.DeepEqual(want, got[k]) {
				t.Fatalf("%+v: row %d\nhave %v\nwant %v", c, k, got[k], want)
			}
		}
	}
}

// Whatever a row has of any type comes back as it was, under each configuration.
// Case B2 is among it: maps and lists that may be null.
func TestRoundTripOfEveryType(t *testing.T)   { roundTrip[schematest.Every](t, 1, 600) }
func TestRoundTripOfNestedTypes(t *testing.T) { roundTrip[schematest.Nested](t, 2, 300) }

// Where blocks end does not depend on how rows came in batches, nor on what was
// written before with the same buffers. Case B4: equal bytes for equal rows.
func TestEqualRowsAreEqualBytes(t *testing.T) {
	rows := schematest.Rows[schematest.Nested](3, 300, false)
	f := newFormat[schematest.Nested](t, avro.Config{BlockSize: 4 << 10})
	want := encode(t, f, rows, 300)
	for _, batch := range []int{1, 13, 256} {
		if !bytes.Equal(want, encode(t, f, rows, batch)) {
			t.Errorf("batches of %d make another file", batch)
		}
	}
}

// Case A2: absent and null, empty, and a list with a null are told apart.
func TestNilIsNullAndEmptyIsEmpty(t *testing.T) {
	type row struct {
		L []*int64       `lake:"l"`
		R []int64        `lake:"r,required"`
		M map[string]int `lake:"m"`
		B []byte         `lake:"b"`
	}
	one, two := int64(1), int64(2)
	rows := []row{
		{},
		{L: []*int64{}, R: []int64{}, M: map[string]int{}, B: []byte{}},
		{L: []*int64{&one, nil, &two}, R: []int64{3}, M: map[string]int{"k": 4}, B: []byte{5}},
	}
	got := read(t, encode(t, newFormat[row](t, avro.Config{}), rows, 10))
	want := []any{
		map[string]any{"l": nil, "r": []any{}, "m": nil, "b": nil},
		map[string]any{"l": []any{}, "r": []any{}, "m": map[string]any{}, "b": "bytes "},
		map[string]any{"l": []any{int64(1), nil, int64(2)}, "r": []any{int64(3)}, "m": map[string]any{"k": int64(4)}, "b": "bytes 05"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("have %v\nwant %v", got, want)
	}
}
