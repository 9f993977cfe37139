package pipeline

import (
	"context"
	"fmt"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/stage"
)

// Stream is a handle on rows of type T at one point of the pipeline. Use it
// more than once to branch: each user gets its own copy of every batch.
type Stream[T any] struct {
	p *Pipeline
	n *node[T]
}

// node holds constructors, not instances: opening the root once per lane makes
// a private, statically typed tree.
type node[T any] struct {
	name string
	outs []func(*opening) (shardlake.Emit[T], error)
}

// opening is one lane while its tree is being made.
type opening struct {
	env     *shardlake.Env
	writers []sealer
}

// sealer is the untyped half of a sink.Writer.
type sealer interface {
	Seal(ctx context.Context) ([]shardlake.Pending, error)
	Buffered() int64
	Close() error
}

// Via is the stream behind st. B follows from the stage.
func (s Stream[A]) Via[B any](st stage.Stage[A, B]) Stream[B] {
	if s.p == nil {
		return Stream[B]{}
	}
	out := Stream[B]{s.p, &node[B]{name: "the stream behind a stage of " + s.n.name}}
	if !s.p.building("Via") {
		return out
	}
	if st == nil {
		s.p.mistake("%s: Via(nil): want a stage", s.n.name)
		return out
	}
	s.n.outs = append(s.n.outs, func(o *opening) (shardlake.Emit[A], error) {
		next, err := out.n.open(o)
		if err != nil {
			return nil, err
		}
		return st(o.env, next)
	})
	return out
}

// Into ends the stream in any sink of its rows.
func (s Stream[T]) Into(k sink.Sink[T]) {
	if s.p == nil {
		return
	}
	if !s.p.building("Into") {
		return
	}
	if k == nil {
		s.p.mistake("%s: Into(nil): want a sink", s.n.name)
		return
	}
	s.p.addSink(k)
	s.n.outs = append(s.n.outs, func(o *opening) (shardlake.Emit[T], error) {
		w, err := k.Open(o.env)
		if err != nil {
			return nil, err
		}
		o.writers = append(o.writers, w)
		return leaf[T]{w}, nil
	})
}

// Write ends the stream in files of a format in a folder. The format is passed
// as a constructor, avro.Format or parquet.Config{...}.Format, without T.
func (s Stream[T]) Write(to sink.Folder, format func() (sink.Format[T], error)) {
	if s.p == nil || !s.p.building("Write") {
		return
	}
	k, err := sink.Files(to, format)
	if err != nil {
		s.p.mistake("%s, written to %q: %w", s.n.name, to.Prefix, err)
		s.n.outs = append(s.n.outs, func(*opening) (shardlake.Emit[T], error) { return nil, errMistaken })
		return
	}
	s.Into(k)
}

// open makes the tree behind n. It does no I/O.
func (n *node[T]) open(o *opening) (shardlake.Emit[T], error) {
	if len(n.outs) == 0 {
		return nil, fmt.Errorf("%s goes nowhere: end it with Write or Into", n.name)
	}
	t := make(tee[T], 0, len(n.outs))
	for _, open := range n.outs {
		e, err := open(o)
		if err != nil {
			return nil, err
		}
		t = append(t, e)
	}
	if len(t) == 1 {
		return t[0], nil // one consumer is a direct call
	}
	return t, nil
}

// tee gives every consumer but the last a batch of its own: each may edit what
// it gets.
type tee[T any] []shardlake.Emit[T]

func (t tee[T]) Push(ctx context.Context, b shardlake.Batch[T]) error {
	for _, e := range t[:len(t)-1] {
		if err := e.Push(ctx, b.Clone()); err != nil {
			return err
		}
	}
	return t[len(t)-1].Push(ctx, b)
}

func (t tee[T]) Mark(ctx context.Context, m shardlake.Mark) error {
	for _, e := range t {
		if err := e.Mark(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// leaf is a writer as an Emit.
type leaf[T any] struct{ w sink.Writer[T] }

func (l leaf[T]) Push(ctx context.Context, b shardlake.Batch[T]) error { return l.w.Write(ctx, b) }

// Mark goes to writers that want it. The lane seals writers itself.
func (l leaf[T]) Mark(ctx context.Context, m shardlake.Mark) error {
	if w, ok := l.w.(sink.Marked); ok {
		return w.Mark(ctx, m)
	}
	return nil
}
