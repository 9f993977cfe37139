// Package lineage decides which lanes exist, which of them may start, whose rows
// are missing, and which rows are done with for good. It sees a listing of the
// source and the rows of the lease store and does no I/O, so that every worker of
// a fleet comes to the same decision by itself.
//
// Shards split and merge. A child is read after all of its parents, or the
// records of a key come out of order; and no shard is read twice, or they come
// twice. Both follow from five things that the caller sees to:
//
//  1. It lists the source again when a lane ends, here or elsewhere, and now and
//     then besides. Rows and listing need not be of one instant: a row that looks
//     missing because it was made meanwhile is not touched by lease.Store.Create,
//     and a lane that is newer than the listing waits for the next. But a listing
//     is not used for as long as the source keeps records.
//  2. It makes all rows of Create before it acquires one of Ready.
//  3. It commits the end of a lane only when each of the lane's children has a
//     row, and that commit records all of them in Row.Children.
//  4. It acquires only what is Ready. The first commit of a lane takes over what
//     the rows of Row.Parents keep, before it reads; so a row whose Number is not 0
//     has begun, and needs its parents no longer.
//  5. It deletes only what is in Delete.
//
// # A lane without a row
//
// It is new, or its row is lost. That matters: a row that is made anew at the
// beginning reads again what was read, and one at the tip skips what was not. By
// what is left in the table, in this order:
//
//   - Nobody has ever read this source: each lane is new. (The whole table may be
//     lost, too; nothing here can tell, see Decision.First.)
//   - A child has begun. Then the lane was read to its end, since a child waits for
//     its parents, and needs no row. If another child still waits for what it kept,
//     its row is lost.
//   - A parent's row is not finished. Then the lane has never been read, whatever
//     became of its row, and is made.
//   - A parent's row ended without recording the lane: it is made. If the parent
//     recorded it, the lane had a row, and it is lost.
//   - All that is known of its line is a row that nobody finished, or that another
//     program ended without naming children, of a lane that is gone from the
//     stream: the fleet was away for longer than the stream keeps records. The lane
//     is made, that row becomes its parent, and a warning names what is lost.
//   - The source has no lineage at all, neither parents nor ranges: the lane is
//     made. A source that grows by plain new lanes could not be read otherwise.
//   - Everything else is a row that was lost. It is made with Hold, and the lane
//     stands still until a person decides.
//
// # Tables of the KCL
//
// Rows of another program have no Source. A table in which nobody of ours has
// acquired a lane yet is taken over: Missing, the algorithm of the Kinesis Client
// Library, says which lanes of it nobody knows, and these are made. Ours differs
// from it in this:
//
//   - The descendants of these lanes are made at once, not at the end of each
//     parent. The gate keeps them waiting, and a shard that a worker does not
//     announce is found all the same.
//   - A lane begins at an instant; there is no LATEST. So the column of
//     AT_TIMESTAMP holds for all positions: shards that are closed before the
//     instant are read to their end without yielding a record, which costs a few
//     calls and removes a case.
//   - A descendant of a lane that has been read on from its beginning begins at
//     its own beginning, whatever the configuration says: all of it follows what
//     was read. (The KCL does so at the end of a shard; at AT_TIMESTAMP its sync
//     does not.)
//   - A lane one of whose descendants has made progress is not read again. The KCL
//     does so where a sibling of that descendant has lost its lease: here the
//     sibling is held.
//   - Once a lane of ours has been acquired, missing rows are not filled in by
//     position any more, but judged as above. The KCL fills them in each time its
//     audit finds a hole.
package lineage

import (
	"slices"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/source"
)

// Decision is what follows from a listing and the rows. Slices are sorted and
// texts are the same for the same facts, so that a caller can tell what it has
// said already.
type Decision struct {
	// First tells that no lane of this source has ever been acquired. A caller that
	// has seen otherwise before must not go on: the table was emptied, and Create
	// would read the stream again.
	First bool
	// Create are rows to be made before anything is acquired, in this order: new
	// lanes, parents first; then those with Hold, children first, so that a crash in
	// between leaves what leads to the same decision. Their Parents are those that
	// have a row or are in Create: the others are gone, or were read.
	Create []lease.Row
	// Ready are rows that may be acquired, whoever owns them now: first lanes that
	// have ended and only publish, then lanes that are gone, then all others. Rows
	// of Create are not among them: decide again once they are made.
	Ready []lease.Row
	// Gone are lanes in Ready that the source does not list any more although they
	// were not read to their end, with the lanes that go on where they ended, which
	// their last commit records. Listings can be incomplete: that a lane is gone is
	// for the source to confirm when it is read.
	Gone map[string][]string
	// Waiting says in words what a lane waits for before it may be acquired.
	Waiting map[string]string
	// Held says in words why a lane stands still until a person decides.
	Held map[string]string
	// Delete are rows that nothing needs any more.
	Delete []lease.Row
	// Holes are ranges of hash keys that no row covers which is not finished,
	// counting those of Create: what is written there is not read. Nil where ranges
	// are not known. A listing that is a little behind shows one for a moment; it is
	// a fault if it stays.
	Holes []shardlake.HashRange
	// Warnings say in words what was lost, or may have been.
	Warnings []string
	// Busy tells whether a lane has, or will have, something left to do.
	Busy bool
}

// Plan decides about one source. rows may be those of several sources: it goes by
// Row.Source, and takes rows without one for this source's if it lists the lane,
// or lists lanes of the same stream. The error says that a lane's row belongs to
// another stream. It changes nothing that it is given, and is safe for concurrent
// use.
func Plan(l source.Listing, rows []lease.Row) (Decision, error) {
	t, err := newTree(l, rows)
	if err != nil {
		return Decision{}, err
	}
	d := Decision{First: t.first, Gone: map[string][]string{}, Waiting: map[string]string{}, Held: map[string]string{}}
	t.judge()
	d.Create = t.create()
	for _, id := range t.known {
		t.gate(&d, t.rows[id])
	}
	slices.SortStableFunc(d.Ready, func(a, b lease.Row) int { return d.rank(a) - d.rank(b) })
	for _, r := range d.Create {
		if r.Hold != "" {
			d.Held[r.Lane] = r.Hold
		}
	}
	t.tombstones(&d)
	d.Holes = t.holes(d.Create)
	d.Warnings = append(d.Warnings, t.warnings...)
	slices.Sort(d.Warnings)
	d.Busy = len(d.Create)+len(d.Ready)+len(d.Waiting)+len(d.Held) > 0
	return d, nil
}

// rank puts what is nearly done before what is gone, and that before the rest:
// children wait for both.
func (d *Decision) rank(r lease.Row) int {
	_, gone := d.Gone[r.Lane]
	switch {
	case r.Ended:
		return 0
	case gone:
		return 1
	}
	return 2
}

// create makes the rows of lanes that lack one.
func (t *tree) create() []lease.Row {
	var created, held []lease.Row
	for _, id := range t.order {
		v, ok := t.verdicts[id]
		if !ok || v.is == read {
			continue
		}
		r := lease.Row{Lane: id, Parents: t.knownParents(id), Range: t.lanes[id].Range, Source: t.listing.Identity,
			Begin: t.begins[id], Watermark: shardlake.Never}
		if v.is == lost {
			r.Hold = v.why
			held = append(held, r)
			continue
		}
		created = append(created, r)
	}
	slices.Reverse(held)
	return append(created, held...)
}

// knownParents are those that have a row or will have one. That the others are
// left out makes a parent's row that is lost before its child has begun stand out.
func (t *tree) knownParents(id string) (parents []string) {
	for _, p := range t.parents(id) {
		_, row := t.rows[p]
		v, listed := t.verdicts[p]
		if row || listed && v.is != read {
			parents = append(parents, p)
		}
	}
	return append(parents, t.standIns[id]...)
}
