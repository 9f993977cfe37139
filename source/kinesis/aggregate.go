package kinesis

import (
	"context"
	"slices"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/internal/kpl"
	"github.com/shardlake/shardlake/source"
)

// aggregated tells whether any queued record begins like an aggregated one, and
// learns then what may be filtered.
func (in *intake) aggregated(ctx context.Context) (bool, error) {
	if in.r.cfg.RawAggregates || !slices.ContainsFunc(in.queue, func(r shardlake.Record) bool { return kpl.Begins(r.Data) }) {
		return false, nil
	}
	a, err := in.r.describe(ctx)
	// Where the service itself chooses the shard, no hash says where a record belongs.
	in.filter = in.r.cfg.FilterHashRange && !a.auto && !in.lane.Range.IsZero()
	return true, err
}

// takeApart fills a chunk with user records.
func (in *intake) takeApart(c *source.Chunk) {
	c.Records = make([]shardlake.Record, 0, min(pieceRecords, 2*len(in.queue)+64))
	for len(in.queue) > 0 && len(c.Records) < pieceRecords {
		r := &in.queue[0]
		if in.sub == 0 {
			v := kpl.Plain
			if in.aggregates {
				in.open, v = kpl.Parse(r.Data)
			}
			switch v {
			case kpl.Broken:
				if c.Counts.Broken++; !in.toldBroken {
					in.toldBroken = true
					in.r.cfg.Log.Warn("a record begins like an aggregated one and is broken; it and others like it go on as they are", "shard", in.shard, "position", r.Pos)
				}
				fallthrough
			case kpl.Plain:
				if in.skip <= 0 {
					c.Records = append(c.Records, *r)
				}
				c.Through = r.Pos
				in.next()
				continue
			case kpl.Whole:
				c.Counts.Aggregates++
			}
		}
		in.users(c, r)
	}
}

// next is done with queue[0].
func (in *intake) next() { in.queue, in.skip, in.sub, in.open = in.queue[1:], 0, 0, kpl.Aggregate{} }

// users gives user records of queue[0] until the chunk is full. A user record is
// numbered by its place in the record, whatever became of those before it: that
// makes a position mean the same with and without a filter.
func (in *intake) users(c *source.Chunk, r *shardlake.Record) {
	for len(c.Records) < pieceRecords {
		u, ok := in.open.Next()
		if !ok {
			c.Through = shardlake.Position{Seq: r.Pos.Seq, Sub: max(0, in.sub-1)}
			in.next()
			return
		}
		pos := shardlake.Position{Seq: r.Pos.Seq, Sub: in.sub, Partial: in.open.Left() > 0}
		in.sub++
		switch {
		case in.sub <= in.skip: // done with before a restart
		case in.filter && !in.mine(u):
			c.Counts.Misplaced++
			c.Through = pos
		default:
			c.Records = append(c.Records, shardlake.Record{Pos: pos, Key: u.Key, Arrived: r.Arrived, Data: u.Data})
		}
	}
}

// mine tells whether a user record belongs in this shard by its hash. A producer
// that does not yet know of a reshard, or of shards at all, packs others with it.
func (in *intake) mine(u kpl.User) bool {
	h := shardlake.HashOf(u.Key)
	if u.Hash != "" {
		explicit, err := shardlake.ParseHash(u.Hash)
		if err != nil {
			return true // nobody can say; nothing is lost
		}
		h = explicit
	}
	return in.lane.Range.Contains(h)
}
