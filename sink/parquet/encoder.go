package parquet

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/shardlake/shardlake/sink"
)

var errClosed = errors.New("parquet: the file is closed")

// encoder writes one file of T. What it has of a writer, and with it all memory,
// goes back when it is abandoned.
type encoder[T any] struct {
	idle   *idle
	w      *writer
	closed bool
	err    error // what broke the file, for good
}

// guard runs f, and turns a panic into an error. After an error the file cannot
// be finished.
func (e *encoder[T]) guard(f func() error) error {
	if e.err != nil {
		return e.err
	}
	e.err = protect(f)
	return e.err
}

func protect(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("parquet: the encoder failed: %v", r)
		}
	}()
	return f()
}

// Encode appends rows.
func (e *encoder[T]) Encode(rows []T) error {
	if e.closed || e.w == nil {
		return errClosed
	}
	if len(rows) == 0 {
		return e.err
	}
	return e.guard(func() error {
		return e.w.rows(unsafe.Pointer(unsafe.SliceData(rows)), len(rows), unsafe.Sizeof(rows[0]))
	})
}

// Buffered is the memory held for the row group at hand.
func (e *encoder[T]) Buffered() int64 {
	if e.w == nil {
		return 0
	}
	return e.w.buffered()
}

// Close writes the last row group, the page index and the footer.
func (e *encoder[T]) Close(info sink.FileInfo) error {
	if e.closed || e.w == nil {
		return errClosed
	}
	e.closed = true
	return e.guard(func() error {
		return e.w.borrowed(func() error { return e.w.end(info.Pairs()) })
	})
}

// Abandon gives the buffers to the next file.
func (e *encoder[T]) Abandon() {
	if e.w != nil {
		e.w.reset()
		e.idle.put(e.w)
		e.w = nil
	}
}
