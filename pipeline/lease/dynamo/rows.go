package dynamo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/shardlake/shardlake/pipeline/lease"
)

// lost is what a writer gets that is not the owner any more.
func (s *Store) lost(op, lane string) error {
	return fmt.Errorf("%s: %w", s.where(call{op, lane}), lease.ErrLost)
}

func (s *Store) noRow(op, lane string) error {
	return fmt.Errorf("%s: %w: somebody deleted it; stop the workers and restore it from a backup, or let it be made anew on hold", s.where(call{op, lane}), lease.ErrNoRow)
}

func key(lane string) attrs { return attrs{attrKey: text(lane)} }

// item reads one row as it is now; nil if it is not there. now is the service's
// clock.
func (s *Store) item(ctx context.Context, lane string) (item attrs, now time.Time, err error) {
	err = s.do(ctx, call{"GetItem", lane}, func(ctx context.Context, c *dynamodb.Client) error {
		out, err := c.GetItem(ctx, &dynamodb.GetItemInput{TableName: &s.cfg.Table, Key: key(lane), ConsistentRead: aws.Bool(true)}, once)
		if err != nil {
			return err
		}
		item, now = out.Item, serviceTime(out.ResultMetadata)
		return nil
	})
	if len(item) == 0 {
		item = nil
	}
	return item, now, err
}

// serviceTime is the Date of an answer, or this machine's clock without one.
func serviceTime(m middleware.Metadata) time.Time {
	if resp, ok := awsmiddleware.GetRawResponse(m).(*smithyhttp.Response); ok {
		if t, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
			return t
		}
	}
	return time.Now()
}

// read is item for a lane that has a row.
func (s *Store) read(ctx context.Context, lane string) (stored, time.Time, error) {
	if lane == "" {
		return stored{}, time.Time{}, s.noRow("GetItem", lane)
	}
	item, now, err := s.item(ctx, lane)
	switch {
	case err != nil:
		return stored{}, now, err
	case item == nil:
		return stored{}, now, s.noRow("GetItem", lane)
	case !isLease(item):
		return stored{}, now, fmt.Errorf("%s: %w: the item is the KCL's own", s.where(call{"GetItem", lane}), lease.ErrNoRow)
	}
	st, err := s.decode(item)
	return st, now, err
}

// update writes, and returns the row as it is then. If the condition did not hold,
// ok is false, and the row is that of this moment: nil if there is none.
func (s *Store) update(ctx context.Context, lane string, e *expr) (item attrs, ok bool, err error) {
	err = s.do(ctx, call{"UpdateItem", lane}, func(ctx context.Context, c *dynamodb.Client) error {
		out, err := c.UpdateItem(ctx, &dynamodb.UpdateItemInput{
			TableName: &s.cfg.Table, Key: key(lane), UpdateExpression: e.update(), ConditionExpression: e.condition(),
			ExpressionAttributeNames: e.names, ExpressionAttributeValues: e.values, ReturnValues: types.ReturnValueAllNew,
			ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		}, once)
		if err != nil {
			return err
		}
		item = out.Attributes
		return nil
	})
	failed, refused := errors.AsType[*types.ConditionalCheckFailedException](err)
	if !refused {
		return item, err == nil, err
	}
	if len(failed.Item) > 0 {
		return failed.Item, false, nil
	}
	// There is no row, or the server does not know that parameter.
	item, _, err = s.item(ctx, lane)
	return item, false, err
}

// owner wants the acquisition that r stems from to be the present one.
func (e *expr) owner(r lease.Row) {
	e.is(attrOwner, text(r.Owner))
	e.is(attrToken, text(r.Token))
}

// List returns all rows, page by page, by an eventually consistent Scan: they may
// be a second old. Pending lists and states in objects are not fetched.
func (s *Store) List(ctx context.Context) ([]lease.Row, error) {
	items, err := s.scan(ctx, false)
	if err != nil {
		return nil, err
	}
	rows := make([]lease.Row, 0, len(items))
	for _, i := range items {
		st, err := s.decode(i)
		if err != nil {
			return nil, err
		}
		rows = append(rows, st.row)
	}
	return rows, nil
}

// scan returns the items that are leases.
func (s *Store) scan(ctx context.Context, consistent bool) (items []attrs, err error) {
	in := &dynamodb.ScanInput{TableName: &s.cfg.Table, ConsistentRead: &consistent}
	for {
		var out *dynamodb.ScanOutput
		err := s.do(ctx, call{op: "Scan"}, func(ctx context.Context, c *dynamodb.Client) (err error) {
			out, err = c.Scan(ctx, in, once)
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, i := range out.Items {
			if isLease(i) {
				items = append(items, i)
			}
		}
		if len(out.LastEvaluatedKey) == 0 {
			return items, nil
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
}

// Get returns one row as it is now, with what lies in objects.
func (s *Store) Get(ctx context.Context, lane string) (lease.Row, error) {
	for try := 1; ; try++ {
		st, _, err := s.read(ctx, lane)
		if err != nil {
			return lease.Row{}, err
		}
		r, err := s.full(ctx, st)
		if err == nil {
			return r, nil
		}
		// The owner may have replaced the row, and collected the object, in between.
		if !errors.Is(err, lease.ErrNoBlob) || try == 3 {
			return lease.Row{}, err
		}
	}
}
