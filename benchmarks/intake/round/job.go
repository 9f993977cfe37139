// Package round is one round of one side of the intake benchmark: what it is given,
// what it does with records, and what it says in the end.
package round

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardlake/shardlake/benchmarks/intake/canned"
)

// Round is one side of one case, over one stream, by its name, into one folder.
type Round struct{ Side, Work, Stream, Folder string }

// The cases. What is done with the records of an answer grows from one to the next.
const (
	ToRecords = "records"
	ToRows    = "rows"
	ToParquet = "parquet"
)

// Job is a round in the making.
type Job struct {
	Round
	Of     canned.Stream
	Failed atomic.Int64 // calls that were repeated
}

// Side reads all of a stream and does the work. Records, bytes and rows of the
// outcome are its to fill.
type Side func(ctx context.Context, j *Job) (Outcome, error)

// Outcome is what a round says of itself. What the operating system says comes to it.
type Outcome struct {
	Records, Bytes int64 // of payload
	Rows           int64 // decoded; in the case of Parquet the parent counts them in the files
	Failed         int64 // calls that failed and were repeated, where a side tells
	Mallocs        uint64
	Allocated      uint64 // bytes
	Resident       int64  // the peak, in bytes
}

// Run runs a round in this process, for at most a minute. It writes a CPU profile into
// the file, if one is named.
func (r Round) Run(ctx context.Context, side Side, profile string) (out Outcome, err error) {
	if !slices.Contains([]string{ToRecords, ToRows, ToParquet}, r.Work) {
		return out, fmt.Errorf("there is no case %q", r.Work)
	}
	j := &Job{Round: r}
	if j.Of, err = canned.StreamOf(r.Stream); err != nil {
		return out, err
	}
	end, err := profiled(profile)
	if err != nil {
		return out, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	out, err = side(ctx, j)
	runtime.ReadMemStats(&after)
	if err = errors.Join(err, end()); err != nil {
		return out, err
	}
	if want := j.Of.Total(); out.Records != want {
		return out, fmt.Errorf("%d records came, of %d", out.Records, want)
	}
	out.Failed, out.Mallocs, out.Allocated = j.Failed.Load(), after.Mallocs-before.Mallocs, after.TotalAlloc-before.TotalAlloc
	out.Resident, err = peakMemory()
	return out, err
}

// Main is a program that runs one round of the side that its flags name, and prints
// the outcome in JSON. The flags are parsed when it is called.
func (r *Round) Main(ctx context.Context, sides map[string]Side, profile string, w io.Writer) error {
	side, known := sides[r.Side]
	if !known {
		return fmt.Errorf("there is no side %q here", r.Side)
	}
	out, err := r.Run(ctx, side, profile)
	if err != nil {
		return fmt.Errorf("%s, %s: %w", r.Side, r.Work, err)
	}
	return json.NewEncoder(w).Encode(out)
}

// Flags makes the flags of a round.
func (r *Round) Flags(f *flag.FlagSet) (profile *string) {
	f.StringVar(&r.Side, "side", "", "be one round of this side")
	f.StringVar(&r.Work, "work", "", "of this case")
	f.StringVar(&r.Stream, "stream", "", "over this stream, which the server knows by its name")
	f.StringVar(&r.Folder, "folder", "", "into this folder")
	return f.String("profile", "", "write a CPU profile of the round into this file")
}

// Client is the SDK's with its defaults; the environment says where the server is.
func Client(ctx context.Context) (*kinesis.Client, error) {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, err
	}
	return kinesis.NewFromConfig(cfg), nil
}

// IDs are the shards of the stream.
func (j *Job) IDs(ctx context.Context, c *kinesis.Client) ([]string, error) {
	out, err := c.ListShards(ctx, &kinesis.ListShardsInput{StreamName: aws.String(j.Stream)})
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(out.Shards))
	for i, s := range out.Shards {
		ids[i] = aws.ToString(s.ShardId)
	}
	return ids, nil
}

// Each reads all shards, each on a goroutine of its own, and adds up what they did.
func (j *Job) Each(ids []string, read func(*Shard) error) (Outcome, error) {
	all := make([]*Shard, len(ids))
	for i, id := range ids {
		var err error
		if all[i], err = j.open(id); err != nil {
			return Outcome{}, err
		}
	}
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, s := range all {
		wg.Go(func() { errs[i] = errors.Join(read(s), s.close()) })
	}
	wg.Wait()
	var out Outcome
	for _, s := range all {
		s.addTo(&out)
	}
	return out, errors.Join(errs...)
}

// EveryCall is the time from one call to the next that all sides keep for a shard:
// five a second, which is what the service allows.
const EveryCall = 200 * time.Millisecond

// Pause waits for the moment of the next call.
func Pause(ctx context.Context, began time.Time) error {
	t := time.NewTimer(EveryCall - time.Since(began))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
