package stage

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"strings"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/internal/own"
	"github.com/shardlake/shardlake/stage/window"
)

// Aggregate folds the rows of each key and window into one row and emits it when
// the watermark has passed the window's end and grace, and at the end of the
// input. The accumulator is the output row: seed makes an empty one, fold adds to
// it. The row's event time is the last microsecond of the window, its origin the
// newest record seen, under the partition key that the key came with.
//
// A result is the whole result of its key because all records of one key are in
// one shard: key must determine the partition key, as a user's id does in a stream
// that is partitioned by user. This is looked at: a key that comes under a second
// partition key stops the lane. For any other key there is AggregatePartial, or a
// second stream that is partitioned by it. When a shard is split or merged, its open
// windows go on in the children, each with the shard that takes its partition key.
//
// Rows that come after their window closed are late: see Pipeline.Late.
//
// A row type may have methods that Aggregate calls:
//
//	func (r *Row) Merge(other Row)           // adds what another row of the same key and window holds; sessions need it
//	func (r *Row) SetWindow(s window.Span)   // is told the final span before the row comes out; for sessions
//	func (r *Row) Migrate(schema string, old []byte) error   // reads a row that was kept with other fields, as JSON
//
// Open windows are part of every commit, as JSON, under the name of Row's type
// unless Named says otherwise; so K and Row must keep what they hold through
// JSON: exported fields, no interfaces, channels or functions, no infinite or
// undefined floats, text in UTF-8. K holds no pointers, since a pointer that was
// restored equals no other; a time.Time in it must be in UTC for the same reason.
func Aggregate[K comparable, In, Row any](w window.Window, key func(In) K, seed func(K, window.Span) Row, fold func(*Row, In)) Stage[In, Row] {
	return aggregation(aggregating[K, In, Row]{verb: "aggregate", w: w, key: key, seed: seed, fold: fold, whole: true})
}

// AggregatePartial is Aggregate for keys whose records lie in several shards: each
// lane emits a row of what it has seen of a key and window, and a query adds them up
// (see fold.MergeQuery). The number of rows is up to that of the shards times that
// of the keys.
func AggregatePartial[K comparable, In, Row any](w window.Window, key func(In) K, seed func(K, window.Span) Row, fold func(*Row, In)) Stage[In, Row] {
	return aggregation(aggregating[K, In, Row]{verb: "aggregate", w: w, key: key, seed: seed, fold: fold})
}

// Merger is a row type that can take in another row of its key and window.
type Merger[Row any] interface {
	// Merge adds what other holds, which comes behind what the row has seen.
	Merge(other Row)
}

// Windowed is a row type that is told its final span.
type Windowed interface {
	// SetWindow is called once, before the row comes out.
	SetWindow(window.Span)
}

// Migrator is a row type, or a state of Keyed, that can read what was kept of it when
// it had other fields.
type Migrator interface {
	// Migrate makes the value of old, which is JSON. schema is the text that tells
	// what it was: see shardlake.State.
	Migrate(schema string, old []byte) error
}

// aggregating is what both kinds of aggregate are made of.
type aggregating[K comparable, In, Row any] struct {
	guard
	verb  string
	w     window.Window
	key   func(In) K
	seed  func(K, window.Span) Row
	fold  func(*Row, In)
	whole bool // a key has one partition key
	next  shardlake.Emit[Row]
	last  shardlake.Record // newest seen, without its data
	out   emission[Row]
}

func aggregation[K comparable, In, Row any](g aggregating[K, In, Row]) Stage[In, Row] {
	return func(env *shardlake.Env, next shardlake.Emit[Row]) (in shardlake.Emit[In], err error) {
		a := g // of this lane
		if a.guard, err = guarded(env, a.verb, a.fold); err != nil {
			return nil, err
		}
		a.next, a.last = next, shardlake.Record{Pos: env.Attempt().From}
		var kept shardlake.State
		err = a.w.Check()
		switch {
		case a.key == nil || a.seed == nil:
			err = fmt.Errorf("key and seed must not be nil")
		case a.whole && env.Scattered():
			err = fmt.Errorf("the stream does not keep the records of a partition key in one shard (its distribution is AUTO), so no lane sees all of a key: use stage.AggregatePartial, or a second stream")
		case err != nil:
		case a.w.IsSession():
			s := &sessions[K, In, Row]{aggregating: a}
			in, kept, err = s, s, s.prepare()
		default:
			s := &aligned[K, In, Row]{aggregating: a}
			in, kept, err = s, s, s.prepare()
		}
		if err != nil {
			return nil, fmt.Errorf("stage %s: %w", env.Name(a.name), err)
		}
		return in, env.Keep("aggregate "+rowName[Row](), kept)
	}
}

// newest is the last of the records, or what was the newest before, without what a
// stage must not keep.
func newest(before shardlake.Record, records []shardlake.Record) shardlake.Record {
	n := len(records)
	if n == 0 {
		return before
	}
	r := &records[n-1]
	before = shardlake.Record{Pos: r.Pos, Arrived: r.Arrived}
	before.Pos.Seq = strings.Clone(r.Pos.Seq)
	return before
}

// under checks that a key comes under one partition key only.
func (a *aggregating[K, In, Row]) under(key K, part string, r *shardlake.Record) error {
	if !a.whole || part == r.Key {
		return nil
	}
	return a.env.Fail(a.name, r.Pos, fmt.Errorf("the key %s came under the partition keys %.100q and %.100q, so its records may lie in several shards and no lane sees all of them", brief(key), part, r.Key),
		"use stage.AggregatePartial and add its rows up in a query, or send the rows to a second stream that is partitioned by this key")
}

// finish makes a row ready to leave.
func finish[Row any](row *Row, s window.Span) {
	if w, ok := any(row).(Windowed); ok {
		w.SetWindow(s)
	}
}

// aligned aggregates by windows whose spans do not depend on the rows.
type aligned[K comparable, In, Row any] struct {
	aggregating[K, In, Row]
	*table[slot[K], Row]
	step shardlake.Instant   // from one span to the next
	span window.Span         // newest of the row before, which most rows share
	cell *cell[slot[K], Row] // that the row before was folded into
}

// slot is a key in one pane of one span.
type slot[K comparable] struct {
	Start shardlake.Instant `json:"s"`
	End   shardlake.Instant `json:"e"`
	Pane  int32             `json:"p,omitzero"`
	Part  int32             `json:"n,omitzero"` // of rows that two merged shards had and that cannot be made one
	Key   K                 `json:"k"`
}

func (s slot[K]) span() window.Span {
	return window.Span{Start: s.Start, End: s.End, Pane: int(s.Pane)}
}

func (a *aligned[K, In, Row]) prepare() (err error) {
	a.table, err = newTable[slot[K], Row](fmt.Sprintf("aggregate by %v", a.w))
	if err == nil {
		a.table.migrate = migration[Row]()
		ownKey(a.table, func(s *slot[K]) *K { return &s.Key })
		a.span = a.w.Span(0)
		before, _ := a.w.Before(a.span, 0)
		a.step = a.span.Start - before.Start
		a.awake = func(c *cell[slot[K], Row], kept shardlake.Instant) shardlake.Instant {
			if c.key.Pane > 0 {
				return kept
			}
			_, at := a.w.Pane(c.key.span(), shardlake.Never) // the grace may be another than it was
			return at
		}
		a.table.apart = func(s slot[K]) slot[K] { s.Part++; return s }
		if _, ok := any(new(Row)).(Merger[Row]); ok {
			a.table.join = func(into *Row, other Row) bool { any(into).(Merger[Row]).Merge(other); return true }
		}
	}
	return err
}

// migration is the table's way to a row type's Migrate, or nil.
func migration[Row any]() func(string, []byte, *Row) error {
	if _, ok := any(new(Row)).(Migrator); !ok {
		return nil
	}
	return func(schema string, old []byte, into *Row) error { return any(into).(Migrator).Migrate(schema, old) }
}

func (a *aligned[K, In, Row]) Push(ctx context.Context, b shardlake.Batch[In]) (err error) {
	defer a.catch(b.Origins, b.Records, &err)
	for i := range b.Rows {
		a.at = i
		if err := a.row(ctx, b, i); err != nil {
			return err
		}
	}
	a.last = newest(a.last, b.Records)
	return nil
}

// row folds a row into each span that it belongs to. If one of them is closed, it is
// late, though it may be counted in others.
func (a *aligned[K, In, Row]) row(ctx context.Context, b shardlake.Batch[In], i int) error {
	t, r := b.Origins[i].Time, b.From(i)
	k := a.key(b.Rows[i])
	spans, missed := 0, 0
	if s := a.span; t < s.Start || t-s.Start >= a.step {
		a.span = a.w.Span(t)
	}
	for s, ok := a.span, true; ok; s, ok = a.w.Before(s, t) {
		spans++
		if a.w.Closed(s, r.Watermark) {
			missed++
		} else if err := a.add(s, k, b.Rows[i], r); err != nil {
			return err
		}
	}
	switch missed {
	case 0:
		return nil
	case spans:
		return settle(ctx, &a.guard, b, i, shardlake.Reject(shardlake.ErrLate))
	}
	return settle(ctx, &a.guard, b, i, shardlake.Reject(fmt.Errorf("%w: %d of its %d", shardlake.ErrLate, missed, spans)))
}

func (a *aligned[K, In, Row]) add(s window.Span, k K, v In, r *shardlake.Record) error {
	pane, at := a.w.Pane(s, r.Watermark)
	s.Pane = pane
	key := slot[K]{Start: s.Start, End: s.End, Pane: int32(pane), Key: k}
	c := a.cell
	if c == nil || c.state.gone || c.key != key {
		c = a.get(key)
	}
	if c == nil {
		row := a.seed(k, s) // before anything changes: it may panic
		c = a.table.add(key, row, r)
		a.wakeAt(c, at)
	} else if err := a.under(k, c.part, r); err != nil {
		return err
	}
	a.touch(c)
	a.cell = c
	a.fold(&c.val, v)
	return nil
}

// Mark fires what the watermark closed, oldest first, then passes the mark on
// held back by the lateness: until then this stage may still emit rows that old.
func (a *aligned[K, In, Row]) Mark(ctx context.Context, m shardlake.Mark) (err error) {
	for c := a.due(m.Watermark); c != nil; c = a.due(m.Watermark) {
		s := c.key.span()
		row := c.val
		a.remove(c)
		if err := a.close(&row, s); err != nil {
			return err
		}
		// As if it had come out the instant that its window closed: whatever counts it by
		// its time is not closed then.
		if err := a.out.add(ctx, a.next, row, s.End-1, c.origin(a.last, s.End-1)); err != nil {
			return err
		}
	}
	if err := a.out.flush(ctx, a.next); err != nil {
		return err
	}
	m.Watermark = m.Watermark.Sub(a.w.Lateness())
	return a.next.Mark(ctx, m)
}

// close is finish, with a panic as an error.
func (a *aggregating[K, In, Row]) close(row *Row, s window.Span) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = a.env.Fail(a.name, a.last.Pos, fmt.Errorf("panic: %v, in the method SetWindow, told %v to %v", p, s.Start, s.End), "mend the method; nothing is lost")
		}
	}()
	finish(row, s)
	return nil
}

// ownKey tells a table where in its keys the user's key is: it looks at nothing else
// then.
func ownKey[S, K comparable, V any](t *table[S, V], in func(*S) *K) {
	copied, weigh := own.Of[K](), weigher[K]()
	t.own = func(s S) S {
		k := in(&s)
		*k = copied(*k)
		return s
	}
	if reflect.TypeFor[K]() == reflect.TypeFor[string]() {
		t.text = func(s *S) string { return *any(in(s)).(*string) }
	}
	if t.keyed = nil; weigh != nil {
		t.keyed = func(s *S) int64 { return weigh(in(s)) }
	}
}

// emission gathers rows that a stage gives out by itself into batches.
type emission[Row any] struct{ b shardlake.Batch[Row] }

func (e *emission[Row]) add(ctx context.Context, next shardlake.Emit[Row], row Row, at shardlake.Instant, r shardlake.Record) error {
	e.b.Origins = append(e.b.Origins, shardlake.Origin{Time: at, Record: int32(len(e.b.Records))})
	e.b.Rows, e.b.Records = append(e.b.Rows, row), append(e.b.Records, r)
	if len(e.b.Rows) < flatRows {
		return nil
	}
	return e.flush(ctx, next)
}

// flush pushes what there is. The batch is given away: a stage behind may keep its
// records.
func (e *emission[Row]) flush(ctx context.Context, next shardlake.Emit[Row]) error {
	if len(e.b.Rows) == 0 {
		return nil
	}
	b := e.b
	e.b = shardlake.Batch[Row]{}
	return next.Push(ctx, b)
}

// rowName is how a state of rows is called.
func rowName[Row any]() string {
	t := reflect.TypeFor[Row]()
	return cmp.Or(t.Name(), t.String())
}
