package codec_test

import (
	"bytes"
	"context"
	jsonv1 "encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
)

// event has a field of each sort that payloads go wrong in.
type event struct {
	ID    int64          `json:"id"`
	Count uint64         `json:"count"`
	Small int8           `json:"small"`
	Price float64        `json:"price"`
	F32   float32        `json:"f32"`
	Name  string         `json:"name"`
	OK    bool           `json:"ok"`
	At    time.Time      `json:"at"`
	Tags  []string       `json:"tags"`
	Blob  []byte         `json:"blob"`
	Any   any            `json:"any"`
	More  map[string]any `json:"more"`
	Ptr   *int           `json:"ptr"`
	Exact jsonv1.Number  `json:"exact"`
}

// one decodes one record.
func one[T any](t *testing.T, c func() (codec.Decoder[T], error), r *shardlake.Record) (T, error) {
	t.Helper()
	d, err := c()
	if err != nil {
		t.Fatal(err)
	}
	rows := make([]T, 1)
	n, err := d.Decode(t.Context(), []shardlake.Record{*r}, rows)
	if (n == 1) != (err == nil) {
		t.Fatalf("%d rows, %v", n, err)
	}
	return rows[0], err
}

// settle decodes one payload as a lane does: a row, or else a dead letter. An
// error of any other kind would stop the lane.
func settle[T any](t *testing.T, data []byte) (row T, dead *shardlake.DeadLetter) {
	t.Helper()
	env := shardlake.NewEnv(t.Context(), shardlake.Host{
		Source: "s", Lane: "l",
		Dead: func(_ context.Context, _ *shardlake.Record, d shardlake.DeadLetter) error { dead = &d; return nil },
	})
	defer env.Close()
	r := &shardlake.Record{Pos: shardlake.Position{Seq: "1"}, Data: data}
	before := string(data)
	row, err := one(t, codec.JSON[T], r)
	if err != nil {
		if !reflect.ValueOf(&row).Elem().IsZero() {
			t.Errorf("a refused payload leaves the row %.200v", fmt.Sprint(row))
		}
		if err := env.Settle(t.Context(), "decode", r, err); err != nil {
			t.Errorf("the lane stops: %v", err)
		}
		if dead == nil {
			t.Fatalf("neither row nor dead letter: %v", err)
		}
		if !strings.HasPrefix(dead.Reason, "json: ") || len(dead.Reason) > 1024 {
			t.Errorf("reason %q", dead.Reason)
		}
		if string(dead.Data) != before {
			t.Error("the dead letter does not hold the payload")
		}
	}
	if string(r.Data) != before {
		t.Error("the payload was changed")
	}
	return row, dead
}

// keys is an object of n members, each once.
func keys(n int) []byte {
	b := []byte{'{'}
	for i := range n {
		b = fmt.Appendf(b, `"k%d":%d,`, i, i)
	}
	b[len(b)-1] = '}'
	return b
}

func TestJSONRefused(t *testing.T) {
	rep := strings.Repeat
	for name, in := range map[string]string{
		"empty":              "",
		"space":              " \n\t",
		"byte order mark":    "\uFEFF",
		"two marks":          "\uFEFF\uFEFF{}",
		"UTF-16":             "\xff\xfe{\x00}\x00",
		"null":               "null",
		"null in space":      " \n null ",
		"null behind a mark": "\uFEFFnull",
		"word":               "hello",
		"zeros":              rep("\x00", 64),
		"gzip":               "\x1f\x8b\x08\x00\x00",
		"CSV":                "1,2,3",
		"two documents":      `{"id":1}{"id":2}`,
		"lines":              "{\"id\":1}\n{\"id\":2}\n",
		"comma behind":       `{"id":1},`,
		"garbage behind":     `{"id":1} x`,
		"zero behind":        "{\"id\":1}\x00",
		"trailing comma":     `{"id":1,}`,
		"comment":            `{"id":1 /* one */}`,
		"single quotes":      `{'id':1}`,
		"bare name":          `{id:1}`,
		"no colon":           `{"id" 1}`,
		"control character":  "{\"name\":\"a\nb\"}",
		"bad escape":         `{"name":"\x41"}`,
		"half escape":        `{"name":"\u12"}`,
		"NaN":                `{"price":NaN}`,
		"Infinity":           `{"price":-Infinity}`,
		"NaN in a string":    `{"price":"NaN"}`,
		"leading zero":       `{"id":01}`,
		"plus":               `{"id":+1}`,
		"hex":                `{"id":0x10}`,
		"point":              `{"price":1.}`,
		"number in quotes":   `{"id":"1"}`,
		"list for object":    `[]`,
		"number for object":  `1`,
		"string for object":  `"{}"`,
		"object for string":  `{"name":{}}`,
		"bool for number":    `{"id":true}`,
		"number for bool":    `{"ok":1}`,
		"1e400":              `{"price":1e400}`,
		"-1e400":             `{"price":-1e400}`,
		"1e39 in float32":    `{"f32":1e39}`,
		"int64 over":         `{"id":9223372036854775808}`,
		"int64 under":        `{"id":-9223372036854775809}`,
		"uint64 over":        `{"count":18446744073709551616}`,
		"uint64 negative":    `{"count":-1}`,
		"int8 over":          `{"small":128}`,
		"pointer over":       `{"ptr":9223372036854775808}`,
		"fraction":           `{"id":1.5}`,
		"whole fraction":     `{"id":1.0}`,
		"exponent":           `{"id":1e3}`,
		"huge exponent":      `{"id":1e999999999}`,
		"bad time":           `{"at":"yesterday"}`,
		"time as number":     `{"at":1714521600}`,
		"bad base64":         `{"blob":"!"}`,
		"exact but a word":   `{"exact":"one"}`,
		"invalid UTF-8":      "{\"name\":\"\xff\"}",
		"overlong UTF-8":     "{\"name\":\"\xc0\xaf\"}",
		"UTF-8 surrogate":    "{\"name\":\"\xed\xa0\x80\"}",
		"cut UTF-8":          "{\"name\":\"\xe2\x82\"}",
		"invalid, ignored":   "{\"other\":\"\xff\"}",
		"invalid name":       "{\"\xff\":1}",
		"name twice":         `{"id":1,"id":2}`,
		"name twice, equal":  `{"id":1,"id":1}`,
		"escaped twice":      `{"id":1,"\u0069d":2}`,
		"ignored twice":      `{"x":1,"x":2}`,
		"twice in ignored":   `{"x":{"y":1,"y":2}}`,
		"twice in any":       `{"any":[{"y":1,"y":2}]}`,
		"deep list":          `{"any":` + rep("[", 1_000_000) + rep("]", 1_000_000) + `}`,
		"deep, ignored":      `{"x":` + rep("[", 1_000_000) + rep("]", 1_000_000) + `}`,
		"deep object":        rep(`{"any":`, 1_000_000) + "1" + rep("}", 1_000_000),
		"deep and open":      rep("[", 1_000_000),
		"10,001 deep":        `{"any":` + rep("[", 10_000) + rep("]", 10_000) + `}`,
		"10 MiB, open":       `{"name":"` + rep("x", 10<<20),
		"10 MiB word":        rep("x", 10<<20),
		"10 MiB number":      `{"price":` + rep("9", 10<<20) + `}`,
		"10 MiB integer":     `{"id":` + rep("9", 10<<20) + `}`,
		"10 MiB name twice":  `{"` + rep("k", 5<<20) + `":1,"` + rep("k", 5<<20) + `":1}`,
	} {
		t.Run(name, func(t *testing.T) {
			if row, dead := settle[event](t, []byte(in)); dead == nil {
				t.Errorf("row %.200v", fmt.Sprintf("%+v", row))
			}
		})
	}
}

// A payload that was cut anywhere is refused.
func TestJSONTruncated(t *testing.T) {
	whole := []byte(`{"id":-12,"name":"ü\u00fc","ok":true,"tags":["a","b"],"more":{"x":[1.5e3,null]},"blob":"AAA="}`)
	if _, dead := settle[event](t, whole); dead != nil {
		t.Fatal(dead.Reason)
	}
	for n := range whole {
		if _, dead := settle[event](t, whole[:n:n]); dead == nil {
			t.Errorf("accepted %q", whole[:n])
		}
	}
}

func TestJSONAccepted(t *testing.T) {
	one := 1
	for in, want := range map[string]event{
		`{}`:                         {},
		"\uFEFF {\"id\":1}\r\n":      {ID: 1},
		`{"ID":5,"Id":6,"x":{}}`:     {}, // names must match in case
		`{"id":-0}`:                  {},
		`{"price":1e-400}`:           {},
		`{"price":0.1}`:              {Price: 0.1},
		`{"price":9007199254740993}`: {Price: 9007199254740992}, // as any float is
		`{"id":null,"name":null,"tags":null,"more":null,"any":null,"ptr":null}`: {},
		`{"ptr":1}`:                     {Ptr: &one},
		`{"name":"\ud800"}`:             {Name: "\uFFFD"},
		`{"name":"a\udc00b"}`:           {Name: "a\uFFFDb"},
		`{"name":"\ud83d\ude00"}`:       {Name: "😀"},
		`{"name":"\u0000"}`:             {Name: "\x00"},
		`{"blob":"AP8="}`:               {Blob: []byte{0, 255}},
		`{"exact":1.50e1}`:              {Exact: "1.50e1"},
		`{"at":"2024-05-01T00:00:00Z"}`: {At: time.Date(2024, 5, 1, 0, 0, 0, 0, time.UTC)},
		`{"any":"x"}`:                   {Any: "x"},
	} {
		row, dead := settle[event](t, []byte(in))
		if dead != nil {
			t.Errorf("%s: %s", in, dead.Reason)
		} else if !reflect.DeepEqual(row, want) {
			t.Errorf("%s:\n got %+v\nwant %+v", in, row, want)
		}
	}
}

// Integers beyond 2^53 keep all digits, wherever they land.
func TestJSONExactIntegers(t *testing.T) {
	for _, n := range []string{"9007199254740993", "-9007199254740993", "9223372036854775807", "-9223372036854775808", "1234567890123456789"} {
		row, dead := settle[event](t, []byte(`{"id":`+n+`}`))
		if dead != nil || fmt.Sprint(row.ID) != n {
			t.Errorf("int64 %s: %d, %v", n, row.ID, dead)
		}
	}
	if row, dead := settle[event](t, []byte(`{"count":18446744073709551615}`)); dead != nil || row.Count != math.MaxUint64 {
		t.Errorf("uint64: %d, %v", row.Count, dead)
	}
	for _, n := range []string{"0", "-0", "1.10", "9007199254740993", "18446744073709551616", "1e400", "-1E+2", strings.Repeat("7", 300)} {
		doc := fmt.Sprintf(`{"any":%s,"more":{"n":%[1]s,"l":[%[1]s,{"n":%[1]s}]}}`, n)
		want := jsonv1.Number(n)
		tree := map[string]any{"n": want, "l": []any{want, map[string]any{"n": want}}}
		row, dead := settle[event](t, []byte(doc))
		if dead != nil || row.Any != want || !reflect.DeepEqual(row.More, tree) {
			t.Errorf("%s in an any: %+v, %v", n, row, dead)
		}
		m, dead := settle[map[string]any](t, []byte(doc))
		if dead != nil || !reflect.DeepEqual(m, map[string]any{"any": want, "more": tree}) {
			t.Errorf("%s in a map: %v, %v", n, m, dead)
		}
		a, dead := settle[any](t, []byte("["+n+"]"))
		if dead != nil || !reflect.DeepEqual(a, []any{want}) {
			t.Errorf("%s bare: %v, %v", n, a, dead)
		}
		if v, dead := settle[any](t, []byte(n)); dead != nil || v != want {
			t.Errorf("%s as a document: %v, %v", n, v, dead)
		}
	}
}

func TestJSONLarge(t *testing.T) {
	name := strings.Repeat("x", 10<<20)
	row, dead := settle[event](t, []byte(`{"name":"`+name+`"}`))
	if dead != nil || row.Name != name {
		t.Errorf("10 MiB of text: %d bytes, %v", len(row.Name), dead)
	}
	many := keys(20_000)
	m, dead := settle[map[string]any](t, many)
	if dead != nil || len(m) != 20_000 || m["k19999"] != jsonv1.Number("19999") {
		t.Errorf("20,000 members in a map: %d, %v", len(m), dead)
	}
	many = keys(1_000_000)
	if row, dead := settle[event](t, many); dead != nil || !reflect.DeepEqual(row, event{}) {
		t.Errorf("a million members without a field: %+v, %v", row, dead)
	}
	again := append(bytes.TrimSuffix(keys(20_000), []byte("}")), `,"k0":1}`...)
	if _, dead := settle[event](t, again); dead == nil {
		t.Error("the first name again after 20,000: accepted")
	}
	a, dead := settle[any](t, []byte(strings.Repeat("[", 10_000)+strings.Repeat("]", 10_000)))
	if dead != nil || a == nil {
		t.Errorf("10,000 deep: %v", dead)
	}
}

func TestJSONOtherRows(t *testing.T) {
	if p, dead := settle[*event](t, []byte(`{"id":3}`)); dead != nil || p.ID != 3 {
		t.Errorf("pointer: %v, %v", p, dead)
	}
	if _, dead := settle[*event](t, []byte(`null`)); dead == nil {
		t.Error("null makes a nil row")
	}
	if l, dead := settle[[]int](t, []byte(`[1,2]`)); dead != nil || !reflect.DeepEqual(l, []int{1, 2}) {
		t.Errorf("list: %v, %v", l, dead)
	}
	if s, dead := settle[string](t, []byte(`"null"`)); dead != nil || s != "null" {
		t.Errorf("string: %q, %v", s, dead)
	}
	// A raw value is a copy or not, but it is the document.
	if raw, dead := settle[jsonv1.RawMessage](t, []byte(` {"a": 1} `)); dead != nil || string(bytes.TrimSpace(raw)) != `{"a": 1}` {
		t.Errorf("raw: %s, %v", raw, dead)
	}
}

// The reason says where and what, and does not quote values: dead letters and
// logs have other readers than payloads.
func TestJSONReasonWithoutValues(t *testing.T) {
	for _, in := range []string{`{"id":"hunter2"}`, `{"at":"hunter2"}`, `{"name":"hunter2`, `{"blob":"hunter2!"}`, `{"exact":"hunter2"}`, `{"small":hunter2}`} {
		_, dead := settle[event](t, []byte(in))
		if dead == nil {
			t.Errorf("%s: accepted", in)
		} else if strings.Contains(dead.Reason, "hunter2") {
			t.Errorf("%s: reason %q", in, dead.Reason)
		}
	}
	_, dead := settle[event](t, []byte(`{"more":{"a":1},"id":true}`))
	if dead == nil || !strings.Contains(dead.Reason, "/id") {
		t.Errorf("reason without the place: %+v", dead)
	}
}

// A codec is the decoder of a source: one record in, one row or an answer out.
func ExampleJSON() {
	type click struct {
		User int64          `json:"user"`
		Page string         `json:"page"`
		More map[string]any `json:"more"`
	}
	decode, err := codec.JSON[click]()
	if err != nil {
		fmt.Println(err)
		return
	}
	var records []shardlake.Record
	for _, payload := range []string{
		`{"user":9007199254740993,"page":"/","more":{"order":12345678901234567890}}`,
		`{"user":1.5}`,
		`{"user":1}{"user":2}`,
	} {
		records = append(records, shardlake.Record{Data: []byte(payload)})
	}
	for rows := make([]click, len(records)); len(records) > 0; {
		n, err := decode.Decode(context.Background(), records, rows[:len(records)])
		for _, c := range rows[:n] {
			fmt.Println(c.User, c.Page, c.More["order"])
		}
		if err != nil {
			fmt.Println(err)
			n++ // the one that is refused
		}
		records = records[n:]
	}
	// Output:
	// 9007199254740993 / 12345678901234567890
	// rejected: json: a number at "/user" does not fit int64: invalid syntax
	// rejected: json: invalid character '{' after top-level value after offset 10
}
