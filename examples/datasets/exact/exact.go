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

// Bounds of a Decimal: far more than any sensor writes, and little enough for a
// hostile payload to cost nothing.
const (
	maxDigits   = 64
	maxExponent = 30
)

// Decimal is a decimal number as it was written, "-12.50". The empty Decimal is 0,
// so a row that adds up may begin with the zero value. It is a string column in
// files.
type Decimal string

// Parse reads a number in the syntax of JSON, of at most 64 characters and an
// exponent of at most 30. It keeps the digits, so "1.50" and "1.5" stay apart, and
// writes an exponent out: "1e3" becomes "1000".
func Parse(text string) (Decimal, error) {
	if len(text) > maxDigits {
		return "", fmt.Errorf("a number of %d characters: want at most %d", len(text), maxDigits)
	}
	number, exponent := text, 0
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		n, err := strconv.Atoi(strings.TrimPrefix(text[i+1:], "+"))
		if err != nil || n < -maxExponent || n > maxExponent || strings.HasPrefix(text[i+1:], "+-") {
			return "", fmt.Errorf("%q has an exponent that is no number from %d to %d", text, -maxExponent, maxExponent)
		}
		number, exponent = text[:i], n
	}
	digitsOf, negative := strings.CutPrefix(number, "-")
	whole, fraction, point := strings.Cut(digitsOf, ".")
	switch {
	case !digits(whole), point && !digits(fraction):
		return "", fmt.Errorf("%q is not a decimal number", text)
	case len(whole) > 1 && whole[0] == '0':
		return "", fmt.Errorf("%q has a leading zero", text)
	case number == text:
		return Decimal(text), nil
	}
	return shift(negative, whole, fraction, exponent), nil
}

// shift moves the point of a number to the right by n digits.
func shift(negative bool, whole, fraction string, n int) Decimal {
	for ; n > 0; n-- {
		if fraction == "" {
			fraction = "0"
		}
		whole, fraction = whole+fraction[:1], fraction[1:]
	}
	for ; n < 0; n++ {
		whole = "0" + whole
		whole, fraction = whole[:len(whole)-1], whole[len(whole)-1:]+fraction
	}
	if whole = strings.TrimLeft(whole, "0"); whole == "" {
		whole = "0"
	}
	if fraction != "" {
		whole += "." + fraction
	}
	if negative {
		whole = "-" + whole
	}
	return Decimal(whole)
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// UnmarshalJSON takes a JSON number. Strings and null are refused; a pointer field
// takes null.
func (d *Decimal) UnmarshalJSON(b []byte) error {
	n, err := Parse(string(b))
	if err != nil {
		return err
	}
	*d = n
	return nil
}

// MarshalJSON writes the number with its digits.
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
