package sink

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/internal/spread"
)

// upload is one file on its way into a store. The lane writes; one goroutine,
// begun with the first full part, talks to the store. Parts wait for it in a
// queue of one, so a slow store holds up the lane instead of filling memory.
type upload struct {
	env   *shardlake.Env
	store Store
	key   string
	meta  map[string]string
	ctx   context.Context // of the lane

	part    *Chunks // being filled
	n       int     // its number
	head    *Chunks // part 1, held back
	holding bool
	size    int64
	err     error // of a Write that could not wait

	queue chan numbered // nil until the goroutine runs
	done  chan struct{} // closed when it has ended
	res   uploaded      // valid then
}

type numbered struct {
	n    int
	body *Chunks
}

type uploaded struct {
	id    string
	parts []Part
	err   error
}

func newUpload(ctx context.Context, env *shardlake.Env, store Store, key string, meta map[string]string) *upload {
	return &upload{env: env, store: store, key: key, meta: meta, ctx: ctx, part: &Chunks{}, n: 1}
}

// HoldHead keeps part 1 back until the file is closed.
func (u *upload) HoldHead() { u.holding = true }

// PatchHead changes bytes of the part that is held back.
func (u *upload) PatchHead(off int, b []byte) error {
	if !u.holding {
		return errors.New("sink: PatchHead without HoldHead")
	}
	if u.head != nil {
		return u.head.patch(off, b)
	}
	return u.part.patch(off, b)
}

// Write takes bytes of the file and hands on parts that are full.
func (u *upload) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		if u.err != nil {
			return 0, u.err
		}
		room := int64(u.store.PartSize()) - u.part.Size()
		if room == 0 {
			u.err = u.handOn()
			continue
		}
		m := min(int64(len(b)), room)
		u.part.write(b[:m], u.env.Buffer)
		b, u.size = b[m:], u.size+m
	}
	return n, nil
}

// handOn gives the part to the goroutine, or holds it back.
func (u *upload) handOn() error {
	full := numbered{u.n, u.part}
	u.part, u.n = &Chunks{}, u.n+1
	if u.n > maxParts {
		return fmt.Errorf("file %s is larger than %d parts of %d bytes: lower Folder.FileBytes or raise the store's part size", u.key, maxParts, u.store.PartSize())
	}
	if full.n == 1 && u.holding {
		u.head = full.body
		return nil
	}
	return u.send(full)
}

// maxParts is what S3 allows.
const maxParts = 10_000

func (u *upload) send(p numbered) error {
	if u.queue == nil {
		u.queue, u.done = make(chan numbered, 1), make(chan struct{})
		queue := u.queue // the field belongs to the lane
		u.env.Go(func(ctx context.Context) { u.carry(ctx, queue) })
	}
	select {
	case u.queue <- p:
		return nil
	case <-u.done:
		return u.res.err
	case <-u.ctx.Done():
		return context.Cause(u.ctx)
	}
}

// finish hands on what is left. wait then tells how it went.
func (u *upload) finish() error {
	if u.err != nil {
		return u.err
	}
	if u.part.Size() > 0 {
		if err := u.handOn(); err != nil {
			return err
		}
	}
	if u.head != nil {
		head := u.head
		u.head, u.holding = nil, false
		if err := u.send(numbered{1, head}); err != nil {
			return err
		}
	}
	if u.queue == nil {
		return fmt.Errorf("file %s is empty", u.key)
	}
	close(u.queue)
	return nil
}

// wait returns when everything is stored and durable.
func (u *upload) wait(ctx context.Context) (uploaded, error) {
	select {
	case <-u.done:
		return u.res, u.res.err
	case <-ctx.Done():
		return uploaded{}, context.Cause(ctx)
	}
}

// carry talks to the store until the queue is closed or the lane ends.
func (u *upload) carry(ctx context.Context, queue <-chan numbered) {
	defer close(u.done)
	for {
		select {
		case <-ctx.Done():
			u.res.err = context.Cause(ctx)
			return
		case p, ok := <-queue:
			if !ok {
				u.res.err = u.retry(ctx, "prepare", func() error {
					return u.store.Prepare(ctx, u.key, u.res.id, u.res.parts)
				})
				return
			}
			err := u.put(ctx, p)
			p.body.recycle(u.env.Recycle)
			if err != nil {
				u.res.err = err
				return
			}
		}
	}
}

// put stores one part, after making the upload if it is the first.
func (u *upload) put(ctx context.Context, p numbered) error {
	if u.res.id == "" {
		err := u.retry(ctx, "begin", func() (err error) {
			u.res.id, err = u.store.Create(ctx, u.key, u.meta)
			return err
		})
		if err != nil {
			return err
		}
	}
	return u.retry(ctx, "store a part of", func() error {
		part, err := u.store.PutPart(ctx, u.key, u.res.id, p.n, p.body)
		if err == nil {
			u.res.parts = append(u.res.parts, part)
		}
		return err
	})
}

// retry repeats what the store could not do now for as long as the lane lives:
// a store that is away for ten minutes delays the lane and loses nothing. What is
// refused, and an upload that is gone, end the attempt.
func (u *upload) retry(ctx context.Context, what string, f func() error) error {
	wait := 500 * time.Millisecond
	folder, _, _ := strings.Cut(u.key, "/sl-") // without what differs from attempt to attempt
	for try := 1; ; try++ {
		err := f()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || errors.Is(err, ErrRefused) || errors.Is(err, ErrNoUpload) {
			return fmt.Errorf("%s file %s: %w", what, u.key, err)
		}
		u.env.Log().Warn("the store does not take a file; trying again", "step", what, "file", u.key, "error", err)
		t := time.NewTimer(wait/2 + time.Duration(spread.Of(u.env.Lane()+folder, try)*float64(wait)))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return fmt.Errorf("%s file %s: %w", what, u.key, errors.Join(context.Cause(ctx), err))
		}
		wait = min(2*wait, 30*time.Second)
	}
}
