package avro_test

import (
	"bytes"
	"math/big"
	"testing"
	"time"

	hamba "github.com/hamba/avro/v2"
	"github.com/hamba/avro/v2/ocf"

	"github.com/shardlake/shardlake/internal/schema/schematest"
)

// decoder opens a file with limits above the largest record.
func decoder(t testing.TB, file []byte) *ocf.Decoder {
	t.Helper()
	d, err := ocf.NewDecoder(bytes.NewReader(file), ocf.WithDecoderSchemaCache(&hamba.SchemaCache{}),
		ocf.WithDecoderConfig(hamba.Config{MaxByteSliceSize: 64 << 20}.Freeze()))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// read returns the records in the form of schematest.Tree.
func read(t testing.TB, file []byte) (rows []any) {
	t.Helper()
	d := decoder(t, file)
	for d.HasNext() {
		var m map[string]any
		if err := d.Decode(&m); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, normal(d.Schema(), m))
	}
	if err := d.Error(); err != nil {
		t.Fatal(err)
	}
	return rows
}

func normal(s hamba.Schema, v any) any {
	logical := hamba.LogicalType("")
	if l, ok := s.(hamba.LogicalTypeSchema); ok && l.Logical() != nil {
		logical = l.Logical().Type()
	}
	switch s := s.(type) {
	case *hamba.UnionSchema:
		if v == nil {
			return nil
		}
		inner := s.Types()[1]
		if m, ok := v.(map[string]any); ok && len(m) == 1 {
			name := string(inner.Type())
			if n, ok := inner.(hamba.NamedSchema); ok {
				name = n.FullName()
			}
			if logical := innerLogical(inner); logical != "" {
				name += "." + logical
			}
			if u, ok := m[name]; ok {
				v = u
			}
		}
		return normal(inner, v)
	case *hamba.RecordSchema:
		m, out := v.(map[string]any), map[string]any{}
		for _, f := range s.Fields() {
			out[f.Name()] = normal(f.Type(), m[f.Name()])
		}
		return out
	case *hamba.MapSchema:
		out := map[string]any{}
		for k, u := range v.(map[string]any) {
			out[k] = normal(s.Values(), u)
		}
		return out
	case *hamba.ArraySchema:
		out := []any{}
		for _, u := range v.([]any) {
			out = append(out, normal(s.Items(), u))
		}
		return out
	}
	switch x := v.(type) {
	case int:
		return int64(x)
	case float32:
		return schematest.Float(float64(x))
	case float64:
		return schematest.Float(x)
	case []byte:
		return schematest.Bytes(x)
	case [4]byte:
		return schematest.Bytes(x[:])
	case time.Time:
		switch logical {
		case hamba.Date:
			return x.Unix() / 86400
		case hamba.TimestampMillis:
			return x.UnixMilli()
		}
		return x.UnixMicro()
	case *big.Rat:
		scale := s.(hamba.LogicalTypeSchema).Logical().(*hamba.DecimalLogicalSchema).Scale()
		unit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)
		return schematest.Decimal(new(big.Rat).Mul(x, new(big.Rat).SetInt(unit)).Num())
	}
	return v
}

func innerLogical(s hamba.Schema) string {
	if l, ok := s.(hamba.LogicalTypeSchema); ok && l.Logical() != nil {
		return string(l.Logical().Type())
	}
	return ""
}
