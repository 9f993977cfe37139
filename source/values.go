package source

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/shardlake/shardlake"
)

// Slices is a source over rows in memory, one bounded lane per slice. It is for
// tests and for small inputs. Values and Lanes make one.
type Slices[T any] struct {
	name  string
	lanes [][]T
	time  func(T) time.Time
	key   func(T) string
	fetch int
}

// Values is a source of one lane, "values-0", that holds the given rows. Event
// time is 1970 unless At is called.
func Values[T any](rows ...T) *Slices[T] { return Lanes(rows) }

// Lanes is a source with one lane per slice, "values-0", "values-1", ...
func Lanes[T any](lanes ...[]T) *Slices[T] {
	return &Slices[T]{name: "values", lanes: lanes, fetch: 1000}
}

// At sets the time function.
func (s *Slices[T]) At(at func(T) time.Time) *Slices[T] { s.time = at; return s }

// Keyed sets the partition key of each row; by default it is the lane's number.
func (s *Slices[T]) Keyed(key func(T) string) *Slices[T] { s.key = key; return s }

// Fetching sets how many rows each fetch returns, 1,000 by default.
func (s *Slices[T]) Fetching(n int) *Slices[T] { s.fetch = n; return s }

// Called names the source and its lanes; "values" by default. Two sources of one
// pipeline have two names.
func (s *Slices[T]) Called(name string) *Slices[T] { s.name = name; return s }

// Check reports a mistaken Fetching or name.
func (s *Slices[T]) Check() error {
	if s.fetch < 1 || s.name == "" {
		return fmt.Errorf("source.Values: called %q, %d rows a fetch: want a name, and 1 or more", s.name, s.fetch)
	}
	return nil
}

// Lanes lists the slices.
func (s *Slices[T]) Lanes(context.Context) (Listing, error) {
	l := Listing{Name: s.name, Identity: s.name, Begin: shardlake.Never}
	for i := range s.lanes {
		l.Lanes = append(l.Lanes, Lane{ID: s.name + "-" + strconv.Itoa(i)})
	}
	return l, nil
}

// Open begins after a row: a row's position is its number in the lane, from 1. It
// refuses a lane and a position that are not its own.
func (s *Slices[T]) Open(lane Lane, from Start) (Fetcher, error) {
	for n := range s.lanes {
		if lane.ID != s.name+"-"+strconv.Itoa(n) {
			continue
		}
		at := 0
		if !from.After.IsStart() {
			var err error
			// Only what a record of this lane had: a position of another source, or of
			// longer rows, must not begin somewhere in silence.
			at, err = strconv.Atoi(from.After.Seq)
			if err != nil || at < 1 || at > len(s.lanes[n]) || from.After != (shardlake.Position{Seq: strconv.Itoa(at)}) {
				return nil, fmt.Errorf("source.Values: position %v is not one of lane %s, which has %d rows", from.After, lane.ID, len(s.lanes[n]))
			}
		}
		return &slicesFetcher[T]{s, n, at}, nil
	}
	return nil, fmt.Errorf("source.Values: no lane %q", lane.ID)
}

// Decoder gives s itself.
func (s *Slices[T]) Decoder() (Decoder[T], error) { return s, nil }

// Decode finds the rows that records of this source stand for, the very values
// that were given to it. It refuses a record of another source.
func (s *Slices[T]) Decode(_ context.Context, records []shardlake.Record, rows []T, times []shardlake.Instant) (int, error) {
	for k := range records {
		r := &records[k]
		if len(r.Data) != 8 {
			return k, fmt.Errorf("source.Values: not my record: %v", r.Pos)
		}
		lane, i := int(r.Data[0])|int(r.Data[1])<<8|int(r.Data[2])<<16, int(r.Data[3])|int(r.Data[4])<<8|int(r.Data[5])<<16|int(r.Data[6])<<24|int(r.Data[7])<<32
		if lane >= len(s.lanes) || i < 0 || i >= len(s.lanes[lane]) {
			return k, fmt.Errorf("source.Values: not my record: %v", r.Pos)
		}
		rows[k] = s.lanes[lane][i]
		times[k] = 0
		if s.time != nil {
			times[k] = shardlake.At(s.time(rows[k]))
		}
	}
	return len(records), nil
}

type slicesFetcher[T any] struct {
	s    *Slices[T]
	lane int
	at   int
}

func (f *slicesFetcher[T]) Fetch(ctx context.Context) (Chunk, error) {
	if err := ctx.Err(); err != nil {
		return Chunk{}, err
	}
	rows := f.s.lanes[f.lane]
	n := min(f.s.fetch, len(rows)-f.at)
	if n <= 0 {
		return Chunk{}, io.EOF
	}
	c := Chunk{Records: make([]shardlake.Record, n), Behind: -1}
	where := make([]byte, 8*n)
	key := strconv.Itoa(f.lane)
	// One string holds the numbers of a chunk: a string each would cost more than
	// the stages that a test or a benchmark is about.
	digits := make([]byte, 0, n*len(strconv.Itoa(f.at+n)))
	for k := range n {
		digits = strconv.AppendInt(digits, int64(f.at+k+1), 10)
	}
	seqs, next := string(digits), 0
	for k := range c.Records {
		i, w := f.at+k, where[8*k:8*k+8:8*k+8]
		seq := seqs[next : next+width(i+1)]
		next += len(seq)
		w[0], w[1], w[2] = byte(f.lane), byte(f.lane>>8), byte(f.lane>>16)
		w[3], w[4], w[5], w[6], w[7] = byte(i), byte(i>>8), byte(i>>16), byte(i>>24), byte(i>>32)
		c.Records[k] = shardlake.Record{Pos: shardlake.Position{Seq: seq}, Key: key, Data: w}
		if f.s.key != nil {
			c.Records[k].Key = f.s.key(rows[i])
		}
	}
	f.at += n
	return c, nil
}

// width is the number of digits of n.
func width(n int) (w int) {
	for ; n > 0; n /= 10 {
		w++
	}
	return w
}

func (f *slicesFetcher[T]) Close() error { return nil }

var _ Source[int] = (*Slices[int])(nil)
