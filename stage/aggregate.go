package stage

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unsafe"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/internal/own"
	"github.com/shardlake/shardlake/stage/window"
)

// Aggregate folds the rows of each key and window into one row and emits it when
// the watermark has passed the window's end and grace, and at the end of the
// shard. The accumulator is the output row: seed makes an empty one, fold adds to
// it. The row's event time is the last microsecond of the window, its origin the
// newest record seen.
//
// It works per lane: a result is final only if key is a function of the partition
// key and the stream is not resharded meanwhile; else each lane yields a partial
// row for the key and window, and a query adds them up. Rows that come after
// their window closed are dead letters with ErrLate.
//
// Open windows are part of every commit, as JSON, under the name of Row's type
// unless Named says otherwise; so K and Row must keep what they hold through
// JSON: exported fields, no interfaces, channels or functions, no infinite or
// undefined floats, text in UTF-8. K holds no pointers, since a pointer that was
// restored equals no other; a time.Time in it must be in UTC for the same reason.
func Aggregate[K comparable, In, Row any](w window.Window, key func(In) K, seed func(K, window.Span) Row, fold func(*Row, In)) Stage[In, Row] {
	return func(env *shardlake.Env, next shardlake.Emit[Row]) (shardlake.Emit[In], error) {
		g, err := guarded(env, "aggregate", fold)
		if err != nil {
			return nil, err
		}
		k, row := reflect.TypeFor[K](), reflect.TypeFor[Row]()
		switch {
		case key == nil || seed == nil:
			err = fmt.Errorf("key and seed must not be nil")
		case !w.Valid():
			err = fmt.Errorf("a window of %v with a grace of %v: want whole microseconds, at least one, and no negative grace", w.Size(), w.Lateness())
		default:
			err = cmp.Or(comesBackEqual(k), keepable(k, nil), keepable(row, nil))
		}
		if err != nil {
			return nil, fmt.Errorf("stage %s: %w", env.Name(g.name), err)
		}
		a := &aggregate[K, In, Row]{next: next, guard: g, w: w, key: key, seed: seed, fold: fold, own: own.Of[K](),
			index: map[window.Span]*pane[K, Row]{}, schema: fmt.Sprintf("%v %s->%s", w.Size(), shape(k, nil), shape(row, nil))}
		return a, env.Keep("aggregate "+row.Name(), a)
	}
}

type aggregate[K comparable, In, Row any] struct {
	guard
	next   shardlake.Emit[Row]
	w      window.Window
	key    func(In) K
	seed   func(K, window.Span) Row
	own    func(K) K // a key outlives the batch that it came with
	fold   func(*Row, In)
	open   []*pane[K, Row] // in order of first row
	index  map[window.Span]*pane[K, Row]
	recent *pane[K, Row]    // of the last row: most rows follow one of their own window
	last   shardlake.Record // newest seen, without its data: the origin of rows that fire
	rows   int64
	schema string
}

// pane is one open window. Keys stay in order of arrival: output and snapshot
// are the same in every attempt.
type pane[K comparable, Row any] struct {
	Span window.Span
	Keys []K
	Rows []Row
	at   map[K]int
}

func (a *aggregate[K, In, Row]) Push(ctx context.Context, b shardlake.Batch[In]) (err error) {
	defer a.catch(b.Origins, b.Records, &err)
	for i := range b.Rows {
		a.at = i
		s, r := a.w.Span(b.Origins[i].Time), b.From(i)
		if a.w.Closed(s, r.Watermark) {
			if err := settle(ctx, &a.guard, b, i, shardlake.Reject(shardlake.ErrLate)); err != nil {
				return err
			}
			continue
		}
		a.fold(a.row(s, a.key(b.Rows[i])), b.Rows[i])
	}
	if n := len(b.Records); n > 0 {
		a.last = b.Records[n-1]
		a.last.Data = nil
		a.last.Key = strings.Clone(strings.ToValidUTF8(a.last.Key, "\uFFFD")) // a stranger's key must not spoil the snapshot
		a.last.Pos.Seq = strings.Clone(a.last.Pos.Seq)
	}
	return nil
}

func (a *aggregate[K, In, Row]) row(s window.Span, k K) *Row {
	p := a.recent
	if p == nil || p.Span != s {
		p = a.index[s]
		if p == nil {
			p = &pane[K, Row]{Span: s, at: map[K]int{}}
			a.index[s], a.open = p, append(a.open, p)
		}
		a.recent = p
	}
	i, ok := p.at[k]
	if !ok {
		k = a.own(k)
		row := a.seed(k, s) // before anything changes: it may panic
		i, p.at[k] = len(p.Rows), len(p.Rows)
		p.Keys, p.Rows = append(p.Keys, k), append(p.Rows, row)
		a.rows++
	}
	return &p.Rows[i]
}

// Mark fires what the watermark closed, oldest first, then passes the mark on
// held back by the grace: until then this stage may still emit rows that old.
func (a *aggregate[K, In, Row]) Mark(ctx context.Context, m shardlake.Mark) error {
	slices.SortStableFunc(a.open, func(p, q *pane[K, Row]) int { return cmp.Compare(p.Span.End, q.Span.End) })
	for len(a.open) > 0 && a.w.Closed(a.open[0].Span, m.Watermark) {
		p := a.open[0]
		rec := a.last
		rec.Watermark = p.Span.End - 1 // as if fired the instant it closed
		a.open, a.recent = a.open[1:], nil
		delete(a.index, p.Span)
		a.rows -= int64(len(p.Rows))
		o := slices.Repeat([]shardlake.Origin{{Time: p.Span.End - 1}}, len(p.Rows))
		if err := a.next.Push(ctx, shardlake.Batch[Row]{Rows: p.Rows, Origins: o, Records: []shardlake.Record{rec}}); err != nil {
			return err
		}
	}
	m.Watermark = m.Watermark.Sub(a.w.Lateness())
	return a.next.Mark(ctx, m)
}

// Bytes estimates what the open windows hold, without what rows point to.
func (a *aggregate[K, In, Row]) Bytes() int64 {
	var k K
	var row Row
	return a.rows * int64(2*unsafe.Sizeof(k)+unsafe.Sizeof(row)+48)
}
