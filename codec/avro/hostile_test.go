package avro_test

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/shardlake/shardlake/codec/avro"
)

// of is the schema of a record with fields of these types, called f0, f1 and so on.
func of(types ...string) string {
	for i, t := range types {
		types[i] = fmt.Sprintf(`{"name":"f%d","type":%s}`, i, t)
	}
	return `{"type":"record","name":"r","fields":[` + strings.Join(types, ",") + `]}`
}

const (
	chain  = `{"type":"record","name":"chain","fields":[{"name":"next","type":["null","chain"]}]}`
	nulls  = `{"type":"array","items":"null"}`
	ints   = `{"type":"array","items":"int"}`
	byName = `{"type":"map","values":"int"}`
)

// Each field of the schemas is f0, which these rows have in their way.
type (
	rowInt    struct{ F0 int32 }
	rowLong   struct{ F0 int64 }
	rowBool   struct{ F0 bool }
	rowText   struct{ F0 string }
	rowBytes  struct{ F0 []byte }
	rowInts   struct{ F0 []int32 }
	rowMap    struct{ F0 map[string]int32 }
	rowUnion  struct{ F0 *int32 }
	rowDouble struct{ F0 float64 }
	rowFloat  struct{ F0 float32 }
	rowFixed  struct{ F0 [4]byte }
	rowTwo    struct{ F0, F1 int32 }
	// rowNone has f1 alone: f0 is passed over, as strictly.
	rowNone struct{ F1 int32 }
)

// Bad inputs 34 to 42, and what section 2.1 found in libraries. Each is refused as
// soon as it is met, with little memory, in a field of the row and in one that is
// passed over.
func TestHostileData(t *testing.T) {
	join := slices.Concat[[]byte]
	tooDeep := bytes.Repeat([]byte{2}, 1<<20)
	for _, test := range []struct {
		name, typ string
		data      []byte
		reason    string
		row       func(testing.TB, avro.Config, ...[]byte) error
	}{
		{"int, no data", `"int"`, nil, "cut short", decode[rowInt]},
		{"int, cut", `"int"`, []byte{0x80}, "cut short", decode[rowInt]},
		{"int of 33 bits", `"int"`, number(1 << 32), "more than 32 bits", decode[rowInt]},
		{"int of 33 bits as long", `"int"`, number(1 << 32), "more than 32 bits", decode[rowLong]},
		{"long of 70 bits", `"long"`, bytes.Repeat([]byte{0xff}, 11), "more than 64 bits", decode[rowLong]},
		{"long without end", `"long"`, append(bytes.Repeat([]byte{0x80}, 100), 0), "more than 64 bits", decode[rowLong]},
		{"boolean of 2", `"boolean"`, []byte{2}, "neither 0 nor 1", decode[rowBool]},
		{"double, cut", `"double"`, make([]byte, 7), "cut short", decode[rowDouble]},
		{"float, cut", `"float"`, make([]byte, 3), "cut short", decode[rowFloat]},
		{"fixed, cut", `{"type":"fixed","name":"x","size":4}`, make([]byte, 3), "cut short", decode[rowFixed]},
		{"string, cut", `"string"`, text("abc")[:3], "a length of 3 is more than the 2 bytes", decode[rowText]},
		{"string of 2^40", `"string"`, number(1 << 40), "a length of 1099511627776", decode[rowText]},
		{"string, negative", `"string"`, number(-1), "a length is negative: -1", decode[rowText]},
		{"string, least", `"string"`, number(-1 << 63), "negative", decode[rowText]},
		{"string, no UTF-8", `"string"`, text("a\xff"), "not UTF-8", decode[rowText]},
		{"string, a surrogate", `"string"`, text("\xed\xa0\x80"), "not UTF-8", decode[rowText]},
		{"bytes of 2^40", `"bytes"`, number(1 << 40), "a length of", decode[rowBytes]},
		{"bytes, negative", `"bytes"`, number(-7), "negative", decode[rowBytes]},
		{"union 2 of 2", `["null","int"]`, number(2), "branch number 2 of 2", decode[rowUnion]},
		{"union -1", `["null","int"]`, number(-1), "branch number -1 of 2", decode[rowUnion]},
		{"union 2^40", `["null","int"]`, number(1 << 40), "branch number", decode[rowUnion]},
		{"union, no data", `["null","int"]`, nil, "cut short", decode[rowUnion]},
		{"enum 2 of 2", `{"type":"enum","name":"e","symbols":["A","B"]}`, number(2), "symbol number 2 of 2", decode[rowText]},
		{"enum -1", `{"type":"enum","name":"e","symbols":["A","B"]}`, number(-1), "symbol number -1 of 2", decode[rowText]},
		{"array of 1000, none there", ints, number(1000), "1000 elements cannot be in the 0 bytes", decode[rowInts]},
		{"array of 2^27, none there", ints, number(1 << 27), "cannot be in", decode[rowInts]},
		{"array of 2^62, none there", ints, number(1 << 62), "cannot be in", decode[rowInts]},
		{"array of 3, 2 there", ints, join(number(3), number(1), number(2)), "3 elements cannot be in the 2 bytes", decode[rowInts]},
		{"array without an end", ints, join(number(2), number(1), number(2)), "cut short", decode[rowInts]},
		{"array, least count", ints, join(number(-1<<63), number(0)), "more than 64 bits", decode[rowInts]},
		{"array, block longer than the data", ints, join(number(-1), number(9), number(1), number(0)), "a block of 9 bytes where 2 are left", decode[rowInts]},
		{"array, negative block", ints, join(number(-1), number(-1), number(1), number(0)), "a block of -1 bytes", decode[rowInts]},
		{"array, block too short", ints, join(number(-2), number(1), number(1), number(2), number(0)), "not as long as it says", decode[rowInts]},
		{"array, block too long", ints, join(number(-1), number(2), number(1), number(0), number(0)), "not as long as it says", decode[rowInts]},
		{"map of 2^27, none there", byName, number(1 << 27), "cannot be in", decode[rowMap]},
		{"map, key is no UTF-8", byName, join(number(1), text("\xff"), number(1), number(0)), "not UTF-8", decode[rowMap]},
		{"map, key beyond the data", byName, join(number(1), number(100), number(1), number(0)), "a length of 100", decode[rowMap]},
	} {
		t.Run(test.name, func(t *testing.T) {
			for field, row := range map[string]func(testing.TB, avro.Config, ...[]byte) error{"read": test.row, "passed over": decode[rowNone]} {
				c := avro.Config{Schema: of(test.typ)}
				if field == "passed over" {
					c.Schema = of(test.typ, `"int"`)
				}
				if err := cheap(t, 64<<10, func() error { return row(t, c, test.data) }); !refused(err, test.reason) || !strings.Contains(err.Error(), "field f0: ") {
					t.Errorf("%s: %v; want %q in field f0", field, err, test.reason)
				}
			}
		})
	}
	for _, test := range []struct {
		name   string
		types  []string
		data   []byte
		reason string
		row    func(testing.TB, avro.Config, ...[]byte) error
	}{
		{"cut between fields", []string{`"int"`, `"int"`}, number(1), "field f1: the datum is cut short", decode[rowTwo]},
		{"no data for two fields", []string{`"int"`, `"int"`}, nil, "field f0: the datum is cut short", decode[rowTwo]},
		{"trailing byte", []string{`"int"`}, []byte{2, 0}, "at byte 1 of 2: 1 bytes follow the datum", decode[rowInt]},
		{"trailing datum", []string{`"int"`}, []byte{2, 2, 2}, "2 bytes follow", decode[rowInt]},
		{"a map has a key twice", []string{byName}, join(number(2), text("a"), number(1), text("a"), number(2), number(0)), "a key twice", decode[rowMap]},
		{"recursive to the end", []string{chain, `"int"`}, tooDeep, "more than 100 levels deep: see Config.Depth", decode[rowNone]},
		{"null array of 2^24", []string{nulls, `"int"`}, join(number(1<<24), number(0), number(1)), "more than 1000000 elements: see Config.Elements", decode[rowNone]},
		{"null arrays in many blocks", []string{nulls, `"int"`}, join(bytes.Repeat(number(1<<19), 100), number(0), number(1)), "more than 1000000 elements", decode[rowNone]},
		{"records of no bytes", []string{`{"type":"array","items":{"type":"record","name":"none","fields":[]}}`, `"int"`}, join(number(900000), number(0), number(1)), "more than 1000000 elements", decode[rowNone]},
		{"a record that holds itself", []string{`{"type":"record","name":"x","fields":[{"name":"x","type":"x"}]}`, `"int"`}, number(1), "levels deep", decode[rowNone]},
		{"records of no bytes, doubled", []string{doubled(40), `"int"`}, number(1), "more than 1000000 elements", decode[rowNone]},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := avro.Config{Schema: of(test.types...)}
			if err := cheap(t, 1<<20, func() error { return test.row(t, c, test.data) }); !refused(err, test.reason) {
				t.Errorf("%v; want %q", err, test.reason)
			} else if len(err.Error()) > 500 {
				t.Errorf("a reason of %d bytes: %v", len(err.Error()), err)
			}
		})
	}
}

// doubled is a record whose value takes no bytes and holds 2^n records.
func doubled(n int) string {
	s := `{"type":"record","name":"d0","fields":[]}`
	for i := 1; i <= n; i++ {
		s = fmt.Sprintf(`{"type":"record","name":"d%d","fields":[{"name":"a","type":%s},{"name":"b","type":"d%d"}]}`, i, s, i-1)
	}
	return s
}

func decode[T any](t testing.TB, c avro.Config, payloads ...[]byte) error {
	_, errs := answers[T](t, c, payloads...)
	return errs[0]
}

// cheap fails the test if f, which includes making the decoder, takes more memory
// than extra.
func cheap(t *testing.T, extra uint64, f func() error) error {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := f()
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > extra+256<<10 {
		t.Errorf("%d bytes of memory", used)
	}
	return err
}

// Rows may take many times the memory of their data: the budget is of memory.
func TestWideRowsHaveABudget(t *testing.T) {
	type wide struct {
		A   bool
		Pad [4096]byte
	}
	type row struct{ F0 []wide }
	type pointers struct{ F0 []*wide }
	type named struct{ F0 map[string]wide }
	element := `{"type":"record","name":"e","fields":[{"name":"a","type":"boolean"}]}`
	data := slices.Concat(number(1<<18), make([]byte, 1<<18), number(0))
	c := avro.Config{Schema: of(`{"type":"array","items":` + element + `}`)}
	for name, err := range map[string]error{
		"slice":    cheap(t, 1<<20, func() error { return decode[row](t, c, data) }),
		"pointers": cheap(t, 80<<20, func() error { return decode[pointers](t, c, data) }),
	} {
		if !refused(err, "more than 67108864 bytes of memory: see Config.Memory") {
			t.Errorf("%s: %v", name, err)
		}
	}
	var entries []byte
	for i := range 1 << 16 {
		entries = append(entries, text(fmt.Sprint(i))...)
		entries = append(entries, 1)
	}
	data = slices.Concat(number(1<<16), entries, number(0))
	c = avro.Config{Schema: of(`{"type":"map","values":` + element + `}`), Memory: 1 << 20}
	if err := cheap(t, 2<<20, func() error { return decode[named](t, c, data) }); !refused(err, "more than 1048576 bytes of memory") {
		t.Errorf("map: %v", err)
	}
	c.Memory = 1 << 30
	c.Schema = of(`{"type":"array","items":` + element + `}`)
	if err := decode[row](t, c, slices.Concat(number(1<<10), make([]byte, 1<<10), number(0))); err != nil {
		t.Errorf("within the budget: %v", err)
	}
}

// What is within the limits is read: they are no more than that.
func TestLimitsAreExact(t *testing.T) {
	nullArray := func(n int64) []byte { return slices.Concat(number(n), number(0), number(1)) }
	levels := func(n int) []byte { return slices.Concat(bytes.Repeat([]byte{2}, n-1), number(0), number(1)) }
	for _, test := range []struct {
		name string
		c    avro.Config
		data []byte
		ok   bool
	}{
		{"999,999 nulls and the record", avro.Config{Schema: of(nulls, `"int"`)}, nullArray(999_999), true},
		{"1,000,000 nulls and the record", avro.Config{Schema: of(nulls, `"int"`)}, nullArray(1_000_000), false},
		{"9 nulls", avro.Config{Schema: of(nulls, `"int"`), Elements: 10}, nullArray(9), true},
		{"10 nulls", avro.Config{Schema: of(nulls, `"int"`), Elements: 10}, nullArray(10), false},
		{"99 levels in the record", avro.Config{Schema: of(chain, `"int"`)}, levels(99), true},
		{"100 levels in the record", avro.Config{Schema: of(chain, `"int"`)}, levels(100), false},
		{"999 levels", avro.Config{Schema: of(chain, `"int"`), Depth: 1000}, levels(999), true},
		{"2 levels", avro.Config{Schema: of(chain, `"int"`), Depth: 2}, levels(2), false},
	} {
		if err := decode[rowNone](t, test.c, test.data); test.ok != (err == nil) || err != nil && !refused(err, "see Config.") {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// A schema comes from a registry, which may hold what anybody put there.
func TestHostileSchemas(t *testing.T) {
	deep := strings.Repeat(`{"type":"array","items":`, 20000) + `"int"` + strings.Repeat(`}`, 20000)
	for name, s := range map[string]string{
		"empty":              "",
		"null":               "null ", // is a type, and fits no row
		"a number":           "7",
		"two documents":      `"int" "int"`,
		"a key twice":        `{"type":"int","type":"int"}`,
		"no type":            `{}`,
		"an unknown type":    `"integer"`,
		"deep":               deep,
		"deep, within JSON":  strings.Repeat(`{"type":`, 5000) + `"int"` + strings.Repeat(`}`, 5000),
		"wide":               of(slices.Repeat([]string{`"int"`}, 30000)...),
		"long":               `"` + strings.Repeat("x", 5<<20) + `"`,
		"used before":        of(`"later"`, `{"type":"fixed","name":"later","size":1}`),
		"defined twice":      of(`{"type":"fixed","name":"x","size":1}`, `{"type":"fixed","name":"x","size":1}`),
		"fixed below zero":   of(`{"type":"fixed","name":"x","size":-1}`),
		"fixed of 2^40":      of(`{"type":"fixed","name":"x","size":1099511627776}`),
		"fixed of a half":    of(`{"type":"fixed","name":"x","size":0.5}`),
		"fixed of a string":  of(`{"type":"fixed","name":"x","size":"1"}`),
		"a union in a union": of(`["null",["null","int"]]`),
		"a branch twice":     of(`["int","int"]`),
		"an empty union":     of(`[]`),
		"no symbols":         of(`{"type":"enum","name":"e","symbols":[]}`),
		"a symbol twice":     of(`{"type":"enum","name":"e","symbols":["A","A"]}`),
		"no items":           of(`{"type":"array"}`),
		"a field twice":      `{"type":"record","name":"r","fields":[{"name":"f0","type":"int"},{"name":"f0","type":"int"}]}`,
		"a field's name":     `{"type":"record","name":"r","fields":[{"name":"f-0","type":"int"}]}`,
		"a record's name":    `{"type":"record","name":"0r","fields":[{"name":"f0","type":"int"}]}`,
		"no fields":          `{"type":"record","name":"r"}`,
		"no field at all":    `{"type":"record","name":"r","fields":[]}`,
		"called like a type": `{"type":"record","name":"int","fields":[{"name":"f0","type":"int"}]}`,
	} {
		err := cheap(t, 64<<20, func() error {
			_, err := avro.Config{Schema: s}.Codec[rowInt]()
			return err
		})
		if err == nil || len(err.Error()) > 2000 {
			t.Errorf("%s: %.200v", name, err)
		}
	}
}

// A schema that names its types again and again is compiled once for each.
func TestSchemasThatBranchOut(t *testing.T) {
	type c struct{ X *int }
	type b struct{ X *c }
	type a struct{ X *b }
	type row struct{ X *a }
	level := func(name, of string) string {
		var branches []string
		for i := range 60 {
			if i == 0 {
				branches = append(branches, fmt.Sprintf(`{"type":"record","name":"%s0","fields":[{"name":"x","type":%s}]}`, name, of))
			} else {
				branches = append(branches, fmt.Sprintf(`{"type":"record","name":"%s%d","fields":[{"name":"x","type":["null","%s"]}]}`, name, i, name+"0"))
			}
		}
		return "[" + strings.Join(branches, ",") + "]"
	}
	s := level("a", level("b", level("c", `["null","int"]`)))
	cfg := avro.Config{Schema: `{"type":"record","name":"r","fields":[{"name":"x","type":` + s + `}]}`}
	rows, errs := answers[row](t, cfg, slices.Concat(number(0), number(0), number(0), number(1), number(7)))
	if errs[0] != nil || *rows[0].X.X.X.X != 7 {
		t.Errorf("%v", errs[0])
	}
}
