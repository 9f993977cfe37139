package avro

import (
	"fmt"
	"hash/crc64"
	"strconv"
	"strings"
)

// Canonical returns the parsing canonical form of a schema in JSON, as Avro's
// specification defines it: without logical types, defaults and whatever else does
// not bear on how data is read. Its error says why the text is no schema.
func Canonical(definition string) (string, error) {
	n, err := parse(definition)
	if err != nil {
		return "", fmt.Errorf("avro: %w", err)
	}
	w := canonical{seen: map[*node]bool{}}
	w.write(n)
	return w.String(), nil
}

// Fingerprint returns the CRC-64-AVRO of a schema's canonical form, by which
// single-object encoding names it, lowest byte first. Source: Avro's specification,
// "Schema Fingerprints".
func Fingerprint(definition string) (uint64, error) {
	text, err := Canonical(definition)
	if err != nil {
		return 0, err
	}
	return fingerprint(text), nil
}

// fingerprint differs from the checksums of package crc64 in what it begins with,
// and in that nothing is inverted.
func fingerprint(text string) uint64 {
	const empty = 0xc15d213aa4d7a795
	return ^crc64.Update(^uint64(empty), crc64.MakeTable(empty), []byte(text))
}

type canonical struct {
	strings.Builder
	seen map[*node]bool
}

func (w *canonical) write(n *node) {
	if n.name != "" && w.seen[n] {
		w.quote(n.name)
		return
	}
	w.seen[n] = true
	switch n.kind {
	case fixed:
		w.head(n)
		w.WriteString(`,"size":` + strconv.Itoa(n.size) + "}")
	case enum:
		w.head(n)
		w.WriteString(`,"symbols":[`)
		for i, s := range n.symbols {
			w.comma(i)
			w.quote(s)
		}
		w.WriteString("]}")
	case array:
		w.WriteString(`{"type":"array","items":`)
		w.write(n.elem)
		w.WriteString("}")
	case mapping:
		w.WriteString(`{"type":"map","values":`)
		w.write(n.elem)
		w.WriteString("}")
	case record:
		w.head(n)
		w.WriteString(`,"fields":[`)
		for i, f := range n.fields {
			w.comma(i)
			w.WriteString(`{"name":`)
			w.quote(f.name)
			w.WriteString(`,"type":`)
			w.write(f.node)
			w.WriteString("}")
		}
		w.WriteString("]}")
	case union:
		w.WriteString("[")
		for i, b := range n.branches {
			w.comma(i)
			w.write(b)
		}
		w.WriteString("]")
	default:
		w.quote(kinds[n.kind])
	}
}

func (w *canonical) head(n *node) {
	w.WriteString(`{"name":`)
	w.quote(n.name)
	w.WriteString(`,"type":`)
	if n.isError {
		w.quote("error")
		return
	}
	w.quote(kinds[n.kind])
}

func (w *canonical) comma(i int) {
	if i > 0 {
		w.WriteByte(',')
	}
}

// quote takes names, which need no escapes.
func (w *canonical) quote(s string) { w.WriteString(`"` + s + `"`) }
