package avro_test

import (
	"reflect"
	"testing"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec/avro"
	"github.com/shardlake/shardlake/internal/schema"
	"github.com/shardlake/shardlake/internal/schema/schematest"
)

func benchmark[T any](b *testing.B, c avro.Config, data ...[]byte) {
	d := open[T](b, c)
	records, size := make([]shardlake.Record, len(data)), 0
	for i := range data {
		records[i].Data = data[i]
		size += len(data[i])
	}
	rows := make([]T, len(records))
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Decode(b.Context(), records, rows); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkClick(b *testing.B) {
	benchmark[click](b, avro.Config{Schema: clickSchema}, bytesOf(b, plain))
}

func BenchmarkNested(b *testing.B) {
	s, err := schema.Of(reflect.TypeFor[schematest.Nested]())
	if err != nil {
		b.Fatal(err)
	}
	benchmark[schematest.Nested](b, avro.Config{Schema: s.Avro()}, written(b, schematest.Rows[schematest.Nested](1, 100, false))...)
}
