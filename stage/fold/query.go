package fold

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/shardlake/shardlake/internal/schema"
)

// MergeQuery writes the SQL that makes totals of partial rows: of several rows
// for a key and window, one. Row is the type that was written to the lake, so
// that columns have the names that the files give them. The query is one SELECT
// without a semicolon at its end, for DuckDB and Athena (Trino); each identifier
// is quoted.
//
// Columns that are no folds are the key, and the query groups by them; with group,
// only by those named, for totals over the others. A column in a record is named
// with dots. Folds become
//
//	Count, Sum    the sum, as BIGINT, or DECIMAL(38, scale) of a decimal
//	FloatSum      the sum of its values, which SQL adds with rounding
//	Min, Max      the extreme, as a plain column
//	Mean          three columns: name_sum, name_count and name_mean, null of nothing
//
// Folds in a record become plain columns named record_field. What SQL cannot
// merge is left out, and a comment in front of the query says so: sketches, and
// types whose Merge is a method of yours.
//
// table is an identifier, or several with dots between them; a set of files needs
// a view first. The error names what cannot be a query: no row type of a lake, no
// fold, an unknown column, two columns of one name.
func MergeQuery[Row any](table string, group ...string) (string, error) {
	t := reflect.TypeFor[Row]()
	fail := func(err error) (string, error) {
		return "", fmt.Errorf("fold: merge query for rows of type %v: %w", t, err)
	}
	from, err := quoteTable(table)
	if err != nil {
		return fail(err)
	}
	s, err := schema.Of(t)
	if err != nil {
		return fail(err)
	}
	if name, ok := embedded(t); ok {
		return fail(fmt.Errorf("field %s: the columns of an embedded fold look like those of a key: give it a name", name))
	}
	q := query{alias: alias(s.Root)}
	for _, f := range s.Root.Fields {
		q.column(f, "", q.alias+"."+quote(f.Name))
	}
	if err := q.narrow(group); err != nil {
		return fail(err)
	}
	if err := q.check(); err != nil {
		return fail(err)
	}
	return q.text(from), nil
}

// NotInSQL is implemented by columns that SQL has no means to merge.
type NotInSQL interface {
	// NotInSQL says why, and what to do instead, in one line.
	NotInSQL() string
}

// inSQL is implemented by the folds that SQL can merge.
type inSQL interface {
	// merged returns what becomes of the column f that SQL calls column.
	merged(f *schema.Field, column string) []result
}

// result is a column of the query: the suffix makes its name.
type result struct{ suffix, sql string }

// output is a column of the answer.
type output struct {
	name string // with underscores
	path string // with dots
	sql  string
}

type query struct {
	alias  string
	keys   []output
	totals []output
	notes  []string
}

// column adds f, whose record's path is above, to the query.
func (q *query) column(f *schema.Field, above, sql string) {
	path := strings.TrimPrefix(above+"."+f.Name, ".")
	name := strings.ReplaceAll(path, ".", "_")
	_, mergeable := mergeOf(f.Type)
	value := reflect.New(f.Type).Interface()
	if fold, ok := value.(inSQL); ok {
		for _, r := range fold.merged(f, sql) {
			q.totals = append(q.totals, output{name + r.suffix, path, r.sql})
		}
	} else if no, ok := value.(NotInSQL); ok {
		q.leaveOut(path, no.NotInSQL())
	} else if mergeable {
		q.leaveOut(path, fmt.Sprintf("the method Merge of %v is no SQL", f.Type))
	} else if f.Kind == schema.Struct && !f.Optional && holdsFolds(f.Type, nil) {
		for _, g := range f.Fields {
			q.column(g, path, sql+"."+quote(g.Name))
		}
	} else if holdsFolds(f.Type, nil) {
		q.leaveOut(path, fmt.Sprintf("folds behind a %v are not merged", f.Type))
	} else {
		q.keys = append(q.keys, output{name, path, sql})
	}
}

// leaveOut keeps to one line, which is all that a comment has.
func (q *query) leaveOut(path, why string) {
	q.notes = append(q.notes, fmt.Sprintf("left out: %s: %s", path, strings.Join(strings.Fields(why), " ")))
}

// narrow keeps the key columns that are named.
func (q *query) narrow(group []string) error {
	if len(group) == 0 {
		return nil
	}
	var names []string
	for _, k := range q.keys {
		names = append(names, k.path)
	}
	for i, g := range group {
		if !slices.Contains(names, g) {
			return fmt.Errorf("cannot group by %q: the columns of the key are %s", g, strings.Join(names, ", "))
		}
		if slices.Contains(group[:i], g) {
			return fmt.Errorf("it is to be grouped by %q twice", g)
		}
	}
	q.keys = slices.DeleteFunc(q.keys, func(k output) bool { return !slices.Contains(group, k.path) })
	return nil
}

func (q *query) check() error {
	if len(q.totals) == 0 {
		return fmt.Errorf("no column is a fold that SQL can merge")
	}
	seen := map[string]string{}
	for _, o := range slices.Concat(q.keys, q.totals) {
		key := strings.ToLower(o.name)
		if other, ok := seen[key]; ok {
			return fmt.Errorf("columns %s and %s would both become %s: rename one in a lake tag", other, o.path, o.name)
		}
		seen[key] = o.path
	}
	return nil
}

func (q *query) text(from string) string {
	var b strings.Builder
	for _, n := range q.notes {
		fmt.Fprintf(&b, "-- %s\n", n)
	}
	b.WriteString("SELECT")
	for i, o := range slices.Concat(q.keys, q.totals) {
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, "\n  %s AS %s", o.sql, quote(o.name))
	}
	fmt.Fprintf(&b, "\nFROM %s AS %s", from, q.alias)
	for i, k := range q.keys {
		if i == 0 {
			b.WriteString("\nGROUP BY")
		} else {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, "\n  %s", k.sql)
	}
	b.WriteString("\n")
	return b.String()
}

// quote is an identifier of standard SQL, whatever is in it.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func quoteTable(table string) (string, error) {
	parts := strings.Split(table, ".")
	for i, p := range parts {
		if p == "" || strings.ContainsAny(p, "\x00\n\r") {
			return "", fmt.Errorf("table %q: want identifiers with dots between them", table)
		}
		parts[i] = quote(p)
	}
	return strings.Join(parts, "."), nil
}

// alias is a name for the table that is no column: qualified by it, the parts of
// a record cannot be mistaken for a table and its column.
func alias(root *schema.Field) string {
	name := "p"
	for slices.ContainsFunc(root.Fields, func(f *schema.Field) bool { return strings.EqualFold(f.Name, name) }) {
		name += "_"
	}
	return name
}

// embedded names the first fold that is embedded in t.
func embedded(t reflect.Type) (string, bool) {
	for sf := range t.Fields() {
		if !sf.Anonymous {
			continue
		}
		if _, ok := mergeOf(sf.Type); ok {
			return sf.Name, true
		}
		if sf.Type.Kind() == reflect.Struct {
			if name, ok := embedded(sf.Type); ok {
				return sf.Name + "." + name, true
			}
		}
	}
	return "", false
}

// sum has the type of its column: sums of SQL are wider.
func sum(f *schema.Field, column string) []result {
	as := "BIGINT"
	if f.Kind == schema.Decimal {
		as = fmt.Sprintf("DECIMAL(38, %d)", f.Scale)
	}
	return []result{{"", fmt.Sprintf("CAST(sum(%s) AS %s)", column, as)}}
}

func (*Count) merged(f *schema.Field, column string) []result { return sum(f, column) }
func (*Sum) merged(f *schema.Field, column string) []result   { return sum(f, column) }

func (*FloatSum) merged(_ *schema.Field, column string) []result {
	return []result{{"", `sum(` + column + `."value")`}}
}

func (*Min[T]) merged(_ *schema.Field, column string) []result {
	return []result{{"", `min(` + column + `."value")`}}
}

func (*Max[T]) merged(_ *schema.Field, column string) []result {
	return []result{{"", `max(` + column + `."value")`}}
}

func (*Mean[N]) merged(_ *schema.Field, column string) []result {
	total, n := `sum(`+column+`."sum")`, `sum(`+column+`."count")`
	return []result{
		{"_sum", total},
		{"_count", "CAST(" + n + " AS BIGINT)"},
		{"_mean", total + " / nullif(" + n + ", 0)"},
	}
}
