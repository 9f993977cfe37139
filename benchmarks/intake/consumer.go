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
	lib, err := consumer.New(j.Stream, consumer.WithClient(c), consumer.WithScanInterval(round.EveryCall), consumer.WithShardIteratorType(string(types.ShardIteratorTypeTrimHorizon)))
	if err != nil {
		return round.Outcome{}, err
	}
	return j.Each(ids, func(s *round.Shard) error {
		for {
			err := lib.ScanShard(ctx, s.ID, func(r *consumer.Record) error {
				if err := s.One(ctx, r.Data); err != nil {
					return err
				}
				if s.Done() {
					return errAll
				}
				return nil
			})
			switch {
			case errors.Is(err, errAll):
				return nil
			case s.Records > 0 || j.Failed.Add(1) > j.Of.Total():
				return err // without a store it would begin anew
			}
		}
	})
}
