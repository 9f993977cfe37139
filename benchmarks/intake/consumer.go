package main

import (
	"context"
	"errors"

	consumer "github.com/harlow/kinesis-consumer"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardlake/shardlake/benchmarks/intake/round"
)

var errAll = errors.New("the shard has given all")

// consumed is github.com/harlow/kinesis-consumer, which calls a function for each
// record. Its own Scan writes a map from the goroutines of all shards at once, which
// may end the program; here each shard is scanned by ScanShard, which Scan calls.
func consumed(ctx context.Context, j *round.Job) (round.Outcome, error) {
	c, err := round.Client(ctx)
	if err != nil {
		return round.Outcome{}, err
	}
	ids, err := j.IDs(ctx, c)
	if err != nil {
		return round.Outcome{}, err
	}
	seen := lastSeen{}
	for _, id := range ids {
		seen[id] = new(string)
	}
	lib, err := consumer.New(j.Stream, consumer.WithClient(c), consumer.WithScanInterval(round.EveryCall),
		consumer.WithShardIteratorType(string(types.ShardIteratorTypeTrimHorizon)), consumer.WithStore(seen))
	if err != nil {
		return round.Outcome{}, err
	}
	return j.Each(ids, func(s *round.Shard) error {
		last := seen[s.ID]
		for {
			err := lib.ScanShard(ctx, s.ID, func(r *consumer.Record) error {
				if err := s.One(ctx, r.Data); err != nil {
					return err
				}
				if s.Done() {
					return errAll
				}
				*last = *r.SequenceNumber
				return nil
			})
			switch {
			case errors.Is(err, errAll):
				return nil
			case ctx.Err() != nil || j.Failed.Add(1) > j.Of.Total():
				return err
			}
		}
	})
}

// lastSeen is the library's store: the position of each shard, which the function that
// the library calls has set. So it costs nothing, and a scan that failed goes on.
type lastSeen map[string]*string

// GetCheckpoint is where a scan begins.
func (s lastSeen) GetCheckpoint(_, shard string) (string, error) { return *s[shard], nil }

// SetCheckpoint has nothing to do.
func (s lastSeen) SetCheckpoint(_, _, _ string) error { return nil }
