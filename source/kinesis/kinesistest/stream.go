package kinesistest

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	statusCreating = "CREATING"
	statusActive   = "ACTIVE"
	statusUpdating = "UPDATING"
	statusDeleting = "DELETING"

	modeProvisioned = "PROVISIONED"
	modeOnDemand    = "ON_DEMAND"

	// distributionAuto is the strategy of on-demand streams whose records are
	// placed without regard to partition key and explicit hash key.
	distributionAuto = "AUTO"
	distributionKey  = "USER_PARTITION_KEY"
)

// stream is a stream and its shards. Lock order: Server.mu, stream.mu, then
// shard.mu or subscriptions.mu.
type stream struct {
	name    string
	arn     string
	id      uint64 // tells apart streams that had the same name one after the other
	created int64  // milliseconds

	placed atomic.Uint64 // counts records of a stream with distribution AUTO

	mu           sync.RWMutex
	shards       []*shard // by id; open and closed, without those long expired
	open         []*shard // by hash key
	nextShard    uint32
	retention    time.Duration
	maxRecord    int // bytes of data and partition key
	mode         string
	distribution string
	warm         int      // MiB/s, 0 if none was asked for
	key          string   // of encryption, empty without
	metrics      []string // shard-level, sorted
	tags         map[string]string
	policy       string
	pending      string // status until settles
	settles      time.Time
	deleted      bool // no longer in Server.streams
	consumers    []*consumer
	nextConsumer uint32
	scaled       []time.Time // UpdateShardCount, the last maxScalings of them
	moded        []time.Time // changes of the mode, the last maxModeChanges of them
}

// status is the status by the clock; the stream's lock is held.
func (st *stream) status(now time.Time) string {
	if st.pending != "" && (st.pending == statusDeleting || now.Before(st.settles)) {
		return st.pending
	}
	return statusActive
}

// gone tells whether a deletion has come to its end; the stream's lock is held.
func (st *stream) gone(now time.Time) bool {
	return st.deleted || st.pending == statusDeleting && !now.Before(st.settles)
}

// shardNamed finds a shard that has not expired; the stream's lock is held.
func (st *stream) shardNamed(name string, now time.Time) *shard {
	i, ok := slices.BinarySearchFunc(st.shards, name, func(sh *shard, name string) int {
		return strings.Compare(sh.name, name)
	})
	if !ok || st.shards[i].expired(now, st.retention) {
		return nil
	}
	return st.shards[i]
}

// shardNumbered is shardNamed by number.
func (st *stream) shardNumbered(id uint32, now time.Time) *shard {
	return st.shardNamed(shardName(id), now)
}

// route finds the open shard for a record of a hash key; the stream's lock is
// held.
func (st *stream) route(h hashKey) *shard {
	if st.distribution == distributionAuto {
		return st.open[(st.placed.Add(1)-1)%uint64(len(st.open))]
	}
	return st.owner(h)
}

// owner finds the open shard whose range has a key; the stream's lock is held.
// There is one, because the open shards cover all keys.
func (st *stream) owner(h hashKey) *shard {
	i, _ := slices.BinarySearchFunc(st.open, h, func(sh *shard, h hashKey) int {
		switch {
		case sh.hi.less(h):
			return -1
		case h.less(sh.lo):
			return 1
		}
		return 0
	})
	return st.open[i]
}

// add makes an open shard. The stream's lock is held for writing.
func (st *stream) add(now time.Time, lo, hi hashKey, parents ...*shard) {
	sh := &shard{
		id: st.nextShard, name: shardName(st.nextShard), lo: lo, hi: hi,
		epoch: uint64(max(0, now.Unix())), created: now.UnixMilli(), parents: parents, log: newLog(),
	}
	st.nextShard++
	for _, p := range parents {
		// Also within one second, and after the clock stepped back: a child's sequence
		// numbers follow its parents'.
		sh.epoch = max(sh.epoch, p.epoch+1)
		p.children = append(p.children, sh)
	}
	st.shards = append(st.shards, sh)
	i, _ := slices.BinarySearchFunc(st.open, lo, func(o *shard, lo hashKey) int {
		if o.lo.less(lo) {
			return -1
		}
		return 1
	})
	st.open = slices.Insert(st.open, i, sh)
}

// close ends a shard. The stream's lock is held for writing, so no put is under
// way.
func (st *stream) close(now time.Time, sh *shard) {
	sh.mu.Lock()
	sh.isClosed, sh.closed = true, now.UnixMilli()
	sh.tell()
	sh.mu.Unlock()
	st.open = slices.DeleteFunc(st.open, func(o *shard) bool { return o == sh })
}

// split divides an open shard below the key at, which must be within (lo, hi].
// The stream's lock is held for writing.
func (st *stream) split(now time.Time, sh *shard, at hashKey) {
	st.close(now, sh)
	st.add(now, sh.lo, at.prev(), sh)
	st.add(now, at, sh.hi, sh)
}

// merge joins two open neighbours, of which the first is named as the parent and
// the other as the adjacent parent. The stream's lock is held for writing.
func (st *stream) merge(now time.Time, a, b *shard) {
	st.close(now, a)
	st.close(now, b)
	lo, hi := a.lo, b.hi
	if b.lo.less(a.lo) {
		lo, hi = b.lo, a.hi
	}
	st.add(now, lo, hi, a, b)
}

func adjacent(a, b *shard) bool {
	return a.hi.less(b.lo) && a.hi.next() == b.lo || b.hi.less(a.lo) && b.hi.next() == a.lo
}

// scale makes n uniform shards: it splits at the bounds that are missing and
// merges over those that are too many, so short-lived shards may arise as on AWS
// (API reference of UpdateShardCount). The stream's lock is held for writing.
func (st *stream) scale(now time.Time, n int) {
	starts := uniformStarts(n)
	keep := make(map[hashKey]bool, n)
	for _, at := range starts {
		keep[at] = true
		if sh := st.owner(at); sh.lo.less(at) {
			st.split(now, sh, at)
		}
	}
	for i := 1; i < len(st.open); {
		if keep[st.open[i].lo] {
			i++
			continue
		}
		st.merge(now, st.open[i-1], st.open[i])
	}
}

// prune forgets expired shards and returns the cost of their records. The
// stream's lock is held for writing. It runs when shards are made, so that a
// stream resharded without end does not grow.
func (st *stream) prune(now time.Time) (freed int64) {
	st.shards = slices.DeleteFunc(st.shards, func(sh *shard) bool {
		if !sh.expired(now, st.retention) {
			return false
		}
		for _, k := range st.consumers {
			k.subscriptions.forget(sh.name)
		}
		sh.mu.Lock()
		defer sh.mu.Unlock()
		for sh.log.first < sh.log.next {
			freed += sh.log.dropFirst()
		}
		// Cut the chain of ancestors, which would otherwise stay in memory.
		for _, child := range sh.children {
			for i, p := range child.parents {
				if p == sh {
					child.parents[i] = &shard{id: sh.id, name: sh.name, isClosed: true, closed: sh.closed}
				}
			}
		}
		return true
	})
	return freed
}

// clear forgets all records of a deleted stream and returns their cost. The
// stream's lock is held for writing.
func (st *stream) clear() (freed int64) {
	for _, sh := range st.shards {
		sh.mu.Lock()
		for sh.log.first < sh.log.next {
			freed += sh.log.dropFirst()
		}
		sh.mu.Unlock()
	}
	return freed
}
