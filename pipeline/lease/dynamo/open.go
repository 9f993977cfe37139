package dynamo

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

const (
	tableWait = 5 * time.Minute // for a table to become usable
	firstPoll = 100 * time.Millisecond
	lastPoll  = 2 * time.Second

	// watchTime is two thirds of the KCL's default fail-over time of 10 s. Its workers
	// renew every third of that, so a live one shows itself twice.
	watchTime = 20 * time.Second / 3
	watchPoll = watchTime / 4
)

// Open reports mistakes of the Config, and makes the table if it is missing. It
// waits up to 5 minutes for the table to become usable.
//
// If rows belong to workers of the KCL, it watches them for 6.7 seconds, and fails
// if one of them moves: two programs would read the same shards. Rows that stand
// still are those of an application that was stopped, which leaves its name in
// them, and are taken over.
func (s *Store) Open(ctx context.Context) error {
	if s.err != nil {
		return s.err
	}
	if err := s.ready(ctx); err != nil {
		return err
	}
	return s.watch(ctx)
}

// ready waits until the table can be used.
func (s *Store) ready(ctx context.Context) error {
	status, made, poll := "not listed yet", false, firstPoll
	for begun := time.Now(); time.Since(begun) < tableWait; {
		t, err := s.describe(ctx)
		switch {
		case err != nil:
			return err
		case t == nil && s.cfg.NoCreate:
			return fmt.Errorf("dynamo: table %s does not exist in this region, and Config.NoCreate is set: create it with the partition key %s of type S and no sort key", s.cfg.Table, attrKey)
		case t == nil:
			if err := s.create(ctx); err != nil {
				return err
			}
			if made {
				break // it was made, and is not listed yet
			}
			made = true
			continue
		default:
			if err := s.checkKey(t); err != nil {
				return err
			}
			switch t.TableStatus {
			case types.TableStatusActive, types.TableStatusUpdating:
				return nil
			case types.TableStatusCreating, types.TableStatusDeleting:
			default:
				return fmt.Errorf("dynamo: table %s cannot be used: its status is %s", s.cfg.Table, t.TableStatus)
			}
			status = string(t.TableStatus)
		}
		if err := sleep(ctx, poll); err != nil {
			return s.ended(ctx, call{op: "DescribeTable"}, nil)
		}
		poll = min(2*poll, lastPoll)
	}
	return fmt.Errorf("dynamo: table %s is still %s after %v: look at it in the console, then start again", s.cfg.Table, status, tableWait)
}

// describe returns nil if there is no table.
func (s *Store) describe(ctx context.Context) (*types.TableDescription, error) {
	var t *types.TableDescription
	err := s.do(ctx, call{op: "DescribeTable"}, func(ctx context.Context, c *dynamodb.Client) error {
		out, err := c.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &s.cfg.Table}, once)
		if err != nil {
			return err
		}
		if t = out.Table; t == nil {
			return errors.New("the answer has no table")
		}
		return nil
	})
	if _, gone := errors.AsType[*types.ResourceNotFoundException](err); gone {
		return nil, nil
	}
	return t, err
}

// create asks for the table. Somebody else may have been faster.
func (s *Store) create(ctx context.Context) error {
	in := &dynamodb.CreateTableInput{
		TableName:            &s.cfg.Table,
		BillingMode:          types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String(attrKey), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String(attrKey), KeyType: types.KeyTypeHash}},
	}
	if s.cfg.DeletionProtection {
		in.DeletionProtectionEnabled = aws.Bool(true)
	}
	for _, k := range slices.Sorted(maps.Keys(s.cfg.Tags)) {
		in.Tags = append(in.Tags, types.Tag{Key: aws.String(k), Value: aws.String(s.cfg.Tags[k])})
	}
	err := s.do(ctx, call{op: "CreateTable"}, func(ctx context.Context, c *dynamodb.Client) error {
		_, err := c.CreateTable(ctx, in, once)
		return err
	})
	if _, there := errors.AsType[*types.ResourceInUseException](err); there {
		return nil
	}
	return err
}

// checkKey refuses a table of something else.
func (s *Store) checkKey(t *types.TableDescription) error {
	var schema []string
	good := len(t.KeySchema) == 1
	for _, k := range t.KeySchema {
		typ := "?"
		for _, d := range t.AttributeDefinitions {
			if aws.ToString(d.AttributeName) == aws.ToString(k.AttributeName) {
				typ = string(d.AttributeType)
			}
		}
		good = good && aws.ToString(k.AttributeName) == attrKey && k.KeyType == types.KeyTypeHash && typ == "S"
		schema = append(schema, fmt.Sprintf("%s %s (%s)", k.KeyType, aws.ToString(k.AttributeName), typ))
	}
	if good {
		return nil
	}
	return fmt.Errorf("dynamo: table %s is no table of leases: its key is %s, not HASH %s (S): choose another name for Config.Table", s.cfg.Table, strings.Join(schema, ", "), attrKey)
}

// watch looks out for a live application of the KCL: its workers move the counters
// of their rows. Time is this machine's, from the answer of the first look to the
// request of the last.
func (s *Store) watch(ctx context.Context) error {
	before, err := s.foreigners(ctx)
	if err != nil || len(before) == 0 {
		return err
	}
	for begun, last := time.Now(), false; !last; {
		if err := sleep(ctx, watchPoll); err != nil {
			return s.ended(ctx, call{op: "Scan"}, nil)
		}
		last = time.Since(begun) >= watchTime
		now, err := s.foreigners(ctx)
		if err != nil {
			return err
		}
		for _, lane := range slices.Sorted(maps.Keys(now)) {
			was, ok := before[lane]
			if !ok || was != now[lane] {
				return fmt.Errorf("dynamo: table %s is in use by an application of the KCL: the row %q of owner %q has just moved. Both would read the same shards: stop that application, wait 10 seconds, and start again; or give Config.Table another name", s.cfg.Table, lane, now[lane].owner)
			}
		}
	}
	s.cfg.Log.Info("taking over the rows of a KCL application that stands still", "table", s.cfg.Table, "rows", len(before))
	return nil
}

// foreigner is what a worker of the KCL has written.
type foreigner struct {
	owner   string
	counter string
}

// foreigners lists the rows that workers of the KCL own.
func (s *Store) foreigners(ctx context.Context) (map[string]foreigner, error) {
	items, err := s.scan(ctx, true)
	if err != nil {
		return nil, err
	}
	found := map[string]foreigner{}
	for _, i := range items {
		st, err := s.decode(i)
		if err != nil {
			return nil, err
		}
		if owner, ok := foreign(i); ok {
			found[st.row.Lane] = foreigner{owner, fmt.Sprint(st.row.Beat)}
		}
	}
	return found, nil
}
