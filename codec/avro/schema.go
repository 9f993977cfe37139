package avro

import (
	"encoding/json/v2"
	"errors"
	"fmt"
	"math"
	"strings"
)

// kind is the type of a schema's node.
type kind int

const (
	null kind = iota
	boolean
	integer
	long
	float
	double
	binary
	text
	fixed
	enum
	array
	mapping
	record
	union
)

var kinds = [...]string{"null", "boolean", "int", "long", "float", "double", "bytes", "string", "fixed", "enum", "array", "map", "record", "union"}

// primitive tells which primitive type a name means.
func primitive(name string) (kind, bool) {
	for k := null; k <= text; k++ {
		if kinds[k] == name {
			return k, true
		}
	}
	return 0, false
}

// node is a type of a writer's schema. Named types are one node wherever they are
// named, so the nodes of a recursive schema are a circle.
type node struct {
	kind     kind
	name     string // of record, enum, fixed: with its namespace
	logical  string // if it is one that this package knows, in its right place
	prec     int    // of decimal
	scale    int
	size     int // of fixed
	symbols  []string
	fields   []field
	elem     *node   // of array and map
	branches []*node // of union
	isError  bool    // a record that is called error, as protocols have them

	least int // bytes of a value; -1 if not known yet
}

type field struct {
	name string
	node *node
}

// String names the type for errors.
func (n *node) String() string {
	switch {
	case n.kind == fixed:
		return fmt.Sprintf("fixed %s of %d bytes", n.name, n.size)
	case n.name != "":
		return kinds[n.kind] + " " + n.name
	case n.logical != "":
		return kinds[n.kind] + " (" + n.logical + ")"
	}
	return kinds[n.kind]
}

// Bounds of schemas, which are text from a registry.
const (
	maxSchema = 4 << 20 // bytes
	maxNodes  = 20_000
	maxNested = 100
)

// parse reads a schema as Avro 1.12 specifies it. Attributes that do not bear on
// how data is read are passed over: doc, aliases, default, order.
func parse(definition string) (*node, error) {
	if len(definition) > maxSchema {
		return nil, fmt.Errorf("the schema is %d bytes, more than %d", len(definition), maxSchema)
	}
	var v any
	if err := json.Unmarshal([]byte(definition), &v); err != nil {
		if _, ok := primitive(strings.TrimSpace(definition)); !ok {
			return nil, fmt.Errorf("the schema is not JSON: %w", err)
		}
		v = strings.TrimSpace(definition) // registries give primitive types without quotes
	}
	p := parser{names: map[string]*node{}}
	n, err := p.schema(v, "", 0)
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	return n, nil
}

type parser struct {
	names map[string]*node
	nodes int
}

func (p *parser) schema(v any, space string, depth int) (*node, error) {
	if p.nodes++; p.nodes > maxNodes {
		return nil, fmt.Errorf("it has more than %d types", maxNodes)
	}
	if depth > maxNested {
		return nil, fmt.Errorf("it is nested more than %d levels deep", maxNested)
	}
	switch v := v.(type) {
	case string:
		if k, ok := primitive(v); ok {
			return newNode(k), nil
		}
		if n := p.names[full(v, space)]; n != nil {
			return n, nil
		}
		if n := p.names[v]; n != nil { // outside of all namespaces
			return n, nil
		}
		return nil, fmt.Errorf("type %q is not defined before it is used", cut(v))
	case []any:
		return p.union(v, space, depth)
	case map[string]any:
		return p.object(v, space, depth)
	}
	return nil, errors.New("a type is neither a string, an object nor an array")
}

func newNode(k kind) *node { return &node{kind: k, least: -1} }

func (p *parser) union(v []any, space string, depth int) (*node, error) {
	n, seen := newNode(union), map[string]bool{}
	for _, b := range v {
		m, err := p.schema(b, space, depth+1)
		if err != nil {
			return nil, err
		}
		key := m.name
		if key == "" {
			key = kinds[m.kind]
		}
		if m.kind == union || seen[key] {
			return nil, fmt.Errorf("a union has %s twice, or a union in it", key)
		}
		seen[key] = true
		n.branches = append(n.branches, m)
	}
	if len(v) == 0 {
		return nil, errors.New("a union is empty")
	}
	return n, nil
}

func (p *parser) object(o map[string]any, space string, depth int) (*node, error) {
	name, ok := o["type"].(string)
	if !ok { // {"type": {"type": ...}}
		if o["type"] == nil {
			return nil, errors.New(`an object has no "type"`)
		}
		return p.schema(o["type"], space, depth+1)
	}
	switch name {
	case "array", "map":
		n := newNode(array)
		of := "items"
		if name == "map" {
			n.kind, of = mapping, "values"
		}
		var err error
		n.elem, err = p.schema(o[of], space, depth+1)
		if err != nil {
			return nil, fmt.Errorf("%s of %s: %w", of, name, err)
		}
		return n, nil
	case "record", "error", "enum", "fixed":
		return p.named(name, o, space, depth)
	}
	n, err := p.schema(name, space, depth+1)
	if err == nil && n.kind <= text {
		n.logically(o)
	}
	return n, err
}

func (p *parser) named(what string, o map[string]any, space string, depth int) (*node, error) {
	name, _ := o["name"].(string)
	if own, ok := o["namespace"].(string); ok { // an empty one is none
		space = own
	}
	name = full(name, space)
	if !isName(name) {
		return nil, fmt.Errorf("%q is no name of a %s", cut(name), what)
	}
	if _, ok := primitive(name); ok || p.names[name] != nil {
		return nil, fmt.Errorf("type %s is defined twice", name)
	}
	space = ""
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		space = name[:i]
	}
	n := newNode(record)
	n.name = name
	p.names[name] = n
	var err error
	switch what {
	case "enum":
		n.kind = enum
		err = n.enumerate(o)
	case "fixed":
		n.kind = fixed
		if n.size, err = number(o, "size"); err == nil {
			n.logically(o)
		}
	default:
		n.isError = what == "error"
		err = p.fields(n, o, space, depth)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return n, nil
}

func (p *parser) fields(n *node, o map[string]any, space string, depth int) error {
	list, ok := o["fields"].([]any)
	if !ok {
		return errors.New(`a record has no "fields"`)
	}
	seen := map[string]bool{}
	for _, v := range list {
		f, _ := v.(map[string]any)
		name, _ := f["name"].(string)
		if !isName(name) || strings.Contains(name, ".") || seen[name] {
			return fmt.Errorf("%q is no name of a field, or one that is given twice", cut(name))
		}
		seen[name] = true
		m, err := p.schema(f["type"], space, depth+1)
		if err != nil {
			return fmt.Errorf("field %s: %w", name, err)
		}
		n.fields = append(n.fields, field{name, m})
	}
	return nil
}

func (n *node) enumerate(o map[string]any) error {
	list, _ := o["symbols"].([]any)
	seen := map[string]bool{}
	for _, v := range list {
		s, _ := v.(string)
		if !isName(s) || strings.Contains(s, ".") || seen[s] {
			return fmt.Errorf("%q is no symbol, or one that is given twice", cut(s))
		}
		seen[s] = true
		n.symbols = append(n.symbols, s)
	}
	if len(list) == 0 {
		return errors.New(`an enum has no "symbols"`)
	}
	return nil
}

// logically takes the logical type, unless it does not fit the type: then the
// specification wants it to be ignored, like one that is unknown.
func (n *node) logically(o map[string]any) {
	l, _ := o["logicalType"].(string)
	ok := false
	switch l {
	case "decimal":
		prec, err1 := number(o, "precision")
		scale, err2 := number(o, "scale")
		if o["scale"] == nil {
			scale, err2 = 0, nil
		}
		ok = (n.kind == binary || n.kind == fixed) && err1 == nil && err2 == nil && prec > 0 && scale <= prec
		if ok {
			n.prec, n.scale = prec, scale
		}
	case "uuid":
		ok = n.kind == text || n.kind == fixed && n.size == 16
	case "date", "time-millis":
		ok = n.kind == integer
	case "time-micros", "timestamp-millis", "timestamp-micros", "timestamp-nanos", "local-timestamp-millis", "local-timestamp-micros", "local-timestamp-nanos":
		ok = n.kind == long
	}
	if ok {
		n.logical = l
	}
}

// number reads an attribute that is a whole number from 0 to 2^31-1.
func number(o map[string]any, key string) (int, error) {
	f, ok := o[key].(float64)
	if !ok || f < 0 || f > math.MaxInt32 || f != math.Trunc(f) {
		return 0, fmt.Errorf("%q is no whole number from 0 to 2147483647", key)
	}
	return int(f), nil
}

// full is the name of a type with its namespace, unless it has one.
func full(name, space string) string {
	if strings.Contains(name, ".") || space == "" {
		return strings.TrimPrefix(name, ".")
	}
	return space + "." + name
}

// isName tells whether s is names of ASCII letters, digits and underscores with
// dots between them.
func isName(s string) bool {
	for part := range strings.SplitSeq(s, ".") {
		for i, c := range []byte(part) {
			if c != '_' && (c|0x20 < 'a' || c|0x20 > 'z') && (i == 0 || c < '0' || c > '9') {
				return false
			}
		}
		if part == "" {
			return false
		}
	}
	return len(s) <= 1000
}

// cut keeps the start of text that comes from elsewhere.
func cut(s string) string { return strings.ToValidUTF8(s[:min(len(s), 100)], "\uFFFD") }

// smallest is the least number of bytes that a value takes.
func (n *node) smallest() int {
	if n.least >= 0 {
		return n.least
	}
	n.least = 0 // a record in itself adds nothing
	least := 0
	switch n.kind {
	case null:
	case float:
		least = 4
	case double:
		least = 8
	case fixed:
		least = n.size
	case record:
		for _, f := range n.fields {
			least = min(least+f.node.smallest(), math.MaxInt32)
		}
	case union:
		least = math.MaxInt32
		for _, b := range n.branches {
			least = min(least, 1+b.smallest())
		}
	default:
		least = 1
	}
	n.least = least
	return least
}
