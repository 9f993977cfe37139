package registry_test

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
	"github.com/shardlake/shardlake/codec/registry"
)

// Payloads as real producers frame them. The version of Glue's schema is
// b7b4a7f0-9c96-4e4a-a687-fb5de9ef0c63, Confluent's is 42.
const (
	glueJSON      = "0300b7b4a7f09c964e4aa687fb5de9ef0c637b226e223a317d"
	glueZlib      = "0305b7b4a7f09c964e4aa687fb5de9ef0c63789caa56ca53b232ac05040000ffff086b0216"
	glueBadZlib   = "0305b7b4a7f09c964e4aa687fb5de9ef0c63789cffff"
	glueShort     = "0300b7b4a7f09c964e4aa687"
	confluentJSON = "000000002a7b226e223a317d"

	// Plain Avro datums that look like headers, case B5.
	likeConfluent = "00085a6fc3ab8280808080808020808991e288d2a306"
	likeGlue      = "03002030313233343536373839616263646566"
)

func bytesOf(t testing.TB, digits string) []byte {
	t.Helper()
	b, err := hex.DecodeString(digits)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func answers[T any](t testing.TB, c func() (codec.Decoder[T], error), payloads ...[]byte) (rows []T, errs []error) {
	t.Helper()
	d, err := c()
	if err != nil {
		t.Fatal(err)
	}
	rows, errs = make([]T, len(payloads)), make([]error, len(payloads))
	for i, p := range payloads {
		_, errs[i] = d.Decode(t.Context(), []shardlake.Record{{Data: p}}, rows[i:i+1])
	}
	return rows, errs
}

func refused(err error) bool {
	return err != nil && strings.HasPrefix(err.Error(), "rejected: registry: ")
}

type row struct {
	N int `json:"n"`
}

// Case B5: the framing is configured. What does not have it is refused, with a
// reason that says what was found.
func TestFraming(t *testing.T) {
	flip := func(digits string, at int, to byte) []byte {
		b := bytesOf(t, digits)
		b[at] = to
		return b
	}
	for _, test := range []struct {
		name    string
		framing registry.Framing
		data    []byte
		reason  string // none: the row has n = 1
	}{
		{"glue", registry.Glue, bytesOf(t, glueJSON), ""},
		{"glue, zlib", registry.Glue, bytesOf(t, glueZlib), ""},
		{"glue, broken zlib", registry.Glue, bytesOf(t, glueBadZlib), "schema version b7b4a7f0-9c96-4e4a-a687-fb5de9ef0c63: zlib: at byte"},
		{"glue, zlib is cut", registry.Glue, bytesOf(t, glueZlib[:len(glueZlib)-2]), "unexpected EOF"},
		{"glue, zlib without a byte", registry.Glue, bytesOf(t, glueZlib[:36]), "EOF"},
		{"glue, wrong checksum", registry.Glue, flip(glueZlib, 36, 0), "checksum"},
		{"glue, more behind zlib", registry.Glue, bytesOf(t, glueZlib+"00"), "1 bytes follow"},
		{"glue, short", registry.Glue, bytesOf(t, glueShort), "12 bytes, shorter than a Glue header, which is 18"},
		{"glue, other compression", registry.Glue, flip(glueJSON, 1, 1), "compression 01"},
		{"glue, other version", registry.Glue, flip(glueJSON, 0, 4), "begins with 04, a Glue header with 03"},
		{"glue, empty", registry.Glue, nil, "0 bytes"},
		{"glue, but confluent", registry.Glue, append(bytesOf(t, confluentJSON), "       "...), "begins with 00, a Glue header with 03; 00 is what a Confluent header begins with"},
		{"glue, but JSON", registry.Glue, []byte(`{"n":1,"m":"some text"}`), "it may be JSON"},
		{"confluent", registry.Confluent, bytesOf(t, confluentJSON), ""},
		{"confluent, short", registry.Confluent, bytesOf(t, "000000"), "3 bytes, shorter than a Confluent header, which is 5"},
		{"confluent, empty", registry.Confluent, nil, "0 bytes"},
		{"confluent, but glue", registry.Confluent, bytesOf(t, glueJSON), "begins with 03, a Confluent header with 00; 03 is what a Glue header begins with"},
		{"confluent, but gzip", registry.Confluent, []byte{0x1f, 0x8b, 0, 0, 0, 0}, "gzip"},
	} {
		t.Run(test.name, func(t *testing.T) {
			good := bytesOf(t, map[registry.Framing]string{registry.Glue: glueZlib, registry.Confluent: confluentJSON}[test.framing])
			rows, errs := answers(t, test.framing.Unpack(codec.JSON[row]), good, test.data, good)
			if errs[0] != nil || errs[2] != nil || rows[0].N != 1 || rows[2].N != 1 {
				t.Errorf("the records around: %v, %v", rows, errs)
			}
			switch {
			case test.reason == "" && (errs[1] != nil || rows[1].N != 1):
				t.Errorf("%v, %v", rows[1], errs[1])
			case test.reason != "" && (!refused(errs[1]) || !strings.Contains(errs[1].Error(), test.reason)):
				t.Errorf("%v; want a refusal with %q", errs[1], test.reason)
			}
		})
	}
}

// Plain datums that begin like a header pass as such where a header is configured:
// that is why it must be said. What is cut from them is no schema that exists.
func TestPlainDatumsMayLookLikeHeaders(t *testing.T) {
	for _, test := range []struct {
		framing registry.Framing
		digits  string
		id      string
	}{
		{registry.Confluent, likeConfluent, "140144579"},
		{registry.Glue, likeGlue, "20303132-3334-3536-3738-396162636465"},
	} {
		o, err := registry.NewOpener(registry.Config{Framing: test.framing})
		if err != nil {
			t.Fatal(err)
		}
		id, _, err := o.Open(bytesOf(t, test.digits))
		if err != nil || id.String() != test.id {
			t.Errorf("%v: %v, %v; want %s", test.framing, id, err, test.id)
		}
	}
}

func TestIDs(t *testing.T) {
	h, payload, err := registry.Glue.Cut(bytesOf(t, glueZlib))
	if err != nil || h.ID.String() != "b7b4a7f0-9c96-4e4a-a687-fb5de9ef0c63" || !h.Zlib || len(payload) != 19 {
		t.Errorf("%+v, %d bytes, %v", h, len(payload), err)
	}
	h, payload, err = registry.Confluent.Cut(bytesOf(t, "00fffffffe"))
	if err != nil || h.ID.String() != "4294967294" || h.Zlib || len(payload) != 0 {
		t.Errorf("%+v, %d bytes, %v", h, len(payload), err)
	}
	if h.ID == (registry.ID{Framing: registry.Glue, Number: 4294967294}) {
		t.Error("ids of two registries are equal")
	}
}

func zlibbed(t testing.TB, payload []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, err := w.Write(payload)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestCompressedPayloadsHaveLimits(t *testing.T) {
	header := bytesOf(t, glueZlib)[:18]
	bomb := slices.Concat(header, zlibbed(t, make([]byte, 4<<20)))
	c := registry.Config{Framing: registry.Glue, Limits: codec.Limits{Bytes: 1 << 20}}
	if _, errs := answers(t, c.Unpack(codec.Raw), bomb); !refused(errs[0]) || !strings.Contains(errs[0].Error(), "Limits.Bytes") {
		t.Errorf("%v", errs[0])
	}
	if rows, errs := answers(t, registry.Glue.Unpack(codec.Raw), bomb); errs[0] != nil || len(rows[0]) != 4<<20 {
		t.Errorf("%d bytes, %v", len(rows[0]), errs[0])
	}
	a, b := slices.Concat(header, zlibbed(t, []byte("first"))), slices.Concat(header, zlibbed(t, []byte("other")))
	if rows, errs := answers(t, registry.Glue.Unpack(codec.Raw), a, b); errs[0] != nil || errs[1] != nil || string(rows[0]) != "first" || string(rows[1]) != "other" {
		t.Errorf("%q, %v: a row changed with a later record", rows, errs)
	}
}

func TestSettingsOfFramingAreChecked(t *testing.T) {
	for _, c := range []registry.Config{{}, {Framing: 3}, {Framing: registry.Glue, Limits: codec.Limits{Bytes: -1}}} {
		if _, err := c.Unpack(codec.Raw)(); err == nil || !strings.HasPrefix(err.Error(), "registry: ") {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if _, _, err := registry.Framing(0).Cut(nil); err == nil {
		t.Error("no framing cuts a header")
	}
}

func FuzzOpen(f *testing.F) {
	for _, s := range []string{glueJSON, glueZlib, glueBadZlib, glueShort, confluentJSON} {
		f.Add(bytesOf(f, s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, framing := range []registry.Framing{registry.Glue, registry.Confluent} {
			rows, errs := answers(t, registry.Config{Framing: framing, Limits: codec.Limits{Bytes: 1 << 10}}.Unpack(codec.Raw), data)
			if errs[0] == nil && len(rows[0]) > max(1<<10, len(data)) || errs[0] != nil && !refused(errs[0]) {
				t.Errorf("%d bytes, %v", len(rows[0]), errs[0])
			}
		}
	})
}

func ExampleFraming_Unpack() {
	type click struct{ N int }
	clicks := registry.Confluent.Unpack(codec.JSON[click]) // kinesis.Source(cfg, clicks, ...)

	d, err := clicks()
	if err != nil {
		panic(err)
	}
	rows := make([]click, 2)
	n, err := d.Decode(context.Background(), []shardlake.Record{
		{Data: []byte("\x00\x00\x00\x00\x2a{\"N\":1}")},
		{Data: []byte(`{"N":2}`)},
	}, rows)
	fmt.Println(rows[:n], err)
	// Output: [{1}] rejected: registry: the payload begins with 7b, a Confluent header with 00; it may be JSON without a header
}
