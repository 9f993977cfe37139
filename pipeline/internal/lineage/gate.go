package lineage

import (
	"fmt"
	"slices"

	"github.com/shardlake/shardlake/pipeline/lease"
)

// gate decides whether a lane may be acquired.
func (t *tree) gate(d *Decision, r lease.Row) {
	id := r.Lane
	_, listed := t.lanes[id]
	gone := t.gone(id)
	switch {
	case r.Finished():
		return
	case gone && !r.Ended:
		t.warnings = append(t.warnings, fmt.Sprintf("lane %s is no longer in the stream and was not read to its end: what arrived in it after position %v is lost%s", id, r.Pos, t.goesOn(id)))
	case !listed && !r.Ended && t.flat:
		t.warnings = append(t.warnings, fmt.Sprintf("lane %s is no longer listed and was not read to its end: it is left as it is", id))
		return
	}
	switch waits := t.waits(r); {
	case r.Hold != "":
		d.Held[id] = r.Hold
	case r.Ended:
		d.Ready = append(d.Ready, r) // nothing is read any more: its uploads are to be published
	case !listed && !gone:
		d.Waiting[id] = "it is not listed, and the listing does not show that it is gone: waits for a newer one"
	case len(t.missingParents(r)) > 0:
		d.Held[id] = fmt.Sprintf("the row of %s, which it goes on from, was lost before this lane had taken over what that row kept. Decide with `shardlake row %s` where it begins", and(t.missingParents(r)), id)
	case len(waits) > 0:
		d.Waiting[id] = "waits for " + and(waits)
	default:
		d.Ready = append(d.Ready, r)
		if gone {
			d.Gone[id] = t.children[id]
		}
	}
}

// waits lists the parents that are to be finished first. A lane that has begun
// has passed: its parents were finished then, and what became of their rows since
// does not matter.
func (t *tree) waits(r lease.Row) (waits []string) {
	if r.Number > 0 {
		return nil
	}
	for _, p := range t.parents(r.Lane) {
		parent, ok := t.rows[p]
		v, listed := t.verdicts[p]
		switch {
		case ok && parent.Finished():
		case ok && parent.Hold != "":
			waits = append(waits, p+" (held)")
		case ok && parent.Ended:
			waits = append(waits, p+" (its last files are not visible yet)")
		case ok:
			waits = append(waits, p+" (not read to its end)")
		case listed && v.is != read:
			waits = append(waits, p+" (has no row yet)")
		}
	}
	return waits
}

// goesOn names the lanes behind one that is gone.
func (t *tree) goesOn(id string) string {
	if c := t.children[id]; len(c) > 0 {
		return "; the line goes on in " + and(c)
	}
	return ""
}

// tombstones finds finished rows that may go. As long as the source lists the
// lane, its row keeps a worker from reading it again; and what it keeps is there
// for its children until each of them has committed that it has it. (Deleting it
// when a child is merely acquired loses what the lane kept.) A lane that nothing
// follows keeps its row unless its part of the hash space shows that it is gone.
func (t *tree) tombstones(d *Decision) {
	heir := map[string]bool{} // of a lane that gets it as a parent only now
	for _, r := range d.Create {
		for _, p := range r.Parents {
			heir[p] = true
		}
	}
	for _, id := range t.known {
		r := t.rows[id]
		if _, listed := t.lanes[id]; listed || !r.Finished() || heir[id] || t.newer(id) || len(t.children[id]) == 0 && !t.gone(id) {
			continue
		}
		needed := slices.ContainsFunc(t.children[id], func(c string) bool {
			child, ok := t.rows[c]
			_, listed := t.lanes[c]
			return ok && child.Number == 0 || !ok && listed && t.verdicts[c].is != read
		})
		if !needed {
			d.Delete = append(d.Delete, r)
		}
	}
}
