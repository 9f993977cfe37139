package sink

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"
)

// Errors of a Store. They may be wrapped.
var (
	// ErrNoUpload says that the store has no unfinished upload of that id: it was
	// completed, aborted, or never made.
	ErrNoUpload = errors.New("no such upload")
	// ErrNoObject says that no object is visible under that key.
	ErrNoObject = errors.New("no such object")
	// ErrRefused says that repeating the call will not help before somebody
	// changes something: no such bucket, no permission, a key that the store does
	// not take. The text says what to change.
	ErrRefused = errors.New("refused")
	// ErrLostUpload says that an upload which a commit lists is neither unfinished
	// nor visible: somebody aborted it, or removed its object. Its rows must be
	// read again; the lane stops.
	ErrLostUpload = errors.New("a committed upload is lost")
)

// Store keeps objects that are made by multipart upload: parts go up while the
// file is written, nothing is visible, and Complete makes the object appear
// whole. It is safe for concurrent use and starts no goroutine that outlives a
// call.
//
// Every method returns promptly after ctx ends. A store retries what its service
// asks to retry, for about a minute; its callers go on retrying what is not
// ErrRefused, ErrNoUpload or ErrNoObject.
type Store interface {
	// Kind names the kind of store, "s3" or "dir". It is stored with uploads.
	Kind() string
	// Location says where this store's keys live, for any process: endpoint,
	// region and bucket, or an absolute folder. It is stored with uploads.
	Location() string
	// At returns the store of the same kind and credentials at another location,
	// so that uploads outlive a change of configuration.
	At(location string) (Store, error)
	// Check reports mistakes of configuration, all at once, without I/O.
	Check() error
	// PartSize is the size in bytes of each part of an upload but the last, which
	// is not larger and not empty (except the only part of an empty object).
	PartSize() int
	// Create begins an upload. meta is stored with the object where the store can:
	// keys and values are short ASCII. A crash leaves an upload that Uploads lists.
	Create(ctx context.Context, key string, meta map[string]string) (upload string, err error)
	// PutPart stores part n, from 1, in any order and possibly again. body is read
	// from its start, perhaps more than once, and not kept.
	PutPart(ctx context.Context, key, upload string, n int, body Body) (Part, error)
	// Prepare makes the parts durable: after it returned, neither a crash nor a
	// loss of power takes away what Complete needs. Complete may come much later
	// and from another process.
	Prepare(ctx context.Context, key, upload string, parts []Part) error
	// Complete makes the object visible, whole and durably, in the order of the
	// parts' numbers. It fails with ErrNoUpload if the upload is gone, also when
	// an earlier Complete made it so (some stores answer nil then).
	Complete(ctx context.Context, key, upload string, parts []Part) error
	// Abort removes an unfinished upload; one that is gone is no error.
	Abort(ctx context.Context, key, upload string) error
	// Parts lists what is stored of an unfinished upload, by number.
	Parts(ctx context.Context, key, upload string) ([]Part, error)
	// Uploads lists unfinished uploads whose key begins with prefix.
	Uploads(ctx context.Context, prefix string) iter.Seq2[Upload, error]
	// Head describes a visible object, or fails with ErrNoObject.
	Head(ctx context.Context, key string) (Object, error)
	// Delete removes a visible object, durably; one that is not there is no error.
	// Only the repair of a commit that is lost calls it.
	Delete(ctx context.Context, key string) error
}

// Body is the content of one part.
type Body interface {
	io.ReadSeeker
	// Size is the number of bytes.
	Size() int64
	// CRC32 is the checksum of all bytes (IEEE polynomial).
	CRC32() uint32
}

// Part is a stored part.
type Part struct {
	N    int    `json:"n"`
	ETag string `json:"etag,omitempty"`
	Size int64  `json:"size"`
	CRC  uint32 `json:"crc"`
}

// Upload is an unfinished upload in a listing.
type Upload struct {
	Key, ID string
	Begun   time.Time
}

// Object is a visible object. Meta is nil where the store keeps none.
type Object struct {
	Size int64
	Meta map[string]string
}
