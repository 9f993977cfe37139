package avro

import (
	bits "encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// input is the datum at hand, and what is left of its record's budgets.
type input struct {
	data []byte
	at   int

	elements int
	memory   int64
	depth    int

	room strings.Builder // for short strings of some rows
	most budget
}

// budget is what one record may use.
type budget struct {
	elements int
	memory   int64
	depth    int
}

// begin makes s ready for a datum.
func (s *input) begin(data []byte) {
	s.data, s.at = data, 0
	s.elements, s.memory, s.depth = s.most.elements, s.most.memory, s.most.depth
}

var (
	errCut  = errors.New("the datum is cut short")
	errWide = errors.New("a number has more than 64 bits")
	errInt  = errors.New("an int has more than 32 bits")
	errBool = errors.New("a boolean is neither 0 nor 1")
	errUTF8 = errors.New("a string is not UTF-8")
	errSize = errors.New("a block is not as long as it says")
)

func (s *input) left() int { return len(s.data) - s.at }

// long reads a variable-length zig-zag number.
func (s *input) long() (int64, error) {
	if s.at < len(s.data) && s.data[s.at] < 0x80 {
		b := s.data[s.at]
		s.at++
		return int64(b>>1) ^ -int64(b&1), nil
	}
	u, n := bits.Uvarint(s.data[s.at:])
	switch {
	case n == 0:
		return 0, errCut
	case n < 0:
		return 0, errWide
	}
	s.at += n
	return int64(u>>1) ^ -int64(u&1), nil
}

func (s *input) int() (int64, error) {
	v, err := s.long()
	if err == nil && int64(int32(v)) != v {
		return 0, errInt
	}
	return v, err
}

func (s *input) bool() (bool, error) {
	if s.left() == 0 {
		return false, errCut
	}
	b := s.data[s.at]
	if b > 1 {
		return false, errBool
	}
	s.at++
	return b == 1, nil
}

func (s *input) float() (float32, error) {
	b, err := s.take(4)
	if err != nil {
		return 0, err
	}
	return math.Float32frombits(bits.LittleEndian.Uint32(b)), nil
}

func (s *input) double() (float64, error) {
	b, err := s.take(8)
	if err != nil {
		return 0, err
	}
	return math.Float64frombits(bits.LittleEndian.Uint64(b)), nil
}

// take returns the next n bytes, a part of the datum.
func (s *input) take(n int) ([]byte, error) {
	if n > s.left() {
		return nil, errCut
	}
	b := s.data[s.at : s.at+n]
	s.at += n
	return b, nil
}

// bytes reads a length and as many bytes, a part of the datum.
func (s *input) bytes() ([]byte, error) {
	n, err := s.long()
	switch {
	case err != nil:
		return nil, err
	case n < 0:
		return nil, fmt.Errorf("a length is negative: %d", n)
	case n > int64(s.left()):
		return nil, fmt.Errorf("a length of %d is more than the %d bytes that are left", n, s.left())
	}
	return s.take(int(n))
}

// text is bytes that are UTF-8.
func (s *input) text() ([]byte, error) {
	b, err := s.bytes()
	if err == nil && !utf8.Valid(b) {
		return nil, errUTF8
	}
	return b, err
}

// index reads the number of a union's branch or an enum's symbol.
func (s *input) index(n int, what string) (int, error) {
	i, err := s.long()
	if err == nil && (i < 0 || i >= int64(n)) {
		err = fmt.Errorf("%s number %d of %d", what, i, n)
	}
	return int(i), err
}

// block reads the head of a block of an array or map, whose elements take least
// bytes each in the datum and size in memory, and spends what they cost. After the
// last block count is 0. end is where the block has to end, or -1 if it does not
// say.
func (s *input) block(least int, size int64) (count, end int, err error) {
	n, err := s.long()
	if err != nil {
		return 0, 0, err
	}
	end = -1
	if n < 0 {
		length, err := s.long()
		switch {
		case err != nil:
			return 0, 0, err
		case n == math.MinInt64:
			return 0, 0, errWide
		case length < 0 || length > int64(s.left()):
			return 0, 0, fmt.Errorf("a block of %d bytes where %d are left", length, s.left())
		}
		n, end = -n, s.at+int(length)
	}
	if least > 0 && n > int64(s.left()/least) {
		return 0, 0, fmt.Errorf("%d elements cannot be in the %d bytes that are left", n, s.left())
	}
	if n > int64(s.elements) {
		return 0, 0, errElements(s.most.elements)
	}
	if size > 0 && n > s.memory/size {
		n, size = 1, s.memory+1 // without overflow
	}
	s.elements -= int(n)
	return int(n), end, s.spend(n * size)
}

func errElements(most int) error {
	return fmt.Errorf("the record has more than %d elements: see Config.Elements", most)
}

// ended checks that a block is as long as it said.
func (s *input) ended(end int) error {
	if end >= 0 && end != s.at {
		return errSize
	}
	return nil
}

// spend takes bytes of memory from the budget.
func (s *input) spend(n int64) error {
	if s.memory -= n; s.memory < 0 {
		return fmt.Errorf("the row takes more than %d bytes of memory: see Config.Memory", s.most.memory)
	}
	return nil
}

// enter begins a record, array or map; leave ends it.
func (s *input) enter() error {
	if s.depth--; s.depth < 0 {
		return fmt.Errorf("the record is nested more than %d levels deep: see Config.Depth", s.most.depth)
	}
	return nil
}

func (s *input) leave() { s.depth++ }

// enterRecord also counts it: a record may take no bytes at all.
func (s *input) enterRecord() error {
	if s.elements--; s.elements < 0 {
		return errElements(s.most.elements)
	}
	return s.enter()
}

// Short strings share pieces of memory, which saves an allocation for each.
const (
	piece = 4 << 10
	short = 256
)

// string copies b, so that a row does not keep its record.
func (s *input) string(b []byte) string {
	switch {
	case len(b) > short:
		return string(b)
	case len(b) > s.room.Cap()-s.room.Len():
		s.room.Reset()
		s.room.Grow(piece)
	}
	from := s.room.Len()
	s.room.Write(b)
	return s.room.String()[from:]
}
