package kinesis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/internal/awsnet"
)

const (
	// callTimeout is for an answer, apart from the time to send the records.
	callTimeout = 10 * time.Second
	// slowLink is the slowest upload that is waited for, in bytes a second.
	slowLink = 256 << 10
	// patience is how long a service may be silent that has never answered: after
	// four tries that is rather a wrong setting than an outage.
	patience = 5 * time.Second
	// layoutAge is how long a list of shards is good for all lanes.
	layoutAge = time.Second
)

// remote is all that talks to the service, for all producers of a sink.
type remote struct {
	cfg      Config
	answered atomic.Bool // the service has said something

	// Locks are channels, since they are held over calls.
	making chan struct{} // of client
	client *kinesis.Client
	asking chan struct{} // of layout
	layout *layout
}

func newRemote(cfg Config) *remote {
	return &remote{cfg: cfg, making: make(chan struct{}, 1), asking: make(chan struct{}, 1)}
}

// alone runs f while it holds a lock.
func alone(ctx context.Context, lock chan struct{}, f func() error) error {
	select {
	case lock <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-lock }()
	return f()
}

func (r *remote) naming() (name, arn *string) {
	if awsnet.IsARN(r.cfg.Stream) {
		return nil, &r.cfg.Stream
	}
	return &r.cfg.Stream, nil
}

// once makes one attempt of a call.
func once[In, Out any](ctx context.Context, r *remote, in *In, size int, f func(*kinesis.Client, context.Context, *In, ...func(*kinesis.Options)) (*Out, error)) (out *Out, _ error) {
	var c *kinesis.Client
	err := alone(ctx, r.making, func() (err error) { c, err = r.connect(ctx); return err })
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, &configError{err}
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout+time.Duration(size)*time.Second/slowLink)
	defer cancel()
	out, err = f(c, ctx, in, func(o *kinesis.Options) { o.Retryer = aws.NopRetryer{} })
	api, spoken := errors.AsType[smithy.APIError](err)
	if err == nil || spoken && api.ErrorFault() == smithy.FaultClient {
		r.answered.Store(true)
	}
	return out, err
}

// configError is a mistake that no call can mend.
type configError struct{ error }

// Unwrap gives the mistake.
func (e *configError) Unwrap() error { return e.error }

// final makes of a failed call what the caller must give up with, or nil if the
// call is to be repeated. It has failed tries times in a row since began.
func (r *remote) final(call string, err error, tries int, began time.Time) error {
	if mistake, ok := errors.AsType[*configError](err); ok {
		return mistake.error
	}
	api, spoken := errors.AsType[smithy.APIError](err)
	switch {
	case spoken && api.ErrorCode() == "InvalidSignatureException" && tries < 3:
		return nil // the SDK learns the service's clock from the first refusal
	case judge(err) == refused:
		return explain(call, r.cfg.Stream, err)
	case !spoken && !r.answered.Load() && (tries > 3 && time.Since(began) > patience || awsnet.WithoutCredentials(err)):
		return unreachable(call, r.cfg.Stream, err)
	}
	return nil
}

// put makes one attempt of PutRecords.
func (r *remote) put(ctx context.Context, entries []types.PutRecordsRequestEntry, size int) ([]types.PutRecordsResultEntry, error) {
	in := &kinesis.PutRecordsInput{Records: entries}
	in.StreamName, in.StreamARN = r.naming()
	out, err := once(ctx, r, in, size, (*kinesis.Client).PutRecords)
	if err != nil {
		return nil, err
	}
	if len(out.Records) != len(entries) {
		return nil, fmt.Errorf("the answer is about %d records, not %d", len(out.Records), len(entries))
	}
	return out.Records, nil
}

// layout is which open shard takes which hashes.
type layout struct {
	asked  time.Time
	auto   bool // the service chooses the shard of a record, not its key
	shards []shardRange
}

type shardRange struct {
	id string
	shardlake.HashRange
}

// find returns the index of the shard that takes h: the last that begins at or
// before it.
func (l *layout) find(h shardlake.Hash) int {
	i, ok := slices.BinarySearchFunc(l.shards, h, func(s shardRange, h shardlake.Hash) int { return s.From.Compare(h) })
	if !ok {
		i--
	}
	return max(0, i)
}

// rangeOf returns what a shard takes, the zero range if it is not open.
func (l *layout) rangeOf(id string) shardlake.HashRange {
	for _, s := range l.shards {
		if s.id == id {
			return s.HashRange
		}
	}
	return shardlake.HashRange{}
}

// layoutSince returns a list of the open shards that was not asked for before t; those
// who ask together get the same one. It repeats what is worth repeating.
func (r *remote) layoutSince(ctx context.Context, who string, t time.Time) (l *layout, err error) {
	began := time.Now()
	for try := 1; ; try++ {
		err = alone(ctx, r.asking, func() (err error) { l, err = r.oneLayout(ctx, t); return err })
		if err == nil || ctx.Err() != nil {
			return l, err
		}
		if end := r.final("ListShards or DescribeStreamSummary", err, try, began); end != nil {
			return nil, end
		}
		r.cfg.Log.Warn("kinesis did not list its shards; trying again", "stream", r.cfg.Stream, "error", err, "try", try)
		if err := sleep(ctx, backoff(who, try)); err != nil {
			return nil, err
		}
	}
}

// oneLayout makes one attempt. r.asking is held.
func (r *remote) oneLayout(ctx context.Context, t time.Time) (*layout, error) {
	if r.layout != nil {
		if !r.layout.asked.Before(t) {
			return r.layout, nil
		}
		if err := sleep(ctx, layoutAge-time.Since(r.layout.asked)); err != nil {
			return nil, err
		}
	}
	l := &layout{asked: time.Now()}
	in := &kinesis.DescribeStreamSummaryInput{}
	in.StreamName, in.StreamARN = r.naming()
	d, err := once(ctx, r, in, 0, (*kinesis.Client).DescribeStreamSummary)
	if err != nil {
		return nil, err
	}
	if s := d.StreamDescriptionSummary; s != nil {
		l.auto = s.RecordDistributionStrategy == types.RecordDistributionStrategyAuto
	}
	if l.shards, err = r.openShards(ctx); err == nil {
		r.layout = l
	}
	return l, err
}

// openShards pages through ListShards. A token says all that the first call said,
// and the service refuses both together.
func (r *remote) openShards(ctx context.Context) (all []shardRange, _ error) {
	in := &kinesis.ListShardsInput{ShardFilter: &types.ShardFilter{Type: types.ShardFilterTypeAtLatest}}
	in.StreamName, in.StreamARN = r.naming()
	for {
		out, err := once(ctx, r, in, 0, (*kinesis.Client).ListShards)
		if err != nil {
			return nil, err
		}
		for _, s := range out.Shards {
			if s.HashKeyRange == nil || s.SequenceNumberRange != nil && s.SequenceNumberRange.EndingSequenceNumber != nil {
				continue
			}
			from, err := shardlake.ParseHash(aws.ToString(s.HashKeyRange.StartingHashKey))
			to, err2 := shardlake.ParseHash(aws.ToString(s.HashKeyRange.EndingHashKey))
			if err := errors.Join(err, err2); err != nil {
				return nil, fmt.Errorf("shard %s: %w", aws.ToString(s.ShardId), err)
			}
			all = append(all, shardRange{aws.ToString(s.ShardId), shardlake.HashRange{From: from, To: to}})
		}
		if aws.ToString(out.NextToken) == "" {
			break
		}
		in = &kinesis.ListShardsInput{NextToken: out.NextToken}
	}
	if len(all) == 0 {
		return nil, errors.New("the answer lists no open shard")
	}
	slices.SortFunc(all, func(a, b shardRange) int { return a.From.Compare(b.From) })
	return all, nil
}
