package parquet

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"unsafe"

	"github.com/parquet-go/parquet-go/format"

	"github.com/shardlake/shardlake/sink"
)

const (
	magic = "PAR1"
	// createdBy is of the form that parquet-mr parses to know of old bugs.
	createdBy = "shardlake version 1.0.0 (build github.com/shardlake/shardlake)"

	// Sizes are looked at after so many rows, or so many bytes of text in them. The
	// steps are counted from the start of the file: where pages and row groups end
	// does not depend on how rows came in batches.
	stepRows  = 256
	stepBytes = 256 << 10

	maxPageRows = 64 << 10
	// keepBytes is the size of buffers that are kept for the next page or file.
	keepBytes = 4 << 20
	keepFree  = 128 // pieces
	maxGroups = math.MaxInt16
)

// writer writes the files of one type, one after the other.
type writer struct {
	*plan
	fields  []field
	columns []*column
	weigh   func(unsafe.Pointer) int

	out    sink.FileWriter
	offset int64

	step, weight int
	groupRows    int64
	fileRows     int64
	groups       []format.RowGroup
	indexes      [][]*format.ColumnIndex
	offsets      [][]format.OffsetIndex
	indexBytes   int64

	*scratch // while pages are finished
	free     [][]byte
}

// field is a top-level column and what takes it apart.
type field struct {
	offset uintptr
	node
}

func newWriter(p *plan) *writer {
	w := &writer{plan: p, weigh: p.schema.Weigh()}
	for _, f := range p.schema.Root.Fields {
		w.fields = append(w.fields, field{f.Offset, w.node(f, place{path: []string{f.Name}})})
	}
	return w
}

// maxLevel is the deepest level of any column. Levels wrap beyond 255, so the
// constructor of the format refuses more.
func (w *writer) maxLevel() (most int) {
	for _, c := range w.columns {
		most = max(most, c.depth)
	}
	return most
}

func (w *writer) begin(out sink.FileWriter) error {
	w.out = out
	return w.write([]byte(magic))
}

func (w *writer) write(b []byte) error {
	n, err := w.out.Write(b)
	w.offset += int64(n)
	return err
}

// rows takes n rows from an array of them.
func (w *writer) rows(base unsafe.Pointer, n int, size uintptr) error {
	for n > 0 {
		k := w.stride(base, n, size)
		for i := range w.fields {
			f, p := &w.fields[i], unsafe.Add(base, w.fields[i].offset)
			if f.run != nil {
				f.run(p, k, size)
				continue
			}
			for j := range k {
				f.write(unsafe.Add(p, uintptr(j)*size), 0, 0)
			}
		}
		w.groupRows += int64(k)
		w.fileRows += int64(k)
		if w.step >= stepRows || w.weight >= stepBytes {
			w.step, w.weight = 0, 0
			if err := w.borrowed(w.look); err != nil {
				return err
			}
		}
		if n -= k; n > 0 {
			base = unsafe.Add(base, uintptr(k)*size)
		}
	}
	return nil
}

// stride is the number of rows to the end of the step, at most n.
func (w *writer) stride(base unsafe.Pointer, n int, size uintptr) int {
	if w.weigh == nil {
		k := min(n, stepRows-w.step)
		w.step += k
		return k
	}
	k := 0
	for k < n && w.step < stepRows && w.weight < stepBytes {
		w.weight += w.weigh(unsafe.Add(base, uintptr(k)*size))
		w.step++
		k++
	}
	return k
}

// look ends what has become large enough.
func (w *writer) look() error {
	for _, c := range w.columns {
		if c.inDict {
			if err := c.judge(); err != nil {
				return err
			}
		}
		if c.pageBytes() >= w.PageSize || w.groupRows-c.firstRow >= maxPageRows {
			if err := c.finishPage(); err != nil {
				return err
			}
		}
	}
	if w.groupMemory() < w.RowGroup {
		return nil
	}
	// Compress what is worth a page. A row group ends when that does not help.
	for _, c := range w.columns {
		if c.pageBytes() >= w.PageSize/16 {
			if err := c.finishPage(); err != nil {
				return err
			}
		}
	}
	if w.groupMemory() < w.RowGroup/4*3 {
		return nil
	}
	return w.flush()
}

// groupMemory is what the row group at hand holds in bytes.
func (w *writer) groupMemory() (n int64) {
	for _, c := range w.columns {
		n += int64(c.memory())
	}
	return n
}

// buffered is all that the file holds: the memory of the row group at hand with
// its reserves. Row groups are cut by groupMemory instead, which does not depend on
// what the writer did before this file.
func (w *writer) buffered() int64 {
	n := w.indexBytes + int64(len(w.free)*pieceSize)
	for _, c := range w.columns {
		n += int64(c.held())
	}
	return n
}

// flush writes the row group at hand.
func (w *writer) flush() error {
	if w.groupRows == 0 {
		return nil
	}
	if len(w.groups) >= maxGroups {
		return fmt.Errorf("parquet: more than %d row groups in one file: make RowGroup larger or files smaller", maxGroups)
	}
	g := format.RowGroup{NumRows: w.groupRows, FileOffset: w.offset, Ordinal: int16(len(w.groups))}
	start := w.offset
	var xs []*format.ColumnIndex
	var os []format.OffsetIndex
	for _, c := range w.columns {
		if err := c.finishPage(); err != nil {
			return err
		}
		k, x, o, err := c.writeChunk()
		if err != nil {
			return err
		}
		g.Columns = append(g.Columns, k)
		g.TotalByteSize += k.MetaData.TotalUncompressedSize
		xs, os = append(xs, x), append(os, o)
		w.indexBytes += int64(len(c.chunk.pages)*pageMemory + 512)
	}
	g.TotalCompressedSize = w.offset - start
	w.groups, w.indexes, w.offsets = append(w.groups, g), append(w.indexes, xs), append(w.offsets, os)
	w.groupRows = 0
	for _, c := range w.columns {
		c.resetChunk()
	}
	return nil
}

// end writes the last row group, the page index and the footer.
func (w *writer) end(pairs [][2]string) error {
	if err := w.flush(); err != nil {
		return err
	}
	for i := range w.groups {
		for j := range w.columns {
			k := &w.groups[i].Columns[j]
			if x := w.indexes[i][j]; x != nil {
				at, n, err := w.put(x)
				if err != nil {
					return err
				}
				k.ColumnIndexOffset, k.ColumnIndexLength = at, n
			}
		}
	}
	for i := range w.groups {
		for j := range w.columns {
			k := &w.groups[i].Columns[j]
			var err error
			if k.OffsetIndexOffset, k.OffsetIndexLength, err = w.put(&w.offsets[i][j]); err != nil {
				return err
			}
		}
	}
	meta := format.FileMetaData{Version: 2, Schema: w.elements, NumRows: w.fileRows, RowGroups: w.groups, CreatedBy: createdBy}
	for _, p := range append(pairs, [2]string{"shardlake.schema", w.fingerprint}) {
		meta.KeyValueMetadata = append(meta.KeyValueMetadata, format.KeyValue{Key: p[0], Value: strings.ToValidUTF8(p[1], "\uFFFD")})
	}
	for range w.columns {
		meta.ColumnOrders = append(meta.ColumnOrders, format.ColumnOrder{Value: &format.TypeDefinedOrder{}})
	}
	_, n, err := w.put(&meta)
	if err != nil {
		return err
	}
	return w.write(append(binary.LittleEndian.AppendUint32(nil, uint32(n)), magic...))
}

// put writes a thrift structure and returns where it is.
func (w *writer) put(v any) (at int64, n int32, err error) {
	w.head.Reset()
	if err := w.thrift.Encode(v); err != nil {
		return 0, 0, err
	}
	if w.head.Len() > math.MaxInt32 {
		return 0, 0, fmt.Errorf("parquet: metadata of %d bytes", w.head.Len())
	}
	at = w.offset
	return at, int32(w.head.Len()), w.write(w.head.Bytes())
}

// piece lends memory for finished pages.
func (w *writer) piece() []byte {
	if n := len(w.free); n > 0 {
		p := w.free[n-1]
		w.free = w.free[:n-1]
		return p
	}
	return make([]byte, 0, pieceSize)
}

// reset forgets the file, and memory that the next one hardly needs.
func (w *writer) reset() {
	w.out, w.offset, w.step, w.weight, w.groupRows, w.fileRows, w.indexBytes = nil, 0, 0, 0, 0, 0, 0
	w.groups, w.indexes, w.offsets = nil, nil, nil
	for _, c := range w.columns {
		c.reset()
	}
	if len(w.free) > keepFree {
		clear(w.free[keepFree:])
		w.free = w.free[:keepFree]
	}
	w.scratch = nil
}
