package avro_test

import (
	"reflect"
	"testing"

	"github.com/shardlake/shardlake/codec/avro"
	"github.com/shardlake/shardlake/internal/schema"
	"github.com/shardlake/shardlake/internal/schema/schematest"
)

// The fingerprints are those of Apache Avro's share/test/data/schema-tests.txt, and
// for the last schema that of fastavro 1.13.1.
func TestFingerprints(t *testing.T) {
	for _, test := range []struct {
		schema, canonical string
		fingerprint       int64
	}{
		{`"null"`, `"null"`, 7195948357588979594},
		{`{"type":"null"}`, `"null"`, 7195948357588979594},
		{`"boolean"`, `"boolean"`, -6970731678124411036},
		{`"int"`, `"int"`, 8247732601305521295},
		{`int`, `"int"`, 8247732601305521295},
		{`{"type":{"type":"int"},"doc":"x"}`, `"int"`, 8247732601305521295},
		{`"long"`, `"long"`, -3434872931120570953},
		{`"float"`, `"float"`, 5583340709985441680},
		{`"double"`, `"double"`, -8181574048448539266},
		{`"bytes"`, `"bytes"`, 5746618253357095269},
		{`"string"`, `"string"`, -8142146995180207161},
		{`["int"]`, `["int"]`, -5232228896498058493},
		{`[ "int", {"type":"boolean"} ]`, `["int","boolean"]`, 5392556393470105090},
		{`{"type":"fixed","name":"foo","size":15}`, `{"name":"foo","type":"fixed","size":15}`, 1756455273707447556},
		{`{"fields":[{"type":"boolean","name":"f1","default":true,"order":"ignore"}],"aliases":["bar"],"type":"record","name":"foo"}`,
			`{"name":"foo","type":"record","fields":[{"name":"f1","type":"boolean"}]}`, 7843277075252814651},
		{`{"type":"record","name":"PigValue","fields":[{"name":"value","type":["null","int","long","PigValue"]}]}`,
			`{"name":"PigValue","type":"record","fields":[{"name":"value","type":["null","int","long","PigValue"]}]}`, -1759257747318642341},
		{clickSchema, `{"name":"demo.Click","type":"record","fields":[{"name":"ref","type":["null","string"]},{"name":"user","type":"string"},{"name":"n","type":"long"},{"name":"at","type":"long"}]}`,
			0x4e2fb4cd10c8e549}, // 49e5c810cdb42f4e, lowest byte first
	} {
		c, err := avro.Canonical(test.schema)
		if err != nil || c != test.canonical {
			t.Errorf("%s: %s, %v", test.schema, c, err)
		}
		if f, err := avro.Fingerprint(test.schema); err != nil || int64(f) != test.fingerprint {
			t.Errorf("%s: %d, %v; want %d", test.schema, int64(f), err, test.fingerprint)
		}
	}
	if _, err := avro.Fingerprint("{}"); err == nil {
		t.Error("no schema has a fingerprint")
	}
}

// The canonical form of what sink/avro writes is the one that internal/schema makes
// of the row type.
func TestCanonicalFormOfRows(t *testing.T) {
	for _, typ := range []reflect.Type{reflect.TypeFor[schematest.Every](), reflect.TypeFor[schematest.Nested]()} {
		s, err := schema.Of(typ)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := avro.Canonical(s.Avro()); err != nil || c != s.Canonical() {
			t.Errorf("%v: %v\n%s\nwant\n%s", typ, err, c, s.Canonical())
		}
	}
}
