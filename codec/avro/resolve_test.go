package avro_test

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec/avro"
)

func pointer[T any](v T) *T { return &v }

// fits decodes a record of one field, f0 of type typ, to a row whose F0 is a T.
func fits[T any](typ string, data []byte, want T) func(*testing.T) {
	return func(t *testing.T) {
		t.Helper()
		type row struct{ F0 T }
		rows, errs := answers[row](t, avro.Config{Schema: of(typ)}, data)
		if errs[0] != nil || !reflect.DeepEqual(rows[0].F0, want) {
			t.Errorf("%s as %T: %v, %v; want %v", typ, want, rows[0].F0, errs[0], want)
		}
	}
}

// refuses is fits for values that the row cannot hold.
func refuses[T any](typ string, data []byte, reason string) func(*testing.T) {
	return func(t *testing.T) {
		t.Helper()
		type row struct{ F0 T }
		if rows, errs := answers[row](t, avro.Config{Schema: of(typ)}, data); !refused(errs[0], "field f0: ") || !refused(errs[0], reason) {
			t.Errorf("%s as %T: %v, %v; want %q", typ, rows[0].F0, rows[0].F0, errs[0], reason)
		}
	}
}

// misfits is fits for types that no value of the schema has.
func misfits[T any](typ, reason string) func(*testing.T) {
	return func(t *testing.T) {
		t.Helper()
		type row struct{ F0 T }
		var v T
		if _, err := (avro.Config{Schema: of(typ)}).Codec[row](); err == nil || !strings.Contains(err.Error(), "field f0: ") || !strings.Contains(err.Error(), reason) {
			t.Errorf("%s as %T: %v; want %q", typ, v, err, reason)
		}
	}
}

func logical(typ, logical string) string {
	return fmt.Sprintf(`{"type":%q,"logicalType":%s}`, typ, logical)
}

func TestTypesFit(t *testing.T) {
	join := slices.Concat[[]byte]
	const uuid = "B7b4a7f0-9c96-4e4a-a687-fb5de9ef0c63"
	id := [16]byte(bytesOf(t, "b7b4a7f09c964e4aa687fb5de9ef0c63"))
	fixed16 := `{"type":"fixed","name":"x","size":16}`
	fixedID := `{"type":"fixed","name":"x","size":16,"logicalType":"uuid"}`
	enum := `{"type":"enum","name":"e","symbols":["A","B"]}`
	array, mapping := `{"type":"array","items":["null","int"]}`, `{"type":"map","values":"int"}`
	for _, test := range []func(*testing.T){
		fits("\"boolean\"", []byte{1}, true),
		misfits[bool](`"int"`, "int does not fit bool"),

		// Integers: any width, and only what it holds.
		fits(`"int"`, number(-5), int64(-5)),
		fits(`"int"`, number(127), int8(127)),
		refuses[int8](`"int"`, number(128), "128 does not fit int8"),
		fits(`"long"`, number(math.MaxInt64), int64(math.MaxInt64)),
		fits(`"long"`, number(math.MinInt64), math.MinInt64),
		fits(`"long"`, number(math.MinInt32), int32(math.MinInt32)),
		refuses[int32](`"long"`, number(math.MaxInt32+1), "does not fit int32"),
		fits(`"long"`, number(255), uint8(255)),
		refuses[uint8](`"long"`, number(-1), "does not fit uint8"),
		refuses[uint16](`"int"`, number(65536), "does not fit uint16"),
		fits(`"long"`, number(math.MaxUint32), uint32(math.MaxUint32)),
		fits(`"long"`, number(math.MaxInt64), uint64(math.MaxInt64)),
		refuses[uint64](`"long"`, number(-1), "does not fit uint64"),
		misfits[int](`"double"`, "double does not fit int"),
		misfits[int](`"string"`, "string does not fit int"),
		fits(`"int"`, []byte{0x80, 0x80, 0}, 0), // longer than it must be, as some encoders have it

		// Floats: promotions of the specification, no way back.
		fits(`"float"`, []byte{0, 0, 0xc0, 0x3f}, float32(1.5)),
		fits(`"float"`, []byte{0, 0, 0xc0, 0x3f}, 1.5),
		fits(`"double"`, double(1e300), 1e300),
		fits(`"double"`, double(math.Inf(-1)), math.Inf(-1)),
		fits(`"int"`, number(3), float32(3)),
		fits(`"long"`, number(1<<53), float64(1<<53)),
		misfits[float32](`"double"`, "use a float64"),
		misfits[float64](`"string"`, "does not fit"),

		// Texts and bytes.
		fits(`"string"`, text("Zoë"), "Zoë"),
		fits(`"string"`, text("Zoë"), []byte("Zoë")),
		fits(`"bytes"`, text("\xff\x00"), []byte("\xff\x00")),
		fits(`"bytes"`, text(""), []byte{}),
		fits(`"bytes"`, text("Zoë"), "Zoë"),
		refuses[string](`"bytes"`, text("\xff"), "not UTF-8"),
		fits(enum, number(1), "B"),
		fits(enum, number(1), []byte("B")),
		fits(fixed16, id[:], id),
		fits(fixed16, id[:], id[:]),
		fits(fixedID, id[:], id),
		fits(fixedID, id[:], strings.ToLower(uuid)),
		fits(logical("string", `"uuid"`), text(uuid), id),
		fits(logical("string", `"uuid"`), text(uuid), uuid),
		fits(`"string"`, text(uuid), id),
		refuses[[16]byte](`"string"`, text(uuid[:35]+"x"), "no UUID"),
		refuses[[16]byte](`"string"`, text(strings.Replace(uuid, "-", "0", 1)), "no UUID"),
		refuses[[16]byte](`"string"`, text(""), "no UUID"),
		misfits[string](fixed16, "fixed x of 16 bytes does not fit string"),
		misfits[[8]byte](fixed16, "does not fit [8]uint8"),
		misfits[[8]byte](`"string"`, "does not fit"),
		misfits[string](`"int"`, "int does not fit string"),

		// Times.
		fits(logical("long", `"timestamp-millis"`), number(-1), time.UnixMilli(-1).UTC()),
		fits(logical("long", `"timestamp-micros"`), number(1767225600123456), time.UnixMicro(1767225600123456).UTC()),
		fits(logical("long", `"timestamp-micros"`), number(1767225600123456), shardlake.Instant(1767225600123456)),
		fits(logical("long", `"timestamp-nanos"`), number(1767225600123456789), time.Unix(1767225600, 123456789).UTC()),
		fits(logical("long", `"timestamp-nanos"`), number(-1), shardlake.Instant(-1)), // towards the past
		fits(logical("long", `"local-timestamp-millis"`), number(1000), time.Unix(1, 0).UTC()),
		fits(logical("int", `"date"`), number(-1), time.Date(1969, 12, 31, 0, 0, 0, 0, time.UTC)),
		fits(logical("int", `"date"`), number(2932896), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)),
		fits(logical("int", `"date"`), number(-719528), shardlake.MinEventTime),
		refuses[time.Time](logical("int", `"date"`), number(2932897), "outside of the years 0 to 9999"),
		refuses[time.Time](logical("int", `"date"`), number(math.MinInt32), "outside of the years"),
		refuses[shardlake.Instant](logical("long", `"timestamp-millis"`), number(math.MaxInt64), "outside of the years"),
		refuses[time.Time](logical("long", `"timestamp-millis"`), number(math.MinInt64), "outside of the years"),
		refuses[time.Time](logical("long", `"timestamp-micros"`), number(math.MaxInt64), "outside of the years"),
		fits(logical("long", `"timestamp-micros"`), number(7), int64(7)),
		fits(logical("int", `"time-millis"`), number(-3), -3*time.Millisecond),
		fits(logical("long", `"time-micros"`), number(3), 3*time.Microsecond),
		fits(`"long"`, number(3), 3*time.Nanosecond),
		refuses[time.Duration](logical("long", `"time-micros"`), number(math.MaxInt64/1000+1), "does not fit time.Duration"),
		misfits[time.Duration](logical("long", `"timestamp-millis"`), "long (timestamp-millis) does not fit time.Duration"),
		misfits[time.Time](`"long"`, "its unit is unknown"),
		misfits[time.Time](logical("int", `"timestamp-millis"`), "does not fit"), // ignored: it is one of longs
		misfits[time.Time](`"string"`, "does not fit"),

		// Lists and maps; null is not empty.
		fits(array, join(number(2), number(1), number(7), number(0), number(0)), []*int{pointer(7), nil}),
		fits(array, number(0), []*int{}),
		fits(array, join(number(1), number(1), number(1), number(-2), number(3), number(1), number(2), number(0), number(0)), []*int{pointer(1), pointer(2), nil}),
		fits(mapping, join(number(1), text("a"), number(1), number(-1), number(3), text("b"), number(2), number(0)), map[string]int{"a": 1, "b": 2}),
		fits(mapping, number(0), map[string]int{}),
		refuses[[]int](array, join(number(1), number(0), number(0)), "null does not fit: make the field a pointer"),
		misfits[[]string](array, "int does not fit string"),
		misfits[[]int](mapping, "map does not fit []int"),
		misfits[map[string]int](array, "array does not fit"),
		misfits[struct{ A int }](mapping, "does not fit"),
		misfits[struct{ A int }](`{"type":"record","name":"x","fields":[{"name":"b","type":"int"}]}`, "record x has none of the fields"),

		// Unions.
		fits(`["null","int"]`, number(0), (*int)(nil)),
		fits(`["null","int"]`, join(number(1), number(7)), pointer(7)),
		fits(`["int","null"]`, number(1), (*int)(nil)),
		fits(`["null","int"]`, join(number(1), number(7)), 7),
		refuses[int](`["null","int"]`, number(0), "null does not fit: make the field a pointer, or tag it omitzero"),
		fits(`["null",`+array+`]`, number(0), []int(nil)),
		fits(`["null",`+mapping+`]`, number(0), map[string]int(nil)),
		fits(`["null","bytes"]`, number(0), []byte(nil)),
		fits(`["int","long","string"]`, join(number(1), number(1<<40)), int64(1<<40)),
		refuses[int64](`["int","long","string"]`, join(number(2), text("a")), "the branch does not fit: string does not fit int64"),
		fits(`"null"`, nil, (*int)(nil)),
		refuses[int](`"null"`, nil, "null does not fit"),
		misfits[int](`["null","string"]`, "string does not fit int"),
		fits(`"int"`, number(7), pointer(7)), // a field that was made nullable later
	} {
		test(t)
	}
}

func TestDecimals(t *testing.T) {
	type row struct {
		D int64  `lake:"f0,decimal(18,3)"`
		S int32  `lake:"f1,decimal(9,2)"`
		U uint64 `lake:"f2"`
		W int64  `lake:"f3,decimal(18,0)"`
	}
	dec := func(p, s int) string {
		return fmt.Sprintf(`{"type":"bytes","logicalType":"decimal","precision":%d,"scale":%d}`, p, s)
	}
	fixed := `{"type":"fixed","name":"x","size":12,"logicalType":"decimal","precision":9,"scale":2}`
	read := func(types [4]string, d, s, u, w []byte) (row, error) {
		rows, errs := answers[row](t, avro.Config{Schema: of(types[:]...)}, slices.Concat(d, s, u, w))
		return rows[0], errs[0]
	}
	ok := func(types [4]string, d, s, u, w []byte, want row) {
		t.Helper()
		if got, err := read(types, d, s, u, w); err != nil || got != want {
			t.Errorf("%v, %v; want %v", got, err, want)
		}
	}
	b := func(digits string) []byte { return text(string(bytesOf(t, digits))) }
	twelve := func(digits string) []byte { return bytesOf(t, digits) }
	types := [4]string{dec(18, 3), fixed, dec(20, 0), `"long"`}
	ok(types, b("04d2"), twelve("000000000000000000000001"), b("00ffffffffffffffff"), number(7), row{1234, 1, math.MaxUint64, 7})
	ok(types, b("ff"), twelve("ffffffffffffffffffffffff"), b("00"), number(-7), row{-1, -1, 0, -7})
	ok(types, b("80"), twelve("ffffffffffffffffc4653601"), b("7fffffffffffffff"), number(0), row{-128, -999999999, math.MaxInt64, 0})
	// Other scales, where nothing is rounded away.
	ok([4]string{dec(9, 1), dec(9, 4), dec(5, 0), dec(9, 2)}, b("05"), b("03e8"), b("05"), b("64"), row{500, 10, 5, 1})
	for name, test := range map[string]struct {
		d, s, u, w []byte
		reason     string
	}{
		"rounded":           {b("05"), b("03e9"), b("05"), b("64"), "field f1: a decimal does not fit int32, decimal(9,2), without rounding"},
		"beyond int32":      {b("05"), b("746a528800"), b("05"), b("64"), "field f1: a decimal does not fit"},
		"below zero":        {b("05"), b("64"), b("ff"), b("64"), "field f2: a decimal does not fit uint64"},
		"beyond uint64":     {b("05"), b("64"), b("010000000000000000"), b("64"), "field f2"},
		"beyond int64":      {b("7fffffffffffffff"), b("64"), b("05"), b("64"), "field f0"},
		"of a hundred bits": {b("01000000000000000000000000"), b("64"), b("05"), b("64"), "field f0"},
		"of no bytes":       {b(""), b("64"), b("05"), b("64"), "field f0: a decimal has no bytes"},
	} {
		if got, err := read([4]string{dec(9, 1), dec(9, 4), dec(20, 0), dec(9, 2)}, test.d, test.s, test.u, test.w); !refused(err, test.reason) {
			t.Errorf("%s: %v, %v; want %q", name, got, err, test.reason)
		}
	}
	type money struct{ F0 int64 }
	type ratio struct{ F0 float64 }
	c := avro.Config{Schema: of(dec(9, 2))}
	if _, err := c.Codec[money](); err == nil || !strings.Contains(err.Error(), "fits an integer tagged decimal(p,s)") {
		t.Errorf("an integer without a tag: %v", err)
	}
	if _, err := c.Codec[ratio](); err == nil || !strings.Contains(err.Error(), "does not fit float64") {
		t.Errorf("a float: %v", err)
	}
}

// Null is zero where the row says so, and then sink/avro and Parquet write null.
func TestNullIsZeroWhereTheRowSaysSo(t *testing.T) {
	type row struct {
		A int    `lake:"f0,omitzero"`
		B string `lake:"f1,omitzero"`
		C int    `lake:"f2,optional"` // 0 is a value there
	}
	c := avro.Config{Schema: of(`["null","int"]`, `["null","string"]`, `["null","int"]`)}
	rows, errs := answers[row](t, c, slices.Concat(number(0), number(0), number(1), number(3)), bytes.Repeat(number(0), 3))
	if errs[0] != nil || rows[0] != (row{C: 3}) || !refused(errs[1], "field f2: null does not fit") {
		t.Errorf("%v, %v", rows, errs)
	}
}

// A producer moves on, and rows stay what they are: fields come, go, move and are
// renamed.
func TestSchemasEvolve(t *testing.T) {
	type address struct {
		City string `avro:"city,town"`
		Zip  *string
	}
	type row struct {
		User    string `lake:"user_name" avro:"user,userName"`
		N       int64  `json:"n"`
		Address *address
		Tags    []string `lake:"tags,required"`
	}
	v1 := `{"type":"record","name":"v1","fields":[
		{"name":"gone","type":{"type":"array","items":{"type":"map","values":["null","double","bytes"]}}},
		{"name":"n","type":"int"},
		{"name":"user","type":"string"}]}`
	v2 := `{"type":"record","name":"v2","fields":[
		{"name":"userName","type":"string"},
		{"name":"address","type":["null",{"type":"record","name":"a","fields":[{"name":"town","type":"string"},{"name":"zip","type":["null","string"]},{"name":"more","type":"boolean"}]}]},
		{"name":"n","type":"long"},
		{"name":"tags","type":{"type":"array","items":"string"}},
		{"name":"N","type":"string"}]}`
	d1 := slices.Concat(number(1), number(2), text("a"), number(0), text("b"), number(1), double(1), number(0), number(0), number(5), text("Zoë"))
	d2 := slices.Concat(text("Zoë"), number(1), text("Köln"), number(1), text("50667"), []byte{1}, number(1<<40), number(1), text("x"), number(0), text("not n"))
	rows, errs := answers[row](t, avro.Config{Schema: v1}, d1)
	if want := (row{User: "Zoë", N: 5}); errs[0] != nil || !reflect.DeepEqual(rows[0], want) {
		t.Errorf("%+v, %v; want %+v", rows[0], errs[0], want)
	}
	rows, errs = answers[row](t, avro.Config{Schema: v2}, d2)
	if want := (row{"Zoë", 1 << 40, &address{"Köln", pointer("50667")}, []string{"x"}}); errs[0] != nil || !reflect.DeepEqual(rows[0], want) {
		t.Errorf("%+v, %v; want %+v", rows[0], errs[0], want)
	}
	both := `{"type":"record","name":"v3","fields":[{"name":"user","type":"string"},{"name":"userName","type":"string"}]}`
	if _, err := (avro.Config{Schema: both}).Codec[row](); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("two fields for one: %v", err)
	}
}

func TestTagsAreChecked(t *testing.T) {
	type twice struct {
		F0 int
		G  int `avro:"f0"`
	}
	type odd struct {
		F0 int `avro:"f 0"`
	}
	for _, err := range []error{
		func() error { _, err := avro.Config{Schema: of(`"int"`)}.Codec[twice](); return err }(),
		func() error { _, err := avro.Config{Schema: of(`"int"`)}.Codec[odd](); return err }(),
	} {
		if err == nil || !strings.Contains(err.Error(), "is no name of a field, or that of") {
			t.Errorf("%v", err)
		}
	}
}

// The row itself may be a branch of a union, and names may have namespaces.
func TestNamesAndNamespaces(t *testing.T) {
	type inner struct{ A int }
	type row struct{ X, Y, Z *inner }
	schema := `["null",{"type":"record","name":"r","namespace":"a.b","fields":[
		{"name":"x","type":{"type":"record","name":"i","fields":[{"name":"a","type":"int"}]}},
		{"name":"y","type":"i"},
		{"name":"z","type":["null","a.b.i"]}]}]`
	rows, errs := answers[row](t, avro.Config{Schema: schema}, slices.Concat(number(1), number(1), number(2), number(1), number(3)), number(0))
	if errs[0] != nil || rows[0].X.A != 1 || rows[0].Y.A != 2 || rows[0].Z.A != 3 || !refused(errs[1], "null does not fit") {
		t.Errorf("%+v, %v", rows[0], errs)
	}
	if _, err := (avro.Config{Schema: strings.Replace(schema, `"a.b.i"`, `"b.i"`, 1)}).Codec[row](); err == nil || !strings.Contains(err.Error(), `"b.i" is not defined`) {
		t.Errorf("%v", err)
	}
}

// Rows do not change with what is decoded later, nor with what their record becomes.
func TestRowsOwnTheirMemory(t *testing.T) {
	type row struct {
		F0 string
		F1 []byte
		F2 []string
		F3 map[string]string
	}
	c := avro.Config{Schema: of(`"string"`, `"bytes"`, `{"type":"array","items":"string"}`, `{"type":"map","values":"string"}`)}
	datum := func(s string) []byte {
		return slices.Concat(text(s), text(s), number(1), text(s), number(0), number(1), text(s), text(s), number(0))
	}
	want := func(s string) row { return row{s, []byte(s), []string{s}, map[string]string{s: s}} }
	var payloads [][]byte
	for i := range 1000 {
		payloads = append(payloads, datum(strings.Repeat(fmt.Sprint(i), i%50)))
	}
	rows, errs := answers[row](t, c, payloads...)
	for _, p := range payloads {
		clear(p)
	}
	for i := range rows {
		if w := want(strings.Repeat(fmt.Sprint(i), i%50)); errs[i] != nil || !reflect.DeepEqual(rows[i], w) {
			t.Fatalf("row %d: %v, %v; want %v", i, rows[i], errs[i], w)
		}
	}
}
