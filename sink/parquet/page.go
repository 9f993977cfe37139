package parquet

import (
	"fmt"
	"hash/crc32"
	"math"
	"math/bits"

	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/format"
)

// seal compresses w.page and completes and encodes its header. Both answers are
// valid until the next call.
func (w *writer) seal(h *format.PageHeader) (head, body []byte, err error) {
	if len(w.page) > math.MaxInt32/2 {
		return nil, nil, fmt.Errorf("parquet: a page of %d bytes: a row has more in one column than a page can hold", len(w.page))
	}
	if w.body, err = w.codec.Encode(w.body[:0], w.page); err != nil {
		return nil, nil, err
	}
	h.UncompressedPageSize, h.CompressedPageSize = int32(len(w.page)), int32(len(w.body))
	h.CRC = int32(crc32.ChecksumIEEE(w.body))
	w.head.Reset()
	if err := w.thrift.Encode(h); err != nil {
		return nil, nil, err
	}
	body = w.body
	if cap(w.page) > keepBytes {
		w.page = nil
	}
	if cap(w.body) > keepBytes {
		w.body = nil
	}
	return w.head.Bytes(), body, nil
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
