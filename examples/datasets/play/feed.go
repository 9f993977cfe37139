package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// Limits of a request: 500 records is that of PutRecords (API reference); the
// bytes are well below its 10 MiB.
const (
	putRecords = 500
	putBytes   = 4 << 20
)

// feeder puts records in order.
type feeder struct {
	client *kinesis.Client
	stream string
	// strict puts at most one record of a key in a request. PutRecords may refuse
	// one record and take a later one, so only this keeps the order of a key when
	// the service throttles. Otherwise a request whose key's order was broken so
	// is an error.
	strict bool
	out    *manifest
}

// put puts all records, in order.
func (f *feeder) put(ctx context.Context, recs []record) error {
	for len(recs) > 0 {
		n := f.take(recs)
		if err := f.batch(ctx, recs[:n]); err != nil {
			return err
		}
		recs = recs[n:]
	}
	return nil
}

// take returns how many of the next records go into one request.
func (f *feeder) take(recs []record) int {
	keys, bytes := map[string]bool{}, 0
	for i, r := range recs {
		bytes += len(r.data) + len(r.key)
		if i > 0 && (i == putRecords || bytes > putBytes || f.strict && keys[r.key]) {
			return i
		}
		keys[r.key] = true
	}
	return len(recs)
}

// maxTries bounds the tries for one request: about half a minute of throttling.
const maxTries = 60

// batch puts records, and those that were refused again, in order.
func (f *feeder) batch(ctx context.Context, recs []record) error {
	for try := 1; len(recs) > 0; try++ {
		if try > maxTries {
			return fmt.Errorf("put: %d records were refused %d times", len(recs), maxTries)
		}
		refused, err := f.once(ctx, recs)
		if err != nil {
			return err
		}
		f.out.Retried += len(refused)
		if len(refused) > 0 {
			if err := sleep(ctx, min(time.Second, 50*time.Millisecond<<min(try, 5))); err != nil {
				return err
			}
		}
		recs = refused
	}
	return nil
}

// once makes one call and returns the records that were refused. A call that
// fails altogether is not repeated: it may have stored records, and a copy made
// here would be one in the lake.
func (f *feeder) once(ctx context.Context, recs []record) (refused []record, err error) {
	in := &kinesis.PutRecordsInput{StreamName: &f.stream, Records: make([]types.PutRecordsRequestEntry, len(recs))}
	for i, r := range recs {
		in.Records[i] = types.PutRecordsRequestEntry{PartitionKey: &r.key, Data: r.data}
	}
	out, err := f.client.PutRecords(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("put %d records: %w", len(recs), err)
	}
	if len(out.Records) != len(recs) {
		return nil, fmt.Errorf("put: %d answers for %d records", len(out.Records), len(recs))
	}
	waiting := map[string]bool{}
	for i, o := range out.Records {
		r := recs[i]
		switch {
		case aws.ToString(o.ErrorCode) != "":
			waiting[r.key] = true
			refused = append(refused, r)
		case waiting[r.key]:
			return nil, fmt.Errorf("put: a record of key %q was refused and a later one of that key taken: its order is lost; use -strict", r.key)
		case o.ShardId == nil || o.SequenceNumber == nil:
			return nil, errors.New("put: an answer names neither an error nor a shard and sequence number")
		default:
			f.out.stored(r, *o.ShardId, *o.SequenceNumber)
		}
	}
	return refused, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
