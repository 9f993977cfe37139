package sketch_test

import (
	"bytes"
	"encoding/json/v2"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/shardlake/shardlake/internal/schema"
	"github.com/shardlake/shardlake/stage/fold"
	"github.com/shardlake/shardlake/stage/sketch"
)

// row has both sketches, as an accumulator does.
type row struct {
	Key string
	D   sketch.Distinct
	Q   sketch.Quantiles
}

func (r *row) Merge(other row) { fold.Merge(r, other) }

func (r *row) add(x float64) {
	r.D.Add(fmt.Sprint(x))
	r.Q.Add(x)
}

func (r *row) bytes(t *testing.T) []byte {
	t.Helper()
	d, err := r.D.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	q, err := r.Q.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return append(d, q...)
}

func roundTrip[T any](t *testing.T, in T) (out T) {
	t.Helper()
	data, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// The same values are the same bytes: in any order, in any grouping of merges,
// with estimates and JSON in between. Sizes lie around the border between sparse
// and dense, magnitudes beyond what the bins of a sketch span.
func TestAnyGrouping(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		values := make([]float64, r.IntN(1<<(r.IntN(13))))
		spread := []int{1, 10, 900}[r.IntN(3)]
		for i := range values {
			values[i] = math.Ldexp(float64(r.IntN(4000)-1000), r.IntN(spread)-spread/2)
		}
		var whole row
		for _, x := range values {
			whole.add(x)
		}
		parts := make([]row, 1+r.IntN(9))
		for _, i := range r.Perm(len(values)) {
			p := &parts[r.IntN(len(parts))]
			p.add(values[i])
			if r.IntN(50) == 0 {
				p.D.Estimate()
			}
		}
		for len(parts) > 1 {
			i := r.IntN(len(parts) - 1)
			other := parts[i+1]
			if r.IntN(2) == 0 {
				parts[i], other = roundTrip(t, parts[i]), roundTrip(t, other)
			}
			before := other.bytes(t)
			parts[i].Merge(other)
			if !bytes.Equal(before, other.bytes(t)) {
				t.Fatalf("seed %d: a merge changed its source", seed)
			}
			parts = slices.Delete(parts, i+1, i+2)
		}
		if !bytes.Equal(parts[0].bytes(t), whole.bytes(t)) {
			t.Fatalf("seed %d: %d values: other bytes", seed, len(values))
		}
		if got, want := parts[0].D.Estimate(), whole.D.Estimate(); got != want {
			t.Fatalf("seed %d: estimates %d and %d", seed, got, want)
		}
	}
}

// The estimate is within four standard errors, and nearly exact for few values.
func TestDistinctError(t *testing.T) {
	var d sketch.Distinct
	for n := int64(1); n <= 100_000; n++ {
		v := fmt.Sprint("visitor ", n)
		d.Add(v)
		d.Add(v)
		if n&(n-1) != 0 && n != 1000 && n != 100_000 {
			continue
		}
		most := 4 * 0.0163
		if n <= 1000 {
			most = 0.002
		}
		if e := math.Abs(float64(d.Estimate()-n)) / float64(n); e > most {
			t.Errorf("%d values: an error of %.4f", n, e)
		}
	}
	data, err := d.MarshalBinary()
	if err != nil || len(data) != 4104 {
		t.Error(len(data), err)
	}
}

// Each quantile is within 1 % of the true one.
func TestQuantilesError(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var q sketch.Quantiles
	values := make([]float64, 20_001)
	for i := range values {
		values[i] = math.Exp(r.NormFloat64()*4) * float64(r.IntN(4)-1)
		q.Add(values[i])
	}
	slices.Sort(values)
	for _, p := range []float64{0, 0.001, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.9999, 1} {
		got, ok := q.Quantile(p)
		if want := values[int(p*20_000)]; !ok || math.Abs(got-want) > 0.0101*math.Abs(want) {
			t.Errorf("%v: got %v, want %v", p, got, want)
		}
	}
	if q.Count() != 20_001 {
		t.Error(q.Count())
	}
}

// What is no number is passed over, what is too large or too small has a place.
func TestQuantilesOfTheExtreme(t *testing.T) {
	var q sketch.Quantiles
	q.Add(math.NaN())
	if _, ok := q.Quantile(0.5); ok || q.Count() != 0 {
		t.Error("a median of nothing")
	}
	for _, x := range []float64{math.Inf(-1), -math.MaxFloat64, math.SmallestNonzeroFloat64, 0, math.Inf(1)} {
		q.Add(x)
	}
	low, _ := q.Quantile(0)
	mid, _ := q.Quantile(0.5)
	high, _ := q.Quantile(1)
	if low > -1.2e308 || math.IsInf(low, 0) || mid != 0 || high < 1.2e308 || math.IsInf(high, 0) {
		t.Error(low, mid, high)
	}
	for _, p := range []float64{-0.1, 1.1, math.NaN()} {
		if v, ok := q.Quantile(p); ok {
			t.Errorf("quantile %v is %v", p, v)
		}
	}
}

// Empty sketches have columns, and merge as nothing.
func TestOfNothing(t *testing.T) {
	r := roundTrip(t, row{})
	r.Merge(row{})
	if c := r.D.Column(); c.Estimate != 0 || len(c.Sketch) == 0 {
		t.Errorf("%+v", c)
	}
	if c := r.Q.Column(); c.Count != 0 || c.P99 != nil || len(c.Sketch) == 0 {
		t.Errorf("%+v", c)
	}
	var null row
	if err := json.Unmarshal([]byte(`{"Key":"","D":null,"Q":null}`), &null); err != nil || !bytes.Equal(null.bytes(t), r.bytes(t)) {
		t.Error(err)
	}
}

// What was merged, or cloned, shares nothing.
func TestNothingIsShared(t *testing.T) {
	var a, b row
	a.add(1)
	b.Merge(a)
	c := row{D: a.D.Clone(), Q: a.Q.Clone()}
	before := a.bytes(t)
	b.add(2)
	c.add(3)
	if !bytes.Equal(before, a.bytes(t)) {
		t.Fatal("the source changed")
	}
	a.D.Merge(a.D)
	if !bytes.Equal(before, a.bytes(t)) {
		t.Fatal("a sketch merged with itself is another")
	}
}

// The columns are those that sinks can write; the live sketches are none.
func TestColumns(t *testing.T) {
	type out struct {
		Visitors sketch.DistinctColumn
		Latency  sketch.QuantilesColumn
	}
	s, err := schema.Of(reflect.TypeFor[out]())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range s.Root.Fields {
		for _, g := range f.Fields {
			names = append(names, f.Name+"."+g.Name)
		}
	}
	want := "visitors.estimate visitors.sketch latency.count latency.p50 latency.p90 latency.p95 latency.p99 latency.sketch"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if _, err := schema.Of(reflect.TypeFor[row]()); err == nil {
		t.Error("a live sketch is a column")
	}
	if err := fold.Check[row](); err != nil {
		t.Error(err)
	}
}
