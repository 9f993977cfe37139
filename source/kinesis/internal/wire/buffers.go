package wire

import (
	"errors"
	"fmt"
	"io"
)

// MaxBody is the largest body of an answer that is read, in bytes: an answer has at
// most 10 MiB of data, which are 14 MiB of base64, and 10,000 records, whose keys
// and numbers take a few more (API reference of GetRecords). What goes beyond is
// refused with ErrTooLarge.
const MaxBody = 64 << 20

// ErrTooLarge is what GetRecords returns, wrapped, for an answer of more than
// MaxBody bytes. Asking for fewer records at once may help.
var ErrTooLarge = errors.New("the answer of GetRecords is too large")

// Buffers is memory that the calls of one reader use again: for the body of an
// answer, and for where things lie in it. The zero value is ready. One goroutine
// uses it at a time. Between calls it keeps at most what the largest of the recent
// answers took, four times over; a shard that is read at its tip gives back what
// catching up needed within a few calls.
type Buffers struct {
	body  []byte
	index index
	peak  int // of the recent bodies, fading
}

// Size is the memory that is kept between calls, in bytes.
func (b *Buffers) Size() int64 {
	return int64(cap(b.body)+cap(b.index.extra)) + int64(cap(b.index.entries))*entrySize
}

// Drop gives the memory back. The next call takes new.
func (b *Buffers) Drop() { *b = Buffers{} }

const (
	leastBody  = 16 << 10
	keepFactor = 4
)

// fade is called after an answer of n bytes.
func (b *Buffers) fade(n int) {
	b.peak = max(n, b.peak-b.peak/8, leastBody)
	if b.Size() > int64(keepFactor*b.peak) {
		b.body, b.index = nil, index{}
	}
}

// read reads all of r. The length that the header announces, negative if it is
// unknown, only says how much memory to take: as in the SDK, the body is what comes.
func (b *Buffers) read(r io.Reader, announced int64) ([]byte, error) {
	if announced > MaxBody {
		return nil, fmt.Errorf("%w: it announces %d bytes, at most %d are read: ask for fewer records at once", ErrTooLarge, announced, MaxBody)
	}
	// One byte more than announced: only a read behind the last one sees the end.
	if need := max(int(announced)+1, leastBody); cap(b.body) < need {
		b.body = make([]byte, min(need+need/4, MaxBody+1))
	}
	body := b.body[:0]
	for empty := 0; ; {
		if len(body) > MaxBody {
			return nil, fmt.Errorf("%w: at most %d bytes are read: ask for fewer records at once", ErrTooLarge, MaxBody)
		}
		if len(body) == cap(body) {
			grown := make([]byte, len(body), min(2*cap(body), MaxBody+1))
			copy(grown, body)
			b.body, body = grown, grown
		}
		n, err := r.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case errors.Is(err, io.EOF):
			return body, nil
		case err != nil:
			return nil, err
		case n > 0:
			empty = 0
		default:
			if empty++; empty == 100 { // as bufio does
				return nil, io.ErrNoProgress
			}
		}
	}
}
