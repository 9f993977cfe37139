package dynamo

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/shardlake/shardlake/pipeline/lease"
)

// Commit writes the objects that the row will refer to, but for those that are
// carried over, and then the row. Objects that no row refers to any more are deleted
// when the answer is definite.
func (s *Store) Commit(ctx context.Context, next lease.Row) error {
	if s.err != nil {
		return s.err
	}
	if next.Owner == "" || next.Token == "" || next.Number == 0 { // no owner's
		st, _, err := s.read(ctx, next.Lane)
		if err == nil && (next.CommitID == "" || st.row.CommitID != next.CommitID) {
			err = s.lost("UpdateItem", next.Lane)
		}
		return err
	}
	b, done, err := s.before(ctx, next)
	if err != nil || done {
		return err
	}
	p, err := s.pack(next, next.CommitID, b.present)
	if err != nil {
		return fmt.Errorf("%s: %w", s.where(call{"UpdateItem", next.Lane}), err)
	}
	if err := s.put(ctx, next.Lane, p); err != nil {
		return err
	}
	// A heartbeat may have raised Known above what the commit knows.
	for _, known := range []bool{true, false} {
		e, err := commitOf(next, p, known)
		if err != nil {
			return fmt.Errorf("%s: %w", s.where(call{"UpdateItem", next.Lane}), err)
		}
		if b.present != nil {
			e.isText(attrCommit, b.cid) // what is carried over is that commit's
		}
		item, ok, err := s.update(ctx, next.Lane, e)
		if err != nil {
			return err
		}
		if item == nil {
			return s.noRow("UpdateItem", next.Lane)
		}
		st, err := s.decode(item)
		if err != nil {
			return err
		}
		switch {
		case ok || written(st.row, next):
			s.discard(ctx, next.Lane, p.keys(), st.refs()) // cleared since the first time
			s.committed(ctx, st, next)
			return nil
		case follows(st.row, next) && st.row.Known > next.Known && known:
		default:
			// From here on this commit can never be written: the token has moved for ever,
			// or the number has. Its objects may be those of the commit before, repeated.
			s.discard(ctx, next.Lane, p.keys(), st.refs())
			s.collect(ctx, st)
			return s.lost("UpdateItem", next.Lane)
		}
	}
	return s.lost("UpdateItem", next.Lane)
}

// written tells whether the row is what next made it. The own commit is looked for
// first: it stands also when somebody else has acquired the lane since.
func written(r, next lease.Row) bool { return next.CommitID != "" && r.CommitID == next.CommitID }

// follows tells whether next may replace the row.
func follows(r, next lease.Row) bool {
	return owned(r, next) && r.Number+1 == next.Number && r.Inc == next.Inc
}

// base is the row that a commit carries segments over from.
type base struct {
	cid     string
	present map[string]stub // nil if nothing is carried over
}

// before finds what next carries over: in what this process knows of the row, or
// else in the row itself. done says that the commit was made already.
func (s *Store) before(ctx context.Context, next lease.Row) (b base, done bool, err error) {
	names := carried(next)
	if len(names) == 0 {
		return b, false, nil
	}
	if h, ok := s.known(next); ok {
		b = base{cid: h.cid}
		if b.present, err = s.stubs(ctx, next.Lane, h.segments); err == nil && len(lacks(b.present, names)) == 0 {
			return b, false, nil
		}
	}
	st, _, err := s.read(ctx, next.Lane)
	switch {
	case err != nil:
		return b, false, err
	case written(st.row, next):
		s.committed(ctx, st, next)
		return b, true, nil
	case !follows(st.row, next):
		s.collect(ctx, st)
		return b, false, s.lost("UpdateItem", next.Lane)
	}
	b.cid = st.row.CommitID
	if b.present, err = s.stubs(ctx, next.Lane, st.segments); err != nil {
		return b, false, err
	}
	if missing := lacks(b.present, names); len(missing) > 0 {
		return b, false, fmt.Errorf("%s: commit %d: %w", s.where(call{"UpdateItem", next.Lane}), next.Number, errNoSegment(missing))
	}
	return b, false, nil
}

// stubs takes a state apart that an earlier version put into one object.
func (s *Store) stubs(ctx context.Context, lane string, segs segments) (map[string]stub, error) {
	if segs.whole == nil {
		return segs.by, nil
	}
	all, err := s.state(ctx, lane, segs, nil)
	if err != nil {
		return nil, err
	}
	by := make(map[string]stub, len(all))
	for name, b := range all {
		by[name] = stub{content: b}
	}
	return by, nil
}

// refusal is the answer to a writer that cannot be the owner.
func (s *Store) refusal(ctx context.Context, lane string) error {
	if _, _, err := s.read(ctx, lane); err != nil {
		return err
	}
	return s.lost("UpdateItem", lane)
}

func commitOf(next lease.Row, p packed, known bool) (*expr, error) {
	e := newExpr()
	e.owner(next)
	e.isCount(attrNumber, next.Number-1)
	e.isText(attrInc, next.Inc)
	if err := e.fields(next, p); err != nil {
		return nil, err
	}
	e.copy(attrPrevPos, attrPos, text("{}"))
	e.copy(attrPrevMark, attrMark, number(next.Watermark))
	e.copy(attrPrevKnown, attrKnown, number(0))
	e.copy(attrPrevState, attrState, text(noState))
	e.add(attrCounter)
	e.drop(attrRepair, attrPendingSeq, attrPendingSub, attrPendingData)
	if known && next.Known != 0 {
		e.known(next.Known)
	}
	return e, nil
}

// committed cleans up after a definite commit.
func (s *Store) committed(ctx context.Context, st stored, next lease.Row) {
	s.collect(ctx, st)
	if s.cfg.Large != nil && owned(st.row, next) && next.Number%uint64(s.cfg.HeadEvery) == 0 {
		if err := s.writeHead(ctx, next); err != nil {
			s.cfg.Log.Warn("the number of the last commit was not written; a row restored from a backup may not be noticed", "lane", next.Lane, "number", next.Number, "error", err)
		}
	}
}

// Clear empties Pending and Prev, and deletes the objects with them.
func (s *Store) Clear(ctx context.Context, r lease.Row) error {
	e, err := s.onCommit(ctx, r)
	if err != nil {
		return err
	}
	e.absent(attrRepair)
	e.drop(attrPending, attrPrevPos, attrPrevMark, attrPrevKnown, attrPrevState)
	return s.byOwner(ctx, r, e)
}

// Mark sets Repair.
func (s *Store) Mark(ctx context.Context, r lease.Row) error {
	e, err := s.onCommit(ctx, r)
	if err != nil {
		return err
	}
	e.setText(attrRepair, r.CommitID)
	return s.byOwner(ctx, r, e)
}

// onCommit begins a write by the owner about the last commit.
func (s *Store) onCommit(ctx context.Context, r lease.Row) (*expr, error) {
	if r.Owner == "" || r.Token == "" {
		return nil, s.refusal(ctx, r.Lane)
	}
	e := newExpr()
	e.owner(r)
	e.isText(attrCommit, r.CommitID)
	return e, nil
}

// byOwner writes, and takes a condition that failed for a loss.
func (s *Store) byOwner(ctx context.Context, r lease.Row, e *expr) error {
	item, ok, err := s.update(ctx, r.Lane, e)
	if err != nil {
		return err
	}
	if item == nil {
		return s.noRow("UpdateItem", r.Lane)
	}
	st, err := s.decode(item)
	if err != nil {
		return err
	}
	s.collect(ctx, st)
	if !ok {
		return s.lost("UpdateItem", r.Lane)
	}
	return nil
}

// Renew is a heartbeat. Pending lists in objects are not fetched, and a State of
// which a part lies in objects is missing from what it returns.
func (s *Store) Renew(ctx context.Context, r lease.Row) (lease.Row, error) {
	if r.Owner == "" || r.Token == "" {
		return lease.Row{}, s.refusal(ctx, r.Lane)
	}
	for _, known := range []bool{r.Known != 0, false} {
		e := newExpr()
		e.owner(r)
		e.add(attrCounter)
		if err := e.vitals(r.Vitals); err != nil {
			return lease.Row{}, fmt.Errorf("%s: %w", s.where(call{"UpdateItem", r.Lane}), err)
		}
		if known {
			e.known(r.Known)
		}
		item, ok, err := s.update(ctx, r.Lane, e)
		if err != nil {
			return lease.Row{}, err
		}
		if item == nil {
			return lease.Row{}, s.noRow("UpdateItem", r.Lane)
		}
		st, err := s.decode(item)
		if err != nil {
			return lease.Row{}, err
		}
		if ok {
			return st.row, nil
		}
		if st.row.Token != r.Token {
			s.forgetLane(r)
		}
		if !known || !owned(st.row, r) || st.row.Known <= r.Known {
			break
		}
	}
	return lease.Row{}, s.lost("UpdateItem", r.Lane)
}

// Ask sets Want, or removes it if it is empty.
func (s *Store) Ask(ctx context.Context, seen lease.Row, want string) error {
	e := newExpr()
	e.exists(attrKey)
	e.isText(attrOwner, seen.Owner)
	e.isText(attrToken, seen.Token)
	e.isText(attrWant, seen.Want)
	e.setText(attrWant, want)
	item, ok, err := s.update(ctx, seen.Lane, e)
	switch {
	case err != nil:
		return err
	case item == nil:
		return s.noRow("UpdateItem", seen.Lane)
	case ok:
		return nil
	}
	st, err := s.decode(item)
	if err != nil {
		return err
	}
	if r := st.row; r.Want == want && r.Owner == seen.Owner && r.Token == seen.Token {
		return nil // an answer was lost
	}
	return s.lost("UpdateItem", seen.Lane)
}

// Delete removes the row of a finished lane, and then its objects.
func (s *Store) Delete(ctx context.Context, by lease.Row) error {
	st, _, err := s.read(ctx, by.Lane)
	if errors.Is(err, lease.ErrNoRow) && s.err == nil {
		return nil
	}
	if err != nil {
		return err
	}
	if r := st.row; !r.Finished() || r.CommitID != by.CommitID || r.Fence != by.Fence {
		return s.lost("DeleteItem", by.Lane)
	}
	e := newExpr()
	e.is(attrCheckpoint, text(shardEnd))
	e.absent(attrPending)
	e.isText(attrCommit, by.CommitID)
	e.isCount(attrFence, by.Fence)
	cond := "attribute_not_exists(" + e.attr(attrKey) + ") OR (" + *e.condition() + ")"
	err = s.do(ctx, call{"DeleteItem", by.Lane}, func(ctx context.Context, c *dynamodb.Client) error {
		_, err := c.DeleteItem(ctx, &dynamodb.DeleteItemInput{
			TableName: &s.cfg.Table, Key: key(by.Lane), ConditionExpression: &cond,
			ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values,
		}, once)
		return err
	})
	if _, refused := errors.AsType[*types.ConditionalCheckFailedException](err); refused {
		return s.lost("DeleteItem", by.Lane)
	}
	if err != nil {
		return err
	}
	if s.cfg.Large != nil {
		s.discard(ctx, by.Lane, append(st.refs(), headKey(st.row)), nil)
	}
	return nil
}
