package schema

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

// Avro returns the columns as an Avro schema in JSON: nullable columns are unions
// ["null", T] with the default null. Types are named after the Go type and the
// path of columns to them.
func (s *Schema) Avro() string { return s.avro(false) }

// Canonical returns the parsing canonical form of Avro's specification: the same
// schema without logical types and defaults.
func (s *Schema) Canonical() string { return s.avro(true) }

// Fingerprint is the CRC-64-AVRO of the canonical form as the specification
// defines it, in hexadecimal, lowest byte first, as single-object encoding has it.
// It stands for the columns in the metadata of files of both formats.
func (s *Schema) Fingerprint() string {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], fingerprint([]byte(s.Canonical())))
	return hex.EncodeToString(b[:])
}

// fingerprint is the algorithm of "Schema Fingerprints" in Avro's specification.
func fingerprint(text []byte) uint64 {
	const empty = 0xc15d213aa4d7a795
	var table [256]uint64
	for i := range table {
		fp := uint64(i)
		for range 8 {
			fp = fp>>1 ^ empty&-(fp&1)
		}
		table[i] = fp
	}
	fp := uint64(empty)
	for _, b := range text {
		fp = fp>>8 ^ table[byte(fp)^b]
	}
	return fp
}

func (s *Schema) avro(canonical bool) string {
	w := avroWriter{canonical: canonical, names: map[string]bool{}}
	w.value(s.Root, avroName(s.Root.Type.Name()))
	return w.String()
}

// avroName is the Go name if Avro takes it: instances of generic types have
// brackets in theirs.
func avroName(name string) string {
	for i, r := range []byte(name) {
		if r != '_' && (r|0x20 < 'a' || r|0x20 > 'z') && (i == 0 || r < '0' || r > '9') {
			return "Row"
		}
	}
	if name == "" {
		return "Row"
	}
	return name
}

// avroWriter writes fields in the order of the canonical form, so that the two
// forms differ only in what is left out.
type avroWriter struct {
	strings.Builder
	canonical bool
	names     map[string]bool
}

// field writes a value that may be null. name is for types that need one.
func (w *avroWriter) field(f *Field, name string) {
	if !f.Optional {
		w.value(f, name)
		return
	}
	w.WriteString(`["null",`)
	w.value(f, name)
	w.WriteString("]")
}

func (w *avroWriter) value(f *Field, name string) {
	switch f.Kind {
	case Bool:
		w.WriteString(`"boolean"`)
	case Int32:
		w.WriteString(`"int"`)
	case Int64:
		w.WriteString(`"long"`)
	case Float32:
		w.WriteString(`"float"`)
	case Float64:
		w.WriteString(`"double"`)
	case String:
		w.WriteString(`"string"`)
	case Bytes:
		w.WriteString(`"bytes"`)
	case UUID:
		w.logical("string", `"uuid"`)
	case Time:
		unit := `"timestamp-micros"`
		if f.Millis {
			unit = `"timestamp-millis"`
		}
		w.logical("long", unit)
	case Date:
		w.logical("int", `"date"`)
	case Decimal:
		w.logical("bytes", fmt.Sprintf(`"decimal","precision":%d,"scale":%d`, f.Precision, f.Scale))
	case Fixed:
		fmt.Fprintf(w, `{"name":"%s","type":"fixed","size":%d}`, w.unique(name), f.Size)
	case List:
		w.WriteString(`{"type":"array","items":`)
		w.field(f.Elem, name)
		w.WriteString("}")
	case Map:
		w.WriteString(`{"type":"map","values":`)
		w.field(f.Elem, name)
		w.WriteString("}")
	case Struct:
		fmt.Fprintf(w, `{"name":"%s","type":"record","fields":[`, w.unique(name))
		for i, g := range f.Fields {
			if i > 0 {
				w.WriteString(",")
			}
			fmt.Fprintf(w, `{"name":"%s","type":`, g.Name)
			w.field(g, name+"_"+g.Name)
			if g.Optional && !w.canonical {
				w.WriteString(`,"default":null`)
			}
			w.WriteString("}")
		}
		w.WriteString("]}")
	}
}

func (w *avroWriter) logical(typ, logical string) {
	if w.canonical {
		fmt.Fprintf(w, `"%s"`, typ)
		return
	}
	fmt.Fprintf(w, `{"type":"%s","logicalType":%s}`, typ, logical)
}

// unique returns the name, with a number behind it if the schema has it already.
func (w *avroWriter) unique(name string) string {
	for n, base := 2, name; w.names[name]; n++ {
		name = fmt.Sprint(base, "_", n)
	}
	w.names[name] = true
	return name
}
