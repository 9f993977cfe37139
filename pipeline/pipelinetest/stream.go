package pipelinetest

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/shardlake/shardlake"
)

// stream is the simulated stream: a growing tree of shards. Only the driver's
// goroutine touches it, in the turn of a call.
type stream struct {
	shards []*shard // in the order they were made: parents first
	seq    uint64   // of the last record
	ended  bool     // nothing is put any more: open shards end too
}

type shard struct {
	id                string
	parents, children []string
	hashes            shardlake.HashRange
	records           []shardlake.Record
	rows              []int // records[i] stands for row rows[i], in a stream of rows
	closed            bool
	trimmed           bool // its records are too old: it is not listed any more
}

// hashAt is the place that begins with the given 64 bits.
func hashAt(top uint64) (h shardlake.Hash) {
	binary.BigEndian.PutUint64(h[:8], top)
	return h
}

// newStream has n open shards that share the hash space evenly.
func newStream(n int) *stream {
	s := &stream{}
	width := ^uint64(0)/uint64(n) + 1
	for i := range n {
		r := shardlake.HashRange{From: hashAt(uint64(i) * width), To: shardlake.MaxHash}
		if i < n-1 {
			r.To = before(hashAt(uint64(i+1) * width))
		}
		s.open(r)
	}
	return s
}

// before is the place in front of h.
func before(h shardlake.Hash) shardlake.Hash {
	for i := len(h) - 1; i >= 0; i-- {
		h[i]--
		if h[i] != 0xff {
			break
		}
	}
	return h
}

// open adds a shard.
func (s *stream) open(r shardlake.HashRange, parents ...*shard) {
	n := &shard{id: fmt.Sprintf("shardId-%012d", len(s.shards)), hashes: r}
	for _, p := range parents {
		p.closed = true
		p.children = append(p.children, n.id)
		n.parents = append(n.parents, p.id)
	}
	s.shards = append(s.shards, n)
}

// split closes a shard and opens two, of which the lower gets some 1,024ths of its
// range; false if that is too narrow.
func (s *stream) split(old *shard, share uint64) bool {
	from, to := binary.BigEndian.Uint64(old.hashes.From[:8]), binary.BigEndian.Uint64(old.hashes.To[:8])
	if to-from < 2 || share != 512 && to-from < 1<<20 {
		return false
	}
	mid := hashAt(from + (to-from)/2 + 1)
	if share != 512 {
		mid = hashAt(from + (to-from)/1024*share + 1)
	}
	s.open(shardlake.HashRange{From: old.hashes.From, To: before(mid)}, old)
	s.open(shardlake.HashRange{From: mid, To: old.hashes.To}, old)
	return true
}

// live lists the open shards by hash.
func (s *stream) live() []*shard {
	var out []*shard
	for _, x := range s.shards {
		if !x.closed {
			out = append(out, x)
		}
	}
	slices.SortFunc(out, func(a, b *shard) int { return a.hashes.From.Compare(b.hashes.From) })
	return out
}

// merge closes the n-th and the next of the open shards and opens one.
func (s *stream) merge(n int) {
	l := s.live()
	s.open(shardlake.HashRange{From: l[n].hashes.From, To: l[n+1].hashes.To}, l[n], l[n+1])
}

// put appends a row's record to the shard that takes its key.
func (s *stream) put(row int, key string, now shardlake.Instant) *shard {
	x := s.add(shardlake.HashOf(key), key, []byte(strconv.Itoa(row)), now)
	x.rows = append(x.rows, row)
	return x
}

// add appends a record to the shard that takes what is put to a place.
func (s *stream) add(at shardlake.Hash, key string, data []byte, now shardlake.Instant) *shard {
	i := slices.IndexFunc(s.shards, func(x *shard) bool { return !x.closed && x.hashes.Contains(at) })
	x := s.shards[i] // open shards cover all places
	s.seq++
	x.records = append(x.records, shardlake.Record{
		Pos: shardlake.Position{Seq: strconv.FormatUint(s.seq, 10)},
		Key: key, Arrived: now, Data: data,
	})
	return x
}

// find returns a shard by id, or nil.
func (s *stream) find(id string) *shard {
	for _, x := range s.shards {
		if x.id == id {
			return x
		}
	}
	return nil
}

// short is a lane's name in a trace.
func short(lane string) string {
	return "s" + cmp.Or(strings.TrimLeft(strings.TrimPrefix(lane, "shardId-"), "0"), "0")
}
