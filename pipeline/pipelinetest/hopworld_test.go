package pipelinetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
	"github.com/shardlake/shardlake/internal/hop"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/source"
)

// hopping is two groups of workers in one world: what the first one reads, it sends
// on by another key in frames, which are the second one's stream.
type hopping struct {
	views      []view
	stragglers bool // some views come after their window has closed
	faults     Faults
	buckets    int
	shards     [2]int // that the two streams begin with
	broken     broken
}

// broken says which rule is broken on purpose.
type broken struct {
	header  func(h *hop.Header)                                                                      // of each frame that a commit lists
	early   bool                                                                                     // frames are sent before the commit
	atOnce  bool                                                                                     // a frame does not wait for the one before
	frame   func(f *hop.Frame, from *shardlake.Record) []hop.Frame                                   // what is taken instead
	env     func(*shardlake.Env) *shardlake.Env                                                      // that the receiver keeps its ledger in
	table   func(worker string, t lease.Store) lease.Store                                           // of the receivers
	between func(env *shardlake.Env, next shardlake.Emit[view]) (in shardlake.Emit[view], err error) // receiver and windows
}

// RunHop simulates the hop with a seed, and fails the test with the trace if a promise
// is broken. TestSim does, too.
func RunHop(t *testing.T, seed uint64) Report {
	t.Helper()
	return shown(t, seed, func(verbose bool) Report { return hoppingOf(seed).simulate(t, seed, verbose) })
}

func (h *hopping) simulate(t *testing.T, seed uint64, verbose bool) (r Report) {
	t.Helper()
	synctest.Test(t, func(*testing.T) {
		p := newSeeded(seed, h.faults.withDefaults())
		p.until *= 3 // a view takes as many turns as in two runs, and its frames
		w := newWorld(p)
		w.verbose = verbose
		h.groups(w)
		w.run()
		r = w.report
	})
	r.Seed = seed
	return r
}

// groups makes the two.
func (h *hopping) groups(w *world) {
	from := newGroup(w, Scenario[view]{Rows: h.views, Key: func(v view) string { return v.Device }, Workers: 2, Shards: h.shards[0], Reshards: 3})
	from.prefix = "a"
	to := newGroup(w, Scenario[hop.Frame]{Workers: 2, Shards: h.shards[1], Reshards: 5, Read: h.read})
	to.prefix, to.uneven, to.ready = "b", true, from.quiet
	from.build = func(p *process, _ func(string) sink.Folder) {
		p.pipe.Read(&simSource[view]{p, h.views, view.when}).Into(&frameSink{h, p, to})
	}
	from.want = func() map[string]int64 { return nil }
	if h.broken.table != nil {
		to.wrapTable = h.broken.table
	}
	to.build = func(p *process, lake func(string) sink.Folder) {
		h.receiver(p.pipe, frameSource{&simSource[hop.Frame]{p: p}}, lake)
	}
	to.want = func() map[string]int64 { return h.want(shardsOf(from.stream, h.views)) }
}

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

// frameSource reads frames.
type frameSource struct{ *simSource[hop.Frame] }

// Decoder gives s itself.
func (s frameSource) Decoder() (source.Decoder[hop.Frame], error) { return s, nil }

// Decode takes records for frames.
func (s frameSource) Decode(_ context.Context, records []shardlake.Record, rows []hop.Frame, times []shardlake.Instant) (int, error) {
	for i, r := range records {
		f, err := hop.Decode(r.Data)
		if err != nil {
			return i, err
		}
		rows[i], times[i] = f, r.Arrived
	}
	return len(records), nil
}

// receive is the stage behind it.
func (h *hopping) receive(env *shardlake.Env, next shardlake.Emit[view]) (shardlake.Emit[hop.Frame], error) {
	d, err := codec.JSON[view]()
	if err != nil {
		return nil, err
	}
	if h.broken.between != nil {
		if next, err = h.broken.between(env, next); err != nil {
			return nil, err
		}
	}
	if h.broken.env != nil {
		env = h.broken.env(env)
	}
	r, err := hop.Receive(env, next, d)
	return &taking{h, r}, err
}

type taking struct {
	*hopping
	*hop.Receiver[view]
}

// Push takes frames.
func (r *taking) Push(ctx context.Context, b shardlake.Batch[hop.Frame]) error {
	for i := range b.Rows {
		frames := b.Rows[i : i+1]
		if r.broken.frame != nil {
			frames = r.broken.frame(&b.Rows[i], b.From(i))
		}
		for k := range frames {
			if err := r.Take(ctx, &frames[k], b.From(i)); err != nil {
				return err
			}
		}
	}
	return nil
}
