package avro

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/shardlake/shardlake/sink"
)

var errClosed = errors.New("avro: the file is closed")

// encoder writes one file of T. What it has of a writer, and with it all memory,
// goes back when it is abandoned.
type encoder[T any] struct {
	idle   chan *writer
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
			err = fmt.Errorf("avro: the encoder failed: %v", r)
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
		for i := range rows {
			if err := e.w.row(unsafe.Pointer(&rows[i])); err != nil {
				return err
			}
		}
		return nil
	})
}

// Buffered is the block at hand.
func (e *encoder[T]) Buffered() int64 {
	if e.w == nil {
		return 0
	}
	return int64(cap(e.w.block))
}

// Close writes the last block and completes the header.
func (e *encoder[T]) Close(info sink.FileInfo) error {
	if e.closed || e.w == nil {
		return errClosed
	}
	e.closed = true
	return e.guard(func() error { return e.w.end(info) })
}

// Abandon gives the buffers to the next file.
func (e *encoder[T]) Abandon() {
	if e.w != nil {
		e.w.reset()
		select {
		case e.idle <- e.w:
		default: // enough of them wait
		}
		e.w = nil
	}
}
