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

	"github.com/shardlake/shardlake/internal/schema"
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
