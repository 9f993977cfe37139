package fold_test

import (
	"encoding/json/v2"
	"math"
	"math/big"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/internal/schema"
	"github.com/shardlake/shardlake/stage/fold"
)

// all is a row with every fold.
type all struct {
	Key     string
	N       fold.Count
	Sum     fold.Sum
	Float   fold.FloatSum
	Least   fold.Min[float64]
	Most    fold.Max[time.Duration]
	First   fold.Min[shardlake.Instant]
	Name    fold.Max[string]
	Byte    fold.Min[uint8]
	Mean    fold.Mean[float64]
	MeanInt fold.Mean[int64]
	MeanBig fold.Mean[uint64]
	Maybe   *fold.Sum
	Inner   struct{ N fold.Count }
}

func (a *all) Merge(other all) { fold.Merge(a, other) }

func (a *all) add(x float64, n int64) {
	a.N.Inc()
	a.Sum.Add(n)
	a.Float.Add(x)
	a.Least.Add(x)
	a.Most.Add(time.Duration(n))
	a.First.Add(shardlake.Instant(n))
	a.Name.Add(strings.Repeat("x", int(uint64(n)%5)))
	a.Byte.Add(uint8(n))
	a.Mean.Add(x)
	a.MeanInt.Add(n << 20)
	a.MeanBig.Add(uint64(n) << 3)
	if n%3 == 0 {
		if a.Maybe == nil {
			a.Maybe = new(fold.Sum)
		}
		a.Maybe.Add(n)
	}
	a.Inner.N.Add(2)
}

// columns is what a file gets of a row, bit for bit.
func (a *all) columns() []any {
	bits := math.Float64bits
	get := func(p *float64) uint64 {
		if p == nil {
			return 1
		}
		return bits(*p)
	}
	maybe := fold.Sum(-1)
	if a.Maybe != nil {
		maybe = *a.Maybe
	}
	most, _ := a.Most.Get()
	first, _ := a.First.Get()
	name, named := a.Name.Get()
	byt, _ := a.Byte.Get()
	return []any{a.Key, a.N, a.Sum, bits(a.Float.Value), get(a.Least.Value), most, first, name, named, byt, bits(a.Mean.Sum), a.Mean.Count,
		bits(a.MeanInt.Sum), a.MeanInt.Count, bits(a.MeanBig.Sum), a.MeanBig.Count, maybe, a.Inner.N}
}

func roundTrip[T any](t *testing.T, in T) (out T) {
	t.Helper()
	data, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return out
}

// number draws what is hard to add: all magnitudes, halves of units, opposites.
func number(r *rand.Rand) float64 {
	switch r.IntN(8) {
	case 0:
		return 0
	case 1:
		return math.Copysign(0, -1)
	case 2:
		return math.Ldexp(r.Float64()-0.5, r.IntN(1900)-1000)
	case 3:
		return math.Ldexp(1, 53) * float64(r.IntN(3)-1)
	case 4:
		return float64(r.IntN(5) - 2)
	case 5:
		return math.SmallestNonzeroFloat64 * float64(r.IntN(9)-4)
	default:
		return float64(r.IntN(2_000_000)-1_000_000) / 100
	}
}

// Whatever the order and the grouping, and with JSON in between, the columns are
// those of one pass.
func TestAnyGrouping(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		n := r.IntN(60)
		xs, ns := make([]float64, n), make([]int64, n)
		whole, parts := all{Key: "k"}, []all{{Key: "k"}}
		for i := range n {
			xs[i], ns[i] = number(r), r.Int64N(1<<40)-1<<39
			whole.add(xs[i], ns[i])
		}
		for _, i := range r.Perm(n) {
			if r.IntN(3) == 0 {
				parts = append(parts, all{Key: "k"})
			}
			parts[r.IntN(len(parts))].add(xs[i], ns[i])
		}
		for len(parts) > 1 {
			i := r.IntN(len(parts) - 1)
			other := parts[i+1]
			if r.IntN(2) == 0 {
				parts[i], other = roundTrip(t, parts[i]), roundTrip(t, other)
			}
			before := other.columns()
			parts[i].Merge(other)
			if !reflect.DeepEqual(before, other.columns()) {
				t.Fatalf("seed %d: a merge changed its source", seed)
			}
			parts = slices.Delete(parts, i+1, i+2)
		}
		if got, want := parts[0].columns(), whole.columns(); !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d:\ngot  %v\nwant %v", seed, got, want)
		}
	}
}

// Sums of floats are the exact sum, rounded once.
func TestFloatSumIsExact(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 2))
		var s fold.FloatSum
		exact := new(big.Float).SetPrec(4000)
		for range 1 + r.IntN(200) {
			x := number(r)
			s.Add(x)
			exact.Add(exact, new(big.Float).SetFloat64(x))
			if want, _ := exact.Float64(); s.Value != want {
				t.Fatalf("seed %d: got %v, want %v", seed, s.Value, want)
			}
		}
		again := roundTrip(t, s)
		again.Add(1)
		s.Add(1)
		if s.Value != again.Value {
			t.Fatalf("seed %d: JSON lost %v", seed, s.Value-again.Value)
		}
	}
}

// Means of integers of 64 bits lose nothing on the way to the sum.
func TestMeanOfLargeIntegers(t *testing.T) {
	var u fold.Mean[uint64]
	var i fold.Mean[int64]
	exactU, exactI := new(big.Int), new(big.Int)
	for range 9 {
		u.Add(math.MaxUint64)
		i.Add(math.MinInt64 + 3)
		exactU.Add(exactU, new(big.Int).SetUint64(math.MaxUint64))
		exactI.Add(exactI, big.NewInt(math.MinInt64+3))
	}
	wantU, _ := new(big.Float).SetInt(exactU).Float64()
	wantI, _ := new(big.Float).SetInt(exactI).Float64()
	if u.Sum != wantU || i.Sum != wantI {
		t.Fatalf("got %v and %v, want %v and %v", u.Sum, i.Sum, wantU, wantI)
	}
	if mean, ok := i.Value(); !ok || mean != wantI/9 {
		t.Fatal(mean, ok)
	}
}

// A copy that goes on does not change the original.
func TestCopiesAreApart(t *testing.T) {
	var a fold.FloatSum
	for e := -1000; e < 1000; e += 60 {
		a.Add(math.Ldexp(1, e))
	}
	b, state := a, mustJSON(t, a)
	b.Add(math.Ldexp(1, 999))
	b.Merge(a)
	if got := mustJSON(t, a); got != state {
		t.Fatalf("the original is now %s, was %s", got, state)
	}
	var m fold.Min[string]
	m.Add("b")
	n := m
	n.Add("a")
	if *m.Value != "b" || *n.Value != "a" {
		t.Fatal(*m.Value, *n.Value)
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// What does not fit in 64 bits is marked, and stays so.
func TestSumOverflow(t *testing.T) {
	var s fold.Sum
	s.Add(math.MaxInt64 - 1)
	if s.Overflowed() {
		t.Fatal("it fits")
	}
	s.Add(2)
	s.Add(-100)
	if s != math.MaxInt64 || !s.Overflowed() {
		t.Fatal(s)
	}
	low := fold.Sum(math.MinInt64 + 1)
	low.Add(-5)
	if low != math.MinInt64 || !low.Overflowed() {
		t.Fatal(low)
	}
	a, b := s, low
	a.Merge(low)
	b.Merge(s)
	if a != b || a != math.MaxInt64 {
		t.Fatal(a, b)
	}
	c := fold.Count(math.MaxInt64 - 1)
	c.Inc()
	c.Inc()
	if !c.Overflowed() {
		t.Fatal(c)
	}
}

// Numbers that are none go through sums as IEEE 754 has it, are passed over by
// extremes, and survive JSON.
func TestInfiniteAndUndefined(t *testing.T) {
	inf := math.Inf(1)
	for _, test := range []struct {
		in   []float64
		want float64
	}{
		{[]float64{1, inf, 2}, inf},
		{[]float64{-inf, 1e308, -inf}, -inf},
		{[]float64{inf, 3, -inf}, math.NaN()},
		{[]float64{math.NaN(), 5}, math.NaN()},
		{[]float64{5, math.NaN(), inf}, math.NaN()},
		{[]float64{math.MaxFloat64, math.MaxFloat64}, inf},
		{[]float64{math.MaxFloat64, 1, -math.MaxFloat64}, 1},
	} {
		var s fold.FloatSum
		var m fold.Mean[float64]
		for _, x := range test.in {
			s.Add(x)
			m.Add(x)
			s, m = roundTrip(t, s), roundTrip(t, m)
		}
		same := func(x float64) bool { return x == test.want || x != x && test.want != test.want }
		if !same(s.Value) || !same(m.Sum) {
			t.Errorf("%v: got %v and %v, want %v", test.in, s.Value, m.Sum, test.want)
		}
	}
	var least fold.Min[float64]
	least.Add(math.NaN())
	if _, ok := least.Get(); ok {
		t.Error("NaN is no least value")
	}
	least.Add(-inf)
	least.Add(math.NaN())
	if v, ok := roundTrip(t, least).Get(); !ok || v != -inf {
		t.Error(v, ok)
	}
	zero := fold.Max[float64]{}
	zero.Add(math.Copysign(0, -1))
	if v, _ := zero.Get(); math.Signbit(v) {
		t.Error("-0")
	}
}

// Of nothing: counts and sums are 0, extremes and means are null, and stay so.
func TestOfNothing(t *testing.T) {
	a := roundTrip(t, all{Key: "k"})
	a.Merge(all{Key: "k"})
	if !reflect.DeepEqual(a, all{Key: "k"}) {
		t.Fatalf("%+v", a)
	}
	if _, ok := a.Least.Get(); ok {
		t.Error("a least value of nothing")
	}
	if _, ok := a.Mean.Value(); ok {
		t.Error("a mean of nothing")
	}
}

// The columns are those that the package comment promises.
func TestColumns(t *testing.T) {
	type row struct {
		N     fold.Count
		Price fold.Sum `lake:"price,decimal(18,2)"`
		F     fold.FloatSum
		Least fold.Min[shardlake.Instant]
		Most  fold.Max[time.Duration]
		Mean  fold.Mean[int8]
	}
	s, err := schema.Of(reflect.TypeFor[row]())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"name":"row","type":"record","fields":[` +
		`{"name":"n","type":"long"},` +
		`{"name":"price","type":{"type":"bytes","logicalType":"decimal","precision":18,"scale":2}},` +
		`{"name":"f","type":{"name":"row_f","type":"record","fields":[{"name":"value","type":"double"}]}},` +
		`{"name":"least","type":{"name":"row_least","type":"record","fields":[{"name":"value","type":["null",{"type":"long","logicalType":"timestamp-micros"}],"default":null}]}},` +
		`{"name":"most","type":{"name":"row_most","type":"record","fields":[{"name":"value","type":["null","long"],"default":null}]}},` +
		`{"name":"mean","type":{"name":"row_mean","type":"record","fields":[{"name":"sum","type":"double"},{"name":"count","type":"long"}]}}]}`
	if got := s.Avro(); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
}

// A state that no fold wrote is refused, and changes nothing.
func TestHostileState(t *testing.T) {
	for _, text := range []string{`{}`, `"x"`, `[1,"x"]`, `[[1]]`, `1`, `[1e999]`, `[` + strings.Repeat("1,", 99) + `1]`} {
		s := fold.FloatSum{}
		s.Add(7)
		if err := json.Unmarshal([]byte(text), &s); err == nil || s.Value != 7 {
			t.Errorf("FloatSum %s: %v, now %v", text, err, s.Value)
		}
	}
	for _, text := range []string{`[]`, `{"count":-1,"sum":[]}`, `{"count":0,"sum":[1]}`, `{"sum":[1]}`, `{"count":1,"sum":[1],"x":1}`, `{"count":1.5,"sum":[]}`} {
		m := fold.Mean[int]{}
		m.Add(7)
		if err := json.Unmarshal([]byte(text), &m); err == nil || m.Sum != 7 {
			t.Errorf("Mean %s: %v, now %v", text, err, m)
		}
	}
	for _, text := range []string{`1.5`, `128`, `"1"`, `{}`, `true`, `1e2`} {
		m := fold.Min[int8]{}
		m.Add(7)
		if err := json.Unmarshal([]byte(text), &m); err == nil || *m.Value != 7 {
			t.Errorf("Min[int8] %s: %v", text, err)
		}
	}
	for text, into := range map[string]any{`1e39`: new(fold.Min[float32]), `"NaN"`: new(fold.Max[float64]), `5`: new(fold.Max[string]), `-1`: new(fold.Max[uint16])} {
		if err := json.Unmarshal([]byte(text), into); err == nil {
			t.Errorf("%T takes %s", into, text)
		}
	}
}

func FuzzState(f *testing.F) {
	f.Add([]byte(`[1,2.5e300]`))
	f.Add([]byte(`{"count":3,"sum":[0.1,"NaN"]}`))
	f.Add([]byte(`"Infinity"`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var s fold.FloatSum
		if json.Unmarshal(data, &s) == nil {
			if again := roundTrip(t, s); again.Value != s.Value && s.Value == s.Value {
				t.Fatalf("%v became %v", s.Value, again.Value)
			}
		}
		var m fold.Mean[int64]
		if json.Unmarshal(data, &m) == nil {
			roundTrip(t, m)
		}
		var least fold.Min[float64]
		if json.Unmarshal(data, &least) == nil && !reflect.DeepEqual(least, roundTrip(t, least)) {
			t.Fatal(least)
		}
	})
}
