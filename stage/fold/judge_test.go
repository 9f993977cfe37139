//go:build judge

package fold_test

import (
	"bytes"
	"encoding/json/v2"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/parquet"
	"github.com/shardlake/shardlake/stage/fold"
)

// judged is a partial row with columns of every kind that a query has.
type judged struct {
	Page   string
	Parent *string
	Where  struct{ City, Country string }
	Views  fold.Count
	Price  fold.Sum `lake:"price,decimal(18,2)"`
	Weight fold.FloatSum
	Least  fold.Min[shardlake.Instant]
	Most   fold.Max[float64]
	Took   fold.Mean[time.Duration]
	HTTP   struct {
		Method string
		Errors *fold.Count
	}
}

func (j *judged) Merge(other judged) { fold.Merge(j, other) }

// TestJudge lets DuckDB run the query over a Parquet file of partial rows, and
// compares with Merge. SHARDLAKE_PYTHON is a python3 with duckdb, such as the one
// that scripts/venv.sh prints.
func TestJudge(t *testing.T) {
	python := os.Getenv("SHARDLAKE_PYTHON")
	if python == "" {
		t.Fatal("SHARDLAKE_PYTHON is not set")
	}
	parts, totals := partials()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "parts.parquet"), encoded(t, parts), 0o600); err != nil {
		t.Fatal(err)
	}
	query, err := fold.MergeQuery[judged]("lake.parts")
	if err != nil {
		t.Fatal(err)
	}
	const script = `
import duckdb, json, sys
c = duckdb.connect()
c.execute("SET TimeZone = 'UTC'")
c.execute("CREATE SCHEMA lake")
c.execute("CREATE VIEW lake.parts AS SELECT * FROM 'parts.parquet'")
r = c.execute(sys.argv[1])
names = [d[0] for d in r.description]
rows = [dict(zip(names, row)) for row in r.fetchall()]
for row in rows:
    row["least"] = row["least"] and str(row["least"])
    row["price"] = str(row["price"])
json.dump(rows, sys.stdout)
`
	cmd := exec.CommandContext(t.Context(), python, "-c", script, query)
	cmd.Dir = dir
	var out, fault bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &fault
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, fault.String(), query)
	}
	var rows []map[string]any
	if err := json.Unmarshal(out.Bytes(), &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(totals) {
		t.Fatalf("%d rows, want %d", len(rows), len(totals))
	}
	for _, row := range rows {
		want := expected(totals[row["page"].(string)+row["where"].(map[string]any)["city"].(string)])
		if !reflect.DeepEqual(row, want) {
			t.Errorf("got  %v\nwant %v", row, want)
		}
	}
}

// partials draws rows of few keys, and merges those of each. Floats are sums of
// quarters, which SQL adds without rounding too.
func partials() (parts []judged, totals map[string]*judged) {
	r := rand.New(rand.NewPCG(1, 1))
	totals = map[string]*judged{}
	for range 500 {
		j := judged{Page: fmt.Sprint("/", r.IntN(4))}
		j.Where.City, j.Where.Country, j.HTTP.Method = fmt.Sprint("c", r.IntN(3)), "NL", "GET"
		if j.Page == "/1" {
			j.Parent = new(string)
		}
		for range r.IntN(3) {
			j.Views.Inc()
			j.Price.Add(r.Int64N(1000) - 500)
			j.Weight.Add(float64(r.IntN(1000)) / 4)
			j.Least.Add(shardlake.Instant(r.Int64N(1 << 50)))
			j.Most.Add(float64(r.IntN(1000)-500) / 4)
			j.Took.Add(time.Duration(r.IntN(1000)))
			if r.IntN(3) == 0 && j.Page != "/2" {
				j.HTTP.Errors = new(fold.Count)
				j.HTTP.Errors.Inc()
			}
		}
		parts = append(parts, j)
		key := j.Page + j.Where.City
		if totals[key] == nil {
			totals[key] = &judged{Page: j.Page, Where: j.Where, Parent: j.Parent}
			totals[key].HTTP.Method = "GET"
		}
		totals[key].Merge(j)
	}
	return parts, totals
}

// expected is the row as DuckDB's answer comes through JSON.
func expected(j *judged) map[string]any {
	m := map[string]any{
		"page": j.Page, "parent": nil, "http_method": "GET", "http_errors": nil, "least": nil, "most": nil, "took_mean": nil,
		"where":  map[string]any{"city": j.Where.City, "country": j.Where.Country},
		"views":  float64(j.Views),
		"price":  fmt.Sprintf("%.2f", float64(j.Price)/100),
		"weight": j.Weight.Value, "took_sum": j.Took.Sum, "took_count": float64(j.Took.Count),
	}
	if j.Parent != nil {
		m["parent"] = *j.Parent
	}
	if j.HTTP.Errors != nil {
		m["http_errors"] = float64(*j.HTTP.Errors)
	}
	if at, ok := j.Least.Get(); ok {
		m["least"] = at.Time().UTC().Format("2006-01-02 15:04:05.000000") + "+00:00"
	}
	if v, ok := j.Most.Get(); ok {
		m["most"] = v
	}
	if mean, ok := j.Took.Value(); ok {
		m["took_mean"] = mean
	}
	return m
}

// file is a sink.FileWriter in memory.
type file struct{ bytes.Buffer }

func (*file) HoldHead()                   {}
func (*file) PatchHead(int, []byte) error { return fmt.Errorf("a Parquet file has nothing to patch") }

func encoded(t *testing.T, rows []judged) []byte {
	t.Helper()
	format, err := parquet.Config{}.Format[judged]()
	if err != nil {
		t.Fatal(err)
	}
	var f file
	enc, err := format.NewEncoder(&f, sink.FileInfo{})
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Abandon()
	if err := enc.Encode(rows); err != nil {
		t.Fatal(err)
	}
	if err := enc.Close(sink.FileInfo{Rows: int64(len(rows))}); err != nil {
		t.Fatal(err)
	}
	return f.Bytes()
}
