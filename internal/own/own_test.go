package own_test

import (
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"github.com/shardlake/shardlake/internal/own"
)

type named string

type key struct {
	Page string
	N    int
	List [2]named
	In   struct{ Deep string }
	Ptr  *int
	own  string
}

func shares(a, b string) bool { return unsafe.StringData(a) == unsafe.StringData(b) }

func TestOwn(t *testing.T) {
	large := strings.Repeat("x", 1000)
	if s := own.Of[string]()(large[:5]); s != "xxxxx" || shares(s, large) {
		t.Error("string", s)
	}
	if s := own.Of[named]()(named(large[:5])); s != "xxxxx" || shares(string(s), large) {
		t.Error("named string", s)
	}
	n := 1
	in := key{Page: large[:3], N: 7, List: [2]named{"a", named(large[:2])}, Ptr: &n, own: large[:1]}
	in.In.Deep = large[:4]
	out := own.Of[key]()(in)
	if !reflect.DeepEqual(in, out) || out.Ptr != in.Ptr {
		t.Errorf("%+v", out)
	}
	if shares(out.Page, large) || shares(string(out.List[1]), large) || shares(out.In.Deep, large) || !shares(in.Page, large) {
		t.Error("it shares memory with its argument, or the argument was changed")
	}
	if own.Of[int]()(5) != 5 || own.Of[struct{ A, B int }]()(struct{ A, B int }{1, 2}).B != 2 {
		t.Error("values without strings")
	}
	same := own.Of[[4]int]()
	if n := testing.AllocsPerRun(10, func() { same([4]int{}) }); n > 0 {
		t.Errorf("%v allocations for a value without strings", n)
	}
}
