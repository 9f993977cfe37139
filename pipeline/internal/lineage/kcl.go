package lineage

import (
	"maps"
	"slices"

	"github.com/shardlake/shardlake/source"
)

// Initial is where a consumer begins in shards that it knows nothing of.
type Initial int

// The initial positions of the KCL.
const (
	TrimHorizon Initial = iota
	Latest
	AtTimestamp
)

// Missing returns the lanes for which the Kinesis Client Library would make a
// lease, sorted, if those of leased are all that have one: the fewest lanes of
// whom no line of descent is left out, for it makes children when their parents
// end. A lane that no other names as a parent counts as open. It follows the
// NonEmptyLeaseTableSynchronizer of KCL 3.5.1 (HierarchicalShardSyncer).
func Missing(lanes []source.Lane, leased map[string]bool, at Initial) []string {
	m := &missing{lanes: map[string]source.Lane{}, leased: leased, at: at, known: map[string]bool{}, create: map[string]bool{}, oldest: map[string]bool{}}
	closed := map[string]bool{}
	for _, l := range lanes {
		m.lanes[l.ID] = l
		for _, p := range l.Parents {
			closed[p] = true
		}
	}
	for _, id := range slices.Sorted(maps.Keys(m.lanes)) {
		if !closed[id] && !m.visit(id) {
			m.create[id] = true
		}
	}
	return slices.Sorted(maps.Keys(m.create))
}

type missing struct {
	lanes  map[string]source.Lane
	leased map[string]bool
	at     Initial
	known  map[string]bool // whether a lane visited has a lease, or descends from one that has or gets one
	oldest map[string]bool // lanes to begin with where everything is wanted
	create map[string]bool
}

// visit tells whether a lane needs no lease of its own, since its line is known,
// and adds the parents that are needed besides.
func (m *missing) visit(id string) bool {
	if m.leased[id] {
		return true
	}
	if known, seen := m.known[id]; seen {
		return known
	}
	m.known[id] = false // also ends a listing that goes in circles
	var parents []string
	some := false
	for _, p := range m.lanes[id].Parents {
		if _, listed := m.lanes[p]; listed {
			parents = append(parents, p)
			some = m.visit(p) || m.oldest[p] || some
		}
	}
	if !some {
		m.oldest[id] = m.at != Latest
		return false
	}
	for _, p := range parents {
		if !m.leased[p] && !m.known[p] { // the oldest are not known
			m.create[p] = true
		}
	}
	m.known[id] = true
	return true
}

// unknownToKCL are the lanes to be made in a table that is taken over. Rows of
// ours are left by a worker that did not get to the end of it: they count for
// nothing, so that the next one decides alike.
func (t *tree) unknownToKCL() map[string]bool {
	leased := map[string]bool{}
	for id, r := range t.rows {
		if t.theirs(r) {
			leased[id] = true
		}
	}
	roots := map[string]bool{}
	for _, id := range Missing(slices.Collect(maps.Values(t.lanes)), leased, AtTimestamp) {
		roots[id] = true
	}
	return roots
}
