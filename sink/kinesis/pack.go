package kinesis

import (
	"errors"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/internal/kpl"
)

// maxRounds is how often in a row records are sent anew because they came to
// another shard than their hash says, before that is taken for a fault.
const maxRounds = 8

var errMisplaced = errors.New("kinesis: the stream puts aggregated records elsewhere than their hash keys say, again and again: write to it without Config.Aggregate")

// packed is what an item knows that holds several records.
type packed struct {
	shard     string         // where it should come to
	low, high shardlake.Hash // of the keys in it
	landed    string         // where it came to, if that is another shard
}

// group is the records for one shard that are not sealed yet.
type group struct {
	b         *kpl.Builder
	first     *item // becomes the item of all
	alone     []byte
	low, high shardlake.Hash
	firstHash shardlake.Hash
}

// packer packs records into aggregates by the shard that their key's hash leads
// to. All of a shard pass one gate: so the order of each key is kept.
type packer struct {
	layout   *layout
	groups   []group // by shard of layout
	asking   bool    // for a layout, no older than stale
	stale    time.Time
	fresh    *layout
	doubtful []*item // in the stream, but where?
	rounds   int
}

func newPacker() *packer { return &packer{} }

// add puts a record into its group.
func (k *packer) add(q *queue, it *item, data []byte) {
	h := shardlake.HashOf(it.key)
	s := k.layout.find(h)
	g := &k.groups[s]
	if g.first != nil && !g.b.Add(it.key, "", data) {
		k.close(q, s)
	}
	if g.first != nil {
		g.low, g.high = lower(g.low, h), higher(g.high, h)
		g.first.n, g.first.cost, g.first.size = g.first.n+1, g.first.cost+it.cost, g.first.size+it.size
		return
	}
	it.gate = k.layout.shards[s].id
	if g.b == nil {
		g.b = kpl.NewBuilder(aggregateBytes)
	}
	if !g.b.Add(it.key, "", data) {
		it.data = append([]byte(nil), data...)
		q.add(it) // too large to be packed
		return
	}
	g.first, g.alone = it, append(g.alone[:0], data...)
	g.low, g.high, g.firstHash = h, h, h
}

func lower(a, b shardlake.Hash) shardlake.Hash {
	if a.Compare(b) < 0 {
		return a
	}
	return b
}

func higher(a, b shardlake.Hash) shardlake.Hash {
	if a.Compare(b) > 0 {
		return a
	}
	return b
}

// close makes an item of a group. One record alone goes as it is.
func (k *packer) close(q *queue, s int) {
	g := &k.groups[s]
	it := g.first
	if it.n == 1 {
		it.data = append([]byte(nil), g.alone...)
	} else {
		// The outer key of the KPL; readers look at the inner ones.
		it.key, it.hash = "a", g.firstHash.String()
		it.data = g.b.Append(make([]byte, 0, g.b.Size()))
		it.packed = &packed{shard: it.gate, low: g.low, high: g.high}
	}
	g.first = nil
	g.b.Reset()
	q.add(it)
}

// seal closes the groups whose time has come, and returns that of the next.
func (k *packer) seal(q *queue, now time.Time, linger time.Duration, hurry bool) (next time.Time) {
	for s := range k.groups {
		first := k.groups[s].first
		if first == nil {
			continue
		}
		if due := first.at.Add(linger); !hurry && due.After(now) {
			if next.IsZero() || due.Before(next) {
				next = due
			}
			continue
		}
		k.close(q, s)
	}
	return next
}

// landed tells whether an aggregate that the service took is where it belongs. If
// that is in doubt, it is kept until the shards are known.
func (k *packer) landed(it *item, shard string) bool {
	if shard == it.packed.shard || k.layout.auto {
		k.rounds = 0
		return true
	}
	it.packed.landed = shard
	k.doubtful = append(k.doubtful, it)
	k.stale = time.Now()
	return false
}

// settled tells whether requests may be made: the shards are known, as far as the
// last answers say. If not, it asks for them, and once no request is under way it
// packs anew what is held.
func (p *Producer) settled() bool {
	k := p.pack
	if k.layout != nil && len(k.doubtful) == 0 {
		return true
	}
	if k.fresh != nil && (k.layout == nil || p.inWay == 0 && !k.fresh.asked.Before(k.stale)) {
		p.repack()
		return p.err == nil
	}
	if !k.asking && (k.layout == nil || p.inWay == 0) {
		k.asking = true
		since := k.stale
		p.wg.Go(func() { p.ask(since) })
	}
	return false
}

// ask lists the shards.
func (p *Producer) ask(since time.Time) {
	l, err := p.remote.layoutSince(p.ctx, p.name, since)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pack.asking = false
	switch {
	case err == nil:
		p.pack.fresh = l
	case p.ctx.Err() == nil:
		p.err = err
		p.move()
	}
	p.poke()
}

// repack packs what is held for the shards there are now. No request is under way.
//
// An aggregate that came to another shard than it was made for is acknowledged if
// all its keys belong there, as they do after a merge. Otherwise all its records
// are sent anew: readers differ in which of them they drop, and twice is better
// than never.
func (p *Producer) repack() {
	k := p.pack
	l, old := k.fresh, *k
	k.layout, k.fresh, k.doubtful = l, nil, nil
	k.groups = make([]group, len(l.shards))
	p.move() // Put may wait for a layout
	if old.layout == nil {
		return
	}
	past := map[string]*item{} // the gate
	anew := false
	for _, it := range old.doubtful {
		r := l.rangeOf(it.packed.landed)
		if l.auto || !r.IsZero() && r.Contains(it.packed.low) && r.Contains(it.packed.high) {
			p.acknowledge(it)
			continue
		}
		anew = true
		p.stats.Misplaced += it.n
		past[it.gate] = it
	}
	if anew {
		if k.rounds++; k.rounds > maxRounds {
			p.err = errMisplaced
			return
		}
		p.remote.cfg.Log.Info("the stream's shards have changed; records that came to others than their keys say are sent anew", "stream", p.remote.cfg.Stream)
	}
	q := p.queue
	p.queue = newQueue(true)
	for it := q.ready.pop(); it != nil; it = q.ready.pop() {
		past[it.gate] = it
	}
	for _, r := range q.retries {
		for it := r.pop(); it != nil; it = r.pop() {
			past[it.gate] = it
		}
	}
	for s := range old.layout.shards {
		gate := old.layout.shards[s].id
		if it := past[gate]; it != nil {
			k.unpack(&p.queue, it)
		}
		if behind := q.gates[gate]; behind != nil {
			for it := behind.pop(); it != nil; it = behind.pop() {
				k.unpack(&p.queue, it)
			}
		}
		if g := &old.groups[s]; g.first != nil {
			var rest queue
			old.close(&rest, s)
			k.unpack(&p.queue, rest.ready.pop())
		}
	}
}

// unpack adds the records of an item one by one.
func (k *packer) unpack(q *queue, it *item) {
	if it.packed == nil {
		k.add(q, &item{key: it.key, at: it.at, n: 1, cost: it.cost, size: it.size}, it.data)
		return
	}
	a, _ := kpl.Parse(it.data)
	for u, ok := a.Next(); ok; u, ok = a.Next() {
		one := &item{key: u.Key, at: it.at, n: 1, cost: int64(len(u.Key) + len(u.Data) + itemBytes), size: int64(len(u.Key) + len(u.Data))}
		k.add(q, one, u.Data)
	}
}
