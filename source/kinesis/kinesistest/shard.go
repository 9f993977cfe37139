package kinesistest

import (
	"fmt"
	"sync"
	"time"
)

// shard is one shard of a stream. Its place in the lineage (the fields above mu)
// is guarded by the stream's lock, its records by its own.
type shard struct {
	id       uint32
	name     string
	lo, hi   hashKey // inclusive
	epoch    uint64
	created  int64 // milliseconds
	closed   int64 // milliseconds, if isClosed
	isClosed bool
	parents  []*shard
	children []*shard

	mu     sync.Mutex
	log    recordLog
	limits shardLimits
	wake   chan struct{} // of subscriptions that wait; nil if none does
}

func shardName(id uint32) string { return fmt.Sprintf("shardId-%012d", id) }

// sequence is the sequence number of the record that has an index and arrived at
// a time in milliseconds.
func (sh *shard) sequence(index uint64, at int64) sequence {
	return sequence{epoch: sh.epoch, shard: sh.id, index: index, seconds: uint64(max(0, at/1000))}
}

func (sh *shard) start() sequence {
	return sequence{epoch: sh.epoch, shard: sh.id, seconds: sh.epoch}
}

func (sh *shard) end() sequence { return sh.sequence(endIndex, sh.closed) }

// parentNames are the ids of the parents: none, one after a split, two after a
// merge.
func (sh *shard) parentNames() []string {
	names := make([]string, len(sh.parents))
	for i, p := range sh.parents {
		names[i] = p.name
	}
	return names
}

// expired tells whether the shard is gone: closed for longer than the stream
// keeps records.
func (sh *shard) expired(now time.Time, retention time.Duration) bool {
	return sh.isClosed && sh.closed < now.Add(-retention).UnixMilli()
}
