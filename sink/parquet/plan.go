package parquet

import (
	"sync"

	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/shardlake/shardlake/internal/schema"
)

// plan is what all files of a type share: settings and the footer's schema.
type plan struct {
	Config
	codec       compress.Codec
	schema      *schema.Schema
	elements    []format.SchemaElement
	fingerprint string
	scratches   sync.Pool
}

func newPlan(c Config, s *schema.Schema) *plan {
	p := &plan{Config: c, codec: c.codec(), schema: s, fingerprint: s.Fingerprint(), scratches: sync.Pool{New: newScratch}}
	p.elements = []format.SchemaElement{{Name: "schema", NumChildren: thrift.New(int32(len(s.Root.Fields)))}}
	for _, f := range s.Root.Fields {
		p.element(f, f.Name)
	}
	return p
}

// element appends the schema of f, depth first, as the footer has it. Types are
// annotated twice: readers from before 2018 know converted types only.
func (p *plan) element(f *schema.Field, name string) {
	at := len(p.elements)
	p.elements = append(p.elements, format.SchemaElement{Name: name, RepetitionType: thrift.New(format.Required)})
	if f.Optional {
		p.elements[at].RepetitionType.V = format.Optional
	}
	// children marks element at as a group; p.elements grows, so no pointer stays.
	children := func(at, n int) { p.elements[at].NumChildren = thrift.New(int32(n)) }
	e := &p.elements[at]
	switch f.Kind {
	case schema.List:
		e.LogicalType.Value, e.ConvertedType = &format.ListType{}, thrift.New(deprecated.List)
		children(at, 1)
		p.repeated("list", 1)
		p.element(f.Elem, "element")
	case schema.Map:
		e.LogicalType.Value, e.ConvertedType = &format.MapType{}, thrift.New(deprecated.Map)
		children(at, 1)
		p.repeated("key_value", 2)
		p.elements = append(p.elements, format.SchemaElement{
			Name: "key", RepetitionType: thrift.New(format.Required), Type: thrift.New(format.ByteArray),
			LogicalType: format.LogicalType{Value: &format.StringType{}}, ConvertedType: thrift.New(deprecated.UTF8),
		})
		p.element(f.Elem, "value")
	case schema.Struct:
		children(at, len(f.Fields))
		for _, g := range f.Fields {
			p.element(g, g.Name)
		}
	default:
		annotate(e, f)
	}
}

func (p *plan) repeated(name string, children int) {
	p.elements = append(p.elements, format.SchemaElement{
		Name: name, RepetitionType: thrift.New(format.Repeated), NumChildren: thrift.New(int32(children)),
	})
}

func annotate(e *format.SchemaElement, f *schema.Field) {
	typ, size := physical(f)
	e.Type = thrift.New(typ)
	if typ == format.FixedLenByteArray {
		e.TypeLength = thrift.New(int32(size))
	}
	switch f.Kind {
	case schema.String:
		e.LogicalType.Value, e.ConvertedType = &format.StringType{}, thrift.New(deprecated.UTF8)
		if f.JSON {
			e.LogicalType.Value, e.ConvertedType = &format.JsonType{}, thrift.New(deprecated.Json)
		}
	case schema.UUID:
		e.LogicalType.Value = &format.UUIDType{}
	case schema.Date:
		e.LogicalType.Value, e.ConvertedType = &format.DateType{}, thrift.New(deprecated.Date)
	case schema.Time:
		unit := format.TimeUnit{Value: &format.MicroSeconds{}}
		e.ConvertedType = thrift.New(deprecated.TimestampMicros)
		if f.Millis {
			unit.Value, e.ConvertedType = &format.MilliSeconds{}, thrift.New(deprecated.TimestampMillis)
		}
		e.LogicalType.Value = &format.TimestampType{IsAdjustedToUTC: true, Unit: unit}
	case schema.Decimal:
		e.LogicalType.Value = &format.DecimalType{Precision: int32(f.Precision), Scale: int32(f.Scale)}
		e.ConvertedType = thrift.New(deprecated.Decimal)
		e.Precision, e.Scale = thrift.New(int32(f.Precision)), thrift.New(int32(f.Scale))
	}
}

// physical is the type that a leaf is stored as, and its size if it is fixed.
func physical(f *schema.Field) (typ format.Type, size int) {
	switch f.Kind {
	case schema.Bool:
		return format.Boolean, 0
	case schema.Int32, schema.Date:
		return format.Int32, 0
	case schema.Int64, schema.Time:
		return format.Int64, 0
	case schema.Float32:
		return format.Float, 0
	case schema.Float64:
		return format.Double, 0
	case schema.Fixed:
		return format.FixedLenByteArray, f.Size
	case schema.UUID:
		return format.FixedLenByteArray, 16
	case schema.Decimal:
		switch {
		case f.Precision <= 9:
			return format.Int32, 0
		case f.Precision <= 18:
			return format.Int64, 0
		}
		return format.FixedLenByteArray, 9
	}
	return format.ByteArray, 0
}
