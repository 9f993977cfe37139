package pipeline_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"path"
	"strings"
	"sync"
	"testing"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/sinktest"
)

// jsonl is a format that a test can read back without a reader of ours.
func jsonl[T any]() (sink.Format[T], error) { return lines[T]{}, nil }

type lines[T any] struct{}

func (lines[T]) Ext() string    { return "jsonl" }
func (lines[T]) Check(*T) error { return nil }
func (lines[T]) NewEncoder(w sink.FileWriter, _ sink.FileInfo) (sink.Encoder[T], error) {
	return &lineEncoder[T]{w: bufio.NewWriterSize(w, 64)}, nil
}

type lineEncoder[T any] struct {
	w      *bufio.Writer
	closed bool
}

func (e *lineEncoder[T]) Encode(rows []T) error {
	if e.closed {
		return errors.New("encode after close")
	}
	for i := range rows {
		if err := json.NewEncoder(e.w).Encode(&rows[i]); err != nil {
			return err
		}
	}
	return nil
}
func (e *lineEncoder[T]) Buffered() int64 { return int64(e.w.Buffered()) }
func (e *lineEncoder[T]) Close(sink.FileInfo) error {
	if e.closed {
		return errors.New("closed twice")
	}
	e.closed = true
	return e.w.Flush()
}
func (e *lineEncoder[T]) Abandon() {}

// world is what outlives a process: a lake and the lease rows.
type world struct {
	t      *testing.T
	lake   *sinktest.Memory
	leases *lease.Memory
	check  func(visible map[string][]byte) error // at every instant

	mu      sync.Mutex
	written map[string]bool // ids of commits that are in a row
}

func newWorld(t *testing.T) *world {
	return &world{t: t, lake: &sinktest.Memory{Part: 256}, leases: new(lease.Memory), written: map[string]bool{}}
}

var (
	errDead = fmt.Errorf("the process is dead: %w", sink.ErrRefused)
	errLost = errors.New("the answer was lost")
)

// process is one run's view of the world: it counts effects, dies at one of them
// and loses answers. A dead process has no effects any more, whatever its
// goroutines still try.
type process struct {
	*world
	killAt int  // number of the effect to die at; 0 never
	after  bool // the effect still happens
	lose   int  // one in so many effects happens and is answered by an error; 0 never
	fail   int  // one in so many effects does not happen; 0 never
	seed   uint64
	die    context.CancelFunc

	mu    sync.Mutex
	n     int
	dead  bool
	trace []string
	rng   *rand.Rand
}

// do is one effect. The lake is looked at after each.
func (p *process) do(name string, effect func() error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return errDead
	}
	p.n++
	p.trace = append(p.trace, name)
	if p.n == p.killAt && !p.after {
		p.dead = true
		p.die()
		return errDead
	}
	if p.chance(p.fail) {
		return errors.New("not now")
	}
	err := effect()
	if look := p.look(); look != nil {
		p.t.Errorf("after effect %d (%s): %v\ntrace: %s", p.n, name, look, strings.Join(p.trace, " "))
	}
	if p.n == p.killAt {
		p.dead = true
		p.die()
		return errDead
	}
	if err == nil && p.chance(p.lose) {
		return errLost
	}
	return err
}

// chance is drawn: with a fixed period, a retry of two calls can fall into step
// with it and never succeed.
func (p *process) chance(one int) bool {
	if one == 0 {
		return false
	}
	if p.rng == nil {
		p.rng = rand.New(rand.NewPCG(p.seed, 0))
	}
	return p.rng.IntN(one) == 0
}

// look checks what any reader sees now: only files of commits that are written,
// and whatever the test checks.
func (p *process) look() error {
	visible := p.lake.Objects()
	for key := range visible {
		part := strings.Split(path.Base(key), "-")
		p.world.mu.Lock()
		ok := p.written[part[5]]
		p.world.mu.Unlock()
		if !ok {
			return fmt.Errorf("%s is visible and not committed", key)
		}
	}
	if p.check == nil {
		return nil
	}
	return p.check(visible)
}

func (p *process) store() sink.Store  { return &mortalStore{p.lake, p} }
func (p *process) table() lease.Store { return &mortalLeases{p.leases, p} }
func (p *process) folder(prefix string) sink.Folder {
	return sink.Folder{Store: p.store(), Prefix: prefix, FileBytes: 700}
}

type mortalStore struct {
	sink.Store
	p *process
}

func (s *mortalStore) At(string) (sink.Store, error) { return s, nil }
func (s *mortalStore) Create(ctx context.Context, key string, meta map[string]string) (id string, err error) {
	err = s.p.do("create", func() (err error) { id, err = s.Store.Create(ctx, key, meta); return err })
	return id, err
}
func (s *mortalStore) PutPart(ctx context.Context, key, id string, n int, b sink.Body) (part sink.Part, err error) {
	err = s.p.do("part", func() (err error) { part, err = s.Store.PutPart(ctx, key, id, n, b); return err })
	return part, err
}
func (s *mortalStore) Prepare(ctx context.Context, key, id string, parts []sink.Part) error {
	return s.p.do("prepare", func() error { return s.Store.Prepare(ctx, key, id, parts) })
}
func (s *mortalStore) Complete(ctx context.Context, key, id string, parts []sink.Part) error {
	return s.p.do("complete", func() error { return s.Store.Complete(ctx, key, id, parts) })
}
func (s *mortalStore) Abort(ctx context.Context, key, id string) error {
	return s.p.do("abort", func() error { return s.Store.Abort(ctx, key, id) })
}
func (s *mortalStore) Delete(ctx context.Context, key string) error {
	return s.p.do("delete object", func() error { return s.Store.Delete(ctx, key) })
}
func (s *mortalStore) Head(ctx context.Context, key string) (o sink.Object, err error) {
	err = s.p.do("head", func() (err error) { o, err = s.Store.Head(ctx, key); return err })
	return o, err
}
func (s *mortalStore) Uploads(ctx context.Context, prefix string) iter.Seq2[sink.Upload, error] {
	return func(yield func(sink.Upload, error) bool) {
		var all []sink.Upload
		err := s.p.do("uploads", func() error {
			for u, err := range s.Store.Uploads(ctx, prefix) {
				if err != nil {
					return err
				}
				all = append(all, u)
			}
			return nil
		})
		if err != nil {
			yield(sink.Upload{}, err)
			return
		}
		for _, u := range all {
			if !yield(u, nil) {
				return
			}
		}
	}
}

type mortalLeases struct {
	lease.Store
	p *process
}

func (s *mortalLeases) Acquire(ctx context.Context, seen lease.Row, owner, token string) (r lease.Row, err error) {
	err = s.p.do("acquire", func() (err error) { r, err = s.Store.Acquire(ctx, seen, owner, token); return err })
	return r, err
}
func (s *mortalLeases) Commit(ctx context.Context, next lease.Row) error {
	return s.p.do("commit", func() error {
		err := s.Store.Commit(ctx, next)
		if err == nil {
			s.p.world.mu.Lock()
			s.p.written[next.CommitID] = true
			s.p.world.mu.Unlock()
		}
		return err
	})
}
func (s *mortalLeases) Renew(ctx context.Context, r lease.Row) (now lease.Row, err error) {
	err = s.p.do("renew", func() (err error) { now, err = s.Store.Renew(ctx, r); return err })
	return now, err
}
func (s *mortalLeases) Ask(ctx context.Context, seen lease.Row, want string) error {
	return s.p.do("ask", func() error { return s.Store.Ask(ctx, seen, want) })
}
func (s *mortalLeases) Mark(ctx context.Context, r lease.Row) error {
	return s.p.do("mark", func() error { return s.Store.Mark(ctx, r) })
}
func (s *mortalLeases) Delete(ctx context.Context, r lease.Row) error {
	return s.p.do("delete", func() error { return s.Store.Delete(ctx, r) })
}
func (s *mortalLeases) Clear(ctx context.Context, r lease.Row) error {
	return s.p.do("clear", func() error { return s.Store.Clear(ctx, r) })
}
func (s *mortalLeases) Release(ctx context.Context, r lease.Row) error {
	return s.p.do("release", func() error { return s.Store.Release(ctx, r) })
}

// rows reads visible files: how often each line is there, by first folder.
func rows(visible map[string][]byte) map[string]int {
	out := map[string]int{}
	for key, body := range visible {
		kind, _, _ := strings.Cut(key, "/")
		for l := range bytes.Lines(body) {
			l = bytes.TrimSpace(l)
			if kind == "dead" {
				var d shardlake.DeadLetter
				if err := json.Unmarshal(l, &d); err != nil {
					out["torn "+string(l)]++
				}
				l = []byte(d.Lane + " " + d.Seq + " " + d.Reason)
			}
			out[kind+" "+string(l)]++
		}
	}
	return out
}

// within tells whether got has no row that want lacks, and none more often.
func within(got, want map[string]int) error {
	for row, n := range got {
		if n > want[row] {
			return fmt.Errorf("%d times %s, want %d", n, row, want[row])
		}
	}
	return nil
}

func diff(got, want map[string]int) string {
	var b strings.Builder
	for row := range maps.Keys(want) {
		if got[row] != want[row] {
			fmt.Fprintf(&b, "\n%d instead of %d times %s", got[row], want[row], row)
		}
	}
	return b.String()
}

// publishers can publish what any sink of the crash tests made.
func publishers(p *process) []sink.Publisher { return []sink.Publisher{sink.Publish(p.store())} }
