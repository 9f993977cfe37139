package stage

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/shardlake/shardlake"
)

// maxGathered bounds what Batch may be asked to gather.
const maxGathered = 1 << 20

// Batch replaces rows by what f(ctx, rows) answers for up to size of them at a
// time: for a model or a service that takes many inputs at once. Results are one
// for each row, in order; times and origins stay. f runs on the lane's goroutine,
// one call at a time per lane, and ctx ends with the lane.
//
// Rows are gathered over the batches that are pushed, and leave at the latest with
// the next mark: a commit never covers a row that is not downstream. A lane sends
// a mark after each answer of its source, so the last call for an answer may get
// fewer rows than size; none gets zero. At most size rows, with the records they
// are made of, are kept from one push to the next. size is 1 to 1,048,576.
//
// The slice that f gets is its own until it returns; what it answers is the
// stage's until the next call in that lane, and may be the same slice.
//
// f refuses single rows through [RowsError]. Any other error, a panic, or a wrong
// number of results stops the lane with an error that names the first record of
// the rows; that goes for shardlake.Reject and shardlake.ErrSkip too, since they
// do not say which row is meant.
func Batch[A, B any](size int, f func(ctx context.Context, rows []A) ([]B, error)) Stage[A, B] {
	return func(env *shardlake.Env, next shardlake.Emit[B]) (shardlake.Emit[A], error) {
		g, err := guarded(env, "batch", f)
		if err != nil {
			return nil, err
		}
		if size < 1 || size > maxGathered {
			return nil, fmt.Errorf("stage %s: %d rows at once: want 1 to %d", env.Name(g.name), size, maxGathered)
		}
		return &gather[A]{next: &together[A, B]{next, g, f}, size: size}, nil
	}
}

// RowsError is the error of a function that refuses some of its rows: for each of
// them, its index in the slice that the function got, and one of the answers that
// TryMap's function gives. The results of these rows are dropped, and there must
// still be one for each row. Nil errors in it say nothing. It may be wrapped, but
// not joined with other errors.
type RowsError map[int]error

// Error names the refused row that comes first, and how many there are.
func (e RowsError) Error() string {
	for _, i := range e.rows() {
		return fmt.Sprintf("%d rows are refused, the first of them row %d: %v", len(e.rows()), i, e[i])
	}
	return "no rows are refused"
}

// rows lists the indexes of refused rows, in order.
func (e RowsError) rows() (rows []int) {
	for i, err := range e {
		if err != nil {
			rows = append(rows, i)
		}
	}
	slices.Sort(rows)
	return rows
}

// rowErrors finds them in what wraps them. errors.As would also find them beside
// an error that says that everything is wrong.
func rowErrors(err error) (RowsError, bool) {
	for ; err != nil; err = errors.Unwrap(err) {
		if rows, ok := err.(RowsError); ok {
			return rows, true
		}
	}
	return nil, false
}

// together calls f for each batch that it gets.
type together[A, B any] struct {
	shardlake.Emit[B] // next; forwards marks
	guard
	f func(context.Context, []A) ([]B, error)
}

func (s *together[A, B]) Push(ctx context.Context, b shardlake.Batch[A]) error {
	out, err := s.call(ctx, b)
	if err != nil {
		return err
	}
	if len(out.Rows) == 0 {
		return nil
	}
	return s.Emit.Push(ctx, out)
}

func (s *together[A, B]) call(ctx context.Context, b shardlake.Batch[A]) (out shardlake.Batch[B], err error) {
	defer s.catch(b.Origins, b.Records, &err) // its row is the first
	n := len(b.Rows)
	rows, err := s.f(ctx, b.Rows[:n:n])
	refused, err := answersOf(n, len(rows), err)
	if err == nil {
		return sift(ctx, &s.guard, b, rows, func(i int) error { return refused[i] })
	}
	if _, ok := errors.AsType[*shardlake.Error](err); ok {
		return out, err
	}
	return out, s.env.Fail(s.name, b.From(0).Pos, through(b, err), "mend the cause and start again, nothing is lost; or answer single rows through stage.RowsError")
}

// answersOf splits the error that a function gave for n rows into what it says
// about single rows and what is wrong with all of them.
func answersOf(n, results int, err error) (RowsError, error) {
	refused, some := rowErrors(err)
	wrong := refused.rows()
	switch {
	case err != nil && !some && isAnswer(err): // and must not pass for the answer about one
		err = mistakeError{fmt.Errorf("%s: of which row? name it through stage.RowsError", err.Error())}
	case err != nil && !some:
	case results != n:
		err = mistakeError{fmt.Errorf("%d results for %d rows: want one for each, in order", results, n)}
	case len(wrong) > 0 && (wrong[0] < 0 || wrong[len(wrong)-1] >= n):
		err = mistakeError{fmt.Errorf("the function refuses rows %v of %d: they count from 0", wrong, n)}
	default:
		err = nil
	}
	return refused, err
}

// through says that err, which is told with the position of the first row of b, is
// that of all of them.
func through[A any](b shardlake.Batch[A], err error) error {
	return fmt.Errorf("%d rows from here to %s: %w", len(b.Rows), b.From(len(b.Rows)-1).Pos, err)
}

// sift settles refused rows of b and returns the results of the others.
func sift[A, B any](ctx context.Context, g *guard, b shardlake.Batch[A], rows []B, refused func(int) error) (out shardlake.Batch[B], err error) {
	kept := 0
	for i := range b.Rows {
		if why := refused(i); why != nil {
			if err := settle(ctx, g, b, i, why); err != nil {
				return out, err
			}
			continue
		}
		rows[kept], b.Origins[kept] = rows[i], b.Origins[i]
		kept++
	}
	return shardlake.Batch[B]{Rows: rows[:kept:kept], Origins: b.Origins[:kept:kept], Records: b.Records}, nil
}
