package avro

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unsafe"

	"github.com/shardlake/shardlake/internal/schema"
)

// step reads a value to an address, where there is a zero value of the row.
type step func(*input, unsafe.Pointer) error

// place is somewhere in a row: a field of a struct, the element of a list, the value
// of a map, or the row itself.
type place struct {
	*schema.Field
	typ   reflect.Type // that of Field.Type, or of a pointer to it
	names []string     // as which a writer's field is it
	zero  bool         // null is the zero value
}

// takesNull tells whether null has a place there.
func (p place) takesNull() bool {
	k := p.typ.Kind()
	return p.zero || k == reflect.Pointer || k == reflect.Slice || k == reflect.Map
}

// compiler makes the steps of one writer's schema and the type of a row. They keep
// room of their own, so that one goroutine uses them.
type compiler struct {
	skippers map[*node]*skipper
	records  map[pair]step
}

// pair is a writer's record and the struct that it is read to. The row's type is
// finite, and so are these.
type pair struct {
	node *node
	to   *schema.Field
}

// compile makes the step that reads a datum to a row. Its error says which field
// does not fit.
func compile(n *node, row *schema.Schema) (step, error) {
	c := compiler{map[*node]*skipper{}, map[pair]step{}}
	return c.at(n, place{Field: row.Root, typ: row.Root.Type})
}

// at compiles what reads a value, or null, to a place.
func (c *compiler) at(n *node, p place) (step, error) {
	switch n.kind {
	case null:
		return atNull(p), nil
	case union:
		return c.union(n, p)
	}
	value, err := c.value(n, p.Field)
	if err != nil || p.typ.Kind() != reflect.Pointer {
		return value, err
	}
	size := int64(p.Type.Size())
	return func(s *input, at unsafe.Pointer) error {
		if err := s.spend(size); err != nil {
			return err
		}
		v := reflect.New(p.Type).UnsafePointer()
		*(*unsafe.Pointer)(at) = v
		return value(s, v)
	}, nil
}

var errNull = errors.New("null does not fit: make the field a pointer, or tag it omitzero to have null as zero")

func atNull(p place) step {
	if p.takesNull() {
		return func(*input, unsafe.Pointer) error { return nil }
	}
	return func(*input, unsafe.Pointer) error { return errNull }
}

// union compiles the branches. Those that do not fit are refused when they come, as
// the specification wants it, but one must fit.
func (c *compiler) union(n *node, p place) (step, error) {
	var branches []step
	var first error
	fits := false
	for _, b := range n.branches {
		st, err := c.at(b, p)
		if err != nil {
			why := fmt.Errorf("the branch does not fit: %w", err) // no fault, which within would change
			st = func(*input, unsafe.Pointer) error { return why }
			if first == nil {
				first = err
			}
		} else if b.kind != null {
			fits = true
		}
		branches = append(branches, st)
	}
	if !fits && first != nil {
		return nil, first
	}
	return func(s *input, at unsafe.Pointer) error {
		i, err := s.index(len(branches), "branch")
		if err != nil {
			return err
		}
		return branches[i](s, at)
	}, nil
}

// misfit says that values of a writer's type have no place in a row.
func misfit(n *node, f *schema.Field) error {
	hint := ""
	switch {
	case n.logical == "decimal":
		hint = "; a decimal fits an integer tagged decimal(p,s)"
	case (f.Kind == schema.Time || f.Kind == schema.Date) && n.kind == long:
		hint = "; without a logical type its unit is unknown: use an int64 and a codec.Map"
	case n.kind == double && f.Kind == schema.Float32:
		hint = "; use a float64"
	}
	return fmt.Errorf("%s does not fit %v%s", n, f.Type, hint)
}

// value compiles what reads a value to the address of a value.
func (c *compiler) value(n *node, f *schema.Field) (st step, err error) {
	switch f.Kind {
	case schema.Bool:
		st = readBool(n)
	case schema.Int32, schema.Int64:
		st = readInt(n, f)
	case schema.Float32, schema.Float64:
		st = readFloat(n, f)
	case schema.String, schema.Bytes, schema.Fixed, schema.UUID:
		st = readText(n, f)
	case schema.Time, schema.Date:
		st = readTime(n, f)
	case schema.Decimal:
		st = readDecimal(n, f)
	case schema.List:
		if n.kind == array {
			return c.list(n, f)
		}
	case schema.Map:
		if n.kind == mapping {
			return c.mapping(n, f)
		}
	case schema.Struct:
		if n.kind == record {
			return c.record(n, f)
		}
	}
	if st == nil {
		return nil, misfit(n, f)
	}
	return st, nil
}

// record compiles a struct. Fields that it does not have are passed over.
func (c *compiler) record(n *node, f *schema.Field) (step, error) {
	if st := c.records[pair{n, f}]; st != nil {
		return st, nil
	}
	places, err := placesOf(f)
	if err != nil {
		return nil, err
	}
	type part struct {
		read   step
		skip   skipper
		offset uintptr
	}
	var parts []part
	taken := make([]string, len(places))
	for _, w := range n.fields {
		i := slices.IndexFunc(places, func(p place) bool { return slices.Contains(p.names, w.name) })
		if i < 0 {
			parts = append(parts, part{skip: c.skip(w.node)})
			continue
		}
		if taken[i] != "" {
			return nil, fmt.Errorf("%s has the fields %s and %s for one of the row, twice: take a name out of its avro tag", n, taken[i], w.name)
		}
		taken[i] = w.name
		read, err := c.at(w.node, places[i])
		if err != nil {
			return nil, within(err, w.name)
		}
		parts = append(parts, part{read: read, offset: places[i].Offset})
	}
	if strings.Join(taken, "") == "" {
		return nil, fmt.Errorf("%s has none of the fields of %v: fields are called by their avro, lake or json tag, and case counts", n, f.Type)
	}
	st := func(s *input, at unsafe.Pointer) error {
		if err := s.enterRecord(); err != nil {
			return err
		}
		defer s.leave()
		for i := range parts {
			var err error
			if p := &parts[i]; p.read != nil {
				err = p.read(s, unsafe.Add(at, p.offset))
			} else {
				err = p.skip(s)
			}
			if err != nil {
				return within(err, n.fields[i].name)
			}
		}
		return nil
	}
	c.records[pair{n, f}] = st
	return st, nil
}

// placesOf are the fields of a struct with what their tags say: internal/schema
// inlines embedded structs, so a field is found by where it lies.
func placesOf(f *schema.Field) ([]place, error) {
	var places []place
	named := map[string]string{}
	for _, g := range f.Fields {
		sf, ok := fieldAt(f.Type, g.Offset, g)
		if !ok {
			return nil, fmt.Errorf("field %s of %v is not found", g.Name, f.Type)
		}
		p := place{Field: g, typ: sf.Type, names: []string{g.Name}}
		_, options, _ := strings.Cut(sf.Tag.Get("lake"), ",")
		for o := range strings.SplitSeq(options, ",") {
			p.zero = p.zero || strings.TrimSpace(o) == "omitzero"
		}
		if tag := sf.Tag.Get("avro"); tag != "" {
			p.names = strings.Split(tag, ",") // one, and what it was called before
		}
		for _, name := range p.names {
			if other := named[name]; other != "" || !isName(name) {
				return nil, fmt.Errorf("field %s of %v: %q is no name of a field, or that of %s too", sf.Name, f.Type, cut(name), other)
			}
			named[name] = sf.Name
		}
		places = append(places, p)
	}
	return places, nil
}

func fieldAt(t reflect.Type, offset uintptr, g *schema.Field) (reflect.StructField, bool) {
	for sf := range t.Fields() {
		if sf.Offset == offset && sf.IsExported() && (sf.Type == g.Type || sf.Type == reflect.PointerTo(g.Type)) {
			return sf, true
		}
		if sf.Anonymous && sf.Type.Kind() == reflect.Struct && offset >= sf.Offset && offset <= sf.Offset+sf.Type.Size() {
			if inner, ok := fieldAt(sf.Type, offset-sf.Offset, g); ok {
				return inner, true
			}
		}
	}
	return reflect.StructField{}, false
}

// fault is an error with the place in the record where it was met.
type fault struct {
	path string
	err  error
}

func (f *fault) Error() string { return "field " + f.path + ": " + f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

// maxPath bounds the path of a fault in a deep record.
const maxPath = 200

// within says that an error was met in a field.
func within(err error, name string) error {
	f, ok := err.(*fault)
	switch {
	case !ok:
		return &fault{name, err}
	case len(f.path) < maxPath:
		f.path = name + "." + f.path
	case !strings.HasPrefix(f.path, "..."):
		f.path = "..." + f.path
	}
	return f
}
