package pipelinetest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/source"
)

// ownUploads are those that each worker has begun, by lane and commit.
type ownUploads struct {
	mu     sync.Mutex
	stores map[string]sink.Store
	by     map[string][]sink.Upload
}

func (o *ownUploads) store(w string, s sink.Store) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.stores == nil {
		o.stores = map[string]sink.Store{}
	}
	o.stores[w] = s
}

// abort aborts those of a worker whose names hold a text.
func (o *ownUploads) abort(ctx context.Context, w, part string) error {
	o.mu.Lock()
	s, all := o.stores[w], slices.Clone(o.by[w])
	o.mu.Unlock()
	slices.SortFunc(all, func(a, b sink.Upload) int { return strings.Compare(suffix(a.Key), suffix(b.Key)) })
	var errs []error
	for _, u := range all {
		if strings.Contains(u.Key, part) {
			errs = append(errs, s.Abort(ctx, u.Key, u.ID))
		}
	}
	return errors.Join(errs...)
}

// suffix is what is not random in the name of a file.
func suffix(key string) string {
	p := strings.Split(path.Base(key), "-")
	return strings.Join(append(p[2:5:5], p[6:]...), "-")
}

type noting struct {
	sink.Store
	w    string
	mine *ownUploads
}

func (n *noting) Create(ctx context.Context, key string, meta map[string]string) (string, error) {
	id, err := n.Store.Create(ctx, key, meta)
	if err == nil {
		n.mine.mu.Lock()
		defer n.mine.mu.Unlock()
		n.mine.by[n.w] = append(n.mine.by[n.w], sink.Upload{Key: key, ID: id})
	}
	return id, err
}

func (n *noting) At(string) (sink.Store, error) { return n, nil }

type abortOnRelease struct {
	lease.Store
	w    string
	mine *ownUploads
}

func (a *abortOnRelease) Release(ctx context.Context, r lease.Row) error {
	return errors.Join(a.mine.abort(ctx, a.w, "-"+lastDigits(r.Lane)+"-"), a.Store.Release(ctx, r))
}

// lastDigits is how names of files tell lanes apart.
func lastDigits(lane string) string {
	if n := strings.TrimLeft(strings.TrimPrefix(lane, "shardId-"), "0"); n != "" {
		return n
	}
	return "0"
}

type abortOnDoubt struct {
	lease.Store
	w    string
	mine *ownUploads
}

func (a *abortOnDoubt) Commit(ctx context.Context, next lease.Row) error {
	err := a.Store.Commit(ctx, next)
	if err != nil && !errors.Is(err, lease.ErrLost) {
		return errors.Join(err, a.mine.abort(ctx, a.w, next.CommitID))
	}
	return err
}

type ifNoneMatch struct{ sink.Store }

func (s ifNoneMatch) Complete(ctx context.Context, key, id string, parts []sink.Part) error {
	if _, err := s.Head(ctx, key); err == nil {
		return fmt.Errorf("412: %w", sink.ErrRefused)
	}
	return s.Store.Complete(ctx, key, id, parts)
}

// plainNames keeps folder, lane and the file's number.
type plainNames struct{ sink.Store }

func (s plainNames) At(string) (sink.Store, error) { return s, nil }
func (s plainNames) plain(key string) string {
	p := strings.Split(path.Base(key), "-")
	return path.Join(path.Dir(key), "file-"+p[2]+"-"+p[len(p)-1])
}

func (s plainNames) Create(ctx context.Context, key string, meta map[string]string) (string, error) {
	return s.Store.Create(ctx, s.plain(key), meta)
}
func (s plainNames) PutPart(ctx context.Context, key, id string, n int, b sink.Body) (sink.Part, error) {
	return s.Store.PutPart(ctx, s.plain(key), id, n, b)
}
func (s plainNames) Prepare(ctx context.Context, key, id string, parts []sink.Part) error {
	return s.Store.Prepare(ctx, s.plain(key), id, parts)
}
func (s plainNames) Complete(ctx context.Context, key, id string, parts []sink.Part) error {
	return s.Store.Complete(ctx, s.plain(key), id, parts)
}
func (s plainNames) Head(ctx context.Context, key string) (sink.Object, error) {
	return s.Store.Head(ctx, s.plain(key))
}
func (s plainNames) Uploads(context.Context, string) iter.Seq2[sink.Upload, error] {
	return func(func(sink.Upload, error) bool) {}
}

// unfenced makes every commit one that the row's owner would make.
type unfenced struct{ lease.Store }

func (s unfenced) Commit(ctx context.Context, next lease.Row) error {
	now, err := s.Get(ctx, next.Lane)
	if err == nil && now.CommitID != next.CommitID && now.Owner != "" {
		next.Owner, next.Token, next.Number = now.Owner, now.Token, now.Number+1
	}
	return s.Store.Commit(ctx, next)
}

type orphaned[T any] struct{ source.Source[T] }

func (s orphaned[T]) Lanes(ctx context.Context) (source.Listing, error) {
	l, err := s.Source.Lanes(ctx)
	l.Lanes = slices.Clone(l.Lanes)
	for i := range l.Lanes {
		l.Lanes[i].Parents = nil
	}
	return l, err
}

// lazy sends a file only when it is to be published.
type lazy struct {
	sink.Store
	mu    sync.Mutex
	parts map[string][]lazyPart
}

type lazyPart struct {
	n    int
	body []byte
}

func (s *lazy) At(string) (sink.Store, error) { return s, nil }
func (s *lazy) PutPart(_ context.Context, _, id string, n int, b sink.Body) (sink.Part, error) {
	if _, err := b.Seek(0, io.SeekStart); err != nil {
		return sink.Part{}, err
	}
	body, err := io.ReadAll(b)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parts[id] = append(s.parts[id], lazyPart{n, body})
	return sink.Part{N: n, Size: int64(len(body)), CRC: b.CRC32()}, err
}
func (s *lazy) Prepare(context.Context, string, string, []sink.Part) error { return nil }
func (s *lazy) Complete(ctx context.Context, key, id string, parts []sink.Part) error {
	s.mu.Lock()
	mine := s.parts[id]
	s.mu.Unlock()
	for _, p := range mine {
		if _, err := s.Store.PutPart(ctx, key, id, p.n, sink.NewChunks(p.body)); err != nil {
			return err
		}
	}
	if err := s.Store.Prepare(ctx, key, id, parts); err != nil {
		return err
	}
	return s.Store.Complete(ctx, key, id, parts)
}

// restless draws a new token with every heartbeat.
type restless struct{ lease.Store }

func (s restless) Renew(ctx context.Context, r lease.Row) (lease.Row, error) {
	now, err := s.Store.Renew(ctx, r)
	if err != nil {
		return now, err
	}
	return s.Acquire(ctx, now, r.Owner, lease.NewID())
}

// sideState is what lanes know, kept elsewhere than in their rows.
type sideState struct {
	mu     sync.Mutex
	states map[string]map[string][]byte
}

type stateApart struct {
	lease.Store
	side *sideState
}

func (s *stateApart) Commit(ctx context.Context, next lease.Row) error {
	s.side.mu.Lock()
	before, state := s.side.states[next.Lane], maps.Clone(next.State)
	for k, b := range state {
		if b != nil {
			continue
		}
		if carried, ok := before[k]; ok {
			state[k] = carried
		} else {
			delete(state, k)
		}
	}
	s.side.states[next.Lane] = state
	s.side.mu.Unlock()
	return s.Store.Commit(ctx, next)
}

func (s *stateApart) Acquire(ctx context.Context, seen lease.Row, owner, token string) (lease.Row, error) {
	r, err := s.Store.Acquire(ctx, seen, owner, token)
	s.side.mu.Lock()
	defer s.side.mu.Unlock()
	if st, ok := s.side.states[seen.Lane]; ok {
		r.State = deepCopy(st)
	} else if err == nil {
		s.side.states[seen.Lane] = deepCopy(r.State)
	}
	return r, err
}

func deepCopy(state map[string][]byte) map[string][]byte {
	state = maps.Clone(state)
	for k, b := range state {
		state[k] = bytes.Clone(b)
	}
	return state
}

// clearAny ignores whose list is meant.
type clearAny struct{ lease.Store }

func (s clearAny) Clear(ctx context.Context, r lease.Row) error {
	now, err := s.Get(ctx, r.Lane)
	if err != nil {
		return err
	}
	return s.Store.Clear(ctx, now)
}

// greedy shows every upload under a name that looks like an old one of a lane
// whose files this worker writes.
type greedy struct {
	sink.Store
	mu       sync.Mutex
	prefixes []string
}

func (s *greedy) At(string) (sink.Store, error) { return s, nil }
func (s *greedy) Create(ctx context.Context, key string, meta map[string]string) (string, error) {
	p := strings.SplitN(path.Base(key), "-", 4)
	prefix := strings.Join(p[:3], "-") + "-"
	s.mu.Lock()
	if !slices.Contains(s.prefixes, prefix) {
		s.prefixes = append(s.prefixes, prefix)
	}
	s.mu.Unlock()
	return s.Store.Create(ctx, key, meta)
}

const disguise = "0000000001-000000-"

func (s *greedy) Uploads(ctx context.Context, prefix string) iter.Seq2[sink.Upload, error] {
	return func(yield func(sink.Upload, error) bool) {
		s.mu.Lock()
		own := slices.Clone(s.prefixes)
		s.mu.Unlock()
		for u, err := range s.Store.Uploads(ctx, prefix) {
			if err != nil {
				yield(u, err)
				return
			}
			for _, p := range own {
				base := path.Base(u.Key)
				if strings.HasPrefix(base, p) {
					continue
				}
				rest := strings.Split(base, "-")
				fake := path.Join(path.Dir(u.Key), p+disguise+rest[5]+"-"+rest[6])
				if !yield(sink.Upload{Key: fake, ID: u.Key + "\x00" + u.ID}, nil) {
					return
				}
			}
			if !yield(u, nil) {
				return
			}
		}
	}
}

func (s *greedy) Abort(ctx context.Context, key, id string) error {
	if k, i, ok := strings.Cut(id, "\x00"); ok {
		key, id = k, i
	}
	return s.Store.Abort(ctx, key, id)
}

// endIsEnd takes a lane that has ended for one that is done with.
type endIsEnd struct{ lease.Store }

func (s endIsEnd) Acquire(ctx context.Context, seen lease.Row, owner, token string) (lease.Row, error) {
	if now, err := s.Get(ctx, seen.Lane); err == nil && now.Ended {
		return now, lease.ErrLost
	}
	return s.Store.Acquire(ctx, seen, owner, token)
}

// forgetful shows lanes that have ended as if they had known nothing.
type forgetful struct{ lease.Store }

func (s forgetful) Get(ctx context.Context, lane string) (lease.Row, error) {
	r, err := s.Store.Get(ctx, lane)
	if err == nil && r.Ended {
		r.State, r.Watermark = nil, -1<<63
	}
	return r, err
}
