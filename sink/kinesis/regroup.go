package kinesis

import (
	"context"
	"encoding/json/v2"
	"errors"
	"fmt"
	"math/bits"
	"strings"
	"sync"
	"unicode/utf8"

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
	return &framing[T]{regroup: s, env: env, rows: make([]chunks, s.cfg.Buckets), told: shardlake.Never, mark: shardlake.Mark{Watermark: shardlake.Never}}, nil
}

// framing gathers the rows of a lane until the commit.
type framing[T any] struct {
	*regroup[T]
	env     *shardlake.Env
	rows    []chunks // by bucket
	held    int
	scratch []byte
	mark    shardlake.Mark    // the last one
	told    shardlake.Instant // the watermark that every bucket was last told
	peers   []string          // last told
}

// chunks are rows, encoded, each of which fits into a frame.
type chunks [][]byte

// frameRoom is what a frame leaves for rows: the service takes records of 1 MiB, with
// their keys, everywhere; headers list other lanes.
const frameRoom = 768 << 10

// Write puts rows to their buckets.
func (w *framing[T]) Write(ctx context.Context, b shardlake.Batch[T]) error {
	for i := range b.Rows {
		data, err := w.encode(w.scratch[:0], b.Rows[i])
		if err == nil {
			if cap(data) <= keepScratch {
				w.scratch = data[:0]
			}
			err = w.add(w.key(b.Rows[i]), b.Origins[i].Time, data)
		}
		if err == nil {
			continue
		}
		if err := w.env.Settle(ctx, w.what(), b.From(i), err); err != nil {
			return err
		}
	}
	return nil
}

func (w *framing[T]) add(key string, t shardlake.Instant, data []byte) error {
	size := hop.RowSize(key, data)
	if size > frameRoom || !utf8.ValidString(key) {
		return shardlake.Reject(&RecordError{Key: strings.ToValidUTF8(key[:min(len(key), 64)], "\uFFFD"), Bytes: len(key) + len(data),
			Reason: fmt.Sprintf("a row that is sent on has a key of UTF-8 and takes at most %d bytes, key and payload together", frameRoom)})
	}
	c := &w.rows[hop.BucketOf(key, w.cfg.Buckets)]
	if n := len(*c); n == 0 || len((*c)[n-1])+size > frameRoom {
		*c = append(*c, nil)
	}
	last := &(*c)[len(*c)-1]
	before := len(*last)
	*last = hop.AppendRow(*last, t, key, data)
	w.held += len(*last) - before
	return nil
}

func (w *framing[T]) what() string { return "regroup to " + w.cfg.Stream }

// Mark notes what the commit says.
func (w *framing[T]) Mark(_ context.Context, m shardlake.Mark) error { w.mark = m; return nil }

// Full asks for a commit.
func (w *framing[T]) Full() bool { return w.held >= w.cfg.Hold }

// Buffered is what the rows take.
func (w *framing[T]) Buffered() int64 { return 2 * int64(w.held) }

// Close gives up what is not committed; it is read again.
func (w *framing[T]) Close() error { return nil }

// sealed is what a commit lists: the frames themselves, one behind another, each with
// its length, in the order in which those of a bucket are sent.
type sealed struct {
	Stream   string   `json:"stream"`
	Region   string   `json:"region,omitempty"`
	Endpoint string   `json:"endpoint,omitempty"`
	Frames   [][]byte `json:"frames"`
	Rows     int      `json:"-"`
}

// Seal makes the frames of a commit.
func (w *framing[T]) Seal(context.Context) ([]shardlake.Pending, error) {
	rose := w.mark.Watermark > w.told || w.mark.Ended
	peers := w.env.Peers()
	h := hop.Header{Watermark: w.mark.Watermark, Of: w.cfg.Buckets, Ended: w.mark.Ended, Heirs: w.mark.Heirs}
	a := w.env.Attempt()
	h.Group, h.Lane, h.Life, h.Commit = strings.Join([]string{a.Application, a.Source, w.cfg.Name}, "/"), a.Lane, a.Tag, a.Number
	if told := strings.Join(w.peers, "\x00"); told != strings.Join(peers, "\x00") {
		h.Peers = peers
	}
	out := sealed{Stream: w.cfg.Stream, Region: w.cfg.Region, Endpoint: w.cfg.Endpoint}
	for n := range w.rows {
		c := w.rows[n]
		if len(c) == 0 {
			if !rose && h.Peers == nil {
				continue
			}
			c = chunks{nil}
		}
		for i, rows := range c {
			h.Bucket, h.Index, h.Last = n, i, i == len(c)-1
			f, err := hop.Encode(h, rows)
			if err != nil {
				return nil, w.env.Fail(w.what(), a.From, err, "")
			}
			out.Frames = append(out.Frames, f)
		}
		w.rows[n] = nil
	}
	w.held, w.told, w.peers = 0, max(w.told, w.mark.Watermark), peers
	if len(out.Frames) == 0 {
		return nil, nil
	}
	data, err := json.Marshal(out)
	if err != nil {
		return nil, w.env.Fail(w.what(), a.From, err, "")
	}
	return []shardlake.Pending{{Kind: w.Kind(), Data: data}}, nil
}
