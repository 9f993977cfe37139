package sinktest

import (
	"errors"
	"io"
	"testing"

	"github.com/shardlake/shardlake/sink"
)

func onePart(t *testing.T, p *place) {
	p.object(t, p.key("dt=2026-01-01/one.parquet"), content(1, 1000))
	// A full last part is one too.
	p.object(t, p.key("dt=2026-01-01/full.parquet"), content(2, p.size))
}

func manyParts(t *testing.T, p *place) {
	key := p.key("many/three.avro")
	id := p.create(t, key)
	a, b, c := content(1, p.size), content(2, p.size), content(3, 77)
	parts := []sink.Part{p.put(t, key, id, 1, a), p.put(t, key, id, 2, b), p.put(t, key, id, 3, c)}
	p.prepare(t, key, id, parts...)
	// Prepare is repeated when its answer was lost.
	p.prepare(t, key, id, parts...)
	p.complete(t, p.Store, key, id, join(a, b, c), parts...)
}

func partsOutOfOrder(t *testing.T, p *place) {
	key := p.key("order/x.parquet")
	id := p.create(t, key)
	a, b, c := content(1, p.size), content(2, p.size), content(3, 5)
	p3 := p.put(t, key, id, 3, c)
	p1 := p.put(t, key, id, 1, a)
	p2 := p.put(t, key, id, 2, b)
	p.prepare(t, key, id, p3, p1, p2)
	p.complete(t, p.Store, key, id, join(a, b, c), p2, p3, p1)
}

func partsRepeated(t *testing.T, p *place) {
	key := p.key("again/x.parquet")
	id := p.create(t, key)
	a, b := content(1, p.size), content(3, 9000)
	p.put(t, key, id, 1, a)
	p.put(t, key, id, 2, content(4, 10000)) // replaced by other content
	p2 := p.put(t, key, id, 2, b)
	p1 := p.put(t, key, id, 1, a) // the same again
	p.prepare(t, key, id, p1, p2)
	p.complete(t, p.Store, key, id, join(a, b), p1, p2)
}

func partNotListed(t *testing.T, p *place) {
	key := p.key("left/x.parquet")
	id := p.create(t, key)
	a := content(1, p.size)
	p1 := p.put(t, key, id, 1, a)
	p.put(t, key, id, 2, content(2, 10))
	p.prepare(t, key, id, p1)
	p.complete(t, p.Store, key, id, a, p1)
}

func emptyObject(t *testing.T, p *place) { p.object(t, p.key("empty/x.avro"), nil) }

// bodyFromItsStart gives a body whose offset stands elsewhere, because another
// reader had it before.
func bodyFromItsStart(t *testing.T, p *place) {
	key := p.key("seek/x.parquet")
	id := p.create(t, key)
	b := body(content(1, 5000))
	if _, err := b.Seek(1234, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	part, err := p.Store.PutPart(t.Context(), key, id, 1, b)
	if err != nil {
		t.Fatalf("PutPart: %v", err)
	}
	p.prepare(t, key, id, part)
	p.complete(t, p.Store, key, id, content(1, 5000), part)
}

// prepareRefuses sees that what could not be completed after a commit is refused
// before it.
func prepareRefuses(t *testing.T, p *place) {
	key := p.key("bad/x.parquet")
	id := p.create(t, key)
	short := p.put(t, key, id, 1, content(1, 100))
	second := p.put(t, key, id, 2, content(2, 100))
	for name, parts := range map[string][]sink.Part{
		"no parts":              nil,
		"a gap":                 {second},
		"a short part inside":   {short, second},
		"one number twice":      {short, short},
		"a part that is absent": {short, second, {N: 3, Size: 10}},
	} {
		if err := p.Store.Prepare(t.Context(), key, id, parts); err == nil {
			t.Errorf("Prepare with %s succeeded", name)
		}
	}
	if _, err := p.Store.PutPart(t.Context(), key, id, 0, body(nil)); !errors.Is(err, sink.ErrRefused) {
		t.Errorf("PutPart with number 0: %v, want %v", err, sink.ErrRefused)
	}
	p.see(t)
}

func head(t *testing.T, p *place) {
	key := p.key("head/x.parquet")
	if _, err := p.Store.Head(t.Context(), key); !errors.Is(err, sink.ErrNoObject) {
		t.Fatalf("Head of nothing: %v, want %v", err, sink.ErrNoObject)
	}
	id := p.create(t, key)
	part := p.put(t, key, id, 1, content(1, 10))
	p.prepare(t, key, id, part)
	if _, err := p.Store.Head(t.Context(), key); !errors.Is(err, sink.ErrNoObject) {
		t.Fatalf("Head before Complete: %v, want %v", err, sink.ErrNoObject)
	}
	p.complete(t, p.Store, key, id, content(1, 10), part)
	o, err := p.Store.Head(t.Context(), key)
	if err != nil {
		t.Fatalf("Head: %v", err)
	}
	switch {
	case !p.Meta && o.Meta != nil:
		t.Errorf("Head: metadata %v from a store that says it keeps none", o.Meta)
	case p.Meta && o.Meta["shardlake-commit"] != "0123456789abcdef":
		t.Errorf("Head: metadata %v", o.Meta)
	}
	// A folder is not an object.
	if _, err := p.Store.Head(t.Context(), p.key("head")); !errors.Is(err, sink.ErrNoObject) {
		t.Errorf("Head of a folder: %v, want %v", err, sink.ErrNoObject)
	}
	if _, err := p.Store.Head(t.Context(), key+"/below"); !errors.Is(err, sink.ErrNoObject) {
		t.Errorf("Head below an object: %v, want %v", err, sink.ErrNoObject)
	}
}
