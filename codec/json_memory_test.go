package codec_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
)

// Rows cost what they hold: memory for their strings and slices is allocated for
// many at once, and that of equal strings in a row is shared.
func TestJSONAllocatesForRowsAlone(t *testing.T) {
	d, err := codec.JSON[click]()
	if err != nil {
		t.Fatal(err)
	}
	records := clicks(t, 1000)
	rows := make([]click, len(records))
	perBatch := testing.AllocsPerRun(10, func() {
		if _, err := d.Decode(t.Context(), records, rows); err != nil {
			t.Fatal(err)
		}
	})
	if perBatch > 60 {
		t.Errorf("%v allocations for %d records", perBatch, len(records))
	}

	type reading struct {
		Sensor int64   `json:"sensor"`
		Value  float64 `json:"value"`
		Unit   string  `json:"unit"`
		Place  *int32  `json:"-"`
	}
	r, err := codec.JSON[reading]()
	if err != nil {
		t.Fatal(err)
	}
	in := []shardlake.Record{{Data: []byte(`{"sensor":12,"firmware":{"name":"x","build":[1,2]},"value":21.5,"unit":"degrees"}`)}}
	out := make([]reading, 1)
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := r.Decode(t.Context(), in, out); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for a row of numbers and one string over and over", n)
	}
}

// held is how many bytes are alive.
func held() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A document of up to 10 MiB is not remembered, whatever it consists of: a decoder lives
// as long as its lane.
func TestJSONKeepsNothingOfLargeDocuments(t *testing.T) {
	rep := strings.Repeat
	for name, doc := range map[string]string{
		"string":        `{"name":"` + rep("x", 10<<20) + `"}`,
		"escapes":       `{"name":"` + rep(`\n`, 5<<20) + `"}`,
		"elements":      `{"tags":["` + rep(`a","`, 1<<18) + `"]}`,
		"large element": `{"tags":["` + rep("x", 10<<20) + `"]}`,
		"ignored":       string(keys(100_000)),
		"ignored name":  `{"` + rep("k", 10<<20) + `":1}`,
		"any":           `{"any":[` + rep("1,", 1<<18) + `1]}`,
		"depth":         `{"x":` + rep(`{"x":`, 9_000) + "1" + rep("}", 9_001),
		"refused":       `{"tags":["` + rep(`a","`, 1<<18) + `",1]}`,
		"white space":   "{}" + rep(" ", 10<<20),
	} {
		t.Run(name, func(t *testing.T) {
			d, err := codec.JSON[event]()
			if err != nil {
				t.Fatal(err)
			}
			small := []shardlake.Record{{Data: []byte(`{"name":"small","tags":["a"],"x":{"y":1}}`)}}
			rows := make([]event, 1)
			if _, err := d.Decode(t.Context(), small, rows); err != nil {
				t.Fatal(err)
			}
			before := held()
			n, err := d.Decode(t.Context(), []shardlake.Record{{Data: []byte(doc)}}, rows)
			if (n == 1) != (err == nil) || (err == nil) == (name == "refused") {
				t.Fatal(n, err)
			}
			clear(rows)
			if after := held(); after > before+512<<10 {
				t.Errorf("%d KiB stay", (after-before)>>10)
			}
			runtime.KeepAlive(d)
		})
	}
}

// A short string that is kept holds a few KiB, not all that was decoded with it.
func TestJSONKeptStringsHoldLittle(t *testing.T) {
	d, err := codec.JSON[event]()
	if err != nil {
		t.Fatal(err)
	}
	rows := make([]event, 1)
	var names, tags []string
	const records = 4000
	before := held()
	for i := range records {
		doc := fmt.Sprintf(`{"name":"n%d","more":{"long":%q},"tags":["t%d"],"any":%q}`, i, strings.Repeat("y", 3000), i, strings.Repeat("z", 100))
		if _, err := d.Decode(t.Context(), []shardlake.Record{{Data: []byte(doc)}}, rows); err != nil {
			t.Fatal(err)
		}
		if i%40 == 0 {
			names, tags = append(names, rows[0].Name), append(tags, rows[0].Tags...)
		}
	}
	clear(rows)
	if after := held(); after > before+uint64(len(names))*8<<10+256<<10 {
		t.Errorf("%d strings hold %d KiB", 2*len(names), (after-before)>>10)
	}
	runtime.KeepAlive(names)
	runtime.KeepAlive(tags)
	runtime.KeepAlive(d)
}
