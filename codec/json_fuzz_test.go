package codec_test

import (
	"bytes"
	"encoding/json"
	"io"
	"testing"
	"unicode/utf8"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
)

// FuzzJSON compares what is accepted with encoding/json. The differences, and
// there are no others for a row of any type:
//
//   - a byte order mark in front is passed over;
//   - what is not UTF-8 is refused, also where encoding/json puts U+FFFD;
//   - a name given twice in one object is refused;
//   - a bare null is refused.
//
// What both accept is the same value, with numbers as json.Number.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,2.5e3,true,null,"\u00fc\ud800"]}`, "\uFEFF{}", "null", " null", `{"a":1,"a":2}`, `{"a":{"b":1,"b":2}}`, "\"\xff\"", `"\ud800\udc00"`,
		`{"\ud800":1,"\ud801":2}`, `{"\ud800":1,"\ufffd":2}`, `{"":0,"":0}`, `1e400`, `-`, `-0`, `01`, `[1,]`, `[[[[]]]]`, `{}{}`, "", " ", `"\u`, "[\"\x00\"]", `"\/"`, "\u2028", "[1\v]", `"\U0041"`, "nul", "true false",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := &shardlake.Record{Data: data}
		got, err := one(t, codec.JSON[any], r)

		doc := bytes.TrimPrefix(data, []byte("\uFEFF"))
		d := json.NewDecoder(bytes.NewReader(doc))
		d.UseNumber()
		var want any
		ok := json.Valid(doc) && d.Decode(&want) == nil && utf8.Valid(doc) && want != nil && !repeats(doc)
		if ok != (err == nil) {
			t.Fatalf("%q: %v; encoding/json with the differences above: %t", data, err, ok)
		}
		if err != nil {
			return
		}
		a, errA := json.Marshal(got)
		b, errB := json.Marshal(want)
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Fatalf("%q: %s, %v; encoding/json: %s, %v", data, a, errA, b, errB)
		}

		// A struct refuses no panic and keeps integers.
		row, err := one(t, codec.JSON[event], r)
		if n, is := member(got, "id"); is && err == nil {
			if _, convErr := n.Int64(); convErr != nil || mustInt(t, n) != row.ID {
				t.Fatalf("%q: id %s became %d", data, n, row.ID)
			}
		}
	})
}

func member(v any, name string) (json.Number, bool) {
	m, isObject := v.(map[string]any)
	n, isNumber := m[name].(json.Number)
	return n, isObject && isNumber
}

func mustInt(t *testing.T, n json.Number) int64 {
	i, err := n.Int64()
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// repeats tells whether an object of a valid document has a name twice.
func repeats(doc []byte) bool {
	d := json.NewDecoder(bytes.NewReader(doc))
	type level struct {
		names map[string]bool // nil in a list
		value bool            // a value is next, not a name
	}
	var stack []level
	for {
		tok, err := d.Token()
		if err == io.EOF || err != nil {
			return false
		}
		top := len(stack) - 1
		if name, is := tok.(string); is && top >= 0 && stack[top].names != nil && !stack[top].value {
			if stack[top].names[name] {
				return true
			}
			stack[top].names[name], stack[top].value = true, true
			continue
		}
		if top >= 0 {
			stack[top].value = false
		}
		switch tok {
		case json.Delim('{'):
			stack = append(stack, level{names: map[string]bool{}})
		case json.Delim('['):
			stack = append(stack, level{})
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:top]
			if top > 0 {
				stack[top-1].value = false
			}
		}
	}
}
