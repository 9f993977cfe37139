package stage

import (
	"context"
	"fmt"
	"time"

	"github.com/shardlake/shardlake"
)

// Dedup passes the first row of each key and drops the others that come before the
// watermark is ttl beyond it, or beyond its event time if that is later: what a producer sent twice because an answer was lost. The
// keys of the last ttl are part of every commit, some 200 bytes each in memory.
// Copies must have the same partition key, as they have when a producer repeats a
// put; then they meet in one shard, and in its children.
func Dedup[T any, K comparable](key func(T) K, ttl time.Duration) Stage[T, T] {
	return func(env *shardlake.Env, next shardlake.Emit[T]) (shardlake.Emit[T], error) {
		g, err := guarded(env, "dedup", key)
		if err != nil {
			return nil, err
		}
		d := &dedup[T, K]{Emit: next, guard: g, key: key, ttl: shardlake.Instant(ttl.Microseconds())}
		d.table, err = newTable[K, struct{}]("dedup")
		switch {
		case ttl < time.Microsecond:
			err = fmt.Errorf("a time of %v: want at least a microsecond", ttl)
		case env.Scattered():
			err = fmt.Errorf("the stream does not keep the records of a partition key in one shard (its distribution is AUTO), so copies do not meet: send the rows to a second stream first")
		}
		if err != nil {
			return nil, fmt.Errorf("stage %s: %w", env.Name(g.name), err)
		}
		d.join, d.latest = func(*struct{}, struct{}) bool { return true }, true
		return d, env.Keep("dedup "+rowName[T](), d)
	}
}

type dedup[T any, K comparable] struct {
	shardlake.Emit[T] // next
	guard
	*table[K, struct{}]
	key func(T) K
	ttl shardlake.Instant
}

func (d *dedup[T, K]) Push(ctx context.Context, b shardlake.Batch[T]) error {
	n, err := d.compact(b)
	if err != nil || n == 0 {
		return err
	}
	return d.Emit.Push(ctx, b.Cut(0, n))
}

func (d *dedup[T, K]) compact(b shardlake.Batch[T]) (n int, err error) {
	defer d.catch(b.Origins, b.Records, &err)
	for i := range b.Rows {
		d.at = i
		k, r := d.key(b.Rows[i]), b.From(i)
		c := d.get(k)
		if c != nil && c.wake > r.Watermark {
			continue
		}
		if c != nil {
			d.remove(c) // as a mark would have: the key goes where its newest record is
		}
		c = d.add(k, struct{}{}, r)
		d.touch(c)
		d.wakeAt(c, max(b.Origins[i].Time, r.Watermark)+d.ttl)
		b.Rows[n], b.Origins[n] = b.Rows[i], b.Origins[i]
		n++
	}
	return n, nil
}

// Mark forgets what is old.
func (d *dedup[T, K]) Mark(ctx context.Context, m shardlake.Mark) error {
	for c := d.due(m.Watermark); c != nil; c = d.due(m.Watermark) {
		d.remove(c)
	}
	return d.Emit.Mark(ctx, m)
}
