package lease

import (
	"context"
	"io/fs"
)

// Blobs keeps what is too large for a row: segments of states and lists of uploads,
// from a KB to many MB each. It is safe for concurrent use. Keys are relative and
// slash-separated, and lie below "_shardlake/", outside of every table of a lake.
//
// The stores of sink/s3 and sink/dir are Blobs. An object, once written, is
// replaced only by itself, except for those below "_shardlake/head/".
type Blobs interface {
	// PutBlob writes an object, durably and whole, in place of one that is there.
	PutBlob(ctx context.Context, key string, b []byte) error
	// GetBlob returns the object, or ErrNoBlob.
	GetBlob(ctx context.Context, key string) ([]byte, error)
	// DeleteBlob removes the object; one that is gone is no error.
	DeleteBlob(ctx context.Context, key string) error
}

// ErrNoBlob says that there is no object of that key. It is fs.ErrNotExist, so
// that a store of objects need not know this package.
var ErrNoBlob = fs.ErrNotExist
