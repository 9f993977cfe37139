package avro_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"testing"
	"unicode/utf8"

	"github.com/shardlake/shardlake/codec/avro"
	"github.com/shardlake/shardlake/internal/schema"
	"github.com/shardlake/shardlake/internal/schema/schematest"
	"github.com/shardlake/shardlake/sink"
	sinkavro "github.com/shardlake/shardlake/sink/avro"
)

// file keeps what a sink writes.
type file struct{ bytes.Buffer }

func (f *file) HoldHead() {}
func (f *file) PatchHead(off int, b []byte) error {
	copy(f.Bytes()[off:], b)
	return nil
}

// written are the data that sink/avro makes of rows, one by one: blocks of a file end
// after each record, and are not compressed.
func written[T any](t testing.TB, rows []T) (data [][]byte) {
	t.Helper()
	f, err := sinkavro.Config{Codec: sinkavro.Null, BlockSize: 1}.Format[T]()
	if err != nil {
		t.Fatal(err)
	}
	var out file
	e, err := f.NewEncoder(&out, sink.FileInfo{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(e.Encode(rows), e.Close(sink.FileInfo{})); err != nil {
		t.Fatal(err)
	}
	e.Abandon()
	b := out.Bytes()
	sync := b[len(b)-16:]
	for b = b[bytes.Index(b, sync)+16:]; len(b) > 0; {
		count, n := binary.Varint(b)
		size, m := binary.Varint(b[n:])
		if count != 1 {
			t.Fatalf("a block of %d records", count)
		}
		data = append(data, b[n+m:n+m+int(size)])
		b = b[n+m+int(size)+16:]
	}
	return data
}

func roundTrip[T any](t *testing.T, seed uint64, n int) {
	rows := schematest.Rows[T](seed, n, true)
	s, err := schema.Of(reflect.TypeFor[T]())
	if err != nil {
		t.Fatal(err)
	}
	c := avro.Config{Schema: s.Avro()}
	data := written(t, rows)
	if len(data) != len(rows) {
		t.Fatalf("%d data of %d rows", len(data), len(rows))
	}
	got, errs := answers[T](t, c, data...)
	for i := range rows {
		if errs[i] != nil {
			t.Fatalf("row %d: %v", i, errs[i])
		}
		if want := schematest.Tree(rows[i]); !reflect.DeepEqual(want, schematest.Tree(got[i])) {
			t.Fatalf("row %d\nhave %v\nwant %v", i, schematest.Tree(got[i]), want)
		}
	}
	// No part of a datum is one, nor with a byte behind it.
	for i := range min(20, len(data)) {
		for cut := range len(data[i]) {
			if _, errs := answers[T](t, c, data[i][:cut]); !refused(errs[0], "") {
				t.Fatalf("row %d, %d of %d bytes: %v", i, cut, len(data[i]), errs[0])
			}
			if cut > 64 {
				break
			}
		}
		if _, errs := answers[T](t, c, append(bytes.Clone(data[i]), 0)); !refused(errs[0], "1 bytes follow") {
			t.Fatalf("row %d and a byte: %v", i, errs[0])
		}
	}
}

// Whatever package sink/avro writes is read back as it was.
func TestRoundTripOfEveryType(t *testing.T)   { roundTrip[schematest.Every](t, 1, 500) }
func TestRoundTripOfNestedTypes(t *testing.T) { roundTrip[schematest.Nested](t, 2, 300) }

// Any data with any of these schemas gives a row that is valid, or a refusal, with
// little memory.
func FuzzDecode(f *testing.F) {
	s, err := schema.Of(reflect.TypeFor[schematest.Nested]())
	if err != nil {
		f.Fatal(err)
	}
	schemas := []string{s.Avro(), of(chain, `"int"`), of(nulls, `"int"`), clickSchema}
	for _, d := range written(f, schematest.Rows[schematest.Nested](3, 30, false)) {
		f.Add(uint8(0), d)
	}
	f.Add(uint8(1), bytes.Repeat([]byte{2}, 1000))
	f.Add(uint8(2), []byte{0x80, 0x80, 0x80, 0x10, 0, 2})
	f.Add(uint8(3), bytesOf(f, plain))
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		c := avro.Config{Schema: schemas[int(which)%len(schemas)], Elements: 10000, Memory: 1 << 20, Depth: 20}
		switch which % uint8(len(schemas)) {
		case 0:
			rows, errs := answers[schematest.Nested](t, c, data)
			if errs[0] == nil {
				if err := s.Check()(reflect.ValueOf(&rows[0]).UnsafePointer()); err != nil {
					t.Errorf("a row that no file can hold: %v", err)
				}
			} else if !refused(errs[0], "avro: ") {
				t.Errorf("%v", errs[0])
			}
		case 3:
			rows, errs := answers[click](t, c, data)
			if errs[0] == nil && !utf8.ValidString(rows[0].User) || errs[0] != nil && !refused(errs[0], "avro: ") {
				t.Errorf("%v, %v", rows[0], errs[0])
			}
		default:
			if _, errs := answers[rowNone](t, c, data); errs[0] != nil && !refused(errs[0], "avro: ") {
				t.Errorf("%v", errs[0])
			}
		}
	})
}

// Any text is a schema whose canonical form is its own, or none.
func FuzzSchema(f *testing.F) {
	for _, s := range []string{clickSchema, of(chain, `"int"`), of(nulls, `"int"`), doubled(3), `["null",{"type":"enum","name":"a.e","symbols":["A"]}]`, `{"type":"error","name":"x","fields":[]}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := avro.Canonical(s)
		if err != nil {
			return
		}
		if again, err := avro.Canonical(c); err != nil || again != c {
			t.Errorf("%s\n%s\n%s, %v", s, c, again, err)
		}
		if d, err := (avro.Config{Schema: s}).Codec[rowTwo](); err == nil && d == nil {
			t.Error("neither a decoder nor an error")
		}
	})
}
