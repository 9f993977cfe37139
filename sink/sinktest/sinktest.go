// Package sinktest tells whether a sink.Store keeps the promises that the
// exactly-once commit rests on. A store that passes RunStore may hold a lake.
package sinktest

import (
	"context"
	"testing"

	"github.com/shardlake/shardlake/sink"
)

// Opened is a store under test, with an outsider's view of it.
type Opened struct {
	// Store is the store, at a place that no other test uses at the same time.
	Store sink.Store
	// Reopen returns another instance over the same place, as another process
	// would make it. It shares no memory with Store.
	Reopen func(t *testing.T) sink.Store
	// Visible reads all objects whose key begins with Prefix, by means other than
	// a sink.Store: what a query engine would see at this instant.
	Visible func(t *testing.T) map[string][]byte
	// Prefix begins each key that the suite uses. It lets runs share one bucket;
	// if not empty it ends in a slash.
	Prefix string
	// Meta says that the store keeps the metadata of objects.
	Meta bool
	// ListsWholeKeysOnly says that the service lists uploads only by the whole
	// key, as MinIO does. The store then cannot sweep a prefix.
	ListsWholeKeysOnly bool
}

// RunStore runs the acceptance suite. open is called once for each test, in
// which it may use t.Cleanup and t.Fatal. Tests write up to 7 parts of the
// store's PartSize each, so PartSize should be the smallest that the store takes.
func RunStore(t *testing.T, open func(t *testing.T) Opened) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, *place)
	}{
		{"one part", onePart},
		{"many parts", manyParts},
		{"parts out of order", partsOutOfOrder},
		{"parts repeated", partsRepeated},
		{"a part that is not listed", partNotListed},
		{"empty object", emptyObject},
		{"body from its start", bodyFromItsStart},
		{"prepare refuses", prepareRefuses},
		{"complete twice", completeTwice},
		{"complete after abort", completeAfterAbort},
		{"abort twice", abortTwice},
		{"abort after complete", abortAfterComplete},
		{"delete", deleteObject},
		{"two uploads of one key", twoUploadsOfOneKey},
		{"uploads by prefix", uploadsByPrefix},
		{"stop listing early", stopListing},
		{"parts", listParts},
		{"head", head},
		{"location", location},
		{"keys refused", keysRefused},
		{"keys taken", keysTaken},
		{"ended context", endedContext},
		{"concurrent uploads", concurrentUploads},
		{"concurrent completes", concurrentCompletes},
		{"resume in another process", resume},
		{"abort in another process", abortElsewhere},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, newPlace(t, open(t))) })
	}
}

// place is an Opened with what the tests expect to be visible.
type place struct {
	Opened
	size int // of a full part
	want map[string][]byte
}

func newPlace(t *testing.T, o Opened) *place {
	t.Helper()
	if err := o.Store.Check(); err != nil {
		t.Fatalf("Check: %v", err)
	}
	p := &place{Opened: o, size: o.Store.PartSize(), want: make(map[string][]byte)}
	if p.size <= 0 {
		t.Fatalf("PartSize is %d", p.size)
	}
	p.see(t)
	return p
}

// key puts the prefix before a key.
func (p *place) key(k string) string { return p.Prefix + k }

// see compares what is visible with what should be.
func (p *place) see(t *testing.T) {
	t.Helper()
	got := p.Visible(t)
	for k, b := range p.want {
		g, ok := got[k]
		switch {
		case !ok:
			t.Fatalf("%s is not visible", k)
		case string(g) != string(b):
			t.Fatalf("%s has %d bytes that differ from the %d written", k, len(g), len(b))
		}
	}
	for k := range got {
		if _, ok := p.want[k]; !ok {
			t.Fatalf("%s is visible and should not be", k)
		}
	}
}

// create begins an upload and sees that nothing appears.
func (p *place) create(t *testing.T, key string) string {
	t.Helper()
	id, err := p.Store.Create(t.Context(), key, map[string]string{"shardlake-commit": "0123456789abcdef"})
	if err != nil {
		t.Fatalf("Create %s: %v", key, err)
	}
	if id == "" {
		t.Fatalf("Create %s: empty upload id", key)
	}
	p.see(t)
	return id
}

// put stores a part and sees that nothing appears.
func (p *place) put(t *testing.T, key, id string, n int, b []byte) sink.Part {
	t.Helper()
	part, err := p.Store.PutPart(t.Context(), key, id, n, body(b))
	if err != nil {
		t.Fatalf("PutPart %d of %s: %v", n, key, err)
	}
	if want := (sink.Part{N: n, ETag: part.ETag, Size: int64(len(b)), CRC: body(b).CRC32()}); part != want {
		t.Fatalf("PutPart %d of %s returned %+v, want %+v", n, key, part, want)
	}
	p.see(t)
	return part
}

// prepare makes the upload durable and sees that nothing appears.
func (p *place) prepare(t *testing.T, key, id string, parts ...sink.Part) {
	t.Helper()
	if err := p.Store.Prepare(t.Context(), key, id, parts); err != nil {
		t.Fatalf("Prepare %s: %v", key, err)
	}
	p.see(t)
}

// complete makes the object appear and sees that it did.
func (p *place) complete(t *testing.T, s sink.Store, key, id string, content []byte, parts ...sink.Part) {
	t.Helper()
	if err := s.Complete(t.Context(), key, id, parts); err != nil {
		t.Fatalf("Complete %s: %v", key, err)
	}
	p.want[key] = content
	p.see(t)
	o, err := s.Head(t.Context(), key)
	if err != nil {
		t.Fatalf("Head %s: %v", key, err)
	}
	if o.Size != int64(len(content)) {
		t.Fatalf("Head %s: size %d, want %d", key, o.Size, len(content))
	}
}

// object makes one object of one part.
func (p *place) object(t *testing.T, key string, content []byte) {
	t.Helper()
	id := p.create(t, key)
	part := p.put(t, key, id, 1, content)
	p.prepare(t, key, id, part)
	p.complete(t, p.Store, key, id, content, part)
}

// uploads lists the ids of unfinished uploads by key.
func (p *place) uploads(t *testing.T, s sink.Store, prefix string) map[string][]string {
	t.Helper()
	got := make(map[string][]string)
	for u, err := range s.Uploads(t.Context(), prefix) {
		if err != nil {
			t.Fatalf("Uploads %q: %v", prefix, err)
		}
		if u.Begun.IsZero() {
			t.Errorf("Uploads %q: %s has no time", prefix, u.Key)
		}
		got[u.Key] = append(got[u.Key], u.ID)
	}
	return got
}

// canceled returns a context that has ended.
func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
