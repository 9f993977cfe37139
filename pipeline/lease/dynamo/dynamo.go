// Package dynamo keeps the rows of a fleet in a table of Amazon DynamoDB, or of a
// server that speaks its protocol: a lease.Store for many processes.
//
//	Leases: dynamo.Table(dynamo.Config{Table: "clicks-to-lake", Large: lake})
//
// # The table
//
// The layout is that of the Kinesis Client Library (KCL), attribute for attribute,
// so that a stopped KCL application can be taken over where it stands, and handed
// back. What the KCL does not have lies beside it, in attributes that begin with
// sl_, which the KCL leaves alone:
//
//	leaseKey                        the lane: a shard id, or account:stream:epoch:shard
//	leaseOwner, leaseCounter        Owner (absent without one) and Beat
//	checkpoint, checkpointSubSequenceNumber
//	                                Pos; TRIM_HORIZON or AT_TIMESTAMP while it is the
//	                                start; SHARD_END once the lane has ended
//	ownerSwitchesSinceCheckpoint    as the KCL counts it
//	parentShardId, childShardIds    Parents and Children, as plain shard ids
//	startingHashKey, endingHashKey  Range
//	streamName, shardId             parts of a leaseKey of several streams
//	sl_inc sl_owner sl_tok sl_fence sl_want sl_vitals
//	                                Inc, who acquired it by this package, Token,
//	                                Fence, Want, Vitals
//	sl_cn sl_cid sl_pos sl_begin sl_wm sl_known sl_src
//	                                Number, CommitID, Pos in full, Begin, Watermark,
//	                                Known, Source; instants in microseconds
//	sl_state                        State as a JSON object: by segment, its content in
//	                                Base64, or {name, size, crc} of the object with it
//	                                below _shardlake/state/LANE/; earlier versions wrote
//	                                "@" and where one object with all of it lies
//	sl_pending                      Pending as JSON, or "@" and where the object with it
//	                                lies
//	sl_prev_pos sl_prev_wm sl_prev_known sl_prev_state
//	                                Prev
//	sl_hold sl_repair               Hold, Repair
//
// Every write but Create is an UpdateItem under a condition that an absent row does
// not meet, so attributes that this package does not know survive, and a lost row
// does not come back empty. Items whose entityType is not LEASE belong to the KCL:
// they are neither read nor written. There are no transactions, no time to live,
// no indexes, and no items that are not leases.
//
// A heartbeat is charged by the size of the whole row, so state and list take up to
// 4 KB of it: longer lists go to Config.Large, and segments of the state of more than
// 1 KiB, each as an object of its own, which a commit that carries it over does not
// write again. A segment takes about 80 bytes of the row then, and as much once more
// until Clear.
//
// # Permissions
//
// The least IAM policy, on arn:aws:dynamodb:REGION:ACCOUNT:table/TABLE:
//
//	dynamodb:DescribeTable   at the start
//	dynamodb:CreateTable     at the start, if the table is not there (dynamodb:TagResource
//	                         with Config.Tags)
//	dynamodb:Scan            lists rows, some times a lease time
//	dynamodb:GetItem         one row as it is now
//	dynamodb:PutItem         makes a row
//	dynamodb:UpdateItem      heartbeats, commits and all other writes
//	dynamodb:DeleteItem      removes the row of a shard that is finished and gone
//
// With a key of AWS KMS of one's own also kms:Decrypt and kms:GenerateDataKey.
package dynamo

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/shardlake/shardlake/pipeline/lease"
)

// Store is a lease.Store in a table. It is safe for concurrent use, starts no
// goroutines that outlive a call, and holds no state that a second Store of the same
// table would lack, except what it needs to clean up objects in Config.Large behind
// itself, and not to read a row before each commit that carries segments over.
//
// A call ends with its context, or when the service has failed it for
// Config.RetryFor. Throttling, timeouts and errors of the service are unknown
// outcomes; they are never lease.ErrLost.
type Store struct {
	cfg Config
	err error // mistakes in cfg

	mu     sync.Mutex
	client *dynamodb.Client // nil before the first call
	forget func()           // makes the credentials' cache ask again
	held   map[string]held  // by lane: the rows that this process acquired
}

var _ lease.Store = (*Store)(nil)

// Table returns the store in a table. It does no I/O and reads no files: the SDK's
// configuration is loaded by the first call. Mistakes in c show in Open and in
// every call.
func Table(c Config) *Store {
	s := &Store{cfg: c.withDefaults(), held: map[string]held{}}
	if err := c.check(); err != nil {
		s.err = fmt.Errorf("dynamo: the configuration of table %q: %w", c.Table, err)
	}
	return s
}

// Shared is true: a lane is taken from an owner whose Beat has stood still.
func (s *Store) Shared() bool { return true }

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
