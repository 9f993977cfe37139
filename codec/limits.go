package codec

import (
	"fmt"
	"io"
	"slices"
)

// Limits bound what the payload of one record may be unpacked to. The zero value
// is the default. Reading stops at a limit, before memory is taken for more.
type Limits struct {
	// Bytes is the most that one record is unpacked to; 64 MiB by default. A record of
	// Kinesis is at most 10 MiB packed.
	Bytes int64
	// Ratio is how many times as large as packed the unpacked payload may be; 1,000
	// by default, about the most that DEFLATE can do. A payload of up to 1 MiB
	// unpacked is never refused for its ratio.
	Ratio int
}

const (
	defaultBytes = 64 << 20
	defaultRatio = 1000
	freeOfRatio  = 1 << 20
	// keep is the largest buffer that is kept from record to record.
	keep = 4 << 20
)

// Validate tells whether the limits make sense.
func (l Limits) Validate() error {
	if l.Bytes < 0 || l.Ratio < 0 {
		return fmt.Errorf("limits of %d bytes and %d times: want positive numbers, or 0 for the default", l.Bytes, l.Ratio)
	}
	return nil
}

// Most returns how many bytes a payload of packed bytes may be unpacked to.
func (l Limits) Most(packed int) int64 {
	most, ratio := l.Bytes, int64(l.Ratio)
	if most <= 0 {
		most = defaultBytes
	}
	if ratio <= 0 {
		ratio = defaultRatio
	}
	if byRatio := int64(packed) * ratio; byRatio/ratio == int64(packed) {
		most = min(most, max(byRatio, freeOfRatio))
	}
	return most
}

// Read appends to dst all that r has, which is what a payload of packed bytes is
// unpacked to. Beyond the limits it stops with an error that names them. It grows
// dst as it reads, at most twofold, and returns it with any error.
func (l Limits) Read(dst []byte, r io.Reader, packed int) ([]byte, error) {
	most := l.Most(packed)
	for start := len(dst); ; {
		if int64(len(dst)-start) > most {
			return dst[:start], fmt.Errorf("%d bytes are unpacked to more than %d, the limit: see Limits.Bytes and Limits.Ratio", packed, most)
		}
		if len(dst) == cap(dst) {
			dst = slices.Grow(dst, max(len(dst)/2, 512))
		}
		room := min(int64(cap(dst)-len(dst)), most+1-int64(len(dst)-start))
		n, err := r.Read(dst[len(dst) : len(dst)+int(room)])
		dst = dst[:len(dst)+n]
		if err == io.EOF {
			if int64(len(dst)-start) > most {
				continue
			}
			return dst, nil
		}
		if err != nil {
			return dst, err
		}
	}
}

// Scratch is room that readers of one lane use for record after record. The zero
// value is ready. One goroutine uses it.
type Scratch struct{ room []byte }

// Read reads all that r has, like [Limits.Read]. What it returns is good until the
// next call: rows must not hold it. Room beyond 4 MiB is given back at the next call.
func (s *Scratch) Read(l Limits, r io.Reader, packed int) ([]byte, error) {
	if cap(s.room) > keep {
		s.room = nil
	}
	var err error
	s.room, err = l.Read(s.room[:0], r, packed)
	return s.room, err
}
