package codec_test

import (
	jsonv1 "encoding/json"
	jsonv2 "encoding/json/v2"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
)

// clicks are n records of about 316 bytes, the same at each run.
func clicks(tb testing.TB, n int) []shardlake.Record {
	tb.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	countries := []string{"NL", "DE", "FR", "US", "BR", "IN", "JP", "ZA"}
	types := []string{"view", "view", "view", "click", "heartbeat"}
	out := make([]shardlake.Record, n)
	for i := range out {
		c := click{
			ID: int64(i), Time: time.UnixMilli(1_760_000_000_000 + int64(i)*7).UTC(), User: fmt.Sprintf("user-%06d", rng.IntN(50_000)),
			Session: fmt.Sprintf("%016x", rng.Uint64()), URL: fmt.Sprintf("https://example.com/p/%d?ref=%d", rng.IntN(900), rng.IntN(1_000_000)),
			Agent: "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101", Country: countries[rng.IntN(len(countries))], Type: types[rng.IntN(len(types))],
			Millis: int32(rng.IntN(3000)), Price: float64(rng.IntN(10_000)) / 100, Tags: []string{"a", "b"}[:rng.IntN(3)],
		}
		if i%3 == 0 {
			c.Referer = "https://example.org/search"
		}
		data, err := jsonv1.Marshal(c)
		if err != nil {
			tb.Fatal(err)
		}
		out[i] = shardlake.Record{Data: data}
	}
	return out
}

// spaced puts a space behind colons and commas, as Python's json does.
func spaced(records []shardlake.Record) []shardlake.Record {
	out := make([]shardlake.Record, len(records))
	for i, r := range records {
		out[i] = shardlake.Record{Data: []byte(strings.NewReplacer(`":`, `": `, `,"`, `, "`).Replace(string(r.Data)))}
	}
	return out
}

// The hand-written decoder must do the same work, or its time says nothing.
func TestHandDecoderAgrees(t *testing.T) {
	records := clicks(t, 1000)
	d, err := codec.JSON[click]()
	if err != nil {
		t.Fatal(err)
	}
	rows := make([]click, len(records))
	if n, err := d.Decode(t.Context(), records, rows); err != nil {
		t.Fatal(n, err)
	}
	var h hand
	for i, r := range records {
		var byHand click
		if !h.decode(r.Data, &byHand) || !reflect.DeepEqual(byHand, rows[i]) {
			t.Fatalf("%s: %+v by hand, %+v", r.Data, byHand, rows[i])
		}
	}
}

// BenchmarkJSON decodes clicks: by hand, by this package, by the two libraries. The
// ratios count; with GOGC=400 the collector, which the small heap of a benchmark
// wakes often, stays out of them.
func BenchmarkJSON(b *testing.B) {
	const batch = 256
	records := clicks(b, 16*batch)
	var bytes int64
	for _, r := range records {
		bytes += int64(len(r.Data))
	}
	rows := make([]click, batch)
	run := func(name string, records []shardlake.Record, decode func([]shardlake.Record, []click) error) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(bytes / int64(len(records)))
			b.ReportAllocs()
			at := 0
			for n := b.N; n > 0; n -= batch {
				k := min(n, batch)
				if err := decode(records[at:at+k], rows[:k]); err != nil {
					b.Fatal(err)
				}
				at = (at + batch) % len(records)
			}
		})
	}
	var h hand
	run("hand", records, func(in []shardlake.Record, out []click) error {
		for i := range in {
			if !h.decode(in[i].Data, &out[i]) {
				return fmt.Errorf("%s", in[i].Data)
			}
		}
		return nil
	})
	// The same, with fields set as package reflect sets them: the least that a
	// decoder without unsafe adds.
	run("hand-reflect", records, func(in []shardlake.Record, out []click) error {
		for i := range in {
			var c click
			if !h.decode(in[i].Data, &c) {
				return fmt.Errorf("%s", in[i].Data)
			}
			out[i] = click{}
			row := reflect.ValueOf(&out[i]).Elem()
			row.Field(0).SetInt(c.ID)
			row.Field(1).Set(reflect.ValueOf(&c.Time).Elem())
			for k, s := range [...]string{c.User, c.Session, c.URL, c.Referer, c.Agent, c.Country, c.Type} {
				row.Field(2 + k).SetString(s)
			}
			row.Field(9).SetInt(int64(c.Millis))
			row.Field(10).SetFloat(c.Price)
			row.Field(11).Set(reflect.ValueOf(&c.Tags).Elem())
		}
		return nil
	})
	d, err := codec.JSON[click]()
	if err != nil {
		b.Fatal(err)
	}
	codecJSON := func(in []shardlake.Record, out []click) error {
		_, err := d.Decode(b.Context(), in, out)
		return err
	}
	run("codec", records, codecJSON)
	run("codec-spaced", spaced(records), codecJSON)
	run("v2", records, func(in []shardlake.Record, out []click) error {
		for i := range in {
			out[i] = click{}
			if err := jsonv2.Unmarshal(in[i].Data, &out[i]); err != nil {
				return err
			}
		}
		return nil
	})
	run("v1", records, func(in []shardlake.Record, out []click) error {
		for i := range in {
			out[i] = click{}
			if err := jsonv1.Unmarshal(in[i].Data, &out[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// BenchmarkMakeJSON is what a lane pays once.
func BenchmarkMakeJSON(b *testing.B) {
	for b.Loop() {
		if _, err := codec.JSON[click](); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRefusedJSON is a document that is decoded twice, for the reason's sake.
func BenchmarkRefusedJSON(b *testing.B) {
	records := clicks(b, 1)
	records[0].Data = append(records[0].Data, '}')
	d, err := codec.JSON[click]()
	if err != nil {
		b.Fatal(err)
	}
	rows := make([]click, 1)
	for b.Loop() {
		if _, err := d.Decode(b.Context(), records, rows); err == nil {
			b.Fatal("accepted")
		}
	}
}
