package dynamotest

import (
	"math/big"
	"strconv"
	"strings"
)

// Limits of numbers (developer guide, "Data types"): 38 digits of precision,
// magnitudes from 1E-130 to 9.99...E+125.
const (
	maxDigits   = 38
	maxExponent = 126
	minExponent = -130
)

// decimal is the plain form of a number: no exponent, no needless zeros.
func decimal(s string) (string, error) {
	bad := func() (string, error) {
		return "", invalid("The parameter cannot be converted to a numeric value: %s", s)
	}
	mantissa, e, hasExp := strings.Cut(strings.ToUpper(s), "E")
	exp := 0
	if hasExp {
		n, err := strconv.Atoi(e)
		if err != nil {
			return bad()
		}
		exp = n
	}
	negative := strings.HasPrefix(mantissa, "-")
	mantissa = strings.TrimPrefix(strings.TrimPrefix(mantissa, "-"), "+")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := whole + fraction
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return bad()
	}
	point := len(whole) + exp // digits before the decimal point
	trimmed := strings.TrimLeft(digits, "0")
	point -= len(digits) - len(trimmed)
	digits = strings.TrimRight(trimmed, "0")
	switch {
	case digits == "":
		return "0", nil
	case len(digits) > maxDigits:
		return "", invalid("Attempting to store more than 38 significant digits in a Number")
	case point > maxExponent:
		return "", invalid("Number overflow. Attempting to store a number with magnitude larger than supported range")
	case point <= minExponent:
		return "", invalid("Number underflow. Attempting to store a number with magnitude smaller than supported range")
	}
	var b strings.Builder
	if negative {
		b.WriteByte('-')
	}
	switch {
	case point <= 0:
		b.WriteString("0." + strings.Repeat("0", -point) + digits)
	case point >= len(digits):
		b.WriteString(digits + strings.Repeat("0", point-len(digits)))
	default:
		b.WriteString(digits[:point] + "." + digits[point:])
	}
	return b.String(), nil
}

// rational is the value of a plain number.
func rational(s string) *big.Rat {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return new(big.Rat) // cannot be: the number was read by decimal
	}
	return r
}

// sum adds or subtracts two plain numbers.
func sum(a, b string, minus bool) (string, error) {
	r := new(big.Rat)
	if minus {
		r.Sub(rational(a), rational(b))
	} else {
		r.Add(rational(a), rational(b))
	}
	return decimal(r.FloatString(maxExponent - minExponent))
}
