package sink

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/shardlake/shardlake"
)

// Chunks is a Body over memory in pieces, as parts are gathered in buffers of
// shardlake.BufferSize. It is used by one goroutine at a time.
type Chunks struct {
	pieces [][]byte // all but the last full
	size   int64
	off    int64
}

// NewChunks returns a Body over the given pieces, which it does not copy.
func NewChunks(pieces ...[]byte) *Chunks {
	c := &Chunks{pieces: pieces}
	for _, p := range pieces {
		c.size += int64(len(p))
	}
	return c
}

// Size is the number of bytes.
func (c *Chunks) Size() int64 { return c.size }

// CRC32 is the checksum of all bytes (IEEE polynomial).
func (c *Chunks) CRC32() (sum uint32) {
	for _, p := range c.pieces {
		sum = crc32.Update(sum, crc32.IEEETable, p)
	}
	return sum
}

// Read reads on from the present offset.
func (c *Chunks) Read(b []byte) (n int, err error) {
	if c.off >= c.size {
		return 0, io.EOF
	}
	at := c.off
	for _, p := range c.pieces {
		if at >= int64(len(p)) {
			at -= int64(len(p))
			continue
		}
		m := copy(b[n:], p[at:])
		n, at = n+m, 0
		if n == len(b) {
			break
		}
	}
	c.off += int64(n)
	return n, nil
}

// Seek sets the offset of the next Read.
func (c *Chunks) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += c.off
	case io.SeekEnd:
		offset += c.size
	}
	if offset < 0 {
		return 0, errors.New("sink: seek before the start of a part")
	}
	c.off = offset
	return offset, nil
}

// write appends b, borrowing pieces as needed.
func (c *Chunks) write(b []byte, borrow func() []byte) {
	for len(b) > 0 {
		last := len(c.pieces) - 1
		if last < 0 || len(c.pieces[last]) == cap(c.pieces[last]) {
			c.pieces = append(c.pieces, borrow()[:0])
			last++
		}
		p := c.pieces[last]
		n := min(len(b), cap(p)-len(p))
		c.pieces[last] = append(p, b[:n]...)
		b, c.size = b[n:], c.size+int64(n)
	}
}

// patch replaces bytes inside the first piece.
func (c *Chunks) patch(off int, b []byte) error {
	if off < 0 || len(c.pieces) == 0 || off+len(b) > len(c.pieces[0]) {
		return fmt.Errorf("sink: patch of bytes %d to %d is outside of the head of the file", off, off+len(b))
	}
	copy(c.pieces[0][off:], b)
	return nil
}

// recycle gives the pieces back.
func (c *Chunks) recycle(give func([]byte)) {
	for _, p := range c.pieces {
		give(p[:cap(p)])
	}
	c.pieces, c.size, c.off = nil, 0, 0
}

var _ Body = (*Chunks)(nil)

// itoa and the functions below keep FileInfo.Pairs to one line a fact.
func itoa(n uint64) string { return fmt.Sprint(n) }

func posText(p shardlake.Position) string {
	if p.IsStart() {
		return ""
	}
	return p.String()
}

func timeText(rows int64, t shardlake.Instant) string {
	if rows == 0 || t == shardlake.Never {
		return ""
	}
	return t.String()
}
