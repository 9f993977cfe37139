package jsonrow

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strconv"
	"testing"
	"time"
	"unsafe"
)

// Each byte at each place of a word, beside each of the bytes that borrow.
func TestPlainEndsAtTheFirstSpecialByte(t *testing.T) {
	is := func(c byte) bool { return c < ' ' || c == '"' || c == '\\' || c >= 0x80 }
	for c := range 256 {
		for at := range 20 {
			for _, filler := range []byte{' ', '!', '#', '[', ']', 'a', '\x7f'} {
				for _, behind := range []byte{0, '"', '\\', '\x1f', 0x80, 0xff, 'b'} {
					b := make([]byte, 24)
					for i := range b {
						b[i] = filler
					}
					b[at], b[at+1] = byte(c), behind
					want := 0
					for want < len(b) && !is(b[want]) {
						want++
					}
					if got := plain(b, 0); got != want {
						t.Fatalf("%q: %d, not %d", b, got, want)
					}
				}
			}
		}
	}
}

// Days of ten thousand years are those of package time, with its zero and its
// location.
func TestTimesAreThoseOfPackageTime(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	for day := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() <= 9999; day = day.AddDate(0, 0, 3) {
		at := day.Add(time.Duration(rng.Int64N(86400e9)) / time.Duration(math.Pow10(rng.IntN(10))) * time.Duration(math.Pow10(rng.IntN(2))))
		text := at.Format(time.RFC3339Nano)
		got, end := utc([]byte(text+`"`), 0)
		if end != len(text)+1 || !got.Equal(at) || got.Location() != at.Location() {
			t.Fatalf("%s: %v, %d", text, got, end)
		}
	}
	for y := 1899; y < 2005; y++ { // days that are none
		for m := range 14 {
			for d := range 33 {
				text := fmt.Sprintf("%04d-%02d-%02dT00:00:00Z", y, m, d)
				var want time.Time
				ok := want.UnmarshalText([]byte(text)) == nil
				if got, end := utc([]byte(text+`"`), 0); (end >= 0) != ok || ok && (!got.Equal(want) || got.Location() != want.Location()) {
					t.Fatalf("%s: %v, %d; %v, %t", text, got, end, want, ok)
				}
			}
		}
	}
}

func TestFloatsAreThoseOfStrconv(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	for range 60_000 {
		var text string
		switch rng.IntN(3) {
		case 0:
			text = strconv.FormatFloat(math.Float64frombits(rng.Uint64()&^(1<<62)), 'g', 1+rng.IntN(18), 64)
		case 1:
			text = strconv.FormatUint(rng.Uint64()>>rng.IntN(64), 10) + "." + strconv.FormatUint(rng.Uint64()>>rng.IntN(64), 10)
		case 2:
			text = strconv.FormatFloat(rng.NormFloat64()*1000, 'f', rng.IntN(25), 64)
		}
		for _, bits := range []int{32, 64} {
			want, err := strconv.ParseFloat(text, bits)
			got, end := float([]byte(text), 0, bits)
			if (end == len(text)) != (err == nil) || err == nil && math.Float64bits(got) != math.Float64bits(want) {
				t.Fatalf("%s as %d bits: %v, %d; %v, %v", text, bits, got, end, want, err)
			}
		}
	}
}

func Example() {
	type row struct {
		ID   int64    `json:"id"`
		Tags []string `json:"tags"`
	}
	p := Compile(reflect.TypeFor[row](), json.Unmarshal)
	d := p.NewDecoder()
	for _, document := range []string{`{"id":7,"tags":["a","b"],"more":null}`, `{"id":7.5}`} {
		var r row
		ok := d.Decode([]byte(document), unsafe.Pointer(&r))
		fmt.Println(ok, r.Tags)
	}
	// Output:
	// true [a b]
	// false []
}
