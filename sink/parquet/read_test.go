package parquet_test

import (
	"encoding/binary"
	"errors"
	"io"
	"math/big"
	"slices"
	"testing"

	pq "github.com/parquet-go/parquet-go"

	"github.com/shardlake/shardlake/internal/schema/schematest"
)

// read puts rows together from their values and levels, in the form of
// schematest.Tree.
func read(t testing.TB, file []byte) (rows []any) {
	t.Helper()
	f := open(t, file)
	for _, g := range f.RowGroups() {
		r := g.Rows()
		buf := make([]pq.Row, 100)
		for {
			n, err := r.ReadRows(buf)
			for _, row := range buf[:n] {
				a := assembly{}
				for _, v := range row {
					for len(a) <= v.Column() {
						a = append(a, nil)
					}
					a[v.Column()] = append(a[v.Column()], v.Clone())
				}
				m := map[string]any{}
				for _, c := range f.Root().Columns() {
					m[c.Name()] = a.node(c)
				}
				for i := range a {
					if len(a[i]) > 0 {
						t.Fatalf("column %d has %d values too many in a row", i, len(a[i]))
					}
				}
				rows = append(rows, m)
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return rows
}

// assembly is what is left of a row, by column.
type assembly [][]pq.Value

func first(c *pq.Column) int {
	for !c.Leaf() {
		c = c.Columns()[0]
	}
	return c.Index()
}

// skip takes the one entry of each leaf that says there is nothing.
func (a assembly) skip(c *pq.Column) {
	if c.Leaf() {
		a[c.Index()] = a[c.Index()][1:]
	}
	for _, d := range c.Columns() {
		a.skip(d)
	}
}

func (a assembly) node(c *pq.Column) any {
	if c.Optional() && a[first(c)][0].DefinitionLevel() < c.MaxDefinitionLevel() {
		a.skip(c)
		return nil
	}
	if c.Leaf() {
		v := a[c.Index()][0]
		a[c.Index()] = a[c.Index()][1:]
		return value(c, v)
	}
	if kids := c.Columns(); len(kids) == 1 && kids[0].Repeated() {
		return a.repeated(c, kids[0])
	}
	m := map[string]any{}
	for _, d := range c.Columns() {
		m[d.Name()] = a.node(d)
	}
	return m
}

func (a assembly) repeated(c, rep *pq.Column) any {
	list, m := []any{}, map[string]any{}
	lead := first(rep)
	if a[lead][0].DefinitionLevel() < rep.MaxDefinitionLevel() {
		a.skip(rep)
	} else {
		for more := true; more; more = len(a[lead]) > 0 && a[lead][0].RepetitionLevel() == rep.MaxRepetitionLevel() {
			if rep.Name() == "list" {
				list = append(list, a.node(rep.Column("element")))
			} else {
				k := a.node(rep.Column("key")).(string)
				m[k] = a.node(rep.Column("value"))
			}
		}
	}
	if rep.Name() == "list" {
		return list
	}
	return m
}

func value(c *pq.Column, v pq.Value) any {
	logical := c.Type().LogicalType()
	name := ""
	if logical != nil && logical.Value != nil {
		name = logical.Value.String()[:4]
	}
	switch v.Kind() {
	case pq.Boolean:
		return v.Boolean()
	case pq.Int32:
		if name == "DECI" {
			return schematest.Decimal(big.NewInt(int64(v.Int32())))
		}
		return int64(v.Int32())
	case pq.Int64:
		if name == "DECI" {
			return schematest.Decimal(big.NewInt(v.Int64()))
		}
		return v.Int64()
	case pq.Float:
		return schematest.Float(float64(v.Float()))
	case pq.Double:
		return schematest.Float(v.Double())
	}
	b := v.ByteArray()
	switch name {
	case "STRI", "JSON":
		return string(b)
	case "UUID":
		return schematest.UUID([16]byte(b))
	case "DECI":
		if len(b) != 9 || b[0] != 0 {
			return slices.Clone(b)
		}
		return schematest.Decimal(new(big.Int).SetUint64(binary.BigEndian.Uint64(b[1:])))
	}
	return schematest.Bytes(b)
}
