package schema_test

import (
	"strings"
	"testing"
	"time"

	"github.com/shardlake/shardlake/internal/schema/schematest"
)

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
