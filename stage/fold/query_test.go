package fold_test

import (
	"strings"
	"testing"
	"time"

	"github.com/shardlake/shardlake/stage/fold"
)

// opaque is a fold that SQL knows nothing of.
type opaque struct{ State []byte }

func (*opaque) Merge(opaque) {}

// refusing says why.
type refusing struct{ State []byte }

func (refusing) NotInSQL() string { return "because\nDROP TABLE x" }

type partial struct {
	Page   string    `lake:"page"`
	Start  time.Time `lake:"start"`
	P      *string
	Where  struct{ City, Country string }
	Views  fold.Count
	Price  fold.Sum `lake:"price,decimal(18,2)"`
	Weight fold.FloatSum
	Least  fold.Min[time.Duration]
	Most   fold.Max[float64]
	Mean   fold.Mean[int]
	HTTP   struct {
		Method string
		Errors *fold.Count
		Mean   fold.Mean[float64]
	}
	Opaque   opaque
	Refusing refusing
	Many     map[string]fold.Count
}

func TestMergeQuery(t *testing.T) {
	got, err := fold.MergeQuery[partial](`lake.page"minutes`)
	if err != nil {
		t.Fatal(err)
	}
	const want = `-- left out: opaque: the method Merge of fold_test.opaque is no SQL
-- left out: refusing: because DROP TABLE x
-- left out: many: folds behind a map[string]fold.Count are not merged
SELECT
  p_."page" AS "page",
  p_."start" AS "start",
  p_."p" AS "p",
  p_."where" AS "where",
  p_."http"."method" AS "http_method",
  CAST(sum(p_."views") AS BIGINT) AS "views",
  CAST(sum(p_."price") AS DECIMAL(38, 2)) AS "price",
  sum(p_."weight"."value") AS "weight",
  min(p_."least"."value") AS "least",
  max(p_."most"."value") AS "most",
  sum(p_."mean"."sum") AS "mean_sum",
  CAST(sum(p_."mean"."count") AS BIGINT) AS "mean_count",
  sum(p_."mean"."sum") / nullif(sum(p_."mean"."count"), 0) AS "mean_mean",
  CAST(sum(p_."http"."errors") AS BIGINT) AS "http_errors",
  sum(p_."http"."mean"."sum") AS "http_mean_sum",
  CAST(sum(p_."http"."mean"."count") AS BIGINT) AS "http_mean_count",
  sum(p_."http"."mean"."sum") / nullif(sum(p_."http"."mean"."count"), 0) AS "http_mean_mean"
FROM "lake"."page""minutes" AS p_
GROUP BY
  p_."page",
  p_."start",
  p_."p",
  p_."where",
  p_."http"."method"
`
	if got != want {
		t.Fatalf("got:\n%s\nwant:\n%s", got, want)
	}
}

// Fewer columns to group by make totals over the others.
func TestMergeQueryOfAGroup(t *testing.T) {
	type row struct {
		Page, Country string
		Views         fold.Count
		By            struct {
			Name string
			N    fold.Count
		}
	}
	got, err := fold.MergeQuery[row]("t", "by.name", "page")
	if err != nil {
		t.Fatal(err)
	}
	const want = `SELECT
  p."page" AS "page",
  p."by"."name" AS "by_name",
  CAST(sum(p."views") AS BIGINT) AS "views",
  CAST(sum(p."by"."n") AS BIGINT) AS "by_n"
FROM "t" AS p
GROUP BY
  p."page",
  p."by"."name"
`
	if got != want {
		t.Fatalf("got:\n%s\nwant:\n%s", got, want)
	}
	whole, err := fold.MergeQuery[struct{ N fold.Count }]("t")
	if err != nil || strings.Contains(whole, "GROUP BY") {
		t.Fatal(whole, err)
	}
}

func TestMergeQueryRefuses(t *testing.T) {
	type row struct {
		Page string
		N    fold.Count
	}
	type clash struct {
		AB string `lake:"a_b"`
		A  struct{ B fold.Count }
	}
	query := func(q string, err error) error {
		if err == nil {
			t.Errorf("a query:\n%s", q)
			return nil
		}
		return err
	}
	for _, test := range []struct {
		err  error
		want string
	}{
		{query(fold.MergeQuery[row]("")), "table"},
		{query(fold.MergeQuery[row]("a..b")), "table"},
		{query(fold.MergeQuery[row]("a\nb")), "table"},
		{query(fold.MergeQuery[row]("t", "country")), `cannot group by "country": the columns of the key are page`},
		{query(fold.MergeQuery[row]("t", "n")), `cannot group by "n"`},
		{query(fold.MergeQuery[row]("t", "page", "page")), "twice"},
		{query(fold.MergeQuery[int]("t")), "use a struct"},
		{query(fold.MergeQuery[struct{ Page string }]("t")), "no column is a fold"},
		{query(fold.MergeQuery[struct {
			Page string
			fold.Mean[int]
		}]("t")), "embedded"},
		{query(fold.MergeQuery[clash]("t")), "columns a_b and a.b would both become a_b"},
	} {
		if test.err != nil && !strings.Contains(test.err.Error(), test.want) {
			t.Errorf("got %v, want %s", test.err, test.want)
		}
	}
}
