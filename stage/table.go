package stage

import (
	"cmp"
	"encoding/binary"
	"encoding/json/v2"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/internal/own"
)

// table is what a stage keeps by key, with a time for each key at which it wants to
// be woken: the shardlake.State under Aggregate, Dedup and Keyed. Everything that
// it gives out is in an order that follows from the rows alone.
type table[K comparable, V any] struct {
	kind    string // what the values are, as a part of the schema
	keys    string // shape of K
	values  string // shape of V
	migrate func(schema string, old []byte, into *V) error
	// join makes one value of two for one key, of which the second comes from another
	// parent; nil or false keeps them apart, under the key that apart returns.
	join  func(into *V, other V) bool
	apart func(K) K
	// latest says that a key which two parents had is woken when the later of them
	// wanted it; else it is the earlier.
	latest bool
	// awake corrects the time at which a restored cell is woken, by settings that have
	// changed since it was kept; nil if there are none.
	awake func(*cell[K, V], shardlake.Instant) shardlake.Instant

	own   func(K) K       // a key outlives the batch that it came with
	text  func(*K) string // the key as a string, which a partition key may share; nil if it is none
	keyed func(*K) int64  // bytes that a key points to
	holds func(*V) int64  // bytes that a value points to; nil if it points to nothing
	cells map[K]*cell[K, V]
	queue []*cell[K, V] // those that want to be woken, as a heap by (wake, seq)
	dirty []*cell[K, V] // changed since the last snapshot, in order of their first change
	trim  int           // length of dirty from which it is looked through for what can go
	born  uint64        // cells so far: the seq of the next new one
	sizes int64         // of what all cells point to, as last seen
	buf   []byte
}

// cell is one key and what is known of it.
type cell[K comparable, V any] struct {
	key   K
	val   V
	part  string            // the partition key of the record that it began with
	home  *shardlake.Hash   // as in shardlake.Record
	wake  shardlake.Instant // asleep if there is no such time
	seq   uint64            // in order of creation
	at    int               // in the queue, -1 if it is not in there
	size  int64             // of what it points to, as last seen
	state struct{ dirty, gone, stored bool }
}

// asleep is the wake of a cell that nothing wakes.
const asleep = shardlake.Forever

// newTable checks that keys and values can be kept at all.
func newTable[K comparable, V any](kind string) (*table[K, V], error) {
	k, v := reflect.TypeFor[K](), reflect.TypeFor[V]()
	if err := cmp.Or(comesBackEqual(k), keepable(k, nil), keepable(v, nil)); err != nil {
		return nil, err
	}
	if err := shadowed[K](); err != nil {
		return nil, err
	}
	if err := shadowed[V](); err != nil {
		return nil, err
	}
	t := &table[K, V]{kind: kind, keys: shape(k, nil), values: shape(v, nil),
		own: own.Of[K](), keyed: weigher[K](), holds: weigher[V](), cells: map[K]*cell[K, V]{}}
	if k == reflect.TypeFor[string]() {
		t.text = func(k *K) string { return *any(k).(*string) }
	}
	return t, nil
}

// get returns the cell of k, or nil.
func (t *table[K, V]) get(k K) *cell[K, V] { return t.cells[k] }

// add makes the cell of a key that has none.
func (t *table[K, V]) add(k K, v V, r *shardlake.Record) *cell[K, V] {
	c := &cell[K, V]{key: t.own(k), val: v, home: r.Home, wake: asleep, seq: t.born, at: -1}
	if t.text != nil && t.text(&c.key) == r.Key {
		c.part = t.text(&c.key)
	} else {
		c.part = strings.Clone(r.Key)
	}
	t.weigh(c)
	t.born++
	t.cells[c.key] = c
	return c
}

// origin is the record that a row which a cell gives out comes from: the newest
// that the lane has seen, under the partition key of the cell.
func (c *cell[K, V]) origin(newest shardlake.Record, mark shardlake.Instant) shardlake.Record {
	newest.Key, newest.Home, newest.Data, newest.Watermark = c.part, c.home, nil, mark
	return newest
}

// touch says that the cell changes, or is about to.
func (t *table[K, V]) touch(c *cell[K, V]) {
	if c.state.dirty {
		return
	}
	c.state.dirty = true
	if len(t.dirty) >= max(1024, t.trim) && len(t.dirty) > 2*len(t.cells) {
		t.dirty = slices.DeleteFunc(t.dirty, func(c *cell[K, V]) bool { return c.state.gone && !c.state.stored })
		t.trim = 2 * len(t.dirty) // what is left may have to stay: looking again at once would find nothing
	}
	t.dirty = append(t.dirty, c)
}

// remove forgets a key.
func (t *table[K, V]) remove(c *cell[K, V]) {
	t.wakeAt(c, asleep)
	t.touch(c)
	c.state.gone = true
	t.sizes -= c.size
	delete(t.cells, c.key)
	var none V
	c.val = none
}

// wakeAt sets when the cell is woken.
func (t *table[K, V]) wakeAt(c *cell[K, V], at shardlake.Instant) {
	if at == c.wake {
		return
	}
	c.wake = at
	switch {
	case at == asleep:
		t.unqueue(c)
	case c.at < 0:
		c.at = len(t.queue)
		t.queue = append(t.queue, c)
		t.up(c.at)
	default:
		t.down(t.up(c.at))
	}
}

// due takes the next cell whose time has come off the queue, or returns nil. At
// Forever every cell that waits for anything is due.
func (t *table[K, V]) due(mark shardlake.Instant) *cell[K, V] {
	if len(t.queue) == 0 || t.queue[0].wake > mark {
		return nil
	}
	c := t.queue[0]
	t.unqueue(c)
	c.wake = asleep
	return c
}

func (t *table[K, V]) unqueue(c *cell[K, V]) {
	i, last := c.at, len(t.queue)-1
	if i < 0 {
		return
	}
	c.at = -1
	moved := t.queue[last]
	t.queue[last] = nil
	t.queue = t.queue[:last]
	if i != last {
		t.queue[i], moved.at = moved, i
		t.down(t.up(i))
	}
}

func (t *table[K, V]) less(i, j int) bool {
	a, b := t.queue[i], t.queue[j]
	return a.wake < b.wake || a.wake == b.wake && a.seq < b.seq
}

func (t *table[K, V]) swap(i, j int) {
	q := t.queue
	q[i], q[j] = q[j], q[i]
	q[i].at, q[j].at = i, j
}

func (t *table[K, V]) up(i int) int {
	for i > 0 && t.less(i, (i-1)/2) {
		t.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
	return i
}

func (t *table[K, V]) down(i int) {
	for {
		least := i
		for j := 2*i + 1; j <= 2*i+2 && j < len(t.queue); j++ {
			if t.less(j, least) {
				least = j
			}
		}
		if least == i {
			return
		}
		t.swap(i, least)
		i = least
	}
}

// Schema makes it a shardlake.State, with what follows.
func (t *table[K, V]) Schema() string { return t.kind + " " + t.keys + "->" + t.values }

// Snapshot gives put what has changed.
func (t *table[K, V]) Snapshot(whole bool, put func(shardlake.Entry)) error {
	cells := t.dirty
	if whole {
		cells = make([]*cell[K, V], 0, len(t.cells))
		for _, c := range t.cells {
			cells = append(cells, c)
		}
		slices.SortFunc(cells, func(a, b *cell[K, V]) int { return cmp.Compare(a.seq, b.seq) })
	}
	for _, c := range cells {
		if c.state.gone && !c.state.stored {
			continue
		}
		r := shardlake.Record{Key: c.part, Home: c.home}
		e := shardlake.Entry{Home: r.Place()}
		var err error
		if e.Key, err = json.Marshal(c.key, exact); err != nil {
			return fmt.Errorf("the key %s: %w", brief(c.key), err)
		}
		if !c.state.gone {
			if e.Value, err = t.encode(c); err != nil {
				return fmt.Errorf("the value of the key %.100s: %w", e.Key, err)
			}
			t.weigh(c)
			c.state.stored = true
		}
		put(e)
	}
	for _, c := range t.dirty {
		c.state.dirty = false
	}
	t.settled()
	return nil
}

// encode writes wake, seq, partition key, place and value.
func (t *table[K, V]) encode(c *cell[K, V]) ([]byte, error) {
	v, err := json.Marshal(&c.val, exact)
	t.buf = binary.AppendVarint(t.buf[:0], int64(c.wake))
	t.buf = binary.AppendUvarint(t.buf, c.seq)
	t.buf = binary.AppendUvarint(t.buf, uint64(len(c.part)))
	t.buf = append(t.buf, c.part...)
	if c.home == nil {
		t.buf = append(t.buf, 0)
	} else {
		t.buf = append(append(t.buf, 1), c.home[:]...)
	}
	t.buf = append(t.buf, v...)
	return t.buf, err
}

// Restore takes an entry.
func (t *table[K, V]) Restore(schema string, e shardlake.Entry, inherited bool) error {
	var k K
	if err := t.fits(schema); err != nil {
		return err
	}
	if err := json.Unmarshal(e.Key, &k, exact); err != nil {
		return fmt.Errorf("the key %.100q: %w", e.Key, err)
	}
	had := t.cells[k]
	if e.Value == nil {
		if had != nil {
			t.remove(had)
		}
		t.settled()
		return nil
	}
	c := &cell[K, V]{key: k, wake: asleep, at: -1}
	wake, err := t.decode(schema, e.Value, c)
	if err != nil {
		return fmt.Errorf("the value of the key %.100s: %w", e.Key, err)
	}
	if t.awake != nil {
		wake = t.awake(c, wake)
	}
	for inherited && had != nil {
		joined, err := t.joined(&had.val, c.val)
		switch {
		case err != nil:
			return fmt.Errorf("the values of the key %.100s: %w", e.Key, err)
		case joined && t.latest:
			wake = max(had.wake, wake)
		case joined:
			wake = min(had.wake, wake)
		}
		if joined {
			t.wakeAt(had, wake)
			t.weigh(had)
			return nil
		}
		if t.apart == nil {
			return fmt.Errorf("the key %.100s came from two shards that were merged: give its type a method Merge, which makes one of two", e.Key)
		}
		c.key = t.apart(c.key)
		had = t.cells[c.key]
	}
	if had != nil {
		t.wakeAt(had, asleep)
		t.sizes -= had.size
	}
	if inherited {
		c.seq = t.born // the numbers of two parents say nothing about each other
	}
	c.state.stored = true
	t.born = max(t.born, c.seq+1)
	t.weigh(c)
	t.cells[c.key] = c
	t.wakeAt(c, wake)
	return nil
}

// joined is join, with a panic as an error.
func (t *table[K, V]) joined(into *V, other V) (ok bool, err error) {
	if t.join == nil {
		return false, nil
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v, in the method Merge, for two values that came from two shards which were merged", p)
		}
	}()
	return t.join(into, other), nil
}

// settled forgets what was noted as changed: what is restored is what the last
// commit holds.
func (t *table[K, V]) settled() {
	clear(t.dirty)
	t.dirty, t.trim = t.dirty[:0], 0
}

// fits tells whether entries of a schema can be read.
func (t *table[K, V]) fits(schema string) error {
	if schema == t.Schema() || t.migrate != nil && len(schema) > len(t.kind)+len(t.keys)+2 && schema[:len(t.kind)+len(t.keys)+3] == t.kind+" "+t.keys+"->" {
		return nil
	}
	return fmt.Errorf("what is kept is %q, this program wants %q: let the old program finish with it, give the stage a new name with stage.Named, or, if only the rows have changed, give their type a method Migrate", schema, t.Schema())
}

// decode reads what encode wrote, but for wake into c.
func (t *table[K, V]) decode(schema string, b []byte, c *cell[K, V]) (wake shardlake.Instant, err error) {
	w, n := binary.Varint(b)
	if n <= 0 {
		return 0, errDamaged
	}
	seq, m := binary.Uvarint(b[n:])
	if m <= 0 {
		return 0, errDamaged
	}
	b = b[n+m:]
	size, n := binary.Uvarint(b)
	if n <= 0 || size >= uint64(len(b)-n) {
		return 0, errDamaged
	}
	c.seq, c.part, b = seq, string(b[n:n+int(size)]), b[n+int(size):]
	if t.text != nil && t.text(&c.key) == c.part {
		c.part = t.text(&c.key)
	}
	placed := b[0] == 1
	if b = b[1:]; placed {
		if len(b) < len(shardlake.Hash{}) {
			return 0, errDamaged
		}
		c.home = new(shardlake.Hash)
		b = b[copy(c.home[:], b):]
	}
	if schema != t.Schema() {
		return shardlake.Instant(w), t.migrated(schema, b, &c.val)
	}
	return shardlake.Instant(w), json.Unmarshal(b, &c.val, exact)
}

// migrated is migrate, with a panic as an error.
func (t *table[K, V]) migrated(schema string, old []byte, into *V) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v, in the method Migrate, for the schema %q", p, schema)
		}
	}()
	return t.migrate(schema, old, into)
}

var errDamaged = fmt.Errorf("it is damaged")
