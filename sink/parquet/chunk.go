package parquet

import (
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// chunk is the finished pages of a column in the row group at hand. They lie in
// pieces of equal size, which go from chunk to chunk: nothing grows by copying.
type chunk struct {
	pieces    [][]byte // all but the last full
	size      int64
	plainSize int64 // before compression, with page headers
	values    int64 // with nulls
	nulls     int64
	bounds    bounds
	pages     []page
	dictPages int
}

// page is what the page index says of a page.
type page struct {
	at       int64 // in the chunk
	size     int32 // with header
	firstRow int64
	nulls    int64
	empty    bool // nothing but nulls
	lo, hi   []byte
	low      int64 // bounds of integers, for the order of pages
	high     int64
}

const pieceSize = 16 << 10

// append copies b to the end.
func (k *chunk) append(w *writer, b []byte) {
	k.size += int64(len(b))
	for len(b) > 0 {
		last := len(k.pieces) - 1
		if last < 0 || len(k.pieces[last]) == pieceSize {
			k.pieces = append(k.pieces, w.piece())
			last++
		}
		n := min(len(b), pieceSize-len(k.pieces[last]))
		k.pieces[last] = append(k.pieces[last], b[:n]...)
		b = b[n:]
	}
}

// memory is what the chunk holds in bytes.
func (k *chunk) memory() int { return len(k.pieces)*pieceSize + len(k.pages)*(pageMemory) }

// pageMemory is about what is kept of each page until the file ends.
const pageMemory = 2*maxIndexed + 96

func (k *chunk) reset(w *writer) {
	for _, p := range k.pieces {
		w.free = append(w.free, p[:0])
	}
	clear(k.pages)
	*k = chunk{pieces: k.pieces[:0], pages: k.pages[:0]}
}

// addPage compresses and keeps a page.
func (c *column) addPage(data []byte, encoding format.Encoding, entries int, b bounds) error {
	k, nulls := &c.chunk, int64(entries-c.values)
	h := format.PageHeader{
		Type: format.DataPage,
		DataPageHeader: thrift.New(format.DataPageHeader{
			NumValues: int32(entries), Encoding: encoding,
			DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE,
			Statistics: format.Statistics{NullCount: nulls},
		}),
	}
	p := page{at: k.size, firstRow: c.firstRow, nulls: nulls, empty: c.values == 0}
	head, body, err := c.w.seal(&h, data)
	if err != nil {
		return err
	}
	k.append(c.w, head)
	k.append(c.w, body)
	p.size = int32(len(head) + len(body))
	if b.ok {
		short := b
		if c.typ == format.ByteArray {
			short.blo, short.bhi = cut(b.blo, b.bhi)
		}
		p.lo, p.hi = short.plain(c.typ)
		p.low, p.high = b.lo, b.hi
	}
	k.pages = append(k.pages, p)
	k.bounds.merge(b)
	k.plainSize += int64(len(head)) + int64(h.UncompressedPageSize)
	k.values += int64(entries)
	k.nulls += nulls
	if encoding == format.RLEDictionary {
		k.dictPages++
	}
	return nil
}

// writeChunk writes the dictionary and the pages of the row group at hand and
// returns what the footer and the page index say of them. The column index is
// nil if a page has no bounds.
func (c *column) writeChunk() (format.ColumnChunk, *format.ColumnIndex, format.OffsetIndex, error) {
	w, k := c.w, &c.chunk
	meta := format.ColumnMetaData{
		Type: c.typ, PathInSchema: c.path, Codec: w.codec.CompressionCodec(), NumValues: k.values,
		Encoding:   thrift.Slice[format.Encoding]{format.Plain, format.RLE},
		Statistics: format.Statistics{NullCount: k.nulls},
	}
	if k.bounds.ok {
		meta.Statistics.MinValue, meta.Statistics.MaxValue = k.bounds.plain(c.typ)
	}
	stat := func(t format.PageType, e format.Encoding, n int) {
		if n > 0 {
			meta.EncodingStats = append(meta.EncodingStats, format.PageEncodingStats{PageType: t, Encoding: e, Count: int32(n)})
		}
	}
	start := w.offset
	fail := func(err error) (format.ColumnChunk, *format.ColumnIndex, format.OffsetIndex, error) {
		return format.ColumnChunk{}, nil, format.OffsetIndex{}, err
	}
	if k.dictPages > 0 {
		meta.DictionaryPageOffset = start
		meta.Encoding = append(meta.Encoding, format.RLEDictionary)
		stat(format.DictionaryPage, format.Plain, 1)
		n, err := c.writeDictionary()
		if err != nil {
			return fail(err)
		}
		k.plainSize += n
	}
	stat(format.DataPage, format.RLEDictionary, k.dictPages)
	stat(format.DataPage, format.Plain, len(k.pages)-k.dictPages)
	meta.DataPageOffset = w.offset
	for _, p := range k.pieces {
		if err := w.write(p); err != nil {
			return fail(err)
		}
	}
	meta.TotalCompressedSize, meta.TotalUncompressedSize = w.offset-start, k.plainSize
	index, offsets := c.index(meta.DataPageOffset)
	return format.ColumnChunk{MetaData: meta}, index, offsets, nil
}

func (c *column) writeDictionary() (plainSize int64, err error) {
	w := c.w
	w.page = c.dict.plain(w.page[:0], c.size)
	h := format.PageHeader{
		Type:                 format.DictionaryPage,
		DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{NumValues: int32(c.dict.len()), Encoding: format.Plain}),
	}
	head, body, err := w.seal(&h, w.page)
	if err != nil {
		return 0, err
	}
	plainSize = int64(len(head)) + int64(h.UncompressedPageSize)
	if err = w.write(head); err == nil {
		err = w.write(body)
	}
	return plainSize, err
}

// index describes the pages, which begin at an offset of the file.
func (c *column) index(base int64) (*format.ColumnIndex, format.OffsetIndex) {
	var offsets format.OffsetIndex
	x := &format.ColumnIndex{}
	up, down := c.typ == format.Int32 || c.typ == format.Int64, c.typ == format.Int32 || c.typ == format.Int64
	var last *page
	for i := range c.chunk.pages {
		p := &c.chunk.pages[i]
		offsets.PageLocations = append(offsets.PageLocations, format.PageLocation{Offset: base + p.at, CompressedPageSize: p.size, FirstRowIndex: p.firstRow})
		if x == nil || !p.empty && p.lo == nil {
			x = nil
			continue
		}
		x.NullPages = append(x.NullPages, p.empty)
		x.NullCounts = append(x.NullCounts, p.nulls)
		x.MinValues = append(x.MinValues, p.lo)
		x.MaxValues = append(x.MaxValues, p.hi)
		if p.empty {
			continue
		}
		if last != nil {
			up = up && last.low <= p.low && last.high <= p.high
			down = down && last.low >= p.low && last.high >= p.high
		}
		last = p
	}
	if x != nil && up {
		x.BoundaryOrder = format.Ascending
	} else if x != nil && down {
		x.BoundaryOrder = format.Descending
	}
	return x, offsets
}
