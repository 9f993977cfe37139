package codec

import (
	"bytes"
	jsonv1 "encoding/json"
	"encoding/json/jsontext"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/shardlake/shardlake"
)

// Rows of all sorts of types, each decoded by the program and by encoding/json/v2
// alone: value or refusal, they must agree on every document.

type (
	named   string
	number  int16
	kind    uint8
	labels  map[string]string
	upper   string
	pair    [2]int
	picky   struct{ N int }
	stream  struct{ Text string }
	private struct {
		P int `json:"p"`
		Q string
	}
	Public struct {
		X int `json:"x"`
		Y *string
	}
	Deeper struct {
		*Public
		Z int `json:"z"`
	}
	tree struct {
		Name string          `json:"name"`
		Kids []tree          `json:"kids"`
		Next *tree           `json:"next"`
		By   map[string]tree `json:"by"`
	}
)

func (u *upper) UnmarshalText(b []byte) error {
	if len(b) > 5 {
		return errors.New("too long")
	}
	*u = upper(strings.ToUpper(string(b)))
	return nil
}

func (p *picky) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte("[")) {
		return errors.New("no lists")
	}
	p.N = len(b)
	return nil
}

func (s *stream) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	v, err := d.ReadValue()
	if err == nil && v.Kind() == 't' {
		return errors.New("not true")
	}
	s.Text = string(v)
	return err
}

type scalars struct {
	B    bool    `json:"b"`
	I    int     `json:"i"`
	I8   int8    `json:"i8"`
	I16  int16   `json:"i16,omitempty"`
	I32  int32   `json:"i32"`
	I64  int64   `json:"i64"`
	U    uint    `json:"u"`
	U8   uint8   `json:"u8"`
	U16  uint16  `json:"u16"`
	U32  uint32  `json:"u32"`
	U64  uint64  `json:"u64"`
	F32  float32 `json:"f32,omitzero"`
	F64  float64 `json:"f64"`
	S    string  `json:"s"`
	N    named   `json:"ünïcode"`
	K    kind    `json:"a name of more than sixteen bytes"`
	None string  `json:"-"`
	Up   uintptr
	_    string
}

type composites struct {
	At      time.Time
	Num     jsonv1.Number
	Raw     jsonv1.RawMessage
	Blob    []byte
	Tags    []string
	Ints    []int64
	Rows    []scalars
	Ptr     *int
	PP      **string
	PS      *scalars
	Arr     [3]int8
	Arrs    [][2]string
	Any     any
	Anys    []any
	Map     map[string]any
	Strs    map[string]string
	Labels  labels
	Nested  map[named]map[string][]number
	ByInt   map[int]string
	Structs map[string]pair
	Empty   struct{}
}

type options struct {
	I   int            `json:"i,string"`
	F   float64        `json:"f,string"`
	U   *uint8         `json:"u,string"`
	N   jsonv1.Number  `json:"n,string"`
	D   time.Duration  `json:"d"`
	DS  time.Duration  `json:"ds,string"`
	Dp  *time.Duration `json:"dp"`
	E   fmt.Stringer   `json:"e"`
	C   chan int       `json:"c"`
	Own any            `json:"own,omitempty"`
}

type methods struct {
	U  upper
	UP *upper
	P  picky
	PP *picky
	S  stream
	SP *stream
	A  netip.Addr
	M  map[upper]int
	L  []upper
	B  []kind
	H  [4]byte
}

type embedding struct {
	private
	*Deeper
	Q string
	Z string `json:"own"`
}

type conflicting struct {
	First
	Second
	Name string `json:"name"`
}

type (
	First  struct{ A, B, Name string }
	Second struct {
		A string
		B string `json:"B"`
	}
)

type hidden struct {
	*private
	A int
}

type folded struct {
	A int `json:"a,case:ignore"`
	B int
}

type fallback struct {
	A    int
	Rest map[string]any `json:",embed"`
}

type wide struct {
	F00, F01, F02, F03, F04, F05, F06, F07, F08, F09, F10, F11, F12, F13, F14, F15, F16, F17, F18, F19, F20, F21, F22, F23, F24 string
	F25, F26, F27, F28, F29, F30, F31, F32, F33, F34, F35, F36, F37, F38, F39, F40, F41, F42, F43, F44, F45, F46, F47, F48, F49 int
	F50, F51, F52, F53, F54, F55, F56, F57, F58, F59, F60, F61, F62, F63, F64, F65, F66, F67, F68, F69, F70, F71, F72, F73, F74 bool
}

// A pairing decodes one document both ways, by a decoder that has decoded all
// before.
type pairing struct {
	name   string
	decode func(t *testing.T, data []byte) (accepted, fast bool)
}

func paired[T any](tb testing.TB) pairing {
	tb.Helper()
	made, err := JSON[T]()
	if err != nil {
		tb.Fatal(err)
	}
	d, ok := made.(*documents[T])
	if !ok {
		tb.Fatalf("JSON makes a %T", made)
	}
	kept := make([]T, 64)
	copies := make([]string, 64)
	at := 0
	return pairing{reflect.TypeFor[T]().String(), func(t *testing.T, data []byte) (bool, bool) {
		t.Helper()
		before := string(data)
		rows := make([]T, 1)
		_, err := d.Decode(t.Context(), []shardlake.Record{{Data: data}}, rows)
		want, wantErr := document[T](&shardlake.Record{Data: data})
		if fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Fatalf("%.300q into %T: %v, v2 alone %v", data, want, err, wantErr)
		}
		if !reflect.DeepEqual(rows[0], want) {
			t.Fatalf("%.300q:\n   got %#v\nv2 has %#v", data, rows[0], want)
		}
		if string(data) != before {
			t.Fatalf("%.300q was changed to %.300q", before, data)
		}
		// Rows do not change when later records are decoded, nor with their record.
		clear(data)
		if copies[at] != "" && copies[at] != dump(kept[at]) {
			t.Fatalf("a row of %T changed:\nfrom %s\n  to %s", want, copies[at], dump(kept[at]))
		}
		kept[at], copies[at] = rows[0], dump(rows[0])
		if copies[at] != dump(want) {
			t.Fatalf("%.300q: the row changes with its record: %s, %s", before, copies[at], dump(want))
		}
		at = (at + 1) % len(kept)
		again := new(T)
		return err == nil, err == nil && d.fast.Decode(bytes.TrimPrefix([]byte(before), bom), unsafe.Pointer(again))
	}}
}
