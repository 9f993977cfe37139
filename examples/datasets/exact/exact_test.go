package exact_test

import (
	"encoding/json/v2"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/shardlake/shardlake/examples/datasets/exact"
)

func ExampleDecimal_Add() {
	sum := exact.Decimal("0.1").Add("0.2")
	fmt.Println(sum, sum.Compare("0.30"))
	// Output: 0.3 0
}

func TestParseTakesNumbersAndNothingElse(t *testing.T) {
	for _, s := range []string{"0", "-0", "12", "-3.50", "0.001", "863964000", "38.532000000000004"} {
		if d, err := exact.Parse(s); err != nil || string(d) != s {
			t.Errorf("Parse(%q) = %q, %v", s, d, err)
		}
	}
	for _, s := range []string{"", "-", ".5", "5.", "1e", "1e31", "1e+-3", "1e1.5", "e3", "01", "--1", "+1", "1.2.3", "NaN", "0x1", " 1", "1 ", "null", `"1"`, fmt.Sprintf("%065d", 1)} {
		if d, err := exact.Parse(s); err == nil {
			t.Errorf("Parse(%q) = %q", s, d)
		}
	}
}

func TestParseWritesExponentsOut(t *testing.T) {
	for in, want := range map[string]exact.Decimal{"1e3": "1000", "1.5E+1": "15", "1.50e1": "15.0", "-12e-3": "-0.012", "0e5": "0", "100e-2": "1.00", "-0.5e1": "-5"} {
		if got, err := exact.Parse(in); err != nil || got != want {
			t.Errorf("Parse(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestScaled(t *testing.T) {
	for _, c := range []struct {
		d     exact.Decimal
		scale int
		want  int64
	}{{"", 3, 0}, {"2.55", 3, 2550}, {"-2.5", 3, -2500}, {"0.001", 3, 1}, {"-0.001", 3, -1}, {"7", 0, 7}, {"1.5000", 1, 15}} {
		if got, err := c.d.Scaled(c.scale); err != nil || got != c.want {
			t.Errorf("%q.Scaled(%d) = %d, %v; want %d", c.d, c.scale, got, err, c.want)
		}
	}
	for d, scale := range map[exact.Decimal]int{"0.0001": 3, "9223372036854775808": 0, "9223372036854775.808": 4} {
		if got, err := d.Scaled(scale); err == nil {
			t.Errorf("%q.Scaled(%d) = %d", d, scale, got)
		}
	}
}

func TestSumsKeepEveryDigit(t *testing.T) {
	for _, c := range []struct{ a, b, want exact.Decimal }{
		{"", "", "0"}, {"", "1.50", "1.50"}, {"-0.05", "0.04", "-0.01"}, {"9.99", "0.01", "10.00"},
		{"38.532000000000004", "863964000.0", "863964038.532000000000004"}, {"-1", "1", "0"},
	} {
		if got := c.a.Add(c.b); got != c.want || c.b.Add(c.a) != c.want {
			t.Errorf("%q + %q = %q, want %q", c.a, c.b, got, c.want)
		}
	}
	if exact.Decimal("-2").Compare("1.5") >= 0 || exact.Decimal("0.10").Compare("0.1") != 0 || exact.Decimal("0.2").Compare("") <= 0 {
		t.Error("Compare does not order numbers")
	}
}

func TestJSONKeepsTheDigits(t *testing.T) {
	type row struct {
		Value exact.Decimal
		Maybe *exact.Decimal
	}
	in := `{"Value":1.50,"Maybe":null}`
	var r row
	if err := json.Unmarshal([]byte(in), &r); err != nil || r.Value != "1.50" || r.Maybe != nil {
		t.Fatalf("%+v, %v", r, err)
	}
	if out, err := json.Marshal(r); err != nil || string(out) != in {
		t.Errorf("%s, %v", out, err)
	}
	for _, bad := range []string{`{"Value":"1"}`, `{"Value":null}`, `{"Value":1e99}`, `{"Value":[1]}`} {
		if err := json.Unmarshal([]byte(bad), &r); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func TestTimes(t *testing.T) {
	if n, err := exact.Times(-74215, 1040); err != nil || n != -77183600 {
		t.Error(n, err)
	}
	if _, err := exact.Times(math.MaxInt64, 2); !errors.Is(err, exact.ErrOverflow) {
		t.Error(err)
	}
}
