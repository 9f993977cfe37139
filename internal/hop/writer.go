package hop

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/shardlake/shardlake"
)

// Sending says how rows become frames.
type Sending[T any] struct {
	Name    string // tells senders of one pipeline apart
	Buckets int    // a power of two
	Hold    int    // bytes of rows at which a commit is asked for
	Room    int    // bytes of rows in a frame, at most; 0 stands for 768 KiB, the most that a record holds
	Key     func(T) string
	Encode  func(dst []byte, row T) ([]byte, error)
	What    string // of errors and dead letters
}

// Writer gathers the rows of a lane until the commit, and then makes frames of them.
// One goroutine uses it.
type Writer[T any] struct {
	Sending[T]
	env     *shardlake.Env
	rows    []chunks // by bucket
	held    int
	scratch []byte
	mark    shardlake.Mark    // the last one
	told    shardlake.Instant // the watermark that every bucket was last told
	peers   []string          // last told; nil before
}

// chunks are rows, encoded, each of which fits into a frame.
type chunks [][]byte

const (
	// frameRoom is what a frame leaves for rows: streams take records of 1 MiB, with
	// their keys, everywhere; headers list other lanes.
	frameRoom = 768 << 10
	// keepScratch bounds what is kept of a large row.
	keepScratch = 1 << 20
)

// NewWriter is that of a lane.
func NewWriter[T any](env *shardlake.Env, s Sending[T]) *Writer[T] {
	s.Room = cmp.Or(s.Room, frameRoom)
	return &Writer[T]{Sending: s, env: env, rows: make([]chunks, s.Buckets), told: shardlake.Never, mark: shardlake.Mark{Watermark: shardlake.Never}}
}

// Write puts rows to their buckets.
func (w *Writer[T]) Write(ctx context.Context, b shardlake.Batch[T]) error {
	for i := range b.Rows {
		data, err := w.Encode(w.scratch[:0], b.Rows[i])
		if err == nil {
			if cap(data) <= keepScratch {
				w.scratch = data[:0]
			}
			err = w.add(w.Key(b.Rows[i]), b.Origins[i].Time, data)
		}
		if err == nil {
			continue
		}
		if err := w.env.Settle(ctx, w.What, b.From(i), err); err != nil {
			return err
		}
	}
	return nil
}

func (w *Writer[T]) add(key string, t shardlake.Instant, data []byte) error {
	size := RowSize(key, data)
	if size > w.Room || !utf8.ValidString(key) {
		return shardlake.Reject(fmt.Errorf("a row of %d bytes with the key %.64q: a row that is sent on has a key of UTF-8 and takes at most %d bytes, key and payload together", len(key)+len(data), key, w.Room))
	}
	c := &w.rows[BucketOf(key, w.Buckets)]
	if n := len(*c); n == 0 || len((*c)[n-1])+size > w.Room {
		*c = append(*c, nil)
	}
	last := &(*c)[len(*c)-1]
	before := len(*last)
	*last = AppendRow(*last, t, key, data)
	w.held += len(*last) - before
	return nil
}

// Mark notes what the commit says.
func (w *Writer[T]) Mark(m shardlake.Mark) { w.mark = m }

// Full asks for a commit.
func (w *Writer[T]) Full() bool { return w.held >= w.Hold }

// Buffered is what the rows take, and as much for the frames.
func (w *Writer[T]) Buffered() int64 { return 2 * int64(w.held) }

// Seal makes the frames of the commit that is being prepared, those of a bucket in
// their order. There are none if there is nothing to tell.
func (w *Writer[T]) Seal() (frames [][]byte, err error) {
	rose := w.mark.Watermark > w.told || w.mark.End != nil
	a, peers := w.env.Attempt(), w.env.Peers()
	h := Header{
		Group: strings.Join([]string{a.Application, a.Source, w.Name}, "/"), Lane: a.Lane, Life: a.Tag, Commit: a.Number,
		Of: w.Buckets, Watermark: w.mark.Watermark,
	}
	if end := w.mark.End; end != nil {
		h.Ended, h.Heirs = true, end.Heirs
	}
	if !slices.Equal(w.peers, peers) {
		h.Peers = peers
	}
	for n, c := range w.rows {
		if len(c) == 0 {
			if !rose && h.Peers == nil {
				continue
			}
			c = chunks{nil}
		}
		for i, rows := range c {
			h.Bucket, h.Index, h.Last = n, i, i == len(c)-1
			f, err := Encode(h, rows)
			if err != nil {
				return nil, w.env.Fail(w.What, a.From, err, "")
			}
			frames = append(frames, f)
		}
		w.rows[n] = nil
	}
	w.held, w.told, w.peers = 0, max(w.told, w.mark.Watermark), peers
	return frames, nil
}
