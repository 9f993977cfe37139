package parquet_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/shardlake/shardlake/internal/schema/schematest"
	"github.com/shardlake/shardlake/sink/parquet"
)

// mixed has columns of each kind that a dictionary takes.
type mixed struct {
	I32 int32    `lake:"i32"`
	I64 int64    `lake:"i64"`
	F32 float32  `lake:"f32"`
	F64 float64  `lake:"f64"`
	Str string   `lake:"str"`
	Fix [6]byte  `lake:"fix"`
	Opt *string  `lake:"opt"`
	Set []string `lake:"set"`
	Dec uint64   `lake:"dec"`
}

func mixedOf(v uint64) mixed {
	s := fmt.Sprintf("%016x", v)
	m := mixed{I32: int32(v), I64: int64(v), F32: float32(v >> 40), F64: float64(v), Str: s, Dec: v}
	copy(m.Fix[:], s)
	if v&3 > 0 {
		m.Opt = &s
	}
	m.Set = []string{s, s[:9], s[:3]}[:v>>2&3]
	return m
}

// withDictionary are the columns of a row group that have one.
func withDictionary(t *testing.T, file []byte, group int) (names string) {
	for _, k := range open(t, file).Metadata().RowGroups[group].Columns {
		if k.MetaData.DictionaryPageOffset > 0 {
			names += k.MetaData.PathInSchema[0] + " "
		}
	}
	return names
}

// Devices that report in turn: their values repeat only after the last of them, long
// after the dictionary was given up. It comes back. Values that never repeat get none,
// neither do those that repeat rarely.
func TestDictionariesAreForValuesThatRepeat(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	devices := make([]uint64, 2000)
	for i := range devices {
		devices[i] = r.Uint64()
	}
	const all = "i32 i64 f32 f64 str fix opt set dec "
	for name, c := range map[string]struct {
		value func(i int) uint64
		want  string
	}{
		"in turn":   {func(i int) uint64 { return devices[i%2000] }, all},
		"few":       {func(int) uint64 { return devices[r.IntN(300)] }, all},
		"never":     {func(int) uint64 { return r.Uint64() }, ""},
		"rarely":    {func(int) uint64 { return uint64(r.IntN(40_000)) * 0x9E3779B97F4A7C15 }, ""},
		"few later": {func(i int) uint64 { return devices[min(i, 1000)+i%5] }, all},
	} {
		rows := make([]mixed, 12_000)
		for i := range rows {
			rows[i] = mixedOf(c.value(i))
			if c.want == "" {
				rows[i].Set = nil // short ones repeat whatever they are cut from
			}
		}
		file := encode(t, newFormat[mixed](t, parquet.Config{}), rows, 1000)
		if got := withDictionary(t, file, 0); got != c.want {
			t.Errorf("%s: columns with dictionaries are %q, want %q", name, got, c.want)
		}
		for i, got := range read(t, file) {
			if want := schematest.Tree(rows[i]); !reflect.DeepEqual(got, want) {
				t.Fatalf("%s: row %d is %v, want %v", name, i, got, want)
			}
		}
	}
}

// What one row group had does not keep the next from a dictionary: data change.
func TestLaterRowGroupsDecideAnew(t *testing.T) {
	type row struct {
		V string `lake:"v"`
	}
	r := rand.New(rand.NewPCG(3, 4))
	rows := make([]row, 150_000)
	for i := range rows {
		v := r.Uint64()
		if i > 30_000 {
			v = uint64(i % 40)
		}
		rows[i].V = fmt.Sprintf("%016x", v)
	}
	file := encode(t, newFormat[row](t, parquet.Config{RowGroup: 64 << 10, PageSize: 4 << 10}), rows, 1000)
	last := len(open(t, file).Metadata().RowGroups) - 1
	if first, then := withDictionary(t, file, 0), withDictionary(t, file, last); last == 0 || first != "" || then != "v " {
		t.Errorf("%d row groups: in the first %q have dictionaries, in the last %q", last+1, first, then)
	}
}

// Nothing is learned from earlier files: equal rows make equal files, whatever was
// written before.
func TestEarlierFilesDoNotMatter(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	few, many := make([]mixed, 3000), make([]mixed, 3000)
	for i := range few {
		few[i], many[i] = mixedOf(uint64(r.IntN(50))), mixedOf(r.Uint64())
	}
	f := newFormat[mixed](t, parquet.Config{})
	want := encode(t, f, few, 1000)
	encode(t, f, many, 1000)
	if !bytes.Equal(want, encode(t, f, few, 1000)) {
		t.Error("the file differs after one of other rows")
	}
}
