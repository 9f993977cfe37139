package stage

import (
	"context"
	"fmt"

	"github.com/shardlake/shardlake"
)

// Cell is what a Keyed stage knows of one key, as its functions see it. It is valid
// until the function returns.
type Cell[K comparable, S, Out any] struct {
	k    *keyed[K, S, Out]
	c    *cell[K, S]
	time shardlake.Instant
	mark shardlake.Instant
	woke bool
	gone bool
	err  error
}

// Key is the key.
func (c *Cell[K, S, Out]) Key() K { return c.c.key }

// State is what is kept for the key, the zero value at first; change it in place. It
// must keep what it holds through JSON, as the rows of Aggregate must.
func (c *Cell[K, S, Out]) State() *S { return &c.c.val }

// Time is the event time of the row, or the time that the cell is woken for.
func (c *Cell[K, S, Out]) Time() shardlake.Instant { return c.time }

// Watermark is that of the row's record, or the time that the cell is woken for: it
// follows from the records alone.
func (c *Cell[K, S, Out]) Watermark() shardlake.Instant { return c.mark }

// Emit gives out a row, with the event time of the row at hand or of the waking.
func (c *Cell[K, S, Out]) Emit(v Out) { c.k.rows = append(c.k.rows, v) }

// Wake has the stage's wake function called once the watermark reaches at, instead
// of an earlier wish. A time that the watermark has reached already counts as the
// next instant, and one beyond shardlake.MaxEventTime, as Forever, as that: the end of
// the input. In wake itself it must be later than the one before.
func (c *Cell[K, S, Out]) Wake(at shardlake.Instant) {
	if c.woke && at <= c.time {
		c.err = fmt.Errorf("it was woken at %v and wants to be woken at %v: Wake must move forward", c.time, at)
		return
	}
	if at = max(min(at, shardlake.MaxEventTime), c.mark+1); c.woke && at > shardlake.MaxEventTime {
		at = asleep // time is over
	}
	c.k.wakeAt(c.c, at)
}

// Sleep takes back a wish to be woken.
func (c *Cell[K, S, Out]) Sleep() { c.k.wakeAt(c.c, asleep) }

// Forget drops the key when the function returns, with its state and its wish to be
// woken. Keys that are never forgotten take memory for ever.
func (c *Cell[K, S, Out]) Forget() { c.gone = true }

// Keyed keeps a state for each key: row is called with each row and the cell of its
// key, wake, which may be nil, when a cell has asked for it. Both may emit. It is
// what Aggregate and Dedup are special cases of:
//
//	type visit struct{ Pages int }
//	func page(c *stage.Cell[string, visit, Visit], v View) error {
//		c.State().Pages++
//		c.Wake(c.Time() + half an hour)
//		return nil
//	}
//	func gone(c *stage.Cell[string, visit, Visit]) error {
//		c.Emit(Visit{c.Key(), c.State().Pages})
//		c.Forget()
//		return nil
//	}
//	visits := views.Via(stage.Keyed(View.user, page, gone))
//
// An error of row is an answer like that of TryMap: what it emitted is dropped then,
// what it changed in the state stays. One of wake stops the lane.
//
// A key that was due is woken before a row of it that comes behind that time, so what
// happens follows from the records, not from where batches and commits end. At the
// end of the input every cell that waits is woken once, in the order of their times.
//
// Keys are seen per shard: key must determine the partition key for a state that has
// seen all records of its key. States follow their partition keys to the children of
// a shard that is split or merged; if S has a method Merge(other S), on its pointer, a
// state that two shards had is made one, else the lane stops there. States are part of
// every commit under the name of S's type, unless Named says otherwise. If S has a
// method Migrate(schema string, old []byte) error, on its pointer, it reads what was
// kept when it had other fields.
func Keyed[K comparable, S, In, Out any](key func(In) K, row func(*Cell[K, S, Out], In) error, wake func(*Cell[K, S, Out]) error) Stage[In, Out] {
	return func(env *shardlake.Env, next shardlake.Emit[Out]) (shardlake.Emit[In], error) {
		g, err := guarded(env, "keyed", row)
		if err != nil {
			return nil, err
		}
		k := &keyedIn[K, S, In, Out]{keyed[K, S, Out]{guard: g, next: next, wake: wake}, key, row}
		k.table, err = newTable[K, S]("keyed")
		if key == nil {
			err = fmt.Errorf("key must not be nil")
		}
		if err != nil {
			return nil, fmt.Errorf("stage %s: %w", env.Name(g.name), err)
		}
		k.migrate = migration[S]()
		if _, ok := any(new(S)).(Merger[S]); ok {
			k.join = func(into *S, other S) bool { any(into).(Merger[S]).Merge(other); return true }
		}
		k.last.Pos = env.Attempt().From
		return k, env.Keep("keyed "+rowName[S](), k)
	}
}

// keyed is what does not depend on the rows that come in.
type keyed[K comparable, S, Out any] struct {
	guard
	*table[K, S]
	next shardlake.Emit[Out]
	wake func(*Cell[K, S, Out]) error
	last shardlake.Record
	rows []Out // emitted by the call under way
	out  emission[Out]
}

type keyedIn[K comparable, S, In, Out any] struct {
	keyed[K, S, Out]
	key func(In) K
	row func(*Cell[K, S, Out], In) error
}

func (k *keyedIn[K, S, In, Out]) Push(ctx context.Context, b shardlake.Batch[In]) error {
	for i := range b.Rows {
		if err := k.each(ctx, b, i); err != nil {
			return err
		}
	}
	k.last = newest(k.last, b.Records)
	return k.out.flush(ctx, k.next)
}

// each is a row of the batch. What the user's functions emit is given on outside of
// them, so that a panic of a stage behind is not taken for theirs.
func (k *keyedIn[K, S, In, Out]) each(ctx context.Context, b shardlake.Batch[In], i int) error {
	k.at = i
	r := b.From(i)
	id, err := k.identify(b)
	if err != nil {
		return err
	}
	c := k.get(id)
	for c != nil && c.wake <= r.Watermark {
		at := c.wake
		k.wakeAt(c, asleep)
		if err := k.woken(ctx, c, at); err != nil {
			return err
		}
		c = k.get(id) // it may have been forgotten
	}
	answer, err := k.one(id, c, b)
	switch {
	case err != nil:
		return err
	case answer != nil:
		return settle(ctx, &k.guard, b, i, answer)
	}
	return k.give(ctx, b.Origins[i].Time, *r)
}

// identify is the key of the row at hand.
func (k *keyedIn[K, S, In, Out]) identify(b shardlake.Batch[In]) (id K, err error) {
	defer k.catch(b.Origins, b.Records, &err)
	return k.key(b.Rows[k.at]), nil
}

// one calls row. answer is what it says.
func (k *keyedIn[K, S, In, Out]) one(id K, c *cell[K, S], b shardlake.Batch[In]) (answer, err error) {
	defer k.catch(b.Origins, b.Records, &err)
	r := b.From(k.at)
	if c == nil {
		var none S
		c = k.add(id, none, r)
	}
	k.touch(c)
	view := Cell[K, S, Out]{k: &k.keyed, c: c, time: b.Origins[k.at].Time, mark: r.Watermark}
	k.rows = k.rows[:0]
	answer = k.row(&view, b.Rows[k.at])
	if view.gone {
		k.remove(c)
	}
	return answer, view.err
}

// give passes on what a call has emitted.
func (k *keyed[K, S, Out]) give(ctx context.Context, at shardlake.Instant, r shardlake.Record) error {
	for _, v := range k.rows {
		if err := k.out.add(ctx, k.next, v, at, r); err != nil {
			return err
		}
	}
	clear(k.rows)
	k.rows = k.rows[:0]
	return nil
}

// woken calls wake for a cell that is due, and passes on what that emits.
func (k *keyed[K, S, Out]) woken(ctx context.Context, c *cell[K, S], at shardlake.Instant) error {
	if k.wake == nil {
		return nil
	}
	if err := k.rouse(c, at); err != nil {
		return err
	}
	return k.give(ctx, at, c.origin(k.last, at))
}

// rouse calls wake.
func (k *keyed[K, S, Out]) rouse(c *cell[K, S], at shardlake.Instant) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = k.env.Fail(k.name, k.last.Pos, fmt.Errorf("panic: %v, woken at %v with the key %s", p, at, brief(c.key)), "mend the function; nothing is lost")
		}
	}()
	k.touch(c)
	view := Cell[K, S, Out]{k: k, c: c, time: at, mark: at, woke: true}
	k.rows = k.rows[:0]
	err = k.wake(&view)
	if view.gone {
		k.remove(c)
	}
	if err == nil {
		err = view.err
	}
	if err != nil {
		return k.env.Fail(k.name, k.last.Pos, fmt.Errorf("woken at %v with the key %s: %w", at, brief(c.key), err), "mend the cause and start again, nothing is lost")
	}
	return nil
}

// Mark wakes who is due.
func (k *keyed[K, S, Out]) Mark(ctx context.Context, m shardlake.Mark) error {
	var err error
	if m.Watermark == shardlake.Forever {
		err = k.end(ctx)
	} else {
		for len(k.queue) > 0 && err == nil {
			at := k.queue[0].wake
			c := k.due(m.Watermark)
			if c == nil {
				break
			}
			err = k.woken(ctx, c, at)
		}
	}
	if err == nil {
		err = k.out.flush(ctx, k.next)
	}
	if err != nil {
		return err
	}
	return k.next.Mark(ctx, m)
}

// end wakes everybody that waits, once: a wish that is made then is not granted, or a
// cell that always wants to be woken again would never end.
func (k *keyed[K, S, Out]) end(ctx context.Context) error {
	type waiting struct {
		c  *cell[K, S]
		at shardlake.Instant
	}
	var all []waiting
	for len(k.queue) > 0 {
		at := k.queue[0].wake
		all = append(all, waiting{k.due(shardlake.Forever), at})
	}
	for _, w := range all {
		if err := k.woken(ctx, w.c, w.at); err != nil {
			return err
		}
		k.wakeAt(w.c, asleep)
	}
	return nil
}
