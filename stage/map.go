package stage

import (
	"context"

	"github.com/shardlake/shardlake"
)

// Map replaces each row by f(row). Time and origin stay.
func Map[A, B any](f func(A) B) Stage[A, B] {
	return func(env *shardlake.Env, next shardlake.Emit[B]) (shardlake.Emit[A], error) {
		g, err := guarded(env, "map", f)
		return &mapper[A, B]{next, g, f, nil}, err
	}
}

// TryMap is Map with an answer for bad rows.
func TryMap[A, B any](f func(A) (B, error)) Stage[A, B] {
	return try("map", f, func(v A, emit func(B)) error {
		w, err := f(v)
		if err == nil {
			emit(w)
		}
		return err
	})
}

// Inspect shows each row to f and passes it on.
func Inspect[T any](f func(T)) Stage[T, T] {
	return try("inspect", f, func(v T, emit func(T)) error { f(v); emit(v); return nil })
}

type mapper[A, B any] struct {
	shardlake.Emit[B] // next; forwards marks
	guard
	f   func(A) B
	out []B // re-used: nobody keeps rows after Push
}

func (m *mapper[A, B]) Push(ctx context.Context, b shardlake.Batch[A]) error {
	if err := m.apply(b); err != nil {
		return err
	}
	return m.Emit.Push(ctx, shardlake.Batch[B]{Rows: m.out, Origins: b.Origins, Records: b.Records})
}

// Mark comes after a handful of batches: what their rows point to shall not live
// until the next ones.
func (m *mapper[A, B]) Mark(ctx context.Context, k shardlake.Mark) error {
	clear(m.out[:cap(m.out)])
	return m.Emit.Mark(ctx, k)
}

func (m *mapper[A, B]) apply(b shardlake.Batch[A]) (err error) {
	defer m.catch(b.Origins, b.Records, &err)
	if cap(m.out) < len(b.Rows) {
		m.out = make([]B, len(b.Rows))
	}
	f, out := m.f, m.out[:len(b.Rows)]
	for i := range out {
		m.at = i
		out[i] = f(b.Rows[i])
	}
	m.out = out
	return nil
}
