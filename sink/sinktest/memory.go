package sinktest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/shardlake/shardlake/sink"
)

// Memory is a sink.Store in memory, for tests. The zero value is ready. Every
// Memory is a location of its own.
type Memory struct {
	// Part is PartSize; 64 KiB if 0.
	Part int

	mu      sync.Mutex
	n       int
	uploads map[string]*memoryUpload
	objects map[string]memoryObject
}

type memoryUpload struct {
	key   string
	meta  map[string]string
	parts map[int][]byte
	ready bool
}

type memoryObject struct {
	body []byte
	meta map[string]string
}

var _ sink.Store = (*Memory)(nil)

// Objects returns a copy of what is visible at this instant, by key.
func (m *Memory) Objects() map[string][]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make(map[string][]byte, len(m.objects))
	for k, o := range m.objects {
		out[k] = o.body // never changed once visible
	}
	return out
}

// Folder is a folder of the store.
func (m *Memory) Folder(prefix string) sink.Folder { return sink.Folder{Store: m, Prefix: prefix} }

// Kind is "memory".
func (m *Memory) Kind() string { return "memory" }

// Location is of this process only.
func (m *Memory) Location() string { return fmt.Sprintf("%p", m) }

// At knows its own location only.
func (m *Memory) At(location string) (sink.Store, error) {
	if location != m.Location() {
		return nil, fmt.Errorf("sinktest: no store in memory at %s", location)
	}
	return m, nil
}

// Check has nothing to report.
func (m *Memory) Check() error { return nil }

// PartSize is Part.
func (m *Memory) PartSize() int {
	if m.Part == 0 {
		return 64 << 10
	}
	return m.Part
}

// Create begins an upload.
func (m *Memory) Create(ctx context.Context, key string, meta map[string]string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.uploads == nil {
		m.uploads, m.objects = map[string]*memoryUpload{}, map[string]memoryObject{}
	}
	m.n++
	id := fmt.Sprintf("upload-%d", m.n)
	m.uploads[id] = &memoryUpload{key: key, meta: maps.Clone(meta), parts: map[int][]byte{}}
	return id, nil
}

func (m *Memory) find(key, id string) (*memoryUpload, error) {
	if u := m.uploads[id]; u != nil && u.key == key {
		return u, nil
	}
	return nil, fmt.Errorf("%s of %s: %w", id, key, sink.ErrNoUpload)
}

// PutPart keeps a copy of the part.
func (m *Memory) PutPart(ctx context.Context, key, id string, n int, body sink.Body) (sink.Part, error) {
	if err := ctx.Err(); err != nil {
		return sink.Part{}, err
	}
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return sink.Part{}, err
	}
	b, err := io.ReadAll(body)
	if err != nil {
		return sink.Part{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	u, err := m.find(key, id)
	if err != nil {
		return sink.Part{}, err
	}
	if n < 1 || len(b) > m.PartSize() {
		return sink.Part{}, fmt.Errorf("sinktest: part %d of %d bytes: want at most %d", n, len(b), m.PartSize())
	}
	u.parts[n] = b
	return sink.Part{N: n, Size: int64(len(b)), CRC: body.CRC32()}, nil
}

// Prepare checks that the parts are there.
func (m *Memory) Prepare(ctx context.Context, key, id string, parts []sink.Part) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	u, err := m.find(key, id)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if int64(len(u.parts[p.N])) != p.Size {
			return fmt.Errorf("sinktest: part %d of %s has another size", p.N, key)
		}
	}
	u.ready = true
	return nil
}

// Complete makes the object visible.
func (m *Memory) Complete(ctx context.Context, key, id string, parts []sink.Part) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	u, err := m.find(key, id)
	if err != nil {
		return err
	}
	if !u.ready {
		return errors.New("sinktest: Complete before Prepare")
	}
	sorted := slices.SortedFunc(slices.Values(parts), func(a, b sink.Part) int { return a.N - b.N })
	var body bytes.Buffer
	for _, p := range sorted {
		body.Write(u.parts[p.N])
	}
	m.objects[key] = memoryObject{body.Bytes(), u.meta}
	delete(m.uploads, id)
	return nil
}

// Abort removes an upload.
func (m *Memory) Abort(ctx context.Context, key, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.find(key, id); err == nil {
		delete(m.uploads, id)
	}
	return nil
}

// Parts lists an upload's parts.
func (m *Memory) Parts(ctx context.Context, key, id string) ([]sink.Part, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	u, err := m.find(key, id)
	if err != nil {
		return nil, err
	}
	var out []sink.Part
	for _, n := range slices.Sorted(maps.Keys(u.parts)) {
		b := u.parts[n]
		out = append(out, sink.Part{N: n, Size: int64(len(b)), CRC: sink.NewChunks(b).CRC32()})
	}
	return out, nil
}

// Uploads lists unfinished uploads.
func (m *Memory) Uploads(ctx context.Context, prefix string) iter.Seq2[sink.Upload, error] {
	return func(yield func(sink.Upload, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(sink.Upload{}, err)
			return
		}
		m.mu.Lock()
		var found []sink.Upload
		for id, u := range m.uploads {
			if strings.HasPrefix(u.key, prefix) {
				found = append(found, sink.Upload{Key: u.key, ID: id})
			}
		}
		m.mu.Unlock()
		slices.SortFunc(found, func(a, b sink.Upload) int { return strings.Compare(a.Key+a.ID, b.Key+b.ID) })
		for _, u := range found {
			if !yield(u, nil) {
				return
			}
		}
	}
}

// Delete removes an object.
func (m *Memory) Delete(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, key)
	return nil
}

// Head describes an object.
func (m *Memory) Head(ctx context.Context, key string) (sink.Object, error) {
	if err := ctx.Err(); err != nil {
		return sink.Object{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	o, ok := m.objects[key]
	if !ok {
		return sink.Object{}, fmt.Errorf("%s: %w", key, sink.ErrNoObject)
	}
	return sink.Object{Size: int64(len(o.body)), Meta: maps.Clone(o.meta)}, nil
}
