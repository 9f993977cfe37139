package hop

import (
	"cmp"
	"encoding/json/v2"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/shardlake/shardlake"
)

// Ledger is what the reader of a lane knows of those who send to it: a
// shardlake.State. One goroutine uses it.
type Ledger struct {
	lane    shardlake.HashRange
	of      int // buckets; 0 until the first frame
	buckets map[int]*bucket
	mark    shardlake.Instant // of the lane; never falls
	dirty   map[int]bool

	own, restored int // buckets whose frames come to the lane, -1 until Restore, and those that had an entry
}

// bucket is what is known of one.
type bucket struct {
	Peers map[string]*peer  `json:"p"` // by group and lane
	Floor shardlake.Instant `json:"f"` // the lane's watermark: what was late stays late
}

// peer is a lane that sends to a bucket, or will.
type peer struct {
	Marks     map[string]Mark   `json:"m,omitempty"` // by life
	Watermark shardlake.Instant `json:"w"`
	Ended     bool              `json:"e,omitzero"`
	Arrived   shardlake.Instant `json:"a,omitzero"` // of its last frame
}

// Mark is the last frame that was taken.
type Mark struct {
	Commit uint64 `json:"c"`
	Index  int    `json:"x"`
}

// keepEnded is for how long after its last frame a lane that has ended is
// remembered, by the service's clock: a repeat that comes later is taken again. It is
// beyond what any sender waits.
const keepEnded = 8 * 24 * time.Hour

// NewLedger is that of a lane; a lane without a range gets frames of all buckets.
func NewLedger(lane shardlake.HashRange) *Ledger {
	return &Ledger{lane: lane, buckets: map[int]*bucket{}, mark: shardlake.Never, dirty: map[int]bool{}, own: -1}
}

func peerKey(group, lane string) string { return group + "\x00" + lane }

// Accept tells whether the rows of a frame are to be taken: they were not before. If
// so they are late, or not, by the watermark that it returns.
func (l *Ledger) Accept(h *Header, arrived shardlake.Instant) (mark shardlake.Instant, ok bool, err error) {
	if l.of != 0 && h.Of != l.of {
		return 0, false, fmt.Errorf("a frame of lane %s is for one of %d buckets, others were for one of %d: the number of buckets of a stream is fixed for its life; write to another stream", h.Lane, h.Of, l.of)
	}
	l.of = h.Of
	b := l.buckets[h.Bucket]
	if b == nil {
		b = &bucket{Peers: map[string]*peer{}, Floor: shardlake.Never}
		l.buckets[h.Bucket] = b
	}
	p := b.meet(h.Group, h.Lane)
	old, known := p.Marks[h.Life]
	now := Mark{h.Commit, h.Index}
	if known && cmp.Or(cmp.Compare(now.Commit, old.Commit), cmp.Compare(now.Index, old.Index)) <= 0 {
		return 0, false, nil
	}
	l.dirty[h.Bucket] = true
	if p.Marks == nil {
		p.Marks = map[string]Mark{}
	}
	p.Marks[h.Life] = now
	p.Arrived = arrived
	for _, lane := range h.Peers {
		b.meet(h.Group, lane)
	}
	b.forget(arrived)
	return max(l.mark, b.Floor), true, nil
}

// meet returns a peer, which is waited for if it is new.
func (b *bucket) meet(group, lane string) *peer {
	k := peerKey(group, lane)
	p := b.Peers[k]
	if p == nil {
		p = &peer{Watermark: shardlake.Never}
		b.Peers[k] = p
	}
	return p
}

// forget drops lanes that ended long ago.
func (b *bucket) forget(now shardlake.Instant) {
	maps.DeleteFunc(b.Peers, func(_ string, p *peer) bool { return p.Ended && p.Arrived < now.Sub(keepEnded) })
}

// Done follows the rows of a frame that was accepted: with the last one of a commit
// its watermark counts.
func (l *Ledger) Done(h *Header) {
	if !h.Last {
		return
	}
	b := l.buckets[h.Bucket]
	p := b.meet(h.Group, h.Lane)
	p.Watermark = max(p.Watermark, h.Watermark)
	if h.Ended {
		p.Ended = true
		for _, lane := range h.Heirs {
			k := peerKey(h.Group, lane)
			if heir := b.Peers[k]; heir == nil || heir.Marks == nil && !heir.Ended {
				// It begins where its parents ended, at the lowest of them.
				begins := p.Watermark
				if heir != nil && heir.Watermark != shardlake.Never {
					begins = min(begins, heir.Watermark)
				}
				b.Peers[k] = &peer{Watermark: begins}
			}
		}
	}
	l.mark = max(l.mark, l.least())
}

// least is the watermark that all who send have reached.
func (l *Ledger) least() shardlake.Instant {
	least := shardlake.Forever
	for n := range l.of {
		if !l.takes(n) {
			continue
		}
		b := l.buckets[n]
		if b == nil {
			return shardlake.Never
		}
		least = min(least, b.least())
	}
	if l.of == 0 {
		return shardlake.Never
	}
	return least
}

func (b *bucket) least() shardlake.Instant {
	least, most, going := shardlake.Forever, shardlake.Never, false
	for _, p := range b.Peers {
		if most = max(most, p.Watermark); !p.Ended {
			least, going = min(least, p.Watermark), true
		}
	}
	if going {
		return least
	}
	return most // all have ended, the last of them at the end of its input, which is Forever
}

// Watermark is that of the lane: the least of all that send to it. It never falls.
func (l *Ledger) Watermark() shardlake.Instant { return l.mark }

// Awaited lists the lanes that hold the watermark, because nothing has come of them.
func (l *Ledger) Awaited() (lanes []string) {
	for _, b := range l.buckets {
		for k, p := range b.Peers {
			if !p.Ended && p.Watermark == shardlake.Never {
				lanes = append(lanes, k[slices.Index([]byte(k), 0)+1:])
			}
		}
	}
	slices.Sort(lanes)
	return slices.Compact(lanes)
}

// Schema makes it a shardlake.State, with what follows.
func (l *Ledger) Schema() string { return "ledger of frames 1" }

// kept is an entry.
type kept struct {
	Of int `json:"n"`
	*bucket
}

// Snapshot gives put the buckets that have changed.
func (l *Ledger) Snapshot(whole bool, put func(shardlake.Entry)) error {
	for _, n := range slices.Sorted(maps.Keys(l.buckets)) {
		b := l.buckets[n]
		if b.Floor < l.mark {
			b.Floor = l.mark
			l.dirty[n] = true
		}
		if !whole && !l.dirty[n] {
			continue
		}
		value, err := json.Marshal(kept{l.of, b})
		if err != nil {
			return err
		}
		put(shardlake.Entry{Key: strconv.AppendInt(nil, int64(n), 10), Home: Start(n, l.of), Value: value})
	}
	clear(l.dirty)
	return nil
}

// Restore takes a bucket.
func (l *Ledger) Restore(schema string, e shardlake.Entry, inherited bool) error {
	if schema != l.Schema() {
		return fmt.Errorf("what is kept is %q, this program reads %q", schema, l.Schema())
	}
	n, err := strconv.Atoi(string(e.Key))
	if err != nil || e.Value == nil {
		return fmt.Errorf("the bucket %q is damaged", e.Key)
	}
	k := kept{bucket: &bucket{}}
	if err := json.Unmarshal(e.Value, &k); err != nil {
		return fmt.Errorf("bucket %d: %w", n, err)
	}
	if l.of != 0 && k.Of != l.of {
		return fmt.Errorf("bucket %d is one of %d, others are of %d", n, k.Of, l.of)
	}
	l.of = k.Of
	if h := (Header{Of: k.Of, Bucket: n, Lane: "x", Life: "x", Commit: 1}); h.check() != nil {
		return h.check()
	}
	_, had := l.buckets[n]
	if had && inherited {
		return fmt.Errorf("bucket %d comes from two shards", n)
	}
	l.buckets[n] = k.bucket
	// The lane's watermark is that of its buckets; of two parents, the lower one. A
	// bucket without an entry has not been heard of: one parent may have been read to
	// its end before the first frame came to it, when the other was ahead.
	if l.own < 0 {
		l.own = l.count()
	}
	if !had && l.takes(n) {
		l.restored++
	}
	l.mark = shardlake.Never
	if l.restored == l.own {
		l.mark = shardlake.Forever
		for _, b := range l.buckets {
			l.mark = min(l.mark, b.Floor)
		}
	}
	return nil
}

// count tells how many buckets there are whose frames come to the lane.
func (l *Ledger) count() (n int) {
	for b := range l.of {
		if l.takes(b) {
			n++
		}
	}
	return n
}

// takes tells whether the frames of a bucket come to the lane.
func (l *Ledger) takes(bucket int) bool {
	return l.lane.IsZero() || l.lane.Contains(Start(bucket, l.of))
}

// Bytes estimates the memory of it.
func (l *Ledger) Bytes() (n int64) {
	for _, b := range l.buckets {
		n += 200 + 350*int64(len(b.Peers))
	}
	return n
}
