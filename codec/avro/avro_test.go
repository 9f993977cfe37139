package avro_test

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
	"github.com/shardlake/shardlake/codec/avro"
	"github.com/shardlake/shardlake/codec/registry"
)

func bytesOf(t testing.TB, digits string) []byte {
	t.Helper()
	b, err := hex.DecodeString(digits)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The parts of a datum.
func number(v int64) []byte { return binary.AppendVarint(nil, v) }
func text(s string) []byte  { return append(number(int64(len(s))), s...) }
func double(v float64) []byte {
	return binary.LittleEndian.AppendUint64(nil, math.Float64bits(v))
}

// answers decodes payloads one by one with one decoder.
func answers[T any](t testing.TB, c avro.Config, payloads ...[]byte) (rows []T, errs []error) {
	t.Helper()
	d := open[T](t, c)
	rows, errs = make([]T, len(payloads)), make([]error, len(payloads))
	for i, p := range payloads {
		_, errs[i] = d.Decode(t.Context(), []shardlake.Record{{Data: p}}, rows[i:i+1])
	}
	return rows, errs
}

func open[T any](t testing.TB, c avro.Config) codec.Decoder[T] {
	t.Helper()
	d, err := c.Codec[T]()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func refused(err error, reason string) bool {
	return err != nil && strings.HasPrefix(err.Error(), "rejected: ") && strings.Contains(err.Error(), reason)
}

// clickSchema and the payloads below it are real ones: github.com/fastavro/fastavro
// wrote them, and gives the schema the fingerprint 49e5c810cdb42f4e.
const clickSchema = `{"type":"record","name":"Click","namespace":"demo","fields":[
	{"name":"ref","type":["null","string"],"default":null},
	{"name":"user","type":"string"},
	{"name":"n","type":"long"},
	{"name":"at","type":{"type":"long","logicalType":"timestamp-micros"}}]}`

const (
	plain         = "023268747470733a2f2f6578616d706c652e6f72672f3f713dc3a4085a6fc3ab8280808080808020808991e288d2a306"
	plainNull     = "00085a6fc3ab8280808080808020808991e288d2a306"
	plainLikeGlue = "03002030313233343536373839616263646566"
	singleObject  = "c30149e5c810cdb42f4e" + plain
	confluent     = "000000002a" + plain
	glue          = "0300b7b4a7f09c964e4aa687fb5de9ef0c63" + plain
	glueZlib      = "0305b7b4a7f09c964e4aa687fb5de9ef0c63789c6332ca28292928b6d2d74fad48cc2dc849d5cb2f4ad7b72fb43dbc84232afff0eaa606305068e89cf8a8e3d2623600bc411445"
	glueBadZlib   = "0305b7b4a7f09c964e4aa687fb5de9ef0c63789cffff"
	glueShort     = "0300b7b4a7f09c964e4aa687"
	confluentCut  = "000000"
)

type click struct {
	Ref  *string   `lake:"ref"`
	User string    `lake:"user"`
	N    int64     `lake:"n"`
	At   time.Time `lake:"at"`
}

func (c click) String() string {
	ref := "null"
	if c.Ref != nil {
		ref = *c.Ref
	}
	return fmt.Sprint(ref, " ", c.User, " ", c.N, " ", c.At.UnixMicro())
}

const (
	wantClick = "https://example.org/?q=ä Zoë 9007199254740993 1767225600123456"
	wantNull  = "null Zoë 9007199254740993 1767225600123456"
)

// registered knows the schema by the ids of the payloads.
type registered map[string]registry.Schema

func (r registered) Schema(_ context.Context, id registry.ID) (registry.Schema, error) {
	if s, ok := r[id.String()]; ok {
		return s, nil
	}
	return registry.Schema{}, registry.ErrUnknown
}

func clicks() registered {
	s := registry.Schema{Format: registry.Avro, Definition: clickSchema}
	return registered{
		"42": s, "b7b4a7f0-9c96-4e4a-a687-fb5de9ef0c63": s,
		"1": {Format: registry.JSON, Definition: "{}"},
		"2": {Format: registry.Avro, Definition: `{"type":"record"`},
		"3": {Format: registry.Avro, Definition: strings.Replace(clickSchema, `"long","logicalType"`, `"string","logicalType"`, 1)},
		"4": {Format: registry.Avro, Definition: strings.Replace(clickSchema, `"n","type":"long"`, `"n","type":"string"`, 1)},
	}
}

func configs() map[avro.Framing]avro.Config {
	return map[avro.Framing]avro.Config{
		avro.Plain:        {Schema: clickSchema},
		avro.SingleObject: {Framing: avro.SingleObject, Schema: clickSchema, Schemas: []string{`{"type":"record","name":"v0","fields":[{"name":"user","type":"string"}]}`}},
		avro.Glue:         {Framing: avro.Glue, Resolver: clicks()},
		avro.Confluent:    {Framing: avro.Confluent, Resolver: clicks()},
	}
}

// Case B5: each payload under each framing. Under its own it gives its row, under
// another one a refusal with a reason.
func TestFramings(t *testing.T) {
	for _, test := range []struct {
		name, digits, want string
		framing            avro.Framing
	}{
		{"plain", plain, wantClick, avro.Plain},
		{"plain, null first", plainNull, wantNull, avro.Plain},
		{"single object", singleObject, wantClick, avro.SingleObject},
		{"glue", glue, wantClick, avro.Glue},
		{"glue, zlib", glueZlib, wantClick, avro.Glue},
		{"confluent", confluent, wantClick, avro.Confluent},
		{"plain, like glue", plainLikeGlue, "", -1},
		{"glue, bad zlib", glueBadZlib, "", -1},
		{"glue, short", glueShort, "", -1},
		{"confluent, short", confluentCut, "", -1},
		{"empty", "", "", -1},
		{"single object, unknown", "c3010000000000000000" + plain, "", -1},
		{"single object, short", singleObject[:18], "", -1},
		{"single object without a datum", singleObject[:20], "", -1},
		{"glue, unknown", strings.Replace(glue, "b7b4", "b7b5", 1), "", -1},
		{"confluent, unknown", "000000002b" + plain, "", -1},
		{"confluent, JSON", "0000000001" + plain, "", -1},
		{"confluent, a broken schema", "0000000002" + plain, "", -1},
		{"confluent, a schema that does not fit", "0000000004" + plain, "", -1},
	} {
		for framing, c := range configs() {
			rows, errs := answers[click](t, c, bytesOf(t, test.digits), bytesOf(t, test.digits))
			for i := range rows { // the second time from memory
				if framing == test.framing {
					if errs[i] != nil || rows[i].String() != test.want {
						t.Errorf("%s as %d: %v, %v", test.name, framing, rows[i], errs[i])
					}
				} else if !refused(errs[i], "") {
					t.Errorf("%s as %d: %v, %v; want a refusal", test.name, framing, rows[i], errs[i])
				}
			}
		}
	}
}

func TestRefusalsOfFramingSayWhy(t *testing.T) {
	for _, test := range []struct {
		framing        avro.Framing
		digits, reason string
	}{
		{avro.Glue, plainNull, "registry: the payload begins with 00, a Glue header with 03"},
		{avro.Confluent, plainNull, "schema 140144579: the registry does not know it"},
		{avro.Glue, plainLikeGlue, "schema 20303132-3334-3536-3738-396162636465: the registry does not know it"},
		{avro.SingleObject, plain, "begins with 02 32, a single object with c3 01"},
		{avro.SingleObject, "c3010123456789abcdef", "fingerprint 0123456789abcdef"},
		{avro.Confluent, "0000000001", `schema 1: it is of format "JSON"`},
		{avro.Confluent, "0000000002", "schema 2: the schema is not JSON"},
		{avro.Confluent, "0000000003", "schema 3: field at: string does not fit time.Time"},
		{avro.Confluent, "0000000004", "schema 4: field n: string does not fit int64"},
		{avro.Plain, confluent, "at byte"},
	} {
		if _, errs := answers[click](t, configs()[test.framing], bytesOf(t, test.digits)); !refused(errs[0], test.reason) {
			t.Errorf("%s as %d: %v; want %q", test.digits, test.framing, errs[0], test.reason)
		}
	}
}

// The plain datum that looks like a Glue header is read by its schema.
func TestPlainDatumThatLooksLikeAHeader(t *testing.T) {
	type row struct {
		A int64
		B *string
		C string
	}
	c := avro.Config{Schema: `{"type":"record","name":"r","fields":[{"name":"a","type":"int"},{"name":"b","type":["null","string"]},{"name":"c","type":"string"}]}`}
	rows, errs := answers[row](t, c, bytesOf(t, plainLikeGlue))
	if errs[0] != nil || rows[0] != (row{A: -2, C: "0123456789abcdef"}) {
		t.Errorf("%+v, %v", rows[0], errs[0])
	}
}

type broken struct{ err error }

func (b broken) Schema(context.Context, registry.ID) (registry.Schema, error) {
	return registry.Schema{}, b.err
}

// Good data is no dead letter because a registry is away.
func TestARegistryThatIsAwayStopsTheLane(t *testing.T) {
	for _, why := range []error{errors.New("connection refused"), registry.ErrRefused, context.Canceled} {
		_, errs := answers[click](t, avro.Config{Framing: avro.Confluent, Resolver: broken{why}}, bytesOf(t, confluent))
		if errs[0] == nil || refused(errs[0], "") || !errors.Is(errs[0], why) {
			t.Errorf("%v", errs[0])
		}
	}
}

// Many schemas of one registry are read in turn.
func TestManySchemas(t *testing.T) {
	r := registered{}
	var payloads [][]byte
	for i := range 500 {
		r[fmt.Sprint(i)] = registry.Schema{Format: registry.Avro, Definition: fmt.Sprintf(`{"type":"record","name":"r","fields":[{"name":"v%d","type":"int"},{"name":"n","type":"long"}]}`, i)}
		payloads = append(payloads, slices.Concat([]byte{0}, binary.BigEndian.AppendUint32(nil, uint32(i)), number(-1), number(int64(i))))
	}
	type row struct{ N int }
	rows, errs := answers[row](t, avro.Config{Framing: avro.Confluent, Resolver: r}, payloads...)
	for i := range rows {
		if errs[i] != nil || rows[i].N != i {
			t.Fatalf("record %d: %v, %v", i, rows[i], errs[i])
		}
	}
}

// A batch ends at the record that is refused, and no row shows what was in its place
// before.
func TestDecodeEndsAtTheRecordThatIsRefused(t *testing.T) {
	d := open[click](t, avro.Config{Schema: clickSchema})
	good, null, bad := bytesOf(t, plain), bytesOf(t, plainNull), bytesOf(t, plain)[:20]
	rows := make([]click, 4)
	n, err := d.Decode(t.Context(), []shardlake.Record{{Data: good}, {Data: good}, {Data: bad}, {Data: good}}, rows)
	if n != 2 || !refused(err, "avro: at byte") {
		t.Errorf("%d rows, %v", n, err)
	}
	n, err = d.Decode(t.Context(), []shardlake.Record{{Data: null}, {Data: null}}, rows[:2])
	if n != 2 || err != nil || rows[0].String() != wantNull || rows[1].String() != wantNull {
		t.Errorf("%d rows %v, %v", n, rows, err)
	}
}

func TestSettingsAreChecked(t *testing.T) {
	type other struct{ X int }
	for _, c := range []avro.Config{
		{}, {Framing: 9, Schema: clickSchema}, {Framing: -1, Schema: clickSchema}, {Schema: "{"}, {Schema: `"string"`},
		{Schema: clickSchema, Resolver: clicks()}, {Schema: clickSchema, Schemas: []string{clickSchema}},
		{Framing: avro.SingleObject}, {Framing: avro.SingleObject, Schemas: []string{clickSchema, "7"}},
		{Framing: avro.Glue}, {Framing: avro.Glue, Resolver: clicks(), Schema: clickSchema},
		{Framing: avro.Glue, Resolver: clicks(), Limits: codec.Limits{Bytes: -1}},
		{Schema: clickSchema, Depth: -1}, {Schema: clickSchema, Depth: 1 << 20}, {Schema: clickSchema, Memory: -1}, {Schema: clickSchema, Elements: -1},
	} {
		if _, err := c.Codec[click](); err == nil || !strings.Contains(err.Error(), "avro: ") && !strings.Contains(err.Error(), "registry: ") {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if _, err := (avro.Config{Schema: clickSchema}).Codec[other](); err == nil || !strings.Contains(err.Error(), "none of the fields") {
		t.Errorf("a row with other fields: %v", err)
	}
	if _, err := (avro.Config{Schema: clickSchema}).Codec[int](); err == nil {
		t.Error("a row that is no struct is taken")
	}
}

func ExampleConfig_Codec() {
	type click struct {
		User string    `lake:"user"`
		At   time.Time `lake:"at"`
	}
	clicks := avro.Config{Schema: `{"type": "record", "name": "Click", "fields": [
		{"name": "user", "type": "string"},
		{"name": "agent", "type": ["null", "string"]},
		{"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}]}`}
	// kinesis.Source(cfg, clicks.Codec, ...)

	d, err := clicks.Codec[click]()
	if err != nil {
		panic(err)
	}
	rows := make([]click, 2)
	n, err := d.Decode(context.Background(), []shardlake.Record{
		{Data: []byte("\x06Zoe\x00\x80\xa0\xd5\xed\xee\x66")},
		{Data: []byte("\x06Zoe\x02\x80\x01some text")},
	}, rows)
	fmt.Println(rows[:n])
	fmt.Println(err)
	// Output:
	// [{Zoe 2026-01-01 00:00:00 +0000 UTC}]
	// rejected: avro: at byte 7 of 16: field agent: a length of 64 is more than the 9 bytes that are left
}

func ExampleFingerprint() {
	f, err := avro.Fingerprint(`{"type": "int", "doc": "is not part of it"}`)
	fmt.Printf("%016x %v\n", f, err)
	// Output: 7275d51a3f395c8f <nil>
}
