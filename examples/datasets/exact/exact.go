// Package exact keeps the digits of decimal numbers: a price or a reading that
// passes through a float64 is rounded, and sums of rounded numbers differ from
// what an accountant gets.
package exact

import (
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// maxDigits bounds a Decimal: far more than any sensor writes, and few enough for
// a hostile payload to cost nothing.
const maxDigits = 64

// Decimal is a decimal number as it was written, "-12.50", without exponent. The
// empty Decimal is 0, so a row that adds up may begin with the zero value. It is
// a string column in files.
type Decimal string

// Parse reads a number in the syntax of JSON without an exponent, of at most 64
// characters. It keeps the text, so "1.50" and "1.5" stay apart.
func Parse(text string) (Decimal, error) {
	if len(text) > maxDigits {
		return "", fmt.Errorf("a number of %d characters: want at most %d", len(text), maxDigits)
	}
	whole, fraction, point := strings.Cut(strings.TrimPrefix(text, "-"), ".")
	switch {
	case !digits(whole), point && !digits(fraction):
		return "", fmt.Errorf("%q is not a decimal number", text)
	case len(whole) > 1 && whole[0] == '0':
		return "", fmt.Errorf("%q has a leading zero", text)
	}
	return Decimal(text), nil
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// UnmarshalJSON takes a JSON number. Strings, null and exponents are refused; a
// pointer field takes null.
func (d *Decimal) UnmarshalJSON(b []byte) error {
	n, err := Parse(string(b))
	if err != nil {
		return err
	}
	*d = n
	return nil
}

// MarshalJSON writes the number as it was read.
func (d Decimal) MarshalJSON() ([]byte, error) {
	if d == "" {
		return []byte{'0'}, nil
	}
	return []byte(d), nil
}

// Scaled returns the number in units of 10^-scale, which is what a decimal column
// of that scale holds. It fails if digits would be lost, or beyond int64.
func (d Decimal) Scaled(scale int) (int64, error) {
	if d == "" {
		return 0, nil
	}
	whole, fraction, _ := strings.Cut(string(d), ".")
	fraction = strings.TrimRight(fraction, "0")
	if len(fraction) > scale {
		return 0, fmt.Errorf("%s has more than %d decimals", d, scale)
	}
	n, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", scale-len(fraction)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s does not fit a decimal of scale %d", d, scale)
	}
	return n, nil
}

// Float64 returns the nearest float64. It panics as Add does.
func (d Decimal) Float64() float64 {
	if d == "" {
		return 0
	}
	f, err := strconv.ParseFloat(string(d), 64)
	if err != nil {
		panic(fmt.Sprintf("exact: %q is not a Decimal", string(d)))
	}
	return f
}

// Add returns d+e with all digits. Like Compare it panics for a Decimal that
// neither Parse nor Add made, which a stage turns into an error with its position.
func (d Decimal) Add(e Decimal) Decimal {
	a, b, scale := align(d, e)
	a.Add(a, b)
	text := a.Text(10)
	if scale == 0 {
		return Decimal(text)
	}
	sign := ""
	if text[0] == '-' {
		sign, text = "-", text[1:]
	}
	if len(text) <= scale {
		text = strings.Repeat("0", scale+1-len(text)) + text
	}
	return Decimal(sign + text[:len(text)-scale] + "." + text[len(text)-scale:])
}

// Compare is -1 if d < e, 0 if they are equal as numbers, 1 if d > e.
func (d Decimal) Compare(e Decimal) int {
	a, b, _ := align(d, e)
	return a.Cmp(b)
}

// align returns both numbers in units of 10^-scale.
func align(d, e Decimal) (a, b *big.Int, scale int) {
	scale = max(d.decimals(), e.decimals())
	return d.units(scale), e.units(scale), scale
}

func (d Decimal) decimals() int {
	_, fraction, _ := strings.Cut(string(d), ".")
	return len(fraction)
}

func (d Decimal) units(scale int) *big.Int {
	if d == "" {
		return new(big.Int)
	}
	whole, fraction, _ := strings.Cut(string(d), ".")
	n, ok := new(big.Int).SetString(whole+fraction+strings.Repeat("0", scale-len(fraction)), 10)
	if !ok {
		panic(fmt.Sprintf("exact: %q is not a Decimal", string(d)))
	}
	return n
}

// ErrOverflow says that a product does not fit.
var ErrOverflow = errors.New("the product does not fit 63 bits")

// Times returns n*scaled, a scaled number again.
func Times(n, scaled int64) (int64, error) {
	p := new(big.Int).Mul(big.NewInt(n), big.NewInt(scaled))
	if !p.IsInt64() {
		return 0, fmt.Errorf("%d times %d: %w", n, scaled, ErrOverflow)
	}
	return p.Int64(), nil
}
