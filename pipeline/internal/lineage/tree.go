package lineage

import (
	"fmt"
	"maps"
	"slices"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/source"
)

// tree is what is known: the listing and the rows of its source.
type tree struct {
	listing source.Listing
	lanes   map[string]source.Lane // of the listing
	order   []string               // their ids, parents before children
	rows    map[string]lease.Row   // of this source
	known   []string               // their lanes, sorted
	// children of each lane, as said by the listing and by rows, sorted.
	children map[string][]string
	leaves   []shardlake.HashRange // ranges of lanes that the listing shows no child of
	flat     bool                  // nothing has parents or a range
	first    bool                  // no row was ever acquired
	foreign  bool                  // there are rows of another program

	verdicts map[string]verdict           // about listed lanes without a row
	begins   map[string]shardlake.Instant // of those that get one
	standIns map[string][]string          // parents that a lane gets in the place of lanes that left no row
	warnings []string
}

func newTree(l source.Listing, rows []lease.Row) (*tree, error) {
	t := &tree{listing: l, lanes: map[string]source.Lane{}, rows: map[string]lease.Row{}, children: map[string][]string{},
		verdicts: map[string]verdict{}, begins: map[string]shardlake.Instant{}, standIns: map[string][]string{}, flat: true}
	streams := map[string]bool{}
	for _, lane := range l.Lanes {
		// A listing may show a lane twice while the stream is resharded.
		if _, twice := t.lanes[lane.ID]; !twice {
			t.lanes[lane.ID] = lane
			streams[streamOf(lane.ID)] = true
		}
	}
	t.first = true
	for _, r := range rows {
		_, listed := t.lanes[r.Lane]
		switch {
		case r.Source == l.Identity, r.Source == "" && (listed || streams[streamOf(r.Lane)]):
			t.rows[r.Lane] = r
			t.first = t.first && r.Fence == 0 && r.Number == 0
			t.foreign = t.foreign || t.theirs(r)
		case listed:
			return nil, fmt.Errorf("lane %s: its lease row is of %q, the source is %q now: the stream was deleted and made again, or another stream has the same lane names; positions of one mean nothing in the other: use another Application with leases of its own", r.Lane, r.Source, l.Identity)
		}
	}
	t.known = slices.Sorted(maps.Keys(t.rows))
	t.link()
	for _, id := range t.known {
		// A parent's row that was there when this one was made and is not now: this is
		// no table that nobody has used.
		t.first = t.first && len(t.missingParents(t.rows[id])) == 0
	}
	return t, nil
}

// link finds out who is whose child, and an order of the listed lanes.
func (t *tree) link() {
	ids := slices.Sorted(maps.Keys(t.lanes))
	link := func(parent, child string) { t.children[parent] = append(t.children[parent], child) }
	for _, id := range ids {
		lane := t.lanes[id]
		t.flat = t.flat && len(lane.Parents) == 0 && lane.Range.IsZero()
		for _, p := range lane.Parents {
			link(p, id)
		}
	}
	for _, id := range ids {
		if len(t.children[id]) == 0 && !t.lanes[id].Range.IsZero() {
			t.leaves = append(t.leaves, t.lanes[id].Range)
		}
	}
	for _, id := range t.known {
		r := t.rows[id]
		t.flat = t.flat && len(r.Parents) == 0 && r.Range.IsZero()
		for _, p := range r.Parents {
			link(p, id)
		}
		for _, c := range r.Children {
			link(id, c)
		}
	}
	for p, children := range t.children {
		slices.Sort(children)
		t.children[p] = slices.Compact(children)
	}
	seen := map[string]bool{}
	var visit func(id string)
	visit = func(id string) {
		lane, listed := t.lanes[id]
		if !listed || seen[id] {
			return
		}
		seen[id] = true
		for _, p := range slices.Sorted(slices.Values(lane.Parents)) {
			visit(p)
		}
		t.order = append(t.order, id)
	}
	for _, id := range ids {
		visit(id)
	}
}

// streamOf is the part of a lane's id that names the stream, where one commit
// store holds several: all before the last colon, as in the keys of the KCL.
func streamOf(lane string) string {
	for i := len(lane) - 1; i >= 0; i-- {
		if lane[i] == ':' {
			return lane[:i+1]
		}
	}
	return ""
}

// theirs tells whether another program made the row, and nobody of ours has
// committed to it yet.
func (t *tree) theirs(r lease.Row) bool { return r.Source == "" && t.listing.Identity != "" }

// parents are those of a lane by the listing and by its row, without doubles.
func (t *tree) parents(id string) []string {
	all := slices.Concat(t.lanes[id].Parents, t.rows[id].Parents)
	if len(all) == 0 {
		return nil
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(p string) bool { return p == id || p == "" })
}

// rangeOf is from the row or from the listing: rows of old programs have none.
func (t *tree) rangeOf(id string) shardlake.HashRange {
	if r := t.rows[id].Range; !r.IsZero() {
		return r
	}
	return t.lanes[id].Range
}

// gone tells whether the stream no longer has a lane that has a row. A lane that
// is merely not listed may be left out by mistake, or be newer than the listing:
// one that was closed and dropped has successors there, and no ancestors.
func (t *tree) gone(id string) bool {
	if _, listed := t.lanes[id]; listed || t.newer(id) {
		return false
	}
	for _, c := range t.children[id] {
		if _, listed := t.lanes[c]; listed {
			return true
		}
	}
	return slices.ContainsFunc(t.leaves, t.rangeOf(id).Overlaps)
}

// newer tells whether a lane cannot be gone because the listing shows an ancestor
// of it: a stream drops parents before their children.
func (t *tree) newer(id string) bool {
	older := map[string]bool{}
	t.ancestors(id, older)
	for p := range older {
		if _, listed := t.lanes[p]; listed {
			return true
		}
	}
	return false
}
