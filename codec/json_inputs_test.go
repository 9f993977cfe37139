package codec_test

import (
	jsonv1 "encoding/json"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/shardlake/shardlake/codec"
)

// What goes wrong with payloads, and what becomes of it: a row, or a dead letter
// with this reason.
func TestJSONBadInputs(t *testing.T) {
	rep := strings.Repeat
	random := make([]byte, 256)
	rng := rand.New(rand.NewPCG(3, 3))
	for i := range random {
		random[i] = byte(rng.Uint32())
	}
	big := `{"name":"` + rep("x", 10<<20-len(`{"name":""}`)) + `"}`
	for _, c := range []struct {
		name, in string
		row      event  // if there is no reason
		reason   string // all of it
	}{
		{"1 empty", "", event{}, "json: the payload is empty"},
		{"2 one byte", "{", event{}, "json: unexpected EOF after offset 1"},
		{"2 one byte, a number", "7", event{}, "json: a number at the document does not fit codec_test.event"},
		{"3 exactly 10 MiB", big, event{Name: big[9 : len(big)-2]}, ""},
		{"4 a byte more", big + " ", event{Name: big[9 : len(big)-2]}, ""}, // the service's limit, not this codec's
		{"5 zeros", rep("\x00", 256), event{}, "json: invalid character '\\x00' at start of value"},
		{"6 random", string(random), event{}, "json: the payload is not UTF-8"},
		{"7 invalid UTF-8", "{\"name\":\"\xff\xfe\"}", event{}, "json: the payload is not UTF-8"},
		{"7 in an ignored member", "{\"x\":[\"\xff\xfe\"]}", event{}, "json: the payload is not UTF-8"},
		{"8 byte order mark", "\xEF\xBB\xBF{\"id\":1}", event{ID: 1}, ""},
		{"9 NUL in a string", "{\"name\":\"a\x00b\"}", event{}, `json: invalid character '\x00' in string (expecting non-control character) within "/name" after offset 10`},
		{"9 escaped NUL", `{"name":"a\u0000b"}`, event{Name: "a\x00b"}, ""},
		{"10 lone surrogate", `{"name":"\ud83d"}`, event{Name: "\uFFFD"}, ""},
		{"11 truncated", `{"id":1,"name":"ab`, event{}, `json: unexpected EOF within "/name" after offset 18`},
		{"12 depth 10^6", `{"any":` + rep("[", 1_000_000), event{}, ""},
		{"12 depth 10^6, ignored", `{"x":` + rep(`{"y":`, 1_000_000), event{}, ""},
		{"13 duplicate keys", `{"id":1,"id":2,"ID":3}`, event{}, `json: duplicate object member name "id"`},
		{"13 names match in case", `{"id":1,"ID":3}`, event{ID: 1}, ""},
		{"14 1e400", `{"price":1e400}`, event{}, `json: a number at "/price" does not fit float64: value out of range`},
		{"14 1e400 in an any", `{"any":1e400}`, event{Any: jsonv1.Number("1e400")}, ""},
		{"15 int64 overflow", `{"id":9223372036854775808}`, event{}, `json: a number at "/id" does not fit int64: value out of range`},
		{"15 int64 in an any", `{"any":9223372036854775808}`, event{Any: jsonv1.Number("9223372036854775808")}, ""},
		{"16 -0", `{"id":-0}`, event{}, ""},
		{"16 NaN", `{"price":NaN}`, event{}, `json: invalid character 'N' at start of value within "/price" after offset 9`},
		{"16 Inf", `{"price":Infinity}`, event{}, `json: invalid character 'I' at start of value within "/price" after offset 9`},
		{"17 10^6 keys", string(keys(1_000_000)), event{}, ""},
		{"18 two values", `{"id":1}{"id":2}`, event{}, `json: invalid character '{' after top-level value after offset 8`},
		{"19 newline in a string", "{\"name\":\"a\nb\"}", event{}, `json: invalid character '\n' in string (expecting non-control character) within "/name" after offset 10`},
		{"19 escaped newline and ANSI", `{"name":"a\n\u001b[31mb"}`, event{Name: "a\n\x1b[31mb"}, ""}, // printing it is another matter
		{"20 script tag", `{"name":"<script>alert(1)</script>"}`, event{Name: "<script>alert(1)</script>"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			row, dead := settle[event](t, []byte(c.in))
			deep := strings.HasPrefix(c.name, "12")
			switch {
			case deep && (dead == nil || !strings.HasPrefix(dead.Reason, "json: exceeded max depth")):
				t.Errorf("dead letter %+.300v", dead)
			case deep:
			case dead == nil && c.reason == "":
				if !reflect.DeepEqual(row, c.row) {
					t.Errorf("row %.300v", row)
				}
			case dead == nil:
				t.Errorf("accepted: %.300v", row)
			case dead.Reason != c.reason:
				t.Errorf("reason %q", dead.Reason)
			}
		})
	}
}

// Payloads as producers send them.
func TestJSONPayloads(t *testing.T) {
	type payload struct {
		N  int64   `json:"n"`
		S  string  `json:"s"`
		ID int64   `json:"id"`
		U  uint64  `json:"u"`
		X  float64 `json:"x"`
	}
	for name, c := range map[string]struct {
		in  string
		row payload
		ok  bool
	}{
		"json-two-lines":      {"{\"n\":1}\n{\"n\":2}\n", payload{}, false},
		"json-concatenated":   {`{"n":1}{"n":2}`, payload{}, false},
		"json-bom":            {"\xEF\xBB\xBF{\"n\":1}", payload{N: 1}, true},
		"json-bad-utf8":       {"{\"s\":\"\xff\xfe\"}", payload{}, false},
		"json-lone-surrogate": {`{"s":"\ud83d"}`, payload{S: "\uFFFD"}, true},
		"json-big-int":        {`{"id":9007199254740993,"u":18446744073709551615}`, payload{ID: 9007199254740993, U: 18446744073709551615}, true},
		"json-dup-keys":       {`{"n":1,"n":2,"N":3}`, payload{}, false},
		"json-nan":            {`{"x":NaN}`, payload{}, false},
		"json-null":           {"null", payload{}, false},
		"empty":               {"", payload{}, false},
		"confluent-json":      {"\x00\x00\x00\x00*{\"n\":1}", payload{}, false}, // the frame is another codec's
	} {
		row, dead := settle[payload](t, []byte(c.in))
		if (dead == nil) != c.ok || row != c.row {
			t.Errorf("%s: %+v, %+v", name, row, dead)
		}
	}
}

// A type that no object can fill is found out before a record is read. Where only
// a field is at fault, records without it are rows.
func TestJSONTypesThatNothingFits(t *testing.T) {
	check := func(err error, want string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; should name %q", err, want)
		}
	}
	_, err := codec.JSON[chan int]()
	check(err, "chan int")
	_, err = codec.JSON[*func()]()
	check(err, "*func()")
	type ID string
	_, err = codec.JSON[struct{ ID }]()
	check(err, "must be explicitly given a JSON name")
	_, err = codec.JSON[struct {
		At time.Time `json:"at,format:unix"`
	}]()
	check(err, "format")
	_, err = codec.JSON[struct{ hidden int }]()
	check(err, "no exported fields")

	type row struct {
		OK  int
		Bad chan int
	}
	if r, dead := settle[row](t, []byte(`{"OK":1}`)); dead != nil || r.OK != 1 {
		t.Errorf("%+v, %+v", r, dead)
	}
	if _, dead := settle[row](t, []byte(`{"OK":1,"Bad":1}`)); dead == nil {
		t.Error("a number in a channel")
	}
}

// A batch is decoded up to the first record that is refused, and can be gone on
// with behind it.
func TestJSONBatches(t *testing.T) {
	d, err := codec.JSON[event]()
	if err != nil {
		t.Fatal(err)
	}
	records := clicks(t, 5)
	records[2].Data = []byte(`{"id":"x"}`)
	rows := make([]event, 5)
	for i := range rows {
		rows[i] = event{Name: "earlier", Tags: []string{"earlier"}}
	}
	n, err := d.Decode(t.Context(), records, rows)
	if n != 2 || err == nil || rows[1].ID != 1 || rows[1].Name != "" || !reflect.ValueOf(rows[2]).IsZero() {
		t.Fatalf("%d rows, %v: %+v", n, err, rows)
	}
	if n, err := d.Decode(t.Context(), records[3:], rows[3:]); n != 2 || err != nil || rows[4].ID != 4 {
		t.Fatalf("%d rows, %v: %+v", n, err, rows)
	}
	if n, err := d.Decode(t.Context(), nil, nil); n != 0 || err != nil {
		t.Fatalf("no records: %d, %v", n, err)
	}
}
