package dynamo

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/lease"
)

// Create puts a row unless the lane has one. A lane id has 1 to 2,048 bytes of
// UTF-8.
func (s *Store) Create(ctx context.Context, r lease.Row) error {
	if r.Lane == "" || len(r.Lane) > 2048 || !utf8.ValidString(r.Lane) {
		return fmt.Errorf("%s: the lane id %.60q is not of 1 to 2,048 bytes of UTF-8", s.where(call{"PutItem", r.Lane}), r.Lane)
	}
	if s.err != nil {
		return s.err
	}
	r.Owner, r.Token, r.Fence, r.Inc, r.Prev = "", "", 0, lease.NewID(), nil
	if missing := carried(r); len(missing) > 0 {
		return fmt.Errorf("%s: %w", s.where(call{"PutItem", r.Lane}), errNoSegment(missing))
	}
	p, err := s.pack(r, r.Inc, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", s.where(call{"PutItem", r.Lane}), err)
	}
	e := newExpr()
	if err := e.fields(r, p); err != nil {
		return fmt.Errorf("%s: %w", s.where(call{"PutItem", r.Lane}), err)
	}
	e.set(attrKey, text(r.Lane))
	e.set(attrCounter, unsigned(r.Beat))
	e.set(attrInc, text(r.Inc))
	if r.Known != 0 {
		e.set(attrKnown, number(r.Known))
	}
	if stream, shard := streamOf(r.Lane); stream != "" {
		e.set(attrStream, text(stream[:len(stream)-1]))
		e.set(attrShard, text(shard))
	}
	if err := s.put(ctx, r.Lane, p); err != nil {
		return err
	}
	err = s.do(ctx, call{"PutItem", r.Lane}, func(ctx context.Context, c *dynamodb.Client) error {
		_, err := c.PutItem(ctx, &dynamodb.PutItemInput{
			TableName: &s.cfg.Table, Item: e.item, ConditionExpression: aws.String("attribute_not_exists(#k)"),
			ExpressionAttributeNames: map[string]string{"#k": attrKey},
		}, once)
		return err
	})
	if _, there := errors.AsType[*types.ConditionalCheckFailedException](err); !there {
		return err
	}
	if len(p.objects) == 0 {
		return nil
	}
	// Is it ours, of an attempt whose answer was lost?
	st, _, err := s.read(ctx, r.Lane)
	if err != nil {
		return err
	}
	s.discard(ctx, r.Lane, p.keys(), st.refs())
	return nil
}

// Acquire takes the lane. It reads the row first: a row that the KCL wrote gets
// what it lacks, and one whose checkpoint somebody else has moved, without state
// that would not fit, goes on there. With Config.Large, the row's number is
// compared with the last one known; an older row comes back with Hold.
func (s *Store) Acquire(ctx context.Context, seen lease.Row, owner, token string) (lease.Row, error) {
	lane := seen.Lane
	if owner == "" || token == "" {
		return lease.Row{}, fmt.Errorf("%s: owner and token must not be empty", s.where(call{"UpdateItem", lane}))
	}
	by := lease.Row{Owner: owner, Token: token}
	st, now, err := s.read(ctx, lane)
	if err != nil {
		return lease.Row{}, err
	}
	if !owned(st.row, by) {
		if st.row.Fence != seen.Fence || st.row.Beat != seen.Beat {
			return lease.Row{}, s.lost("UpdateItem", lane)
		}
		before := st
		if st, err = s.acquire(ctx, st, by, now); err != nil {
			return lease.Row{}, err
		}
		if len(before.refs()) > 0 {
			s.discard(ctx, lane, before.refs(), st.refs()) // of a Prev that is void
		}
	}
	s.remember(st)
	r, err := s.full(ctx, st)
	if err != nil {
		return lease.Row{}, err
	}
	return s.compareHead(ctx, r)
}

// acquire is the write. now is the service's clock.
func (s *Store) acquire(ctx context.Context, st stored, by lease.Row, now time.Time) (stored, error) {
	r, e := st.row, newExpr()
	e.is(attrCounter, unsigned(r.Beat))
	e.isCount(attrFence, r.Fence)
	e.set(attrOwner, text(by.Owner))
	e.set(attrOwn, text(by.Owner))
	e.set(attrToken, text(by.Token))
	e.set(attrFence, unsigned(r.Fence+1))
	e.set(attrCounter, unsigned(r.Beat+1))
	e.drop(attrWant, attrHandOff)
	if r.Owner != "" && r.Owner != by.Owner {
		e.sets = append(e.sets, fmt.Sprintf("%s = if_not_exists(%s, %s) + %s", e.attr(attrSwitches), e.attr(attrSwitches), e.val(number(0)), e.val(number(1))))
	}
	if r.Inc == "" {
		e.set(attrInc, text(lease.NewID()))
	}
	if st.unmarked {
		e.set(attrMark, number(shardlake.Never))
	}
	if st.adopt && r.Hold == "" {
		if err := e.adopt(st, now); err != nil {
			return st, err
		}
	}
	item, ok, err := s.update(ctx, r.Lane, e)
	switch {
	case err != nil:
		return st, err
	case item == nil:
		return st, s.noRow("UpdateItem", r.Lane)
	}
	if st, err = s.decode(item); err != nil {
		return st, err
	}
	if !ok && !owned(st.row, by) { // it is ours if an answer was lost
		return st, s.lost("UpdateItem", r.Lane)
	}
	return st, nil
}

// adopt makes the checkpoint that another program wrote the row's position, if it
// is still there.
func (e *expr) adopt(st stored, now time.Time) error {
	e.is(attrCheckpoint, text(st.checkpoint))
	e.isCount(attrSub, uint64(st.sub))
	r := st.row
	if st.atLatest {
		// As the KCL does it: from where the stream is now. A second less, since the
		// clock that records are stamped by is another one.
		r.Begin = shardlake.At(now.Add(-time.Second))
	}
	at := placeOf(r.Pos, r.Ended)
	checkpoint, sub := at.checkpoint(r.Begin)
	pos, err := encodeJSON(at)
	if err != nil {
		return err
	}
	e.set(attrPos, text(pos))
	e.set(attrBegin, number(r.Begin))
	e.set(attrCheckpoint, text(checkpoint))
	e.set(attrSub, number(sub))
	e.drop(attrPrevPos, attrPrevMark, attrPrevKnown, attrPrevState)
	return nil
}

// Release gives the lane up.
func (s *Store) Release(ctx context.Context, r lease.Row) error {
	if r.Owner == "" || r.Token == "" {
		_, _, err := s.read(ctx, r.Lane)
		return err
	}
	e := newExpr()
	e.owner(r)
	e.drop(attrOwner)
	e.add(attrCounter)
	item, _, err := s.update(ctx, r.Lane, e)
	if err != nil {
		return err
	}
	s.forgetLane(r)
	if item == nil {
		return s.noRow("UpdateItem", r.Lane)
	}
	return nil
}
