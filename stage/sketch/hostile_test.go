package sketch_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json/v2"
	"math"
	"strings"
	"testing"

	"github.com/DataDog/sketches-go/ddsketch"
	"github.com/DataDog/sketches-go/ddsketch/encoding"
	"github.com/axiomhq/hyperloglog"

	"github.com/shardlake/shardlake/stage/sketch"
)

func mapped(rest ...func(*[]byte)) []byte {
	var b []byte
	s, err := ddsketch.LogCollapsingLowestDenseDDSketch(0.01, 2048)
	if err != nil {
		panic(err)
	}
	s.IndexMapping.Encode(&b)
	for _, r := range rest {
		r(&b)
	}
	return b
}

// bins writes bins with distances and counts.
func bins(n uint64, index int64, count float64) func(*[]byte) {
	return func(b *[]byte) {
		encoding.EncodeFlag(b, encoding.NewFlag(encoding.FlagTypePositiveStore, encoding.BinEncodingIndexDeltasAndCounts))
		encoding.EncodeUvarint64(b, n)
		encoding.EncodeVarint64(b, index)
		encoding.EncodeVarfloat64(b, count)
	}
}

// Bytes that no Quantiles wrote are refused, and change nothing.
func TestHostileQuantiles(t *testing.T) {
	other, err := ddsketch.NewDefaultDDSketch(0.02)
	if err != nil {
		t.Fatal(err)
	}
	var coarse []byte
	other.Encode(&coarse, false)
	for name, data := range map[string][]byte{
		"empty":           {},
		"other accuracy":  coarse,
		"cut short":       mapped()[:9],
		"unknown block":   append(mapped(), 0xfc),
		"too long":        make([]byte, 65<<10),
		"too many bins":   mapped(bins(1<<60, 5, 1)),
		"missing bins":    mapped(bins(3, 5, 1)),
		"far index":       mapped(bins(1, math.MaxInt64, 1)),
		"negative count":  mapped(bins(1, 5, -0.5)),
		"half a count":    mapped(bins(1, 5, 1.5)),
		"count of NaN":    mapped(bins(1, 5, math.NaN())),
		"infinite count":  mapped(bins(1, 5, math.Inf(1))),
		"beyond 2^53":     mapped(bins(1, 5, 1<<54)),
		"twice":           mapped(bins(1, 5, 1), bins(1, 6, 1)),
		"empty bin":       mapped(bins(1, 5, 0)),
		"mapping twice":   append(mapped(), mapped()...),
		"layout of a one": append(mapped(), 0x09, 1, 2),
	} {
		var q sketch.Quantiles
		q.Add(7)
		if err := q.UnmarshalBinary(data); err == nil || q.Count() != 1 {
			t.Errorf("%s: %v, now %d values", name, err, q.Count())
		}
	}
	var q sketch.Quantiles
	if err := q.UnmarshalBinary(mapped(bins(1, 5, 2))); err != nil || q.Count() != 2 {
		t.Error(err, q.Count())
	}
}

// Bytes that no Distinct wrote are refused, and change nothing; those of the
// library with its keys in another order are taken, and tidied.
func TestHostileDistinct(t *testing.T) {
	fine, err := hyperloglog.New14().MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var d sketch.Distinct
	d.Add("a")
	for name, data := range map[string][]byte{
		"empty": {}, "other precision": fine, "cut short": {2, 12, 0, 1}, "too long": make([]byte, 33<<10),
		"many keys": {2, 12, 0, 1, 0xff, 0xff, 0xff, 0xff}, "dense of nothing": {2, 12, 0, 0, 0, 0, 0x10, 0},
	} {
		if err := d.UnmarshalBinary(data); err == nil || d.Estimate() != 1 {
			t.Errorf("%s: %v, now %d values", name, err, d.Estimate())
		}
	}
	if err := d.UnmarshalBinary(fine); err == nil || !strings.Contains(err.Error(), "precision 14") {
		t.Error(err)
	}
	theirs, err := hyperloglog.NewSketch(12, true)
	if err != nil {
		t.Fatal(err)
	}
	var ours sketch.Distinct
	for _, v := range []string{"c", "a", "b"} {
		theirs.Insert([]byte(v))
		ours.Add(v)
	}
	untidy, err := theirs.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.UnmarshalBinary(untidy); err != nil {
		t.Fatal(err)
	}
	a, b := d.Column().Sketch, ours.Column().Sketch
	if !bytes.Equal(a, b) {
		t.Errorf("%x and %x", a, b)
	}
}

func TestHostileJSON(t *testing.T) {
	for _, text := range []string{`1`, `{}`, `[]`, `""`, `"?"`, `"AA=="`, `"` + strings.Repeat("A", 1<<17) + `"`} {
		if err := json.Unmarshal([]byte(text), new(sketch.Distinct)); err == nil {
			t.Errorf("Distinct takes %.20s", text)
		}
		if err := json.Unmarshal([]byte(text), new(sketch.Quantiles)); err == nil {
			t.Errorf("Quantiles takes %.20s", text)
		}
	}
}

// Whatever bytes a Quantiles takes are what it writes.
func FuzzQuantiles(f *testing.F) {
	var q sketch.Quantiles
	for _, x := range []float64{-3, 0, 0.1, 5, 5, 1e9} {
		q.Add(x)
	}
	f.Add(q.Column().Sketch)
	f.Add(mapped(bins(1, 5, 1)))
	f.Fuzz(func(t *testing.T, data []byte) {
		var q sketch.Quantiles
		if q.UnmarshalBinary(data) != nil {
			return
		}
		if !bytes.Equal(q.Column().Sketch, data) {
			t.Fatalf("%x became %x", data, q.Column().Sketch)
		}
		q.Add(1)
		q.Merge(q.Clone())
		if _, ok := q.Quantile(0.5); !ok || q.Count() < 2 {
			t.Fatal(q.Count())
		}
	})
}

// Whatever bytes a Distinct takes, tidied once they are tidy.
func FuzzDistinct(f *testing.F) {
	var d sketch.Distinct
	for _, v := range []string{"a", "b", "c"} {
		d.Add(v)
	}
	f.Add(d.Column().Sketch)
	f.Add([]byte{1, 12, 3, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		var d, again sketch.Distinct
		if d.UnmarshalBinary(data) != nil {
			return
		}
		tidy := d.Column().Sketch
		text := `"` + base64.StdEncoding.EncodeToString(tidy) + `"`
		if err := json.Unmarshal([]byte(text), &again); err != nil {
			t.Fatalf("%x became %x: %v", data, tidy, err)
		}
		if !bytes.Equal(again.Column().Sketch, tidy) {
			t.Fatalf("%x became %x", tidy, again.Column().Sketch)
		}
		again.Merge(d)
		again.Add("x")
		if again.Estimate() < 0 || len(again.Column().Sketch) > 8<<10 {
			t.Fatal(again.Estimate(), len(again.Column().Sketch))
		}
	})
}
