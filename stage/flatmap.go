package stage

import (
	"context"

	"github.com/shardlake/shardlake"
)

// FlatMap replaces each row by the rows that f emits for it, in order. emit is
// valid until f returns.
func FlatMap[A, B any](f func(v A, emit func(B))) Stage[A, B] {
	return try("flatmap", f, func(v A, emit func(B)) error { f(v, emit); return nil })
}

// TryFlatMap is FlatMap with an answer for bad rows. What f emitted for a row
// before it returned an error is dropped.
func TryFlatMap[A, B any](f func(v A, emit func(B)) error) Stage[A, B] {
	return try("flatmap", f, f)
}

// try is the stage from which all error-returning verbs are derived. user is the
// function that the stage is labelled by.
func try[A, B any](verb string, user any, f func(A, func(B)) error) Stage[A, B] {
	return func(env *shardlake.Env, next shardlake.Emit[B]) (shardlake.Emit[A], error) {
		g, err := guarded(env, verb, user)
		s := &flatMap[A, B]{Emit: next, guard: g, f: f}
		s.emit = func(v B) { s.rows = append(s.rows, v); s.origins = append(s.origins, s.origin) }
		return s, err
	}
}

// flatRows bounds a batch that is passed on, however much one row grew into.
const flatRows = 1024

type flatMap[A, B any] struct {
	shardlake.Emit[B] // next; forwards marks
	guard
	f       func(A, func(B)) error
	emit    func(B) // made once per lane: no allocation per row
	origin  shardlake.Origin
	rows    []B
	origins []shardlake.Origin
}

func (s *flatMap[A, B]) Push(ctx context.Context, b shardlake.Batch[A]) error {
	for i := 0; i < len(b.Rows); {
		n, err := s.apply(ctx, b, i)
		if err != nil {
			return err
		}
		i = n
		if len(s.rows) == 0 {
			continue
		}
		for i := 0; i < len(s.rows); i += flatRows {
			j := min(i+flatRows, len(s.rows))
			// Who receives a part and appends to it must not write into the next one.
			part := shardlake.Batch[B]{Rows: s.rows[i:j:j], Origins: s.origins[i:j:j], Records: b.Records}
			if err := s.Emit.Push(ctx, part); err != nil {
				return err
			}
		}
		clear(s.rows)
	}
	return nil
}

// apply calls f for rows from i on, until all are done or enough came out, and
// returns the next row.
func (s *flatMap[A, B]) apply(ctx context.Context, b shardlake.Batch[A], i int) (next int, err error) {
	defer s.catch(b.Origins, b.Records, &err)
	s.rows, s.origins = s.rows[:0], s.origins[:0]
	for ; i < len(b.Rows) && len(s.rows) < flatRows; i++ {
		s.at, s.origin = i, b.Origins[i]
		n := len(s.rows)
		if err := s.f(b.Rows[i], s.emit); err != nil {
			s.rows, s.origins = s.rows[:n], s.origins[:n]
			if err := settle(ctx, &s.guard, b, i, err); err != nil {
				return i, err
			}
		}
	}
	return i, nil
}
