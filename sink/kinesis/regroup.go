package kinesis

import (
	"context"
	"encoding/json/v2"
	"errors"
	"fmt"
	"math/bits"
	"sync"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/internal/hop"
	"github.com/shardlake/shardlake/sink"
)

// RegroupConfig says how rows go on to another group of tasks.
type RegroupConfig struct {
	// Config is that of the stream between the two. It must not be written by anything
	// else. Aggregate, Unordered and Linger have no use here. The role needs
	// kinesis:PutRecords, kinesis:ListShards and kinesis:DescribeStreamSummary.
	Config
	// Name tells senders of one pipeline apart that write to the same stream; empty
	// for one.
	Name string
	// Buckets is into how many parts the hash space is cut: 64 by default, a power of
	// two up to 4,096. Each is read in one shard, so it bounds the shards that the
	// stream can be split into with use. It is fixed for the life of the stream. Each
	// commit puts at least one record to each bucket when the watermark has risen.
	Buckets int
	// Hold is how many bytes of rows a lane gathers before it commits ahead of
	// pipeline.Config.CommitEvery: 4 MiB by default. They are held in memory until the
	// service has taken them, as base64 in the commit's row, or beside it.
	Hold int
}

// Regroup sends rows to a stream from which other tasks go on with them, grouped by a
// key of their own, exactly once: neither a crash nor a reshard of any of the two
// streams loses or doubles a row on the way. Those tasks read with
// source/kinesis.Frames and Receive:
//
//	views.Into(kinesis.Regroup(kinesis.RegroupConfig{Config: kinesis.Config{Stream: "by-user"}}, View.user, View.append))
//
//	views := p.Read(kinesis.Frames(kinesis.Config{Stream: "by-user"})).Via(kinesis.Receive(codec.JSON[View]))
//
// All rows of one key, of any shard, come to one shard there, in the order of their
// own shard, with their event times and with watermarks, so that an Aggregate by that
// key is whole. encode appends a row's payload to dst; its error is an answer like that
// of a stage. A row that is larger than a record can be is a dead letter.
//
// Rows leave with the commit: what they wait is pipeline.Config.CommitEvery, of which a
// few seconds are a good value in such a pipeline. Set EventTime.Idle too, or a shard
// that falls silent holds up the watermark of all. What was sent cannot be taken back:
// a repair of a commit that listed frames is refused.
func Regroup[T any](cfg RegroupConfig, key func(T) string, encode func(dst []byte, row T) ([]byte, error)) sink.Sink[T] {
	if cfg.Buckets == 0 {
		cfg.Buckets = 64
	}
	if cfg.Hold == 0 {
		cfg.Hold = 4 << 20
	}
	cfg.Config = cfg.Config.withDefaults()
	return &regroup[T]{Frames: Frames{cfg: cfg.Config}, cfg: cfg, key: key, encode: encode}
}

// Frames publishes what Regroup has committed, for pipeline.Config.Publishers and for
// pipeline.Publish where its sink is not part of the program.
type Frames struct {
	cfg     Config
	mu      sync.Mutex
	remotes map[string]*remote // by stream, region and endpoint
}

// NewFrames makes a publisher. Region, Endpoint and Stream come from what is
// published; credentials and the client's settings from cfg.
func NewFrames(cfg Config) *Frames { return &Frames{cfg: cfg.withDefaults()} }

type regroup[T any] struct {
	Frames
	cfg    RegroupConfig
	key    func(T) string
	encode func([]byte, T) ([]byte, error)
}

// Check reports mistakes of configuration.
func (s *regroup[T]) Check() error {
	errs := []error{s.cfg.Config.validate()}
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("kinesis: "+format, args...)) }
	if s.cfg.Aggregate || s.cfg.Unordered {
		bad("Regroup puts frames, in order: Aggregate and Unordered are not for it")
	}
	if n := s.cfg.Buckets; n < 1 || n > hop.MaxBuckets || bits.OnesCount(uint(n)) != 1 {
		bad("Buckets is %d: want a power of two up to %d, or 0 for the default", n, hop.MaxBuckets)
	}
	if s.cfg.Hold < 64<<10 || s.cfg.Hold > 64<<20 {
		bad("Hold is %d: want 64 KiB to 64 MiB, or 0 for the default", s.cfg.Hold)
	}
	if s.key == nil || s.encode == nil {
		bad("the sink of %s needs a key function and an encode function", s.cfg.Stream)
	}
	return errors.Join(errs...)
}

// Place tells sinks apart that would number their frames alike.
func (s *regroup[T]) Place() string {
	return "the frames " + s.cfg.Name + " of the stream " + s.cfg.Stream
}

// Open opens a lane.
func (s *regroup[T]) Open(env *shardlake.Env) (sink.Writer[T], error) {
	what := "regroup to " + s.cfg.Stream
	return &framing[T]{regroup: s, env: env, what: what, w: hop.NewWriter(env, hop.Sending[T]{
		Name: s.cfg.Name, Buckets: s.cfg.Buckets, Hold: s.cfg.Hold, Key: s.key, Encode: s.encode, What: what})}, nil
}

// framing gathers the rows of a lane until the commit.
type framing[T any] struct {
	*regroup[T]
	env  *shardlake.Env
	what string
	w    *hop.Writer[T]
}

// sealed is what a commit lists: the frames themselves, in the order in which those of
// a bucket are sent.
type sealed struct {
	Stream   string   `json:"stream"`
	Region   string   `json:"region,omitempty"`
	Endpoint string   `json:"endpoint,omitempty"`
	Frames   [][]byte `json:"frames"`
}

// Write puts rows to their buckets.
func (f *framing[T]) Write(ctx context.Context, b shardlake.Batch[T]) error { return f.w.Write(ctx, b) }

// Mark notes what the commit says.
func (f *framing[T]) Mark(_ context.Context, m shardlake.Mark) error { f.w.Mark(m); return nil }

// Full asks for a commit.
func (f *framing[T]) Full() bool { return f.w.Full() }

// Buffered is what the rows take, with what becomes of them.
func (f *framing[T]) Buffered() int64 { return f.w.Buffered() }

// Close gives up what is not committed; it is read again.
func (f *framing[T]) Close() error { return nil }

// Seal makes the frames of a commit.
func (f *framing[T]) Seal(context.Context) ([]shardlake.Pending, error) {
	frames, err := f.w.Seal()
	if err != nil || len(frames) == 0 {
		return nil, err
	}
	data, err := json.Marshal(sealed{f.cfg.Stream, f.cfg.Region, f.cfg.Endpoint, frames})
	if err != nil {
		return nil, f.env.Fail(f.what, f.env.Attempt().From, err, "")
	}
	return []shardlake.Pending{{Kind: f.Kind(), Data: data}}, nil
}
