package lineage_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/source"
)

// stream is a model of a stream: shards that take records by key, split, merge,
// and are trimmed when they are closed.
type stream struct {
	shards  []*shard // oldest first
	keys    []shardlake.Hash
	written int
}

type shard struct {
	source.Lane
	closed, trimmed bool
	recs            []rec
}

// rec is a record: its number in the order of writing, and its key.
type rec struct{ n, key int }

func newStream(shards, keys int, r *rand.Rand) *stream {
	s := &stream{}
	for range keys {
		s.keys = append(s.keys, shardlake.HashOf(strconv.Itoa(r.Int())))
	}
	width := new(big.Int).Div(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(int64(shards)))
	for i := range shards {
		from := new(big.Int).Mul(width, big.NewInt(int64(i)))
		to := shardlake.MaxHash
		if i < shards-1 {
			to = hash(new(big.Int).Sub(new(big.Int).Add(from, width), big.NewInt(1)))
		}
		s.add(shardlake.HashRange{From: hash(from), To: to})
	}
	return s
}

func hash(n *big.Int) (h shardlake.Hash) {
	n.FillBytes(h[:])
	return h
}

func (s *stream) add(r shardlake.HashRange, parents ...*shard) *shard {
	sh := &shard{Lane: source.Lane{ID: fmt.Sprintf("shardId-%012d", len(s.shards)), Range: r}}
	for _, p := range parents {
		p.closed = true
		sh.Parents = append(sh.Parents, p.ID)
	}
	s.shards = append(s.shards, sh)
	return sh
}

func (s *stream) open() []*shard {
	open := slices.DeleteFunc(slices.Clone(s.shards), func(sh *shard) bool { return sh.closed })
	slices.SortFunc(open, func(a, b *shard) int { return a.Range.From.Compare(b.Range.From) })
	return open
}

func (s *stream) split(sh *shard) {
	from, to := new(big.Int).SetBytes(sh.Range.From[:]), new(big.Int).SetBytes(sh.Range.To[:])
	middle := hash(from.Add(from, to).Rsh(from, 1))
	above, _ := middle.Next()
	s.add(shardlake.HashRange{From: sh.Range.From, To: middle}, sh)
	s.add(shardlake.HashRange{From: above, To: sh.Range.To}, sh)
}

func (s *stream) merge(a, b *shard) {
	s.add(shardlake.HashRange{From: a.Range.From, To: b.Range.To}, a, b)
}

func (s *stream) write(key int) {
	for _, sh := range s.shards {
		if !sh.closed && sh.Range.Contains(s.keys[key]) {
			sh.recs = append(sh.recs, rec{s.written, key})
			s.written++
		}
	}
}

// trim drops the oldest closed shard for which f holds, and tells whether it did.
// Parents go before their children.
func (s *stream) trim(f func(*shard) bool) bool {
	for _, sh := range s.shards {
		if sh.closed && !sh.trimmed {
			sh.trimmed = f(sh)
			return sh.trimmed
		}
	}
	return false
}

func (s *stream) shard(id string) *shard {
	return s.shards[slices.IndexFunc(s.shards, func(sh *shard) bool { return sh.ID == id })]
}

func (s *stream) children(id string) (ids []string) {
	for _, sh := range s.shards {
		if slices.Contains(sh.Parents, id) {
			ids = append(ids, sh.ID)
		}
	}
	return ids
}

// listing is in any order, and may show a shard twice.
func (s *stream) listing(r *rand.Rand) source.Listing {
	l := source.Listing{Name: "clicks", Identity: "arn", Begin: shardlake.Never}
	for _, sh := range s.shards {
		if !sh.trimmed {
			l.Lanes = append(l.Lanes, sh.Lane)
		}
	}
	l.Lanes = append(l.Lanes, l.Lanes[r.IntN(len(l.Lanes))])
	r.Shuffle(len(l.Lanes), func(i, j int) { l.Lanes[i], l.Lanes[j] = l.Lanes[j], l.Lanes[i] })
	return l
}
