package sinktest

import (
	"errors"
	"testing"

	"github.com/shardlake/shardlake/sink"
)

// completeTwice is what a crash after Complete leads to: nil, as Amazon S3
// answers for a while, or ErrNoUpload; and the object stays as it is.
func completeTwice(t *testing.T, p *place) {
	key := p.key("twice/x.parquet")
	id := p.create(t, key)
	b := content(1, 500)
	part := p.put(t, key, id, 1, b)
	p.prepare(t, key, id, part)
	p.complete(t, p.Store, key, id, b, part)
	if err := p.Store.Complete(t.Context(), key, id, []sink.Part{part}); err != nil && !errors.Is(err, sink.ErrNoUpload) {
		t.Fatalf("second Complete: %v, want nil or %v", err, sink.ErrNoUpload)
	}
	p.see(t)
}

func completeAfterAbort(t *testing.T, p *place) {
	key := p.key("aborted/x.parquet")
	id := p.create(t, key)
	part := p.put(t, key, id, 1, content(1, 500))
	p.prepare(t, key, id, part)
	p.abort(t, p.Store, key, id)
	p.isGone(t, key, id, part)
}

func abortTwice(t *testing.T, p *place) {
	key := p.key("aborted/twice.parquet")
	id := p.create(t, key)
	p.abort(t, p.Store, key, id)
	p.abort(t, p.Store, key, id)
	// An upload with parts that were never prepared.
	id = p.create(t, key)
	part := p.put(t, key, id, 1, content(1, 10))
	p.abort(t, p.Store, key, id)
	p.isGone(t, key, id, part)
}

func abortAfterComplete(t *testing.T, p *place) {
	key := p.key("kept/x.parquet")
	id := p.create(t, key)
	b := content(1, 500)
	part := p.put(t, key, id, 1, b)
	p.prepare(t, key, id, part)
	p.complete(t, p.Store, key, id, b, part)
	p.abort(t, p.Store, key, id) // which the object survives
}

func (p *place) abort(t *testing.T, s sink.Store, key, id string) {
	t.Helper()
	if err := s.Abort(t.Context(), key, id); err != nil {
		t.Fatalf("Abort %s: %v", key, err)
	}
	p.see(t)
}

// isGone sees that every call for the upload says so.
func (p *place) isGone(t *testing.T, key, id string, parts ...sink.Part) {
	t.Helper()
	if err := p.Store.Complete(t.Context(), key, id, parts); !errors.Is(err, sink.ErrNoUpload) {
		t.Errorf("Complete of what is gone: %v, want %v", err, sink.ErrNoUpload)
	}
	if _, err := p.Store.PutPart(t.Context(), key, id, 1, body([]byte("x"))); !errors.Is(err, sink.ErrNoUpload) {
		t.Errorf("PutPart of what is gone: %v, want %v", err, sink.ErrNoUpload)
	}
	if _, err := p.Store.Parts(t.Context(), key, id); !errors.Is(err, sink.ErrNoUpload) {
		t.Errorf("Parts of what is gone: %v, want %v", err, sink.ErrNoUpload)
	}
	if got := p.uploads(t, p.Store, key); len(got) != 0 {
		t.Errorf("Uploads still lists %v", got)
	}
	p.see(t)
}

// twoUploadsOfOneKey is what a Create leaves whose answer was lost.
func twoUploadsOfOneKey(t *testing.T, p *place) {
	key := p.key("same/x.parquet")
	a, b := p.create(t, key), p.create(t, key)
	if a == b {
		t.Fatalf("two uploads have one id %q", a)
	}
	ca, cb := content(1, 300), content(2, 300)
	pa, pb := p.put(t, key, a, 1, ca), p.put(t, key, b, 1, cb)
	if got := p.uploads(t, p.Store, key)[key]; len(got) != 2 {
		t.Errorf("Uploads lists %v, want two of %s", got, key)
	}
	p.prepare(t, key, b, pb)
	p.prepare(t, key, a, pa)
	p.complete(t, p.Store, key, b, cb, pb)
	p.abort(t, p.Store, key, a)

	// Both completed: one of them is there, whole.
	a = p.create(t, key)
	pa = p.put(t, key, a, 1, ca)
	p.prepare(t, key, a, pa)
	if err := p.Store.Complete(t.Context(), key, a, []sink.Part{pa}); err != nil {
		t.Fatalf("Complete over an object: %v", err)
	}
	got := p.Visible(t)[key]
	if string(got) != string(ca) && string(got) != string(cb) {
		t.Fatalf("after two Completes of one key the object is neither of them")
	}
	p.want[key] = got
	p.see(t)
	if left := p.uploads(t, p.Store, key); len(left) != 0 {
		t.Errorf("Uploads still lists %v", left)
	}
}

// deleteObject removes what is visible, and nothing else.
func deleteObject(t *testing.T, p *place) {
	key, other := p.key("deleted/x.parquet"), p.key("deleted/x.parquet2")
	for _, k := range []string{key, other} {
		id := p.create(t, k)
		b := content(1, 500)
		part := p.put(t, k, id, 1, b)
		p.prepare(t, k, id, part)
		p.complete(t, p.Store, k, id, b, part)
	}
	for range 2 { // what is gone is no error
		if err := p.Store.Delete(t.Context(), key); err != nil {
			t.Fatalf("Delete %s: %v", key, err)
		}
		delete(p.want, key)
		if _, err := p.Store.Head(t.Context(), key); !errors.Is(err, sink.ErrNoObject) {
			t.Errorf("Head of a deleted object: %v, want %v", err, sink.ErrNoObject)
		}
		p.see(t)
	}
}
