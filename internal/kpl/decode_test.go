package kpl_test

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/shardlake/shardlake/internal/kpl"
)

// Made with Amazon's own aggregator and checked by an independent reader.
var vectors = map[string]string{
	"V1": "f3899ac20a01611a0908001a0568656c6c6f1a0908001a05776f726c6495dc6567da1ab6d7868d9fce34d10c22",
	"V2": "f3899ac20a03706b310a03706b3212013012273334303238323336363932303933383436333436333337343630373433313736383231313435351a0d080010001a077b226e223a317d1a0d080110011a077b226e223a327d1a0408001a00c4a35bb1b39dde0e4b778c013292b8f7",
	"V3": "f3899ac20a01741a1008001a04000102ff22060a016b120176f5a13a9eff76c91e494912b52a559739",
	"V4": "f3899ac2d41d8cd98f00b204e9800998ecf8427e",
	"V5": "f3899ac20a01611a0508001a0178274fa4a221609241966b02c7afbf4282",
	"V6": "f3899ac20a01610da6f998a7e312b8f5235eeeb285497b",
	"V7": "f3899ac20affbeeb5839c579a36b75624d4a8de682f7",
	"V8": "f3899ac20a01611a0508031a017829bab60fcad8248a96d37fde98e1cee5",
}

func vector(t *testing.T, name string) []byte {
	t.Helper()
	b, err := hex.DecodeString(vectors[name])
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func users(t *testing.T, data []byte) (all []kpl.User, v kpl.Verdict) {
	t.Helper()
	a, v := kpl.Parse(data)
	n := a.Left()
	for u, ok := a.Next(); ok; u, ok = a.Next() {
		all = append(all, u)
	}
	if len(all) != n || a.Left() != 0 {
		t.Fatalf("%d of %d user records, %d left", len(all), n, a.Left())
	}
	return all, v
}

func TestVectors(t *testing.T) {
	whole := vector(t, "V5")
	whole[len(whole)-1] = 0x83
	for _, test := range []struct {
		data []byte
		want kpl.Verdict
		all  []kpl.User
	}{
		{vector(t, "V1"), kpl.Whole, []kpl.User{{Key: "a", Data: []byte("hello")}, {Key: "a", Data: []byte("world")}}},
		{vector(t, "V2"), kpl.Whole, []kpl.User{
			{Key: "pk1", Hash: "0", Data: []byte(`{"n":1}`)},
			{Key: "pk2", Hash: "340282366920938463463374607431768211455", Data: []byte(`{"n":2}`)},
			{Key: "pk1", Data: []byte{}},
		}},
		{vector(t, "V3"), kpl.Whole, []kpl.User{{Key: "t", Data: []byte{0, 1, 2, 255}}}},
		{vector(t, "V4"), kpl.Plain, nil},
		{vector(t, "V5"), kpl.Broken, nil},
		{whole, kpl.Whole, []kpl.User{{Key: "a", Data: []byte("x")}}},
		{vector(t, "V6"), kpl.Whole, nil},
		{vector(t, "V7"), kpl.Broken, nil},
		{vector(t, "V8"), kpl.Broken, nil},
		{nil, kpl.Plain, nil},
		{[]byte("f"), kpl.Plain, nil},
		{[]byte{0xF3, 0x89, 0x9A, 0xC2}, kpl.Plain, nil}, // the magic alone
		{[]byte(strings.Repeat("\x00", 100)), kpl.Plain, nil},
	} {
		all, v := users(t, test.data)
		if v != test.want || !reflect.DeepEqual(all, test.all) {
			t.Errorf("%x: %v, %+v", test.data, v, all)
		}
	}
}

// envelope puts magic and digest around a message.
func envelope(message []byte) []byte {
	sum := md5.Sum(message)
	return append(append([]byte{0xF3, 0x89, 0x9A, 0xC2}, message...), sum[:]...)
}

func TestUnusualMessages(t *testing.T) {
	rep := strings.Repeat
	key := "\x0a\x01a"
	for name, test := range map[string]struct {
		message string
		want    kpl.Verdict
		n       int
	}{
		"records before the table":    {"\x1a\x05\x08\x00\x1a\x01x" + key, kpl.Whole, 1},
		"unknown fields of all kinds": {key + "\x20\x05" + "\x29" + rep("\x01", 8) + "\x35" + rep("\x01", 4) + "\x3a\x02zz" + "\x1a\x0c\x08\x00\x1a\x01x\x28\x05\x32\x03abc", kpl.Whole, 1},
		"a field twice":               {key + "\x1a\x07\x08\x09\x08\x00\x1a\x01x", kpl.Whole, 1},
		"an empty key":                {"\x0a\x00\x1a\x05\x08\x00\x1a\x01x", kpl.Whole, 1},
		"no key index":                {key + "\x1a\x03\x1a\x01x", kpl.Broken, 0},
		"no data":                     {key + "\x1a\x02\x08\x00", kpl.Broken, 0},
		"hash index out of range":     {key + "\x1a\x07\x08\x00\x10\x00\x1a\x01x", kpl.Broken, 0},
		"huge key index":              {key + "\x1a\x0e\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x1a\x01x", kpl.Broken, 0},
		"huge length":                 {key + "\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", kpl.Broken, 0},
		"field zero":                  {key + "\x02\x00", kpl.Broken, 0},
		"a group":                     {key + "\x23\x24", kpl.Broken, 0},
		"kind 6":                      {key + "\x26", kpl.Broken, 0},
		"endless varint":              {key + "\x20" + rep("\xff", 20), kpl.Broken, 0},
		"torn fixed":                  {key + "\x29\x01", kpl.Broken, 0},
		"good, then bad":              {key + "\x1a\x05\x08\x00\x1a\x01x" + "\x1a\x05\x08\x05\x1a\x01x", kpl.Broken, 0},
		"a million keys and one":      {rep("\x0a\x00", 1<<20+1), kpl.Broken, 0},
	} {
		if all, v := users(t, envelope([]byte(test.message))); v != test.want || len(all) != test.n {
			t.Errorf("%s: %v, %d records", name, v, len(all))
		}
	}
}

// An aggregate in an aggregate is a user record like any other.
func TestNested(t *testing.T) {
	inner := vector(t, "V1")
	m := []byte("\x0a\x01a")
	r := append([]byte{0x08, 0, 0x1a}, binary.AppendUvarint(nil, uint64(len(inner)))...)
	r = append(r, inner...)
	m = append(append(m, 0x1a), binary.AppendUvarint(nil, uint64(len(r)))...)
	all, v := users(t, envelope(append(m, r...)))
	if v != kpl.Whole || len(all) != 1 || !bytes.Equal(all[0].Data, inner) {
		t.Errorf("%v, %+v", v, all)
	}
}

func TestManyRecords(t *testing.T) {
	m := []byte("\x0a\x01a")
	for range 100_000 {
		m = append(m, "\x1a\x05\x08\x00\x1a\x01x"...)
	}
	data := envelope(m)
	if all, v := users(t, data); v != kpl.Whole || len(all) != 100_000 {
		t.Errorf("%v, %d records", v, len(all))
	}
	if n := testing.AllocsPerRun(3, func() {
		a, _ := kpl.Parse(data)
		for _, ok := a.Next(); ok; _, ok = a.Next() {
		}
	}); n > 4 {
		t.Errorf("%v allocations", n)
	}
}

func TestCutAnywhere(t *testing.T) {
	whole := vector(t, "V2")
	for n := range whole {
		if all, v := users(t, whole[:n]); v == kpl.Whole || all != nil {
			t.Errorf("cut at %d: %v", n, v)
		}
		// With the digest of what is left it may be whole, but must not panic.
		if n >= 4 {
			users(t, envelope(whole[4:n]))
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, v := range vectors {
		b, err := hex.DecodeString(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		users(t, data)
		users(t, envelope(data))
	})
}

func ExampleParse() {
	data, err := hex.DecodeString("f3899ac20a01611a0908001a0568656c6c6f1a0908001a05776f726c6495dc6567da1ab6d7868d9fce34d10c22")
	if err != nil {
		fmt.Println(err)
	}
	a, verdict := kpl.Parse(data)
	fmt.Println(verdict == kpl.Whole, a.Left())
	for u, ok := a.Next(); ok; u, ok = a.Next() {
		fmt.Printf("%s %s\n", u.Key, u.Data)
	}
	// Output:
	// true 2
	// a hello
	// a world
}
