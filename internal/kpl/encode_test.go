package kpl_test

import (
	"encoding/hex"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/shardlake/shardlake/internal/kpl"
)

const lastHash = "340282366920938463463374607431768211455"

// The format determines each byte, once the order of fields is that of the KPL.
func TestBuilderMakesTheVectors(t *testing.T) {
	for name, test := range map[string]struct {
		want  string
		users []kpl.User
	}{
		"V1": {vectors["V1"], []kpl.User{{Key: "a", Data: []byte("hello")}, {Key: "a", Data: []byte("world")}}},
		"V2": {vectors["V2"], []kpl.User{
			{Key: "pk1", Hash: "0", Data: []byte(`{"n":1}`)}, {Key: "pk2", Hash: lastHash, Data: []byte(`{"n":2}`)}, {Key: "pk1", Data: []byte{}},
		}},
		"V5": {strings.TrimSuffix(vectors["V5"], "82") + "83", []kpl.User{{Key: "a", Data: []byte("x")}}},
	} {
		b := kpl.NewBuilder(0)
		for range 2 { // and again after a Reset
			b.Reset()
			for _, u := range test.users {
				if !b.Add(u.Key, u.Hash, u.Data) {
					t.Fatalf("%s: %+v does not fit where there is no limit", name, u)
				}
			}
			got := b.Append([]byte("head"))[4:]
			if hex.EncodeToString(got) != test.want || b.Size() != len(got) || b.Len() != len(test.users) {
				t.Errorf("%s: %x of %d records and %d bytes, want %s", name, got, b.Len(), b.Size(), test.want)
			}
		}
	}
}

// V3 has a tag, which is never written: the message is the vector's without it.
func TestBuilderWithoutTags(t *testing.T) {
	b := kpl.NewBuilder(0)
	b.Add("t", "", []byte{0, 1, 2, 255})
	want := envelope([]byte("\x0a\x01t\x1a\x08\x08\x00\x1a\x04\x00\x01\x02\xff"))
	if got := b.Append(nil); string(got) != string(want) {
		t.Errorf("%x, want %x", got, want)
	}
}

func TestBuilderKeepsItsLimit(t *testing.T) {
	for _, limit := range []int{1, kpl.Overhead, 100, 1000, 51200} {
		b := kpl.NewBuilder(limit)
		var want []kpl.User
		for i := 0; ; i++ {
			u := kpl.User{Key: "k" + strconv.Itoa(i%7), Data: []byte(strings.Repeat("x", i%300))}
			if i%3 == 0 {
				u.Hash = strconv.Itoa(i % 5)
			}
			before := b.Size()
			if !b.Add(u.Key, u.Hash, u.Data) {
				if b.Size() != before || b.Len() != len(want) {
					t.Fatalf("limit %d: a record that did not fit left something", limit)
				}
				break
			}
			want = append(want, u)
		}
		data := b.Append(nil)
		if len(want) > 0 && len(data) > limit || len(data) != b.Size() {
			t.Errorf("limit %d: %d bytes", limit, len(data))
		}
		if got, v := users(t, data); len(want) > 0 && (v != kpl.Whole || !reflect.DeepEqual(got, want)) {
			t.Errorf("limit %d: %v: %d records of %d came back", limit, v, len(got), len(want))
		}
	}
}

// A reader refuses a record with more than a million keys, so none is made.
func TestBuilderStopsBeforeReadersDo(t *testing.T) {
	b := kpl.NewBuilder(0)
	n := 0
	for ; b.Add(strconv.Itoa(n), "", nil); n++ {
	}
	if a, v := kpl.Parse(b.Append(nil)); n != 1<<20 || v != kpl.Whole || a.Left() != n {
		t.Errorf("%d keys: %v", n, v)
	}
}

func TestBuilderAllocatesNothingPerRecord(t *testing.T) {
	b := kpl.NewBuilder(51200)
	keys := []string{"one", "two", "three"}
	data, out := make([]byte, 100), make([]byte, 0, 51200)
	fill := func() {
		b.Reset()
		for i := 0; b.Add(keys[i%3], lastHash, data); i++ {
		}
		out = b.Append(out[:0])
	}
	fill()
	if n := testing.AllocsPerRun(10, fill); n > 0 {
		t.Errorf("%v allocations for %d records", n, b.Len())
	}
}

func FuzzBuilder(f *testing.F) {
	f.Add("pk1", "0", []byte("x"), 60)
	f.Add("", "", []byte{}, 0)
	f.Fuzz(func(t *testing.T, key, hash string, data []byte, limit int) {
		b := kpl.NewBuilder(limit)
		n := 0
		for n < 5 && b.Add(key, hash, data) {
			n++
		}
		got, v := users(t, b.Append(nil))
		if n > 0 && (v != kpl.Whole || len(got) != n || got[n-1].Key != key || got[n-1].Hash != hash || string(got[n-1].Data) != string(data)) {
			t.Errorf("%d records became %d (%v)", n, len(got), v)
		}
	})
}

func ExampleBuilder() {
	b := kpl.NewBuilder(50 << 10)
	b.Add("a", "", []byte("hello"))
	b.Add("a", "", []byte("world"))
	fmt.Printf("%d records, %d bytes: %x\n", b.Len(), b.Size(), b.Append(nil))
	// Output:
	// 2 records, 45 bytes: f3899ac20a01611a0908001a0568656c6c6f1a0908001a05776f726c6495dc6567da1ab6d7868d9fce34d10c22
}
