package shardlake

import (
	"cmp"
	"fmt"
	"strings"
)

// Position is a place in one shard: a sequence number, which is a decimal
// integer of up to 128 digits without leading zeros, and the index of a user
// record inside the record of that number. The zero Position is before the
// first record.
type Position struct {
	Seq string `json:"seq,omitempty"`
	Sub int    `json:"sub,omitempty"`
	// Partial says that more user records of the same sequence number may follow
	// this one, so that resuming must fetch the record of Seq again and drop what
	// is not beyond Sub.
	Partial bool `json:"partial,omitempty"`
}

// Compare orders positions of one shard as (integer, index).
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(len(p.Seq), len(q.Seq)), strings.Compare(p.Seq, q.Seq), cmp.Compare(p.Sub, q.Sub))
}

// IsStart tells whether p is before the first record.
func (p Position) IsStart() bool { return p.Seq == "" }

// String renders the position as "sequence.index", the zero one as "start".
func (p Position) String() string {
	if p.IsStart() {
		return "start"
	}
	return fmt.Sprintf("%s.%d", p.Seq, p.Sub)
}
