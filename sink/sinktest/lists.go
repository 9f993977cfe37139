package sinktest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/shardlake/shardlake/sink"
)

func uploadsByPrefix(t *testing.T, p *place) {
	ids := make(map[string]string)
	for _, k := range []string{"t/a/sl-1", "t/a/sl-10", "t/a/sl-2", "t/b/sl-1", "u/sl-1"} {
		ids[k] = p.create(t, p.key(k))
	}
	p.object(t, p.key("t/a/sl-3"), content(1, 10)) // finished, so not listed
	prefixes := map[string][]string{
		"t/a/sl-10": {"t/a/sl-10"},
		"t/a/sl-2":  {"t/a/sl-2"},
		"none/":     nil,
	}
	if !p.ListsWholeKeysOnly {
		prefixes["t/"] = []string{"t/a/sl-1", "t/a/sl-10", "t/a/sl-2", "t/b/sl-1"}
		prefixes["t/a/sl-1"] = []string{"t/a/sl-1", "t/a/sl-10"}
		prefixes["t/a/"] = []string{"t/a/sl-1", "t/a/sl-10", "t/a/sl-2"}
		prefixes["t/a"] = prefixes["t/a/"]
		prefixes[""] = []string{"t/a/sl-1", "t/a/sl-10", "t/a/sl-2", "t/b/sl-1", "u/sl-1"}
	}
	for prefix, keys := range prefixes {
		want := make(map[string][]string)
		for _, k := range keys {
			want[p.key(k)] = []string{ids[k]}
		}
		if got := p.uploads(t, p.Store, p.key(prefix)); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("Uploads %q: %v, want %v", p.key(prefix), got, want)
		}
	}
	for k, id := range ids {
		p.abort(t, p.Store, p.key(k), id)
	}
	if got := p.uploads(t, p.Store, p.Prefix); len(got) != 0 {
		t.Errorf("Uploads after all were aborted: %v", got)
	}
}

func stopListing(t *testing.T, p *place) {
	key := p.key("stop/x")
	p.create(t, key)
	p.create(t, key)
	n := 0
	for _, err := range p.Store.Uploads(t.Context(), key) {
		if err != nil {
			t.Fatal(err)
		}
		n++
		break
	}
	if n != 1 {
		t.Errorf("the loop ran %d times", n)
	}
}

func listParts(t *testing.T, p *place) {
	key := p.key("parts/x.parquet")
	id := p.create(t, key)
	list := func(want ...sink.Part) {
		t.Helper()
		got, err := p.Store.Parts(t.Context(), key, id)
		if err != nil {
			t.Fatalf("Parts: %v", err)
		}
		same := func(a, b sink.Part) bool {
			// A service that was sent no checksum knows none.
			return a.N == b.N && a.Size == b.Size && a.ETag == b.ETag && (a.CRC == b.CRC || a.CRC == 0)
		}
		if !slices.EqualFunc(got, want, same) {
			t.Errorf("Parts: %+v, want %+v", got, want)
		}
	}
	list()
	p3 := p.put(t, key, id, 3, content(3, 30))
	list(p3)
	p1 := p.put(t, key, id, 1, content(1, p.size))
	list(p1, p3)
	p3 = p.put(t, key, id, 3, content(4, 40))
	list(p1, p3)
}

func location(t *testing.T, p *place) {
	if p.Store.Kind() == "" || p.Store.Location() == "" {
		t.Fatalf("kind %q, location %q", p.Store.Kind(), p.Store.Location())
	}
	key := p.key("at/x.parquet")
	id := p.create(t, key)
	b := content(1, 100)
	part := p.put(t, key, id, 1, b)
	p.prepare(t, key, id, part)
	at, err := p.Store.At(p.Store.Location())
	if err != nil {
		t.Fatalf("At its own location: %v", err)
	}
	if at.Location() != p.Store.Location() || at.Kind() != p.Store.Kind() {
		t.Errorf("At: location %q, want %q", at.Location(), p.Store.Location())
	}
	p.complete(t, at, key, id, b, part)
	for _, bad := range []string{"", "nowhere", "gopher://x"} {
		if _, err := p.Store.At(bad); err == nil {
			t.Errorf("At(%q) succeeded", bad)
		}
	}
}

func keysRefused(t *testing.T, p *place) {
	long := make([]byte, 1025)
	for i := range long {
		long[i] = "abcdefgh/"[i%9]
	}
	for _, k := range []string{"", "/abs/x", "a//x", "a/", "./x", "a/./x", "..", "../x", "a/../x", "a/..", "a\x00b", string(long)} {
		if _, err := p.Store.Create(t.Context(), k, nil); !errors.Is(err, sink.ErrRefused) {
			t.Errorf("Create %.40q: %v, want %v", k, err, sink.ErrRefused)
		}
		if _, err := p.Store.Head(t.Context(), k); !errors.Is(err, sink.ErrRefused) {
			t.Errorf("Head %.40q: %v, want %v", k, err, sink.ErrRefused)
		}
	}
	p.see(t)
}

// keysTaken are Hive paths as partition values give them.
func keysTaken(t *testing.T, p *place) {
	for i, k := range []string{
		"a b/x.parquet", "city=Zürich/x.parquet", "v=100%25/x.parquet", "v=a%2Fb/x.parquet", "v=a+b/x.parquet", "v=..a/x.parquet",
		"v=__HIVE_DEFAULT_PARTITION__/x.parquet", "v=東京/x.parquet", "v='\"$&@,;~!()[]{}/x.parquet", "_x/.y/x.parquet",
	} {
		k = p.key(k)
		id := p.create(t, k)
		if got := p.uploads(t, p.Store, k); len(got[k]) != 1 || got[k][0] != id {
			t.Errorf("Uploads %q: %v, want %s", k, got, id)
		}
		b := content(uint64(i), 10+i)
		part := p.put(t, k, id, 1, b)
		p.prepare(t, k, id, part)
		p.complete(t, p.Store, k, id, b, part)
	}
}
