package pipelinetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/internal/hop"
	"github.com/shardlake/shardlake/sink"
)

// frameSink sends frames to the stream of another group.
type frameSink struct {
	*hopping
	p  *process
	to *group
}

// sealed is what a commit lists.
type sealed struct {
	Frames [][]byte `json:"frames"`
}

// Kind is "simulated-frames".
func (s *frameSink) Kind() string { return "simulated-frames" }

// Publish sends the frames, those of a bucket one after another.
func (s *frameSink) Publish(ctx context.Context, p shardlake.Pending) error {
	var out sealed
	if err := json.Unmarshal(p.Data, &out); err != nil {
		return err
	}
	return s.send(ctx, out.Frames)
}

func (s *frameSink) send(ctx context.Context, frames [][]byte) error {
	line := map[int][][]byte{}
	for i, b := range frames {
		f, err := hop.Decode(b)
		if err != nil {
			return err
		}
		n := f.Bucket
		if s.broken.atOnce {
			n = i
		}
		line[n] = append(line[n], b)
	}
	g, ctx := errgroup.WithContext(ctx)
	for _, bs := range line {
		g.Go(func() error {
			for _, b := range bs {
				if err := s.put(ctx, b); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// put puts one frame, again and again until there is an answer.
func (s *frameSink) put(ctx context.Context, b []byte) error {
	f, err := hop.Decode(b)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("c%d.%d for bucket %d", f.Commit, f.Index, f.Bucket)
	for {
		err := tell(ctx, s.p, call{op: "put", lane: f.Lane, name: name}, func() error {
			s.p.oracle.arrives(b, short(f.Lane)+" "+name)
			s.to.stream.add(hop.Start(f.Bucket, f.Of), fmt.Sprint("bucket-", f.Bucket), b, shardlake.At(time.Now()))
			return nil
		})
		if err == nil || errors.Is(err, errDead) || !wait(ctx, retryAfter) {
			return err
		}
	}
}

// Open opens a lane.
func (s *frameSink) Open(env *shardlake.Env) (sink.Writer[view], error) {
	return &frameWriter{s, hop.NewWriter(env, hop.Sending[view]{
		Buckets: s.buckets, Hold: 700, Room: 220, What: "regroup", Key: view.user,
		Encode: func(dst []byte, v view) ([]byte, error) {
			b, err := json.Marshal(v)
			return append(dst, b...), err
		},
	})}, nil
}

// frameWriter is a lane.
type frameWriter struct {
	*frameSink
	w *hop.Writer[view]
}

// Write takes rows.
func (w *frameWriter) Write(ctx context.Context, b shardlake.Batch[view]) error {
	return w.w.Write(ctx, b)
}

// Mark notes what the commit says.
func (w *frameWriter) Mark(_ context.Context, m shardlake.Mark) error { w.w.Mark(m); return nil }

// Full asks for a commit.
func (w *frameWriter) Full() bool { return w.w.Full() }

// Buffered is what the rows take.
func (w *frameWriter) Buffered() int64 { return w.w.Buffered() }

// Close gives up what is not committed.
func (w *frameWriter) Close() error { return nil }

// Seal makes the frames.
func (w *frameWriter) Seal(ctx context.Context) ([]shardlake.Pending, error) {
	frames, err := w.w.Seal()
	if err != nil || len(frames) == 0 {
		return nil, err
	}
	if w.broken.header != nil {
		for i := range frames {
			if frames[i], err = edited(frames[i], w.broken.header); err != nil {
				return nil, err
			}
		}
	}
	if w.broken.early {
		if err := w.send(ctx, frames); err != nil {
			return nil, err
		}
	}
	data, err := json.Marshal(sealed{frames})
	return []shardlake.Pending{{Kind: w.Kind(), Data: data}}, err
}

// edited is a frame with another header.
func edited(b []byte, edit func(*hop.Header)) ([]byte, error) {
	f, err := hop.Decode(b)
	if err != nil {
		return nil, err
	}
	var rows []byte
	for r, err := range f.Rows() {
		if err != nil {
			return nil, err
		}
		rows = hop.AppendRow(rows, r.Time, r.Key, r.Data)
	}
	edit(&f.Header)
	return hop.Encode(f.Header, rows)
}
