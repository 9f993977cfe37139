package parquet

import (
	"math"
	"slices"
	"unsafe"

	"github.com/parquet-go/parquet-go/format"

	"github.com/shardlake/shardlake/internal/schema"
)

// Rows are taken apart as Dremel does it: each leaf has, beside its values,
// repetition levels, which list of the path an entry goes on in, and definition
// levels, down to which part of the path something is there. nil and empty differ
// by one definition level.

// writeFunc writes the value at an address, with its levels so far.
type writeFunc func(p unsafe.Pointer, rep, def uint8)

// node is a part of the schema tree: one leaf, or several.
type node struct {
	write writeFunc
	null  func(rep, def uint8) // writes that there is nothing
	run   runFunc              // of a leaf that may be written without levels, or nil
}

// runFunc writes n values without levels, the first at an address, the others at
// multiples of size after it.
type runFunc func(p unsafe.Pointer, n int, size uintptr)

// place is where a node stands in the tree.
type place struct {
	path     []string
	rep, def int
}

// under is the place of a part whose path and levels are longer by these.
func (p place) under(rep, def int, names ...string) place {
	return place{append(slices.Clip(p.path), names...), p.rep + rep, p.def + def}
}

// node compiles f, taking the address of a field.
func (w *writer) node(f *schema.Field, at place) node {
	deref := f.Deref()
	if deref == nil {
		return w.value(f, at)
	}
	in := w.value(f, at.under(0, 1))
	return node{write: func(p unsafe.Pointer, rep, def uint8) {
		if q, ok := deref(p); ok {
			in.write(q, rep, def+1)
		} else {
			in.null(rep, def)
		}
	}, null: in.null}
}

// value compiles f, taking the address of its value.
func (w *writer) value(f *schema.Field, at place) node {
	switch f.Kind {
	case schema.List:
		return w.list(f, at)
	case schema.Map:
		return w.mapping(f, at)
	case schema.Struct:
		return w.structure(f, at)
	}
	c := w.leaf(f, at)
	return node{write: c.writer(f), null: c.level, run: c.run(f)}
}

func (w *writer) leaf(f *schema.Field, at place) *column {
	c := newColumn(w, f, at.path, uint8(at.rep), uint8(at.def))
	c.depth = max(at.rep, at.def)
	w.columns = append(w.columns, c)
	return c
}

func (w *writer) structure(f *schema.Field, at place) node {
	type part struct {
		node
		offset uintptr
	}
	var parts []part
	for _, g := range f.Fields {
		parts = append(parts, part{w.node(g, at.under(0, 0, g.Name)), g.Offset})
	}
	return node{write: func(p unsafe.Pointer, rep, def uint8) {
		for i := range parts {
			parts[i].write(unsafe.Add(p, parts[i].offset), rep, def)
		}
	}, null: func(rep, def uint8) {
		for i := range parts {
			parts[i].null(rep, def)
		}
	}}
}

func (w *writer) list(f *schema.Field, at place) node {
	items := f.Items()
	elem := w.node(f.Elem, at.under(1, 1, "list", "element"))
	again := uint8(at.rep + 1)
	return node{write: func(p unsafe.Pointer, rep, def uint8) {
		first, n, size := items(p)
		if n == 0 {
			elem.null(rep, def)
			return
		}
		elem.write(first, rep, def+1)
		for i := 1; i < n; i++ {
			elem.write(unsafe.Add(first, uintptr(i)*size), again, def+1)
		}
	}, null: elem.null}
}

func (w *writer) mapping(f *schema.Field, at place) node {
	pairs := f.Pairs()
	key := w.leaf(&schema.Field{Kind: schema.String}, at.under(1, 1, "key_value", "key"))
	elem := w.node(f.Elem, at.under(1, 1, "key_value", "value"))
	again := uint8(at.rep + 1)
	return node{write: func(p unsafe.Pointer, rep, def uint8) {
		entries := pairs(p)
		if len(entries) == 0 {
			key.level(rep, def)
			elem.null(rep, def)
			return
		}
		for _, e := range entries {
			key.level(rep, def+1)
			key.bytes(unsafe.Slice(unsafe.StringData(e.Key), len(e.Key)))
			elem.write(e.Value, rep, def+1)
			rep = again
		}
	}, null: func(rep, def uint8) {
		key.level(rep, def)
		elem.null(rep, def)
	}}
}

// writer compiles a leaf, taking the address of its value.
func (c *column) writer(f *schema.Field) writeFunc {
	switch c.typ {
	case format.Boolean:
		return func(p unsafe.Pointer, rep, def uint8) {
			c.level(rep, def)
			c.boolean(*(*bool)(p))
		}
	case format.Float:
		return func(p unsafe.Pointer, rep, def uint8) {
			c.level(rep, def)
			c.number(uint64(math.Float32bits(*(*float32)(p))))
		}
	case format.Double:
		return func(p unsafe.Pointer, rep, def uint8) {
			c.level(rep, def)
			c.number(math.Float64bits(*(*float64)(p)))
		}
	case format.Int32, format.Int64:
		read := f.Int()
		return func(p unsafe.Pointer, rep, def uint8) {
			c.level(rep, def)
			c.number(uint64(read(p)))
		}
	}
	read, scratch := f.Bytes(), new(schema.Scratch)
	return func(p unsafe.Pointer, rep, def uint8) {
		c.level(rep, def)
		c.bytes(read(p, scratch))
	}
}

// run compiles a leaf without levels, a required column of the row itself: one loop
// for many rows instead of some calls for each. Where it goes on, in the dictionary
// or plain, is decided only between runs.
func (c *column) run(f *schema.Field) runFunc {
	if c.maxRep > 0 || c.maxDef > 0 {
		return nil
	}
	switch c.typ {
	case format.Boolean, format.Float: // rare
		return nil
	case format.Double:
		return func(p unsafe.Pointer, n int, size uintptr) {
			for i := range n {
				c.number(*(*uint64)(unsafe.Add(p, uintptr(i)*size)))
			}
		}
	case format.Int32, format.Int64:
		read := f.Int()
		return func(p unsafe.Pointer, n int, size uintptr) {
			for i := range n {
				c.number(uint64(read(unsafe.Add(p, uintptr(i)*size))))
			}
		}
	}
	read, scratch := f.Bytes(), new(schema.Scratch)
	return func(p unsafe.Pointer, n int, size uintptr) {
		for i := range n {
			c.bytes(read(unsafe.Add(p, uintptr(i)*size), scratch))
		}
	}
}
