package sink

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/shardlake/shardlake"
)

// Publish returns a publisher for a store, for uploads whose sinks have left the
// program (pipeline.Config.Publishers).
func Publish(s Store) Publisher { return &publisher{s} }

type publisher struct{ store Store }

// metaCommit is the key of the commit id in an object's metadata.
const metaCommit = "sl-commit"

// entry is the Data of a Pending: what any process needs to publish the upload.
type entry struct {
	Location string `json:"location"`
	Key      string `json:"key"`
	Upload   string `json:"upload"`
	CommitID string `json:"cid"`
	Parts    []Part `json:"parts"`
	Size     int64  `json:"size"`
	Rows     int64  `json:"rows"`
}

// Kind is the store's kind and place: credentials differ from place to place.
func (p *publisher) Kind() string { return p.store.Kind() + ":" + p.store.Location() }

// Check asks the store.
func (p *publisher) Check() error { return p.store.Check() }

func (w *fileWriter[T]) pending(f *file[T], up uploaded) (shardlake.Pending, error) {
	slices.SortFunc(up.parts, func(a, b Part) int { return cmp.Compare(a.N, b.N) })
	e := entry{Location: w.store.Location(), Key: f.up.key, Upload: up.id, CommitID: f.info.ID, Parts: up.parts, Size: f.up.size, Rows: f.info.Rows}
	// Whatever Complete would refuse must be found before the commit.
	var sum int64
	for i, part := range e.Parts {
		sum += part.Size
		if part.N != i+1 || i < len(e.Parts)-1 && part.Size != int64(w.store.PartSize()) {
			return shardlake.Pending{}, fmt.Errorf("file %s: part %d of %d has number %d and %d bytes: this is a mistake in the store or in this library", e.Key, i+1, len(e.Parts), part.N, part.Size)
		}
	}
	if sum != e.Size {
		return shardlake.Pending{}, fmt.Errorf("file %s: its parts have %d bytes, %d were written: this is a mistake in the store or in this library", e.Key, sum, e.Size)
	}
	data, err := json.Marshal(e)
	return shardlake.Pending{Kind: w.Kind(), Data: data}, err
}

// Publish completes the upload. If it is gone, the object must be there, with the
// commit's id: then an earlier call, by whomever, did it.
func (p *publisher) Publish(ctx context.Context, what shardlake.Pending) error {
	e, store, err := p.find(what)
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	err = store.Complete(ctx, e.Key, e.Upload, e.Parts)
	if err == nil {
		return nil
	}
	if !errors.Is(err, ErrNoUpload) {
		return fmt.Errorf("publish %s: %w", e.Key, err)
	}
	obj, err := store.Head(ctx, e.Key)
	if errors.Is(err, ErrNoObject) {
		return fmt.Errorf("%w: %s at %s, upload %s, %d rows", ErrLostUpload, e.Key, e.Location, e.Upload, e.Rows)
	}
	if err != nil {
		return fmt.Errorf("publish %s: %w", e.Key, err)
	}
	if cid, ok := obj.Meta[metaCommit]; ok && cid != e.CommitID || !strings.Contains(e.Key, e.CommitID) || obj.Size != e.Size {
		return fmt.Errorf("publish %s: another object of %d bytes is there (commit %s, want %d bytes of %s): somebody else writes under this prefix", e.Key, obj.Size, cid, e.Size, e.CommitID)
	}
	return nil
}

// Undo aborts first: a Complete that comes late would bring the object back. An
// object that somebody else has put there is left alone.
func (p *publisher) Undo(ctx context.Context, what shardlake.Pending) error {
	e, store, err := p.find(what)
	if err != nil {
		return fmt.Errorf("undo: %w", err)
	}
	if !strings.Contains(e.Key, e.CommitID) {
		return fmt.Errorf("undo %s: its name does not hold the id of its commit, %s", e.Key, e.CommitID)
	}
	if err := store.Abort(ctx, e.Key, e.Upload); err != nil {
		return fmt.Errorf("undo %s: %w", e.Key, err)
	}
	if err := store.Delete(ctx, e.Key); err != nil {
		return fmt.Errorf("undo %s: %w", e.Key, err)
	}
	if _, err := store.Head(ctx, e.Key); !errors.Is(err, ErrNoObject) {
		return fmt.Errorf("undo %s: it is still there after it was deleted: %w", e.Key, cmp.Or(err, errStays))
	}
	return nil
}

// Describe names the object.
func (p *publisher) Describe(what shardlake.Pending) string {
	var e entry
	if err := json.Unmarshal(what.Data, &e); err != nil {
		return fmt.Sprintf("an upload that cannot be read (%v)", err)
	}
	return fmt.Sprintf("%s at %s, %d rows", e.Key, e.Location, e.Rows)
}

var errStays = errors.New("the object is visible")

// find reads a pending upload and finds its store.
func (p *publisher) find(what shardlake.Pending) (e entry, store Store, err error) {
	if err := json.Unmarshal(what.Data, &e); err != nil {
		return e, nil, fmt.Errorf("a pending upload in the lease row cannot be read: %w", err)
	}
	if e.Location == p.store.Location() {
		return e, p.store, nil
	}
	if store, err = p.store.At(e.Location); err != nil {
		return e, nil, fmt.Errorf("%s at %s: %w", e.Key, e.Location, err)
	}
	return e, store, nil
}
