package stage

import (
	"context"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"fmt"
	"reflect"
	"slices"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/stage/window"
)

// sessions aggregates by spans that grow with the rows of a key and meet. All open
// sessions of a key are one cell.
type sessions[K comparable, In, Row any] struct {
	aggregating[K, In, Row]
	*table[sessionKey[K], []session[Row]]
}

// sessionKey is a key, and a number from 1 for its sessions that were closed before
// another began and only wait to come out; see supersede.
type sessionKey[K comparable] struct {
	Part int32 `json:"n,omitzero"`
	Key  K     `json:"k"`
}

// session is an open one. They are in order of their times, a gap or more apart,
// except where the bound of their length has cut one in two.
type session[Row any] struct {
	First shardlake.Instant `json:"f"`
	Last  shardlake.Instant `json:"l"`
	Row   Row               `json:"r"`
}

func (a *sessions[K, In, Row]) prepare() (err error) {
	if _, ok := any(new(Row)).(Merger[Row]); !ok {
		return fmt.Errorf("sessions meet when a row comes between two of them: give %v a method Merge(other), on its pointer, that makes one row of two", reflect.TypeFor[Row]())
	}
	a.table, err = newTable[sessionKey[K], []session[Row]]("aggregate by " + a.w.String())
	if err != nil {
		return err
	}
	if row := migration[Row](); row != nil {
		a.table.migrate = migrateSessions(row)
	}
	a.awake = func(c *cell[sessionKey[K], []session[Row]], _ shardlake.Instant) shardlake.Instant {
		return a.closing(c.val)
	}
	ownKey(a.table, func(k *sessionKey[K]) *K { return &k.Key })
	a.table.join = func(into *[]session[Row], other []session[Row]) bool {
		for _, s := range other {
			*into = a.insert(*into, s, shardlake.Never)
		}
		return true
	}
	return nil
}

func (a *sessions[K, In, Row]) gap() shardlake.Instant {
	return shardlake.Instant(a.w.Gap().Microseconds())
}

// insert adds a session to those of a key, and makes one of what it touches, unless
// that would be too long, or is closed by mark and only waits to come out.
func (a *sessions[K, In, Row]) insert(open []session[Row], s session[Row], mark shardlake.Instant) []session[Row] {
	longest := shardlake.Instant(a.w.Longest().Microseconds())
	for i := 0; i < len(open); {
		o := &open[i]
		apart := s.First-o.Last >= a.gap() || o.First-s.Last >= a.gap()
		if first, last := min(o.First, s.First), max(o.Last, s.Last); apart || last-first > longest || a.w.Closed(a.span(o), mark) {
			i++
			continue
		}
		// The older one takes in the younger, so that a fold that depends on the order
		// sees it.
		older, younger := *o, s
		if s.First < o.First {
			older, younger = s, *o
		}
		any(&older.Row).(Merger[Row]).Merge(younger.Row)
		older.Last = max(older.Last, younger.Last)
		s = older
		open = slices.Delete(open, i, i+1)
		i = 0 // what it touches now may lie on both sides
	}
	at, _ := slices.BinarySearchFunc(open, s, func(o, s session[Row]) int {
		if o.First <= s.First {
			return -1
		}
		return 1
	})
	return slices.Insert(open, at, s)
}

func (a *sessions[K, In, Row]) Push(ctx context.Context, b shardlake.Batch[In]) (err error) {
	defer a.catch(b.Origins, b.Records, &err)
	for i := range b.Rows {
		a.at = i
		late, err := a.add(b.Rows[i], b.Origins[i].Time, b.From(i))
		if err == nil && late {
			err = settle(ctx, &a.guard, b, i, shardlake.Reject(shardlake.ErrLate))
		}
		if err != nil {
			return err
		}
	}
	a.last = newest(a.last, b.Records)
	return nil
}

// add folds a row into the session that it falls into or extends, or begins one. It
// is late if all that it could be in is closed.
func (a *sessions[K, In, Row]) add(v In, t shardlake.Instant, r *shardlake.Record) (late bool, err error) {
	k := sessionKey[K]{Key: a.key(v)}
	c := a.get(k)
	longest := shardlake.Instant(a.w.Longest().Microseconds())
	if c != nil && a.w.Closed(a.span(&c.val[len(c.val)-1]), r.Watermark) && a.over(c, r.Watermark) {
		a.supersede(c)
		c = nil
	}
	if c != nil {
		if err := a.under(k.Key, c.part, r); err != nil {
			return false, err
		}
		for i := range c.val {
			o := &c.val[i]
			if t-o.Last >= a.gap() || o.First-t >= a.gap() || max(o.Last, t)-min(o.First, t) > longest || a.w.Closed(a.span(o), r.Watermark) {
				continue
			}
			a.touch(c)
			a.fold(&o.Row, v)
			if t < o.First || t > o.Last {
				s := *o
				s.First, s.Last = min(s.First, t), max(s.Last, t)
				c.val = a.insert(slices.Delete(c.val, i, i+1), s, r.Watermark)
				a.rewake(c)
			}
			return false, nil
		}
	}
	s := session[Row]{First: t, Last: t}
	if a.w.Closed(a.span(&s), r.Watermark) {
		return true, nil
	}
	s.Row = a.seed(k.Key, a.span(&s))
	a.fold(&s.Row, v)
	if c == nil {
		c = a.table.add(k, nil, r)
	}
	a.touch(c)
	c.val = a.insert(c.val, s, r.Watermark)
	a.rewake(c)
	return false, nil
}

func (a *sessions[K, In, Row]) span(s *session[Row]) window.Span {
	return window.Span{Start: s.First, End: s.Last + a.gap()}
}

// over tells whether all sessions of a cell are closed.
func (a *sessions[K, In, Row]) over(c *cell[sessionKey[K], []session[Row]], mark shardlake.Instant) bool {
	for i := range c.val {
		if !a.w.Closed(a.span(&c.val[i]), mark) {
			return false
		}
	}
	return true
}

// supersede makes room for a key's next session where those before are all closed, but
// no mark has made them come out yet. Had a mark come, the cell would be gone, and the
// next session would have a partition key, a home and a turn of its own: where marks
// fall must make no difference.
func (a *sessions[K, In, Row]) supersede(c *cell[sessionKey[K], []session[Row]]) {
	wake, k := c.wake, c.key
	for a.get(k) != nil {
		k.Part++
	}
	old := *c // with its turn
	a.remove(c)
	old.key, old.at, old.wake = k, -1, asleep
	old.state.dirty, old.state.stored = false, false
	a.sizes += old.size
	a.cells[k] = &old
	a.touch(&old)
	a.wakeAt(&old, wake)
}

// closing is when the first of some sessions closes.
func (a *sessions[K, In, Row]) closing(open []session[Row]) shardlake.Instant {
	if len(open) == 0 {
		return asleep
	}
	at := open[0].Last
	for i := range open {
		at = min(at, open[i].Last)
	}
	return at + a.gap() + shardlake.Instant(a.w.Lateness().Microseconds())
}

// rewake sets the cell's time to that of its first session to close.
func (a *sessions[K, In, Row]) rewake(c *cell[sessionKey[K], []session[Row]]) {
	a.wakeAt(c, a.closing(c.val))
}

// Mark fires the sessions that the watermark closed, in the order in which they
// closed: of one cell only those that closed together, since another key's may be
// next.
func (a *sessions[K, In, Row]) Mark(ctx context.Context, m shardlake.Mark) error {
	for c := a.due(m.Watermark); c != nil; c = a.due(m.Watermark) {
		a.touch(c)
		at := a.closing(c.val)
		for i := 0; i < len(c.val); {
			s := c.val[i]
			span := a.span(&s)
			if !a.w.Closed(span, min(at, m.Watermark)) {
				i++
				continue
			}
			c.val = slices.Delete(c.val, i, i+1)
			if err := a.close(&s.Row, span); err != nil {
				return err
			}
			if err := a.out.add(ctx, a.next, s.Row, span.End-1, c.origin(a.last, span.End-1)); err != nil {
				return err
			}
		}
		if len(c.val) == 0 {
			a.remove(c)
		} else {
			a.rewake(c)
		}
	}
	if err := a.out.flush(ctx, a.next); err != nil {
		return err
	}
	m.Watermark = m.Watermark.Sub(a.w.Lateness())
	return a.next.Mark(ctx, m)
}

// migrateSessions reads sessions whose rows have changed.
func migrateSessions[Row any](row func(string, []byte, *Row) error) func(string, []byte, *[]session[Row]) error {
	return func(schema string, old []byte, into *[]session[Row]) error {
		var kept []session[jsontext.Value]
		if err := json.Unmarshal(old, &kept, exact); err != nil {
			return err
		}
		*into = make([]session[Row], len(kept))
		for i, k := range kept {
			s := &(*into)[i]
			s.First, s.Last = k.First, k.Last
			if err := row(schema, k.Row, &s.Row); err != nil {
				return err
			}
		}
		return nil
	}
}
