package schema_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/shardlake/shardlake"
)

// Check finds what files cannot hold wherever it is, and says where.
func TestCheck(t *testing.T) {
	type in struct {
		S string `lake:"s"`
	}
	type row struct {
		S   string            `lake:"s"`
		P   *string           `lake:"p"`
		T   time.Time         `lake:"t"`
		I   shardlake.Instant `lake:"i"`
		D   *time.Time        `lake:"d,date"`
		Dec int64             `lake:"dec,decimal(4,2)"`
		M   map[string]string `lake:"m"`
		MI  map[string]int    `lake:"mi"`
		ML  map[string][]in   `lake:"ml"`
		L   []in              `lake:"l"`
		LD  [][]int64         `lake:"ld,decimal(4,2)"`
		Raw json.RawMessage   `lake:"raw"`
		J   string            `lake:"j,json,logical,omitzero"`
		U   string            `lake:"u,uuid,omitzero"`
		N   struct{ X *in }   `lake:"n"`
		B   []byte            `lake:"b"`
	}
	s := of[row](t)
	bad, late := "\xc3\x28", time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	for want, r := range map[string]row{
		"":                              {S: "ü", Dec: -9999, B: []byte(bad), I: shardlake.MinEventTime, Raw: json.RawMessage("not json"), J: `{"a":1}`, U: "123E4567-e89b-12d3-a456-426614174000"},
		"column s: the text is not va":  {S: bad},
		"column p: the text is not va":  {P: &bad},
		"column t: the time lies":       {T: late},
		"column i: the time lies":       {I: shardlake.Never},
		"column d: the time lies":       {D: &late},
		"column dec: 10000 has more":    {Dec: 10000},
		"column m: the text":            {M: map[string]string{"k": bad}},
		"column mi: the text":           {MI: map[string]int{bad: 1}},
		"column ml{}[].s: the text":     {ML: map[string][]in{"k": {{}, {bad}}}},
		"column l[].s: the text":        {L: []in{{bad}}},
		"column ld[][]: -10000 has":     {LD: [][]int64{nil, {1, -10000}}},
		"column raw: the text":          {Raw: json.RawMessage(bad)},
		"column j: the text is not val": {J: "{"},
		"column u: the text is no UUID": {U: "123e4567-e89b-12d3-a456-42661417400g"},
		"column n.x.s: the text is not": {N: struct{ X *in }{&in{bad}}},
	} {
		err := s.Check()(unsafe.Pointer(&r))
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%q: %v", want, err)
		}
	}
	if of[struct {
		A int
		B []byte
		C []float64
	}](t).Check() != nil {
		t.Error("a type that needs no check has one")
	}
}

// Checking and weighing good rows allocates nothing.
func TestCheckAllocatesNothing(t *testing.T) {
	type row struct {
		S string
		T time.Time
		P *string
		L []string
		D int64 `lake:"d,decimal(18,3)"`
	}
	text := "text"
	r, s := row{S: text, P: &text, L: []string{text, text}}, of[row](t)
	check, weigh := s.Check(), s.Weigh()
	if n := testing.AllocsPerRun(100, func() {
		if check(unsafe.Pointer(&r)) != nil || weigh(unsafe.Pointer(&r)) != 4*4+2*16 {
			t.Fatal(weigh(unsafe.Pointer(&r)))
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Wherever a byte that makes text no UTF-8 stands, and however long the text is, it is
// found; text that is UTF-8 passes; and the first column of several is named.
func TestCheckFindsEachByte(t *testing.T) {
	type row struct {
		A string   `lake:"a"`
		B *string  `lake:"b"`
		N int64    `lake:"n,decimal(4,2)"`
		C string   `lake:"c"`
		L []string `lake:"l"`
	}
	check := of[row](t).Check()
	for n := range 40 {
		for at := range n {
			for _, r := range []string{"\xff", "ü", "\x80", "世", "\x7f"} {
				text := strings.Repeat("x", at) + r + strings.Repeat("y", n-at-1)
				bad := !utf8.ValidString(text)
				for want, in := range map[string]row{
					"column a:":   {A: text},
					"column b:":   {A: "ü", B: &text},
					"column c:":   {C: text},
					"column l[]:": {L: []string{"ü", text}},
				} {
					err := check(unsafe.Pointer(&in))
					if bad != (err != nil) || bad && !strings.HasPrefix(err.Error(), want) {
						t.Fatalf("%q, bad is %t: %v", text, bad, err)
					}
				}
			}
		}
	}
	both := row{N: 10_000, C: "\xff"}
	if err := check(unsafe.Pointer(&both)); err == nil || !strings.HasPrefix(err.Error(), "column n:") {
		t.Errorf("of columns n and c, the first: %v", err)
	}
}
