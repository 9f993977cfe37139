package codec_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
	"github.com/shardlake/shardlake/stage"
)

type visit struct {
	N    int64     `json:"n"`
	Page string    `json:"page"`
	Time time.Time `json:"time"`
}

func (v visit) when() time.Time { return v.Time }

// numbers are those of the rows.
func numbers(s codec.Sequence[visit]) (out []int64) {
	s.Each(func(v visit) { out = append(out, v.N) })
	return out
}

func TestJSONSequenceReadsEachDocument(t *testing.T) {
	for in, want := range map[string][]int64{
		`{"n":1}`:                        {1},
		"{\"n\":1}\n{\"n\":2}\n":         {1, 2},
		`{"n":1}{"n":2}`:                 {1, 2},
		"{\"n\":1}\r\n{\"n\":2}\r\n":     {1, 2},
		"\n\n\t{\"n\":1}\n \n{\"n\":2} ": {1, 2},
		"\uFEFF{\"n\":1}{\"n\":2}":       {1, 2},
		"{\n \"n\": 1\n}{\n \"n\": 2\n}": {1, 2},
		`{"n":3}{"n":1}{"n":3}{"n":0}{}`: {3, 1, 3, 0, 0},
		`{"x":[{"n":9}],"n":1}{"n":2}`:   {1, 2},
		`{"page":"}{"}{"n":2}`:           {0, 2},
	} {
		rows, errs := answers(t, codec.JSONSequence[visit], []byte(in))
		if got := numbers(rows[0]); errs[0] != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v; want %v", in, got, errs[0], want)
		}
	}
}

func TestJSONSequenceOfAnyValues(t *testing.T) {
	rows, errs := answers(t, codec.JSONSequence[any], []byte("1 2\n-3 true \"a\"\"b\"[4][5]{}6 false"))
	if got := fmt.Sprint(rows[0]); errs[0] != nil || got != "[1 2 -3 true a b [4] [5] map[] 6 false]" {
		t.Errorf("%s, %v", got, errs[0])
	}
}

// A record without documents is legal, and nothing is lost with it.
func TestJSONSequenceOfNoDocumentIsSkipped(t *testing.T) {
	rows, errs := answers(t, codec.JSONSequence[visit], nil, []byte(" \r\n\t\n"), []byte("\uFEFF"), []byte("\uFEFF\n"))
	for i, err := range errs {
		if !errors.Is(err, shardlake.ErrSkip) || rows[i] != nil {
			t.Errorf("record %d: %v, %v", i, rows[i], err)
		}
	}
}

// One bad document refuses the record: no row of it is emitted, and the records
// around it are as if it were not there.
func TestJSONSequenceIsAllOrNothing(t *testing.T) {
	for in, reason := range map[string]string{
		`{"n":1}{"n":"2"}`:             `json: document 2, from byte 7: a string at "/n" does not fit int64`,
		`{"n":1}{"n":2.5}{"n":3}`:      `json: document 2, from byte 7: a number at "/n" does not fit int64`,
		"\uFEFF{\"n\":1}\n null":       "json: document 2, from byte 12: the document is null",
		"null":                         "json: document 1, from byte 0: the document is null",
		`{"n":1}{"n":2`:                "json: document 2, from byte 7: ",
		`{"n":1},{"n":2}`:              "json: document 2, from byte 7: ",
		`{"n":1};`:                     "json: document 2, from byte 7: ",
		"{\"n\":1}\x00":                "json: document 2, from byte 7: ",
		"\x1e{\"n\":1}\n":              "json: document 1, from byte 0: ",
		`{"n":1}{"n":2,"n":3}`:         "json: document 2, from byte 7: ",
		"{\"n\":1}{\"page\":\"\xff\"}": "json: document 2, from byte 7: the payload is not UTF-8",
		`{"n":1}{"n":NaN}`:             "json: document 2, from byte 7: ",
		"{\"n\":1}\uFEFF{\"n\":2}":     "json: document 2, from byte 7: ",
		`[{"n":1},{"n":2}]`:            "json: document 1, from byte 0: an array at the document does not fit codec_test.visit",
		`{"n":1}2`:                     "json: document 2, from byte 7: a number at the document does not fit codec_test.visit",
	} {
		rows, errs := answers(t, codec.JSONSequence[visit], []byte(`{"n":7}{"n":8}`), []byte(in), []byte(`{"n":9}`))
		if errs[0] != nil || errs[2] != nil || fmt.Sprint(numbers(rows[0]), numbers(rows[2])) != "[7 8] [9]" {
			t.Errorf("%q: its neighbours are %v, %v, %v", in, rows, errs[0], errs[2])
		}
		if rows[1] != nil || !refused(errs[1]) || !strings.HasPrefix(errs[1].Error(), "rejected: "+reason) {
			t.Errorf("%q: %v, %v; want %s", in, rows[1], errs[1], reason)
		}
	}
}

// What codec.JSON takes for one bad number is not taken for two good ones.
func TestJSONSequenceWantsSpaceBehindNumbersAndWords(t *testing.T) {
	for in, at := range map[string]string{"01": "byte 1", "1.5.2": "", "1-2": "", "truefalse": "", "1{}": "byte 1", `1"a"`: "byte 1", "-1[]": "byte 2", "nullnull": "", "1e5e5": ""} {
		_, errs := answers(t, codec.JSONSequence[any], []byte(in))
		if !refused(errs[0]) || !strings.Contains(errs[0].Error(), at) {
			t.Errorf("%q: %v", in, errs[0])
		}
	}
}

func TestJSONSequenceOfTypesThatV2Decodes(t *testing.T) {
	rows, errs := answers(t, codec.JSONSequence[map[int]string], []byte(`{"1":"a"}{"2":"b","3":"c"}`), []byte(`{"1":"a"}{"x":"b"}`))
	if errs[0] != nil || !reflect.DeepEqual(rows[0], codec.Sequence[map[int]string]{{1: "a"}, {2: "b", 3: "c"}}) || !refused(errs[1]) {
		t.Errorf("%v, %v", rows, errs)
	}
	if _, err := codec.JSONSequence[chan int](); err == nil {
		t.Error("rows that no document can fill are no error")
	}
	if _, err := (codec.JSONSequenceConfig{Limits: codec.Limits{Bytes: -1}}).Codec[visit](); err == nil || !strings.Contains(err.Error(), "-1") {
		t.Errorf("%v", err)
	}
}

// Rows are what they are when later records, refused ones too, are decoded.
func TestJSONSequenceRowsStay(t *testing.T) {
	var payloads [][]byte
	n := 0
	for i := range 300 {
		var b []byte
		for range i % 40 {
			b = fmt.Appendf(b, `{"n":%d,"page":"p%d"}`, n, n)
			n++
		}
		if i%7 == 3 {
			b = append(b, `{"n":-1,"page":"lost"}{`...)
		}
		payloads = append(payloads, b)
	}
	rows, errs := answers(t, codec.JSONSequence[visit], payloads...)
	next := int64(0)
	for i, s := range rows {
		if i%7 == 3 {
			if !refused(errs[i]) || s != nil {
				t.Fatalf("record %d: %v, %v", i, s, errs[i])
			}
			next += int64(i % 40)
			continue
		}
		if len(s) != i%40 {
			t.Fatalf("record %d: %d rows", i, len(s))
		}
		for _, v := range append(s, visit{N: -2}) { // which must not write into the next record's rows
			if v.N != -2 && (v.N != next || v.Page != fmt.Sprint("p", next)) {
				t.Fatalf("record %d: %+v, want %d", i, v, next)
			}
			if v.N != -2 {
				next++
			}
		}
	}
}

// Two bytes make a row of any size: what rows take is bounded.
func TestJSONSequenceBoundsRows(t *testing.T) {
	many := []byte(strings.Repeat("{}", 5<<20))
	_, errs := answers(t, codec.JSONSequence[visit], many)
	if !refused(errs[0]) || !strings.Contains(errs[0].Error(), "JSONSequenceConfig.Limits") {
		t.Errorf("%v", errs[0])
	}
	type empty struct{}
	if _, errs = answers(t, codec.JSONSequence[empty], many); !refused(errs[0]) {
		t.Errorf("rows without a field: %v", errs[0])
	}
	small := codec.JSONSequenceConfig{Limits: codec.Limits{Bytes: 10 * 64}}.Codec[visit]
	for n, ok := range map[int]bool{1: true, 10: true, 11: false} {
		rows, errs := answers(t, small, []byte(strings.Repeat("{}\n", n)), []byte("{}"))
		if (errs[0] == nil) != ok || ok && len(rows[0]) != n || errs[1] != nil {
			t.Errorf("%d documents: %d rows, %v", n, len(rows[0]), errs)
		}
	}
	// Bytes of white space are no documents.
	if rows, errs := answers(t, small, []byte("{}"+strings.Repeat("\n", 1<<20))); errs[0] != nil || len(rows[0]) != 1 {
		t.Errorf("%v", errs[0])
	}
}

// Records that become many rows go through the stages a few at a time.
func TestJSONSequenceStopsWhenItHasEnough(t *testing.T) {
	d, err := codec.JSONSequence[visit]()
	if err != nil {
		t.Fatal(err)
	}
	records := make([]shardlake.Record, 10)
	for i := range records {
		records[i].Data = []byte(strings.Repeat("{}", 10_000)) // rows of 640,000 bytes
	}
	rows := make([]codec.Sequence[visit], len(records))
	for done := 0; done < len(records); done += 2 {
		if n, err := d.Decode(t.Context(), records[done:], rows[done:]); n != 2 || err != nil {
			t.Fatalf("%d records behind %d, %v", n, done, err)
		}
	}
	for _, s := range rows {
		if len(s) != 10_000 {
			t.Errorf("%d rows", len(s))
		}
	}
}

// A row takes what it takes with codec.JSON, and its place in the sequence.
func TestJSONSequenceAllocatesForRowsAlone(t *testing.T) {
	single := clicks(t, 1000)
	joined := make([]shardlake.Record, 0, 100)
	for part := range slices.Chunk(single, 10) {
		var r shardlake.Record
		for i := range part {
			r.Data = append(append(r.Data, part[i].Data...), '\n')
		}
		joined = append(joined, r)
	}
	one, err := codec.JSON[click]()
	if err != nil {
		t.Fatal(err)
	}
	many, err := codec.JSONSequence[click]()
	if err != nil {
		t.Fatal(err)
	}
	rows, sequences := make([]click, len(single)), make([]codec.Sequence[click], len(joined))
	alone := testing.AllocsPerRun(10, func() {
		if _, err := one.Decode(t.Context(), single, rows); err != nil {
			t.Fatal(err)
		}
	})
	joint := testing.AllocsPerRun(10, func() {
		if _, err := many.Decode(t.Context(), joined, sequences); err != nil {
			t.Fatal(err)
		}
	})
	if !reflect.DeepEqual(rows[:10], []click(sequences[0])) || !reflect.DeepEqual(rows[990:], []click(sequences[99])) {
		t.Error("the rows differ")
	}
	places := 1000 * int(reflect.TypeFor[click]().Size()) / (4 << 10)
	if joint > alone+2*float64(places)+100 {
		t.Errorf("%v allocations for 1,000 documents in 100 records, %v in records of their own", joint, alone)
	}
}

func TestJSONSequenceKeepsNothingOfLargeRecords(t *testing.T) {
	rep := strings.Repeat
	for name, payload := range map[string]string{
		"many":    rep(`{"page":"somewhere"}`, 100_000),
		"refused": rep(`{"page":"somewhere"}`, 100_000) + "{",
		"large":   `{"page":"` + rep("x", 10<<20) + `"}{}`,
		"escapes": `{"page":"` + rep(`\n`, 5<<20) + `"}{}`,
		"ignored": rep(string(keys(10_000)), 10),
	} {
		t.Run(name, func(t *testing.T) {
			d, err := codec.JSONSequence[visit]()
			if err != nil {
				t.Fatal(err)
			}
			rows := make([]codec.Sequence[visit], 1)
			if _, err := d.Decode(t.Context(), []shardlake.Record{{Data: []byte(`{"page":"small"}{}`)}}, rows); err != nil {
				t.Fatal(err)
			}
			before := held()
			if _, err := d.Decode(t.Context(), []shardlake.Record{{Data: []byte(payload)}}, rows); (err == nil) == (name == "refused") {
				t.Fatal(err)
			}
			clear(rows)
			if after := held(); after > before+512<<10 {
				t.Errorf("%d KiB stay", (after-before)>>10)
			}
			runtime.KeepAlive(d)
		})
	}
}

func TestEarliest(t *testing.T) {
	when := codec.Earliest(visit.when)
	at := func(hours ...int) (s codec.Sequence[visit]) {
		for _, h := range hours {
			s = append(s, visit{Time: time.Date(2026, 1, 1, h, 0, 0, 0, time.UTC)})
		}
		return s
	}
	if got := when(at(5, 3, 4)); got.Hour() != 3 {
		t.Errorf("%v", got)
	}
	if got := when(append(at(5), visit{})); !got.IsZero() {
		t.Errorf("a row without time: %v", got)
	}
	if got := when(nil); !got.IsZero() {
		t.Errorf("no row: %v", got)
	}
}

// Layers are taken off as for any codec, and each has the form that stages take.
func TestJSONSequenceInGzip(t *testing.T) {
	if s := stage.FlatMap(codec.Sequence[visit].Each); s == nil {
		t.Fatal("no stage")
	}
	rows, errs := answers(t, codec.Gzip(codec.JSONSequence[visit]), gzipped(t, "{\"n\":1}\n{\"n\":2}\n"))
	if errs[0] != nil || len(rows[0]) != 2 {
		t.Errorf("%v, %v", rows[0], errs[0])
	}
}

func ExampleJSONSequence() {
	// clicks := kinesis.Source(cfg, codec.JSONSequence, codec.Earliest(Click.when))
	// p.Read(clicks).Via(stage.FlatMap(codec.Sequence[Click].Each))

	type click struct {
		User string `json:"user"`
	}
	d, err := codec.JSONSequence[click]()
	if err != nil {
		panic(err)
	}
	rows := make([]codec.Sequence[click], 2)
	n, err := d.Decode(context.Background(), []shardlake.Record{
		{Data: []byte("{\"user\":\"ann\"}\n{\"user\":\"bob\"}\n")},
		{Data: []byte(`{"user":"ann"}{"user":7}`)},
	}, rows)
	for _, s := range rows[:n] {
		s.Each(func(c click) { fmt.Println(c.User) })
	}
	fmt.Println(err)
	// Output:
	// ann
	// bob
	// rejected: json: document 2, from byte 14: a number at "/user" does not fit string
}
