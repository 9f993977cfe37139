package avro

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"unsafe"

	"github.com/shardlake/shardlake/sink"
)

// keepBytes is the size of buffers that are kept for the next block or file.
const keepBytes = 1 << 20

// writer writes the files of one type, one after the other.
type writer struct {
	*plan
	record appendFunc
	codec  compressor
	out    sink.FileWriter
	info   sink.FileInfo

	block  []byte // encoded records
	count  int64
	packed []byte
	sync   [16]byte
	begun  bool // the header is written
}

func (w *writer) begin(out sink.FileWriter, info sink.FileInfo) {
	w.out, w.info = out, info
	out.HoldHead()
}

// row appends a record, and writes the block when it is large enough. Where blocks
// end does not depend on how rows came in batches.
func (w *writer) row(p unsafe.Pointer) error {
	w.block = w.record(w.block, p)
	if w.count++; len(w.block) < w.BlockSize {
		return nil
	}
	return w.flush(w.info)
}

// flush writes the block at hand, after the header if it is the first.
func (w *writer) flush(info sink.FileInfo) error {
	if !w.begun {
		if err := w.header(info); err != nil {
			return err
		}
	}
	if w.count == 0 {
		return nil
	}
	var err error
	if w.packed, err = w.codec(w.packed[:0], w.block); err != nil {
		return fmt.Errorf("avro: compress a block of %d bytes: %w", len(w.block), err)
	}
	var head [2 * binary.MaxVarintLen64]byte
	b := binary.AppendVarint(binary.AppendVarint(head[:0], w.count), int64(len(w.packed)))
	for _, part := range [...][]byte{b, w.packed, w.sync[:]} {
		if _, err := w.out.Write(part); err != nil {
			return err
		}
	}
	w.clear()
	return nil
}

// clear forgets the block, and the memory of one with a giant record.
func (w *writer) clear() {
	limit := max(keepBytes, 2*w.BlockSize)
	if cap(w.block) > limit {
		w.block = nil
	}
	if cap(w.packed) > limit {
		w.packed = nil
	}
	w.block, w.packed, w.count = w.block[:0], w.packed[:0], 0
}

// end writes the last block and what the header could not know.
func (w *writer) end(info sink.FileInfo) error {
	late := w.begun
	if err := w.flush(info); err != nil || !late {
		return err
	}
	b, err := appendLate(nil, info)
	if err != nil {
		return err
	}
	return w.out.PatchHead(lateOffset, b)
}

func (w *writer) reset() {
	w.clear()
	w.out, w.info, w.begun = nil, sink.FileInfo{}, false
}

// marker is the sync marker of the file: see the package's doc.
func (w *writer) marker(info sink.FileInfo) (m [16]byte) {
	a := info.Attempt
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q %q %q %d %d %v %s %d ", a.ID, a.Application, a.Source, a.Lane, a.Tag, a.Number, a.Fence, a.From, w.fingerprint, w.count)
	h.Write(w.block)
	copy(m[:], h.Sum(nil))
	return m
}
