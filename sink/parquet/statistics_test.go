package parquet_test

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/shardlake/shardlake/internal/schema/schematest"
	"github.com/shardlake/shardlake/sink/parquet"
)

// Case A9: statistics are those of the values as stored, or none.
func TestStatisticsAreTrue(t *testing.T) {
	type row struct {
		Num   float64  `lake:"num"`
		NaN   float64  `lake:"nan"`
		Nil   *int64   `lake:"nil"`
		S     string   `lake:"s"`
		B     []byte   `lake:"b"`
		U     uint64   `lake:"u"`
		I     int32    `lake:"i"`
		Flag  bool     `lake:"flag"`
		Long  string   `lake:"long"`
		Zeros float32  `lake:"zeros"`
		ID    [16]byte `lake:"id,uuid,logical"`
	}
	long := strings.Repeat("é", 700)
	rows := []row{
		{Num: -1, NaN: 1, S: "", B: []byte{0xff, 0xff}, U: 1, I: math.MinInt32, Long: "z"},
		{Num: 2, NaN: math.NaN(), S: "ÿ", B: []byte{}, U: math.MaxUint64, I: math.MaxInt32, Flag: true, Long: long, Zeros: float32(math.Copysign(0, -1)), ID: [16]byte{0x80}},
	}
	for _, c := range []parquet.Config{{}, {DictionaryMaxBytes: -1}} {
		f := open(t, encode(t, newFormat[row](t, c), rows, 10))
		want := map[string][2]string{
			"num": {"\x00\x00\x00\x00\x00\x00\xf0\xbf", "\x00\x00\x00\x00\x00\x00\x00\x40"}, "nan": {}, "nil": {},
			"s": {"", "ÿ"}, "b": {"", "\xff\xff"}, "u": {"\x00\x00\x00\x00\x00\x00\x00\x00\x01", "\x00\xff\xff\xff\xff\xff\xff\xff\xff"},
			"i": {"\x00\x00\x00\x80", "\xff\xff\xff\x7f"}, "flag": {"\x00", "\x01"}, "long": {},
			"zeros": {"\x00\x00\x00\x80", "\x00\x00\x00\x00"}, "id": {strings.Repeat("\x00", 16), "\x80" + strings.Repeat("\x00", 15)},
		}
		for i, k := range f.Metadata().RowGroups[0].Columns {
			s, name := k.MetaData.Statistics, k.MetaData.PathInSchema[0]
			if w := want[name]; string(s.MinValue) != w[0] || string(s.MaxValue) != w[1] {
				t.Errorf("%s: bounds are %q and %q, want %q", name, s.MinValue, s.MaxValue, w)
			}
			if nulls := map[string]int64{"nil": 2}[name]; s.NullCount != nulls {
				t.Errorf("%s: %d nulls", name, s.NullCount)
			}
			if name == "nan" && k.ColumnIndexOffset != 0 {
				t.Errorf("a column with a NaN has a column index")
			}
			if name == "long" {
				x := f.ColumnIndexes()[i]
				if lo, hi := string(x.MinValues[0]), string(x.MaxValues[0]); lo > "z" || hi < long || len(lo) > 64 {
					t.Errorf("bounds of the page index are %q and %q", lo, hi)
				}
			}
		}
	}
}

// Bounds in the page index may be cut, but never to where a value lies outside.
func TestPageIndexContainsItsPages(t *testing.T) {
	rows := schematest.Rows[schematest.Every](5, 900, false)
	f := open(t, encode(t, newFormat[schematest.Every](t, parquet.Config{PageSize: 2 << 10, RowGroup: 300 << 10}), rows, 100))
	cols := len(f.Schema().Columns())
	for g, rg := range f.RowGroups() {
		for j, k := range rg.ColumnChunks() {
			typ := k.Type()
			at := g*cols + j
			if f.Metadata().RowGroups[g].Columns[j].ColumnIndexOffset == 0 {
				continue
			}
			x, pages := f.ColumnIndexes()[at], k.Pages()
			for p := 0; ; p++ {
				page, err := pages.ReadPage()
				if err != nil {
					break
				}
				lo, hi, ok := page.Bounds()
				if null := x.NullPages[p]; ok == null {
					t.Fatalf("column %d page %d: null is %v", j, p, null)
				}
				if !ok {
					continue
				}
				l, h := typ.Kind().Value(x.MinValues[p]), typ.Kind().Value(x.MaxValues[p])
				if typ.Compare(l, lo) > 0 || typ.Compare(h, hi) < 0 {
					t.Errorf("%v page %d: %v..%v is not inside of %v..%v", f.Schema().Columns()[j], p, lo, hi, l, h)
				}
			}
			if err := pages.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// A reader that looks at the CRCs of pages finds any byte that flipped.
func TestPagesHaveChecksums(t *testing.T) {
	rows := schematest.Rows[schematest.Inner](9, 500, false)
	file := encode(t, newFormat[schematest.Inner](t, parquet.Config{}), rows, 500)
	for _, k := range open(t, file).Metadata().RowGroups[0].Columns {
		bad := bytes.Clone(file)
		start := k.MetaData.DataPageOffset
		if dict := k.MetaData.DictionaryPageOffset; dict > 0 {
			start = dict
		}
		bad[start+k.MetaData.TotalCompressedSize/2] ^= 1
		f := open(t, bad)
		found := false
		for _, g := range f.RowGroups() {
			for _, c := range g.ColumnChunks() {
				pages := c.Pages()
				for {
					if _, err := pages.ReadPage(); err != nil {
						found = found || strings.Contains(err.Error(), "checksum")
						break
					}
				}
				if err := pages.Close(); err != nil {
					t.Error(err)
				}
			}
		}
		if !found {
			t.Errorf("a flipped byte of column %v was not found", k.MetaData.PathInSchema)
		}
	}
}
