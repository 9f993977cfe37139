package lineage

import (
	"slices"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/lease"
)

// Holes returns the ranges of the hash space, 0 to 2^128-1, that none of the given
// ones covers, in order. Ranges may overlap, and may be of one value. Both ends
// are included. A range whose end lies before its begin covers nothing.
func Holes(ranges []shardlake.HashRange) (holes []shardlake.HashRange) {
	ranges = slices.DeleteFunc(slices.Clone(ranges), func(r shardlake.HashRange) bool { return r.To.Compare(r.From) < 0 })
	slices.SortFunc(ranges, func(a, b shardlake.HashRange) int { return a.From.Compare(b.From) })
	var next shardlake.Hash // the first place that is not covered yet
	for _, r := range ranges {
		if next.Compare(r.From) < 0 {
			holes = append(holes, shardlake.HashRange{From: next, To: before(r.From)})
		}
		if next.Compare(r.To) > 0 {
			continue
		}
		var more bool
		if next, more = r.To.Next(); !more {
			return holes
		}
	}
	return append(holes, shardlake.HashRange{From: next, To: shardlake.MaxHash})
}

// before is the place in front of h, which is not 0.
func before(h shardlake.Hash) shardlake.Hash {
	for i := len(h) - 1; i >= 0; i-- {
		h[i]--
		if h[i] != 0xff {
			break
		}
	}
	return h
}

// holes are those that the rows leave which are not finished. One range that is
// not known could be any of them: then nothing is said.
func (t *tree) holes(created []lease.Row) []shardlake.HashRange {
	if t.flat {
		return nil
	}
	var ranges []shardlake.HashRange
	for _, id := range t.known {
		if !t.rows[id].Finished() {
			ranges = append(ranges, t.rangeOf(id))
		}
	}
	for _, r := range created {
		ranges = append(ranges, r.Range)
	}
	if len(t.leaves) == 0 || slices.ContainsFunc(ranges, shardlake.HashRange.IsZero) {
		return nil
	}
	return Holes(ranges)
}
