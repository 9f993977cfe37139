package schema_test

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/internal/schema"
	"github.com/shardlake/shardlake/internal/schema/schematest"
)

func of[T any](t testing.TB) *schema.Schema {
	t.Helper()
	s, err := schema.Of(reflect.TypeFor[T]())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func names(f *schema.Field) (n []string) {
	for _, g := range f.Fields {
		n = append(n, g.Name)
	}
	return n
}

type base struct {
	ID int64
	_  string // no column: it is not exported
}

type named struct{ X bool }

// The lake tag names a column, else the json tag, else the Go name in snake case.
func TestNames(t *testing.T) {
	type row struct {
		base
		named     `lake:"nest"`
		UserID    string
		PageURLs  []string
		HTTPCode  int
		A1B       bool
		Lake      int `lake:"l" json:"j"`
		JSON      int `json:"from_json,omitempty"`
		Options   int `lake:",optional" json:"opts"`
		NoJSON    int `lake:"kept" json:"-"`
		Skipped   int `lake:"-"`
		SkippedJ  int `json:"-"`
		Under_Bar int
	}
	got := fmt.Sprint(names(of[row](t).Root))
	if want := "[id user_id page_urls http_code a1_b l from_json opts kept under_bar]"; got != want {
		t.Errorf("names are %s, want %s", got, want)
	}
}

// All that is wrong with a type is said at once, with the fields' paths.
func TestMistakesAreReportedTogether(t *testing.T) {
	type self struct {
		Kids []self
	}
	type dup struct {
		A int `lake:"Name"`
		B int `lake:"name"`
	}
	type bad struct {
		*base
		Chan    chan int
		Any     any
		Func    []func()
		PP      **int
		IntKey  map[int]string
		Array   [3]int
		Empty   [0]byte
		Name    int     `lake:"user-id"`
		Digit   int     `lake:"1st"`
		Unknown int     `lake:",nullable"`
		Misfit  int     `lake:",uuid"`
		Decimal int32   `lake:",decimal(18,3)"`
		Scale   int64   `lake:",decimal(3,4)"`
		Float   float64 `lake:",decimal(9,2)"`
		Both    []int   `lake:",required,optional"`
		Ptr     *int    `lake:",required"`
		Zero    []int   `lake:",omitzero"`
		Self    self
		Dup     dup
		None    struct{ x int }
		Fine    string
	}
	_, err := schema.Of(reflect.TypeFor[bad]())
	if err == nil {
		t.Fatal("it compiled")
	}
	for _, want := range []string{
		"field base: an embedded pointer", "field Chan: chan int is no column", "field Any: interface", "field Func: func() is no column",
		"field PP: a pointer to a pointer", "field IntKey: map[int]string", "field Array: [3]int", "field Empty: [0]uint8",
		`field Name: column name "user-id"`, `field Digit: column name "1st"`, "field Unknown: option nullable", "field Misfit: option uuid",
		"field Decimal: option decimal(18,3): want", "field Scale: option decimal(3,4)", "field Float: option decimal(9,2)", "field Both: it cannot be",
		"field Ptr: a pointer is never required", "field Zero: option omitzero", "field Self.Kids: schema_test.self contains itself",
		`field Dup.B: its column "name" is also that of field Dup.A`, "has no exported fields",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("nothing says %q", want)
		}
	}
	if strings.Contains(err.Error(), "Fine") {
		t.Error("a good field is named")
	}
	if t.Failed() {
		t.Log(err)
	}
	for _, typ := range []reflect.Type{nil, reflect.TypeFor[int](), reflect.TypeFor[time.Time](), reflect.TypeFor[*base]()} {
		if _, err := schema.Of(typ); err == nil {
			t.Errorf("%v compiled", typ)
		}
	}
}

// Nullability follows from the type and the options alone.
func TestOptional(t *testing.T) {
	type row struct {
		Int   int
		Ptr   *int
		List  []int
		ListR []int `lake:",required"`
		Bytes []byte
		Map   map[string]int
		Raw   json.RawMessage
		Opt   int `lake:",optional"`
		Zero  int `lake:",omitzero"`
		Elems []*int
	}
	want := map[string]bool{"ptr": true, "list": true, "bytes": true, "map": true, "raw": true, "opt": true, "zero": true, "elems": true}
	for _, f := range of[row](t).Root.Fields {
		if f.Optional != want[f.Name] {
			t.Errorf("%s: optional is %v", f.Name, f.Optional)
		}
		if f.Elem != nil && f.Elem.Optional != (f.Name == "elems") {
			t.Errorf("%s: its elements are optional: %v", f.Name, f.Elem.Optional)
		}
		if (f.Deref() != nil) != f.Optional {
			t.Errorf("%s: Deref does not fit", f.Name)
		}
	}
}

// omitzero writes null for what Go calls zero, and not for -0, which is not 0.
func TestOmitZero(t *testing.T) {
	type row struct {
		F float64   `lake:"f,omitzero"`
		T time.Time `lake:"t,omitzero"`
		S string    `lake:"s,omitzero"`
		B [16]byte  `lake:"b,omitzero"`
	}
	there := func(r row) (names string) {
		for _, f := range of[row](t).Root.Fields {
			if _, ok := f.Deref()(unsafe.Add(unsafe.Pointer(&r), f.Offset)); ok {
				names += f.Name
			}
		}
		return names
	}
	for want, r := range map[string]row{
		"": {T: time.Time{}.In(time.Local)}, "f": {F: math.Copysign(0, -1)}, "t": {T: time.Unix(0, 0)}, "sb": {S: "\x00", B: [16]byte{15: 1}},
	} {
		if got := there(r); got != want {
			t.Errorf("%v has %q, want %q", r, got, want)
		}
	}
}

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

// Partition values are text that says the value in full.
func TestField(t *testing.T) {
	type row struct {
		S   string            `lake:"s"`
		N   *int16            `lake:"n"`
		U   uint64            `lake:"u"`
		B   bool              `lake:"b"`
		T   time.Time         `lake:"t"`
		D   time.Time         `lake:"d,date"`
		I   shardlake.Instant `lake:"i"`
		ID  [16]byte          `lake:"id,uuid"`
		IDL *[16]byte         `lake:"idl,uuid,logical"`
		Z   string            `lake:"z,omitzero"`
		F   float64           `lake:"f"`
		Dec int64             `lake:"dec,decimal(9,2)"`
		L   []string          `lake:"l"`
	}
	n := int16(-7)
	at := time.Date(2026, 1, 2, 23, 4, 5, 678000999, time.FixedZone("", -3600))
	r := row{S: "x/y", N: &n, U: math.MaxUint64, B: true, T: at, D: at, I: -1, ID: [16]byte{0xab}}
	s := of[row](t)
	for name, want := range map[string]string{
		"s": "x/y", "n": "-7", "u": "18446744073709551615", "b": "true", "t": "2026-01-03T00:04:05.678Z", "d": "2026-01-03",
		"i": "1969-12-31T23:59:59.999999Z", "id": "ab000000-0000-0000-0000-000000000000", "idl": "null", "z": "null",
	} {
		get, err := s.Field(name)
		if err != nil {
			t.Fatal(err)
		}
		text, null, err := get(&r)
		if null {
			text = "null"
		}
		if text != want || err != nil {
			t.Errorf("%s is %q, %v; want %q", name, text, err, want)
		}
		for _, wrong := range []any{r, nil, (*row)(nil), new(int)} {
			if _, _, err := get(wrong); err == nil {
				t.Errorf("%T was taken for a row", wrong)
			}
		}
	}
	for _, name := range []string{"f", "dec", "l", "S", "none"} {
		if _, err := s.Field(name); err == nil {
			t.Errorf("column %s names a partition", name)
		}
	}
}

// Times are cut towards the past, before 1970 too.
func TestTimesAreCutTowardsThePast(t *testing.T) {
	type row struct {
		M  time.Time         `lake:"m,millis"`
		D  time.Time         `lake:"d,date"`
		IM shardlake.Instant `lake:"im,millis"`
		ID shardlake.Instant `lake:"id,date"`
	}
	r := row{time.UnixMicro(-1), time.UnixMicro(-1), -1, -1}
	for _, f := range of[row](t).Root.Fields {
		if n := f.Int()(unsafe.Add(unsafe.Pointer(&r), f.Offset)); n != -1 {
			t.Errorf("%s is %d", f.Name, n)
		}
	}
}

// The fingerprint is that of the specification: logical types and defaults do not
// count. The constants were computed by another implementation.
func TestFingerprint(t *testing.T) {
	type row struct {
		Ref  *string   `lake:"ref"`
		User string    `lake:"user"`
		N    int64     `lake:"n"`
		At   time.Time `lake:"at"`
	}
	s := of[row](t)
	const want = `{"name":"row","type":"record","fields":[{"name":"ref","type":["null","string"]},{"name":"user","type":"string"},{"name":"n","type":"long"},{"name":"at","type":"long"}]}`
	if got := s.Canonical(); got != want {
		t.Errorf("canonical form is %s", got)
	}
	if got := s.Fingerprint(); got != "558076d02cd16c15" {
		t.Errorf("fingerprint is %s", got)
	}
	if got := of[schematest.Inner](t).Fingerprint(); got != "14892c37d00db694" {
		t.Errorf("fingerprint of Inner is %s", got)
	}
	if !strings.Contains(s.Avro(), `{"name":"at","type":{"type":"long","logicalType":"timestamp-micros"}}`) || !strings.Contains(s.Avro(), `["null","string"],"default":null`) {
		t.Errorf("schema is %s", s.Avro())
	}
}

// Names of records inside are unique, whatever the columns are called.
func TestRecordNamesAreUnique(t *testing.T) {
	type in struct{ X int }
	type pair[T any] struct {
		A struct {
			BC in `lake:"b_c"`
		}
		AB struct{ C in } `lake:"a_b"`
		L  map[string][]in
	}
	text := of[pair[int]](t).Avro()
	seen := map[string]bool{}
	for _, part := range strings.Split(text, `"type":"record"`) {
		i := strings.LastIndex(part, `{"name":"`)
		if i < 0 {
			continue
		}
		if name := part[i:]; strings.HasSuffix(part, ",") && seen[name] {
			t.Errorf("%s twice in %s", name, text)
		} else {
			seen[name] = true
		}
	}
	if !strings.HasPrefix(text, `{"name":"Row"`) {
		t.Errorf("the type's name has brackets, the record's is in %s", text)
	}
}
