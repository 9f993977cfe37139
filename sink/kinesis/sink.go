package kinesis

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/sink"
)

// ID names a row by what it was made of: always the same name for the same row,
// however often the record is read and whichever process does it. Two rows have
// two names. Put it into the payload, and readers can drop repeats:
//
//	kinesis.Sink(cfg, Click.user, func(dst []byte, c Click, id kinesis.ID) ([]byte, error) {
//		return json.Append(dst, out{ID: id.String(), Click: c})
//	})
//
// That holds for rows that stages make of one record, as with Map, FlatMap and
// Filter. The row of a window has no record of its own: name it by its key and its
// window, which are in it; an ID is not good for that. If two branches go to one
// stream, give each a prefix.
type ID struct {
	Source string             // the stream that the record was read from
	Lane   string             // its shard
	Pos    shardlake.Position // its place there
	Index  int                // of the row among those made of the record, in their order
}

// String is "source/lane/sequence.sub/index".
func (id ID) String() string { return string(id.Append(nil)) }

// Append appends what String returns.
func (id ID) Append(dst []byte) []byte {
	dst = append(append(append(append(dst, id.Source...), '/'), id.Lane...), '/')
	dst = strconv.AppendInt(append(append(dst, id.Pos.Seq...), '.'), int64(id.Pos.Sub), 10)
	return strconv.AppendInt(append(dst, '/'), int64(id.Index), 10)
}

// Sink writes rows to a stream as they come, at least once; see the package about
// repeats and order. key gives a row's partition key. encode appends its payload to
// dst and returns it; its error is an answer like that of a stage: a row may be
// skipped (shardlake.ErrSkip) or rejected (shardlake.Reject), else the lane stops.
//
// Each lane has a Producer. A commit waits until the service has acknowledged all
// rows before it, and a lane waits where the service takes less than it gives: for
// as long as that lasts, and a lane that waits longer than the pipeline's Stall is
// given up to be begun again. A row whose key is empty or too long, or which is
// larger than Config.MaxRecord, is a dead letter.
//
//	clicks.Into(kinesis.Sink(kinesis.Config{Stream: "out"}, Click.user, Click.append))
func Sink[T any](cfg Config, key func(T) string, encode func(dst []byte, row T, id ID) ([]byte, error)) sink.Sink[T] {
	return &stream[T]{remote: newRemote(cfg.withDefaults()), key: key, encode: encode}
}

type stream[T any] struct {
	remote *remote
	key    func(T) string
	encode func([]byte, T, ID) ([]byte, error)
}

// Check reports mistakes of configuration.
func (s *stream[T]) Check() error {
	err := s.remote.cfg.validate()
	if s.key == nil || s.encode == nil {
		err = errors.Join(err, fmt.Errorf("kinesis: the sink of %s needs a key function and an encode function", s.remote.cfg.Stream))
	}
	return err
}

// Kind of a sink that leaves nothing to publish.
func (s *stream[T]) Kind() string { return "kinesis:" + s.remote.cfg.Stream }

// Publish is never called, since Seal lists nothing.
func (s *stream[T]) Publish(context.Context, shardlake.Pending) error {
	return errors.New("kinesis: a commit lists an upload to a stream, which this program never makes")
}

// Open opens a lane.
func (s *stream[T]) Open(env *shardlake.Env) (sink.Writer[T], error) {
	return &writer[T]{stream: s, env: env, p: newProducer(s.remote, env.Lane()), index: -1}, nil
}

type writer[T any] struct {
	*stream[T]
	env     *shardlake.Env
	p       *Producer
	scratch []byte
	seq     []byte // where the row before came from
	sub     int
	index   int // of that row
}

// keepScratch bounds what is kept of a large row.
const keepScratch = 1 << 20

// Write hands rows to the lane's producer, and waits while its buffer is full.
func (w *writer[T]) Write(ctx context.Context, b shardlake.Batch[T]) error {
	for i := range b.Rows {
		r := b.From(i)
		if w.index++; r.Pos.Sub != w.sub || string(w.seq) != r.Pos.Seq {
			w.seq, w.sub, w.index = append(w.seq[:0], r.Pos.Seq...), r.Pos.Sub, 0
		}
		data, err := w.encode(w.scratch[:0], b.Rows[i], ID{Source: w.env.Source(), Lane: w.env.Lane(), Pos: r.Pos, Index: w.index})
		if err == nil {
			if cap(data) <= keepScratch {
				w.scratch = data[:0]
			}
			err = w.put(ctx, r, w.key(b.Rows[i]), data)
		}
		if err == nil {
			continue
		}
		if err := w.env.Settle(ctx, w.what(), r, err); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer[T]) put(ctx context.Context, r *shardlake.Record, key string, data []byte) error {
	err := w.p.Put(ctx, key, data)
	if refused, ok := errors.AsType[*RecordError](err); ok {
		return shardlake.Reject(refused)
	}
	if err != nil {
		return w.env.Fail(w.what(), r.Pos, err, remedy)
	}
	return nil
}

const remedy = "mend the cause and start again: nothing is lost, and rows since the last commit come to the stream again"

func (w *writer[T]) what() string { return "write to " + w.remote.cfg.Stream }

// Seal waits until everything written is acknowledged. There is nothing to publish.
func (w *writer[T]) Seal(ctx context.Context) ([]shardlake.Pending, error) {
	if err := w.p.Flush(ctx); err != nil {
		return nil, w.env.Fail(w.what(), w.env.Attempt().From, err, remedy)
	}
	return nil, nil
}

// Buffered is what the service has not acknowledged yet.
func (w *writer[T]) Buffered() int64 { return w.p.Buffered() + int64(cap(w.scratch)) }

// Close gives up what is not acknowledged; it is read again.
func (w *writer[T]) Close() error { w.p.Close(); return nil }
