package stage

import (
	"context"

	"github.com/shardlake/shardlake"
)

// Filter passes the rows for which keep is true. It works in place.
func Filter[T any](keep func(T) bool) Stage[T, T] {
	return func(env *shardlake.Env, next shardlake.Emit[T]) (shardlake.Emit[T], error) {
		g, err := guarded(env, "filter", keep)
		return &filter[T]{next, g, keep}, err
	}
}

// TryFilter is Filter with an answer for bad rows.
func TryFilter[T any](keep func(T) (bool, error)) Stage[T, T] {
	return try("filter", keep, func(v T, emit func(T)) error {
		ok, err := keep(v)
		if ok && err == nil {
			emit(v)
		}
		return err
	})
}

type filter[T any] struct {
	shardlake.Emit[T] // next; forwards marks
	guard
	keep func(T) bool
}

func (f *filter[T]) Push(ctx context.Context, b shardlake.Batch[T]) error {
	n, err := f.compact(b)
	if err != nil || n == 0 {
		return err
	}
	return f.Emit.Push(ctx, b.Cut(0, n))
}

func (f *filter[T]) compact(b shardlake.Batch[T]) (n int, err error) {
	defer f.catch(b.Origins, b.Records, &err)
	keep, origins := f.keep, b.Origins[:len(b.Rows)]
	f.at = 0
	// Rows before the first that is dropped stay where they are: most filters drop
	// few, and a row that is not moved costs nothing.
	for n < len(b.Rows) {
		f.at = n
		if !keep(b.Rows[n]) {
			break
		}
		n++
	}
	for i := n + 1; i < len(b.Rows); i++ {
		f.at = i
		if keep(b.Rows[i]) {
			b.Rows[n], origins[n] = b.Rows[i], origins[i]
			n++
		}
	}
	return n, nil
}
