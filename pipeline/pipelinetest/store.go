package pipelinetest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/shardlake/shardlake/sink"
)

// simStore is one worker's view of the lake.
type simStore struct{ p *process }

var _ sink.Store = simStore{}

// Kind is "simulated".
func (s simStore) Kind() string { return "simulated" }

// Location is the same for all workers of a world.
func (s simStore) Location() string { return "lake" }

// At knows its own location only.
func (s simStore) At(location string) (sink.Store, error) {
	if location != s.Location() {
		return nil, fmt.Errorf("pipelinetest: no lake at %q", location)
	}
	return s, nil
}

// Check has nothing to report.
func (s simStore) Check() error { return nil }

// PartSize differs from one start of a worker to the next.
func (s simStore) PartSize() int { return s.p.sizes.Part }

// Create begins an upload.
func (s simStore) Create(ctx context.Context, key string, meta map[string]string) (string, error) {
	lane, name := plain(key)
	return ask(ctx, s.p, call{op: "create", lane: lane, name: name}, func() (string, error) {
		id, err := s.p.lake.Create(context.Background(), key, meta)
		if err == nil {
			s.p.oracle.created(id, key, meta)
		}
		return id, err
	})
}

// PutPart stores a part. The bytes are taken when the request is sent: the caller
// may use their memory for something else once it has an answer.
func (s simStore) PutPart(ctx context.Context, key, id string, n int, body sink.Body) (sink.Part, error) {
	if _, err := body.Seek(0, io.SeekStart); err != nil {
		return sink.Part{}, err
	}
	b, err := io.ReadAll(body)
	if err != nil {
		return sink.Part{}, err
	}
	lane, name := plain(key)
	return ask(ctx, s.p, call{op: "part", lane: lane, name: name + " " + strconv.Itoa(n)}, func() (sink.Part, error) {
		return s.p.lake.PutPart(context.Background(), key, id, n, sink.NewChunks(b))
	})
}

// Prepare makes parts durable.
func (s simStore) Prepare(ctx context.Context, key, id string, parts []sink.Part) error {
	lane, name := plain(key)
	parts = slices.Clone(parts)
	return tell(ctx, s.p, call{op: "prepare", lane: lane, name: name}, func() error {
		return s.p.lake.Prepare(context.Background(), key, id, parts)
	})
}

// Complete makes an object visible. Repeated, it answers as Amazon S3 does, with
// success, or as other stores do, that the upload is gone.
func (s simStore) Complete(ctx context.Context, key, id string, parts []sink.Part) error {
	lane, name := plain(key)
	parts = slices.Clone(parts)
	return tell(ctx, s.p, call{op: "complete", lane: lane, name: name}, func() error {
		err := s.p.lake.Complete(context.Background(), key, id, parts)
		if err == nil {
			return s.p.oracle.completed(id, key)
		}
		if errors.Is(err, sink.ErrNoUpload) && s.p.oracle.isComplete(id) && s.p.policy.draw(2) == 0 {
			return nil
		}
		return err
	})
}

// Abort removes an upload.
func (s simStore) Abort(ctx context.Context, key, id string) error {
	lane, name := plain(key)
	return tell(ctx, s.p, call{op: "abort", lane: lane, name: name}, func() error {
		s.p.oracle.aborted(id)
		return s.p.lake.Abort(context.Background(), key, id)
	})
}

// Parts lists what is stored of an upload.
func (s simStore) Parts(ctx context.Context, key, id string) ([]sink.Part, error) {
	lane, name := plain(key)
	return ask(ctx, s.p, call{op: "parts", lane: lane, name: name, read: true}, func() ([]sink.Part, error) {
		return s.p.lake.Parts(context.Background(), key, id)
	})
}

// Uploads lists uploads, in an order that does not depend on random names.
func (s simStore) Uploads(ctx context.Context, prefix string) iter.Seq2[sink.Upload, error] {
	return func(yield func(sink.Upload, error) bool) {
		all, err := ask(ctx, s.p, call{op: "uploads", name: prefix, read: true}, func() (all []sink.Upload, err error) {
			for u, err := range s.p.lake.Uploads(context.Background(), prefix) {
				if err != nil {
					return nil, err
				}
				all = append(all, u)
			}
			slices.SortFunc(all, func(a, b sink.Upload) int {
				_, x := plain(a.Key)
				_, y := plain(b.Key)
				return cmp.Or(cmp.Compare(x, y), cmp.Compare(len(a.ID), len(b.ID)), cmp.Compare(a.ID, b.ID))
			})
			return all, nil
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

// Head describes an object.
func (s simStore) Head(ctx context.Context, key string) (sink.Object, error) {
	lane, name := plain(key)
	return ask(ctx, s.p, call{op: "head", lane: lane, name: name, read: true}, func() (sink.Object, error) {
		return s.p.lake.Head(context.Background(), key)
	})
}

// Delete removes an object.
func (s simStore) Delete(ctx context.Context, key string) error {
	lane, name := plain(key)
	return tell(ctx, s.p, call{op: "delete", lane: lane, name: name}, func() error {
		s.p.oracle.deleted(key)
		return s.p.lake.Delete(context.Background(), key)
	})
}

// fileName is what the name of a file tells: see shardlake.Attempt.FileName.
type fileName struct {
	shard                  string
	number, fence, ordinal uint64
}

func parseName(key string) (f fileName, ok bool) {
	base, _, _ := strings.Cut(path.Base(key), ".")
	p := strings.Split(base, "-")
	if len(p) != 7 || p[0] != "sl" {
		return f, false
	}
	var errs [3]error
	f.shard = p[2]
	f.number, errs[0] = strconv.ParseUint(p[3], 10, 64)
	f.fence, errs[1] = strconv.ParseUint(p[4], 10, 64)
	f.ordinal, errs[2] = strconv.ParseUint(p[6], 10, 64)
	return f, errors.Join(errs[:]...) == nil
}

// plain is a key without its random parts, and the lane that it is of. Keys that
// are named in another way stand for themselves.
func plain(key string) (lane, name string) {
	f, ok := parseName(key)
	if !ok {
		return "", key
	}
	var b bytes.Buffer
	b.WriteString(path.Dir(key))
	fmt.Fprintf(&b, "/c%d.f%d.%d", f.number, f.fence, f.ordinal)
	return "shardId-" + strings.Repeat("0", max(0, 12-len(f.shard))) + f.shard, b.String()
}
