package hop

import (
	"bytes"
	"encoding/binary"
	"encoding/json/v2"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
	"math/bits"

	"github.com/shardlake/shardlake"
)

// Header is what a frame says of itself.
type Header struct {
	Group  string `json:"g"` // all lanes that send the same stream of rows
	Lane   string `json:"l"` // of the sender
	Life   string `json:"i"` // of the lane's row: another one counts its commits from the start
	Commit uint64 `json:"c"`
	Index  int    `json:"x"`          // among the frames of the commit for the bucket
	Last   bool   `json:"z,omitzero"` // of them
	Bucket int    `json:"b"`
	Of     int    `json:"n"` // buckets

	Watermark shardlake.Instant `json:"w"` // of the commit
	Peers     []string          `json:"p,omitempty"`
	Ended     bool              `json:"e,omitzero"`  // the lane sends nothing beyond this commit
	Heirs     []string          `json:"h,omitempty"` // and these go on
}

// MaxBuckets bounds Header.Of, which is a power of two.
const MaxBuckets = 4096

func (h *Header) check() error {
	switch {
	case h.Of < 1 || h.Of > MaxBuckets || bits.OnesCount(uint(h.Of)) != 1:
		return fmt.Errorf("a frame of %d buckets: want a power of two up to %d", h.Of, MaxBuckets)
	case h.Bucket < 0 || h.Bucket >= h.Of:
		return fmt.Errorf("a frame for bucket %d of %d", h.Bucket, h.Of)
	case h.Lane == "" || h.Life == "" || h.Commit == 0 || h.Index < 0:
		return errors.New("a frame that does not say where it is from")
	}
	return nil
}

// BucketOf is the bucket of a key among n.
func BucketOf(key string, n int) int {
	h := shardlake.HashOf(key)
	return int(binary.BigEndian.Uint16(h[:])) >> (16 - bits.Len(uint(n)-1))
}

// Start is the first place of a bucket among n.
func Start(bucket, n int) (h shardlake.Hash) {
	binary.BigEndian.PutUint16(h[:], uint16(bucket<<(16-bits.Len(uint(n)-1))))
	return h
}

// Row is one row in a frame.
type Row struct {
	Time shardlake.Instant
	Key  string
	Data []byte
}

var magic = []byte("SLF1")

// overhead is what a frame has besides header and rows, at most.
const overhead = 4 + binary.MaxVarintLen32 + 4

// AppendRow appends a row to those of a frame.
func AppendRow(b []byte, t shardlake.Instant, key string, data []byte) []byte {
	b = binary.AppendVarint(b, int64(t))
	b = binary.AppendUvarint(b, uint64(len(key)))
	b = append(b, key...)
	b = binary.AppendUvarint(b, uint64(len(data)))
	return append(b, data...)
}

// RowSize is what AppendRow appends, at most.
func RowSize(key string, data []byte) int {
	return 3*binary.MaxVarintLen64 + len(key) + len(data)
}

// Encode makes a frame of a header and rows.
func Encode(h Header, rows []byte) ([]byte, error) {
	if err := h.check(); err != nil {
		return nil, err
	}
	head, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	b := make([]byte, 0, overhead+len(head)+len(rows))
	b = append(b, magic...)
	b = binary.AppendUvarint(b, uint64(len(head)))
	b = append(append(b, head...), rows...)
	return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b)), nil
}

// HeaderSize is what Encode adds to the rows.
func HeaderSize(h Header) (int, error) {
	b, err := Encode(h, nil)
	return len(b), err
}

// Frame is a header with its rows, which are still encoded.
type Frame struct {
	Header
	rows []byte
}

// Decode reads a frame. It shares memory with b.
func Decode(b []byte) (f Frame, err error) {
	if !bytes.HasPrefix(b, magic) {
		return f, errors.New("it is no frame: is this the stream that a Regroup writes, and nobody else?")
	}
	if len(b) < len(magic)+5 || crc32.ChecksumIEEE(b[:len(b)-4]) != binary.LittleEndian.Uint32(b[len(b)-4:]) {
		return f, errors.New("a frame is damaged")
	}
	head, rest, ok := cut(b[len(magic) : len(b)-4])
	if !ok {
		return f, errors.New("a frame is cut short")
	}
	if err := json.Unmarshal(head, &f.Header, json.RejectUnknownMembers(true)); err != nil {
		return f, fmt.Errorf("the header of a frame: %w: was it written by a newer version?", err)
	}
	f.rows = rest
	return f, f.check()
}

// Rows gives the rows, or an error instead of the first that is damaged.
func (f Frame) Rows() iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for b := f.rows; len(b) > 0; {
			t, n := binary.Varint(b)
			ok := n > 0
			var key, data []byte
			if ok {
				key, b, ok = cut(b[n:])
			}
			if ok {
				data, b, ok = cut(b)
			}
			if !ok {
				yield(Row{}, errors.New("a row of a frame is cut short"))
				return
			}
			if !yield(Row{shardlake.Instant(t), string(key), data}, nil) {
				return
			}
		}
	}
}

// cut reads a length and as many bytes.
func cut(b []byte) (head, tail []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return nil, b, false
	}
	return b[size : size+int(n) : size+int(n)], b[size+int(n):], true
}
