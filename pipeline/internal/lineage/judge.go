package lineage

import (
	"fmt"
	"slices"
	"strings"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/lease"
)

// verdict is what became of a listed lane that has no row.
type verdict struct {
	is  fate
	why string // if it is lost
}

type fate int

const (
	fresh fate = iota // it was never read: make a row
	lost              // its row was lost: make one that is held
	read              // it was read to its end, or is not wanted: it needs no row
)

// proof is what the descendants of a lane say about it.
type proof int

const (
	none   proof = iota
	leased       // another program reads one of them, and did not read the lane
	begun        // one of them has begun
)

// judge decides about every listed lane without a row.
func (t *tree) judge() {
	below := t.proofs()
	var roots map[string]bool
	if t.first && t.foreign {
		roots = t.unknownToKCL()
	}
	for _, id := range t.order {
		if _, ok := t.rows[id]; ok {
			continue
		}
		lostLanes, unread := t.unread(id)
		v := t.verdict(id, below[id], roots[id], len(unread) > 0)
		t.verdicts[id] = v
		if v.is == fresh && len(unread) > 0 {
			t.standIns[id] = t.latest(id, unread)
			t.warnings = append(t.warnings, fmt.Sprintf("lane %s goes on from %s, which left the stream before anybody read it: what arrived there, and in lanes between it and %s, is lost", id, and(lostLanes), and(unread)))
		}
		if v.is != read {
			t.begins[id] = t.begin(id)
		}
	}
}

// proofs goes from the leaves to the roots.
func (t *tree) proofs() map[string]proof {
	below := map[string]proof{}
	for _, id := range slices.Backward(t.order) {
		for _, c := range t.children[id] {
			p := none
			switch r, ok := t.rows[c]; {
			case ok && (r.Number > 0 || t.theirs(r) && (r.Ended || !r.Pos.IsStart())):
				p = begun
			case ok && t.theirs(r):
				p = leased
			case !ok:
				p = below[c]
			}
			below[id] = max(below[id], p)
		}
	}
	return below
}

// verdict follows the order that the package's comment gives, with the reasons.
func (t *tree) verdict(id string, below proof, root, unread bool) verdict {
	if t.first && !t.foreign {
		return verdict{is: fresh}
	}
	if below == begun {
		if waiting := t.heirs(id); len(waiting) > 0 {
			return verdict{lost, held(id, fmt.Sprintf("It had been read to its end, for another lane goes on there; but %s has not taken over yet what it kept.", and(waiting)))}
		}
		return verdict{is: read}
	}
	if root {
		return verdict{is: fresh}
	}
	var lostParent, recorded, silent string
	for _, p := range t.parents(id) {
		r, ok := t.rows[p]
		v, listed := t.verdicts[p]
		switch {
		case ok && !r.Finished(), !ok && listed && v.is == fresh:
			return verdict{is: fresh} // the gate is shut, so it cannot have been read
		case !ok && listed && v.is == lost:
			lostParent = p
		case ok && slices.Contains(r.Children, id):
			recorded = p
		case ok:
			silent = p
		}
	}
	switch {
	case below == leased:
		return verdict{is: read}
	case lostParent != "":
		return verdict{lost, held(id, fmt.Sprintf("So was the row of its parent %s.", lostParent))}
	case recorded != "":
		return verdict{lost, held(id, fmt.Sprintf("It had one, for its parent %s has ended and names it as a child.", recorded))}
	case silent != "":
		return verdict{is: fresh}
	}
	if unread {
		return verdict{is: fresh}
	}
	if t.flat {
		t.warnings = append(t.warnings, fmt.Sprintf("lane %s has no row and is read from the beginning: if it is not new, its rows come twice", id))
		return verdict{is: fresh}
	}
	return verdict{lost, held(id, "This application has read the stream before, and no row that is left says that the lane is new.")}
}

// heirs are children that have not taken over what the lane kept.
func (t *tree) heirs(id string) (waiting []string) {
	for _, c := range t.children[id] {
		if r, ok := t.rows[c]; ok && r.Number == 0 && !t.theirs(r) && slices.Contains(r.Parents, id) {
			waiting = append(waiting, c)
		}
	}
	return waiting
}

// unread finds what is left of a line whose later part nobody saw: the fleet was
// away for longer than the stream keeps records. It looks at lanes with parents
// that are gone and left no row, which it returns first, and goes by range. A row
// of ours that ended is no such remainder, for its children had rows.
func (t *tree) unread(id string) (parents, found []string) {
	parents = slices.DeleteFunc(t.parents(id), t.has)
	if len(parents) == 0 {
		return nil, nil
	}
	for _, g := range t.known {
		r := t.rows[g]
		if (!r.Finished() || t.theirs(r) && len(t.children[g]) == 0) && t.lanes[id].Range.Overlaps(r.Range) && t.gone(g) {
			found = append(found, g)
		}
	}
	return parents, found
}

// latest leaves out lanes that are ancestors of others or of a parent of the lane:
// what an ancestor kept comes by way of its descendant, and must come once. If a
// lane left a row and its sibling did not, the sibling's part is not taken over;
// its records are lost, too.
func (t *tree) latest(id string, found []string) []string {
	older := map[string]bool{}
	for _, p := range t.parents(id) {
		older[p] = true
	}
	for _, g := range slices.Concat(t.parents(id), found) {
		t.ancestors(g, older)
	}
	return slices.DeleteFunc(slices.Clone(found), func(g string) bool { return older[g] })
}

// has tells whether a lane is in the listing or in the table.
func (t *tree) has(id string) bool {
	_, row := t.rows[id]
	_, listed := t.lanes[id]
	return row || listed
}

// ancestors adds those of a lane that are known.
func (t *tree) ancestors(id string, to map[string]bool) {
	for _, p := range slices.Concat(t.parents(id), t.standIns[id]) {
		if !to[p] {
			to[p] = true
			t.ancestors(p, to)
		}
	}
}

// begin is where a lane without a row begins. All lanes of an application begin
// at the instant of its first listing: a lane made later holds nothing older. Only
// behind a lane of another program, which has been read on from a beginning that
// is not known, is everything wanted.
func (t *tree) begin(id string) shardlake.Instant {
	at, found := shardlake.Forever, false
	for _, p := range slices.Concat(t.parents(id), t.standIns[id]) {
		r, ok := t.rows[p]
		b, planned := t.begins[p]
		switch {
		case ok && t.theirs(r) && (r.Ended || !r.Pos.IsStart()):
			at, found = shardlake.Never, true
		case ok:
			at, found = min(at, r.Begin), true
		case planned:
			at, found = min(at, b), true
		}
	}
	if found {
		return at
	}
	for _, r := range t.rows {
		if !t.theirs(r) {
			at, found = min(at, r.Begin), true
		}
	}
	if found {
		return at
	}
	return t.listing.Begin
}

// held says what happened to a lane's row, and what a person can choose.
func held(id, what string) string {
	return fmt.Sprintf("the row of lane %s was lost, and with it how far the lane was read. %s Decide with `shardlake row %s`: TRIM_HORIZON reads all that the stream still has, and rows that are in the lake come twice; a sequence number goes on behind it; rebuild takes the position from the files in the lake", id, what, id)
}

// and joins names.
func and(names []string) string {
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return strings.Join(names, "")
}

// missingParents are parents whose rows were there when the lane's row was made,
// and are lost: until it has begun nobody deletes them.
func (t *tree) missingParents(r lease.Row) (missing []string) {
	if r.Number > 0 || r.Ended || t.theirs(r) {
		return nil
	}
	for _, p := range r.Parents {
		if !t.has(p) {
			missing = append(missing, p)
		}
	}
	return missing
}
