package kinesis

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/internal/awsnet"
	"github.com/shardlake/shardlake/source"
)

// Lanes lists all shards of the stream, open and closed, and pages through them.
func (r *reader) Lanes(ctx context.Context) (source.Listing, error) {
	// Asked each time: a stream may be deleted and made again under its name, and its
	// records may come to be distributed in another way.
	a, err := r.describeAgain(ctx)
	if err != nil {
		return source.Listing{}, err
	}
	shards, now, err := r.shards(ctx)
	if err != nil {
		return source.Listing{}, err
	}
	l := source.Listing{Name: a.name, Identity: a.identity(), Begin: shardlake.Never, Scattered: a.auto}
	switch {
	case r.cfg.Begin.latest:
		// By the service's clock; a second less, since it has full seconds only.
		l.Begin = shardlake.At(now.Add(-time.Second))
	case !r.cfg.Begin.at.IsZero():
		l.Begin = shardlake.At(r.cfg.Begin.at)
	}
	if shards, err = r.pinned(shards); err != nil {
		return source.Listing{}, err
	}
	if len(r.cfg.Shards) > 0 {
		l.Identity += "#" + strings.Join(slices.Sorted(slices.Values(r.cfg.Shards)), ",")
	}
	for _, s := range shards {
		lane := source.Lane{ID: r.laneID(a, aws.ToString(s.ShardId))}
		if k := s.HashKeyRange; k != nil {
			from, err := shardlake.ParseHash(aws.ToString(k.StartingHashKey))
			to, err2 := shardlake.ParseHash(aws.ToString(k.EndingHashKey))
			if err := errors.Join(err, err2); err != nil {
				return source.Listing{}, fmt.Errorf("kinesis ListShards of %s: shard %s: %w", r.cfg.Stream, aws.ToString(s.ShardId), err)
			}
			lane.Range = shardlake.HashRange{From: from, To: to}
		}
		for _, p := range []*string{s.ParentShardId, s.AdjacentParentShardId} {
			if aws.ToString(p) != "" {
				lane.Parents = append(lane.Parents, r.laneID(a, *p))
			}
		}
		l.Lanes = append(l.Lanes, lane)
	}
	return l, nil
}

// pinned picks the shards of Config.Shards.
func (r *reader) pinned(all []types.Shard) ([]types.Shard, error) {
	if len(r.cfg.Shards) == 0 {
		return all, nil
	}
	var some []types.Shard
	for _, want := range r.cfg.Shards {
		i := slices.IndexFunc(all, func(s types.Shard) bool { return aws.ToString(s.ShardId) == want })
		if i < 0 {
			return nil, fmt.Errorf("kinesis: %s has no shard %q (Config.Shards): it has %d, such as %s", r.cfg.Stream, want, len(all), idOf(all))
		}
		some = append(some, all[i])
	}
	return some, nil
}

func idOf(all []types.Shard) string {
	if len(all) == 0 {
		return "none"
	}
	return aws.ToString(all[len(all)-1].ShardId)
}

func (r *reader) laneID(a about, shard string) string {
	if !r.cfg.MultiStream {
		return shard
	}
	return fmt.Sprintf("%s:%s:%d:%s", a.account, a.name, a.created.Unix(), shard)
}

func shardOf(lane string) string { return lane[strings.LastIndexByte(lane, ':')+1:] }

// describe says what the stream was when it was last asked.
func (r *reader) describe(ctx context.Context) (about, error) {
	r.mu.Lock()
	a := r.about
	r.mu.Unlock()
	if a.arn != "" {
		return a, nil
	}
	return r.describeAgain(ctx)
}

// describeAgain asks although the answer is known: the retention may have changed.
func (r *reader) describeAgain(ctx context.Context) (a about, _ error) {
	in := &kinesis.DescribeStreamSummaryInput{}
	in.StreamName, in.StreamARN = r.naming()
	out, err := call(ctx, r, "DescribeStreamSummary", func(c *kinesis.Client, ctx context.Context) (*kinesis.DescribeStreamSummaryOutput, error) {
		return c.DescribeStreamSummary(ctx, in)
	})
	if err != nil {
		return a, err
	}
	d := out.StreamDescriptionSummary
	if d == nil || aws.ToString(d.StreamARN) == "" || d.StreamCreationTimestamp == nil {
		return a, fmt.Errorf("kinesis DescribeStreamSummary of %s: the answer names no ARN or creation time: is the endpoint that of Kinesis?", r.cfg.Stream)
	}
	a = about{name: aws.ToString(d.StreamName), arn: *d.StreamARN, created: *d.StreamCreationTimestamp,
		clock: shardlake.At(serviceTime(out.ResultMetadata)), retention: time.Duration(aws.ToInt32(d.RetentionPeriodHours)) * time.Hour,
		auto: d.RecordDistributionStrategy == types.RecordDistributionStrategyAuto}
	if parts := strings.SplitN(a.arn, ":", 6); len(parts) == 6 {
		a.account = parts[4]
	}
	r.mu.Lock()
	r.about = a
	r.mu.Unlock()
	return a, nil
}

// Holds makes a stream a source.Keeper, by its retention.
func (r *reader) Holds(ctx context.Context, since shardlake.Instant) (bool, error) {
	a, err := r.describeAgain(ctx)
	return a.retention == 0 || since >= a.clock.Sub(a.retention), err
}

func (r *reader) naming() (name, arn *string) {
	if awsnet.IsARN(r.cfg.Stream) {
		return nil, &r.cfg.Stream
	}
	return &r.cfg.Stream, nil
}

// shards pages through ListShards. A token says all that the first call said, and
// the service refuses both together. now is the service's clock.
func (r *reader) shards(ctx context.Context) (all []types.Shard, now time.Time, err error) {
	for restarts := 0; ; restarts++ {
		all, now, err = r.listOnce(ctx)
		if _, stale := errors.AsType[*types.ExpiredNextTokenException](err); !stale || restarts == 3 {
			return all, now, err
		}
	}
}

func (r *reader) listOnce(ctx context.Context) (all []types.Shard, now time.Time, _ error) {
	seen := map[string]bool{}
	in := &kinesis.ListShardsInput{}
	in.StreamName, in.StreamARN = r.naming()
	for {
		out, err := call(ctx, r, "ListShards", func(c *kinesis.Client, ctx context.Context) (*kinesis.ListShardsOutput, error) {
			return c.ListShards(ctx, in)
		})
		if err != nil {
			return nil, now, err
		}
		if now.IsZero() {
			now = serviceTime(out.ResultMetadata)
		}
		for _, s := range out.Shards {
			// Pages may overlap while the stream is resharded.
			if id := aws.ToString(s.ShardId); id != "" && !seen[id] {
				seen[id] = true
				all = append(all, s)
			}
		}
		if aws.ToString(out.NextToken) == "" {
			return all, now, nil
		}
		in = &kinesis.ListShardsInput{NextToken: out.NextToken}
	}
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
