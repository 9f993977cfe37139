package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/lease"
)

// floor is the watermark at which a parent ended, for its part of the hash
// space. The parents of a merge end at different ones: their child begins at the
// lowest, and what was late for its parent stays late, or a window that has fired
// would fire again.
type floor struct {
	Range     shardlake.HashRange `json:"range"`
	Watermark shardlake.Instant   `json:"watermark"`
}

// errNotYet gives back a lane whose parents turned out not to be finished.
var errNotYet = errors.New("a parent is not finished")

// adopt takes over from the parents what a lane begins with: their watermarks, and of
// what their stages kept the part that belongs to its range. It is committed before
// the first record is read, and only then may the parents' rows go. It returns
// whether there is something to commit.
func (l *lane[T]) adopt(ctx context.Context) (bool, error) {
	if l.row.Number > 0 {
		return false, nil
	}
	adopted := false
	var parents []shardlake.Parent
	for _, id := range l.row.Parents {
		parent, err := l.parent(ctx, id)
		switch {
		case errors.Is(err, lease.ErrNoRow) && l.acquired.row.Source == "":
			continue // another program had finished it, and removed its row
		case errors.Is(err, lease.ErrNoRow):
			return false, errNotYet // our rows name only parents that have one: it was lost
		case err != nil:
			return false, err
		case !parent.Finished():
			return false, errNotYet
		}
		own, err := takeFloors(parent.State, nil)
		if err != nil {
			return false, l.fail("adopt", fmt.Errorf("parent %s: %w", id, err), "")
		}
		if !adopted || parent.Watermark < l.high {
			l.high = parent.Watermark
		}
		adopted = true
		l.floors = append(append(l.floors, own...), floor{parent.Range, parent.Watermark})
		if l.Range.IsZero() && len(parent.State) > 0 && len(parent.Children) > 1 {
			return false, l.fail("adopt", fmt.Errorf("parent %s leaves windows to %d lanes, of which this one has no range of hash keys", id, len(parent.Children)), "a source whose lanes divide must give each its range")
		}
		parents = append(parents, shardlake.Parent{State: parent.State, Range: parent.Range})
	}
	if len(parents) > 0 {
		var err error
		if l.row.State, err = shardlake.Divide(parents, l.Range); err != nil {
			return false, l.fail("adopt", err, "")
		}
	}
	l.row.Watermark = l.high
	l.lower()
	return adopted, nil
}

// bequeath makes sure that each lane that goes on where this one ends has a row,
// and notes them all for the last commit. shut says that the shard was closed, and
// not that the input is at its end.
func (l *lane[T]) bequeath(ctx context.Context, children []string, shut bool) error {
	heirs := slices.Compact(slices.Sorted(slices.Values(slices.Concat(children, l.heirs))))
	if shut && len(heirs) == 0 {
		// The source does not say; the stream may.
		listing, err := l.src.Lanes(ctx)
		if err != nil {
			return l.fail("children", err, "")
		}
		for _, other := range listing.Lanes {
			if slices.Contains(other.Parents, l.ID) {
				heirs = append(heirs, other.ID)
			}
		}
	}
	if len(heirs) > 0 {
		if err := l.run.bequeath(ctx, l.root, heirs); err != nil {
			return l.fail("children", err, "")
		}
	}
	l.row.Children = heirs
	return nil
}

// parent reads a row as it is now.
func (l *lane[T]) parent(ctx context.Context, id string) (lease.Row, error) {
	for try := 1; ; try++ {
		row, err := l.p.cfg.Leases.Get(ctx, id)
		if err == nil || errors.Is(err, lease.ErrNoRow) {
			return row, err
		}
		if !pause(ctx, try, l.p.cfg.Owner+l.row.Lane) {
			return row, l.fail("adopt", errors.Join(context.Cause(ctx), err), "")
		}
		l.log.Warn("a parent's row was not read; trying again", "parent", id, "error", err)
	}
}

// lower forgets floors that the watermark has passed.
func (l *lane[T]) lower() {
	left := l.floors[:0]
	for _, f := range l.floors {
		if f.Watermark > l.high && !f.Range.IsZero() {
			left = append(left, f)
		}
	}
	l.floors = left
}

// reached is the watermark that counts for a record.
func (l *lane[T]) reached(r *shardlake.Record) shardlake.Instant {
	at := l.high
	if len(l.floors) == 0 {
		return at
	}
	h := r.Place()
	for _, f := range l.floors {
		if f.Range.Contains(h) {
			at = max(at, f.Watermark)
		}
	}
	return at
}

// floorsKey is where floors lie among the states of a row. It begins with a
// character that no name of a stage begins with.
const floorsKey = "\x00floors"

// addFloors adds floors to a snapshot.
func addFloors(state map[string][]byte, floors []floor) (map[string][]byte, error) {
	if len(floors) == 0 {
		return state, nil
	}
	b, err := json.Marshal(floors)
	if state == nil {
		state = map[string][]byte{}
	}
	state[floorsKey] = b
	return state, err
}

// takeFloors removes floors from a snapshot and returns them behind others.
func takeFloors(state map[string][]byte, others []floor) ([]floor, error) {
	b, ok := state[floorsKey]
	if !ok {
		return others, nil
	}
	delete(state, floorsKey)
	var floors []floor
	err := json.Unmarshal(b, &floors)
	return append(others, floors...), err
}
