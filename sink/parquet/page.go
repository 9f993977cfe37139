package parquet

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"math"
	"math/bits"

	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// scratch is memory of a page that is being finished, or of metadata. Writers borrow
// it only while they do that, so a few serve many open files.
type scratch struct {
	page, packed, body []byte
	head               bytes.Buffer
	thrift             *thrift.Encoder
	tally              tally
}

func newScratch() any {
	s := new(scratch)
	s.thrift = thrift.NewEncoder(new(thrift.CompactProtocol).NewWriter(&s.head))
	return s
}

// borrowed runs f while the writer has scratch. What is left of a panic is not used again.
func (w *writer) borrowed(f func() error) error {
	s := w.scratches.Get().(*scratch)
	w.scratch = s
	err := f()
	w.scratch = nil
	if cap(s.page) > keepBytes {
		s.page = nil
	}
	if cap(s.packed) > keepBytes {
		s.packed = nil
	}
	if cap(s.body) > keepBytes {
		s.body = nil
	}
	if s.head.Cap() > keepBytes {
		s.head = bytes.Buffer{}
	}
	w.scratches.Put(s)
	return err
}

// seal compresses a page and completes and encodes its header. Both answers are
// valid until the next call.
func (w *writer) seal(h *format.PageHeader, page []byte) (head, body []byte, err error) {
	if len(page) > math.MaxInt32/2 {
		return nil, nil, fmt.Errorf("parquet: a page of %d bytes: a row has more in one column than a page can hold", len(page))
	}
	if w.body, err = w.codec.Encode(w.body[:0], page); err != nil {
		return nil, nil, err
	}
	h.UncompressedPageSize, h.CompressedPageSize = int32(len(page)), int32(len(w.body))
	h.CRC = int32(crc32.ChecksumIEEE(w.body))
	w.head.Reset()
	if err := w.thrift.Encode(h); err != nil {
		return nil, nil, err
	}
	return w.head.Bytes(), w.body, nil
}

// levels appends levels in the way of version 1: their length comes first.
func (w *writer) levels(b, levels []byte, most uint8) ([]byte, error) {
	if most == 0 {
		return b, nil
	}
	var err error
	e := rle.Encoding{BitWidth: bits.Len8(most)}
	if w.packed, err = e.EncodeLevels(w.packed[:0], levels); err != nil {
		return b, err
	}
	return append(le(b, len(w.packed)), w.packed...), nil
}

// indices appends indices of the dictionary; their width comes first.
func (w *writer) indices(b []byte, indices []int32, width int) ([]byte, error) {
	var err error
	e := rle.Encoding{BitWidth: width}
	if w.packed, err = e.EncodeInt32(w.packed[:0], indices); err != nil {
		return b, err
	}
	return append(append(b, byte(width)), w.packed...), nil
}
