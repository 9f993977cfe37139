package stage

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/shardlake/shardlake"
)

// BatchConfig is [Batch] with several calls at once per lane, for a service behind
// a network that takes many rows at a time:
//
//	score := stage.BatchConfig{Size: 64, Async: stage.AsyncConfig{Calls: 4, Timeout: time.Second}}.Stage(client.Score)
//
// Rows are gathered as in Batch, up to Size times Async.Calls of them, and shared
// out to calls; answers leave in order, at the next batch or mark, and all of them
// at a commit. At most three times that many rows are kept in memory.
type BatchConfig struct {
	// Size is how many rows a call gets at most: 1 or more. Size times Async.Calls is
	// at most 1,048,576.
	Size int
	// Async says how calls are made; its zero value has defaults. A call that
	// fails is repeated for all of its rows; a row that it refuses through RowsError is
	// not asked about again. What GiveUp answers is the answer for each of the rows.
	Async AsyncConfig
}

// Stage is Batch with these settings. f is called from several goroutines at once.
// The slice that it gets is its own, and what it answers must not be used again:
// it waits for the answers of the calls before. Mistakes in the settings are
// reported together when the stage is opened.
func (c BatchConfig) Stage[A, B any](f func(ctx context.Context, rows []A) ([]B, error)) Stage[A, B] {
	return func(env *shardlake.Env, next shardlake.Emit[B]) (shardlake.Emit[A], error) {
		g, err := guarded(env, "batch", f)
		if err != nil {
			return nil, err
		}
		if err := c.validate(); err != nil {
			return nil, fmt.Errorf("stage %s: %w", env.Name(g.name), err)
		}
		how := c.Async.withDefaults()
		p := how.policy(env)
		calls := newAsync(g, &rejoin[A, B]{next, g}, how.Calls, func(ctx context.Context, j job[shardlake.Batch[A], share[A, B]]) (share[A, B], error) {
			b := j.fl.in.Rows[j.i]
			s, err := run(ctx, p, j.who(env), func(ctx context.Context) (share[A, B], error) {
				rows, err := f(ctx, slices.Clone(b.Rows)) // another attempt may still write into its own
				refused, err := answersOf(len(b.Rows), len(rows), err)
				return share[A, B]{in: b, rows: rows, refused: refused}, err
			})
			if err = how.giveUp(err); err != nil && isAnswer(err) {
				return share[A, B]{in: b, rows: make([]B, len(b.Rows)), all: err}, nil
			} else if err != nil {
				return s, through(b, err)
			}
			return s, nil
		})
		return &gather[A]{next: &shareOut[A]{calls, c.Size}, size: c.Size * how.Calls}, nil
	}
}

func (c BatchConfig) validate() error {
	err := c.Async.validate()
	if calls := c.Async.withDefaults().Calls; c.Size < 1 || err == nil && c.Size > maxGathered/calls {
		err = errors.Join(fmt.Errorf("BatchConfig: Size is %d for %d calls at once: want 1 or more, and at most %d rows in all", c.Size, calls, maxGathered), err)
	}
	return err
}

// share is the rows of one call with what it answered.
type share[A, B any] struct {
	in      shardlake.Batch[A]
	rows    []B
	refused RowsError
	all     error // the answer for every row; nil for none
}

// shareOut makes one row of the rows of each call, whose origin is the first one's.
type shareOut[A any] struct {
	next shardlake.Emit[shardlake.Batch[A]]
	size int
}

func (s *shareOut[A]) Push(ctx context.Context, b shardlake.Batch[A]) error {
	shares := shardlake.Batch[shardlake.Batch[A]]{Records: b.Records}
	for i := 0; i < len(b.Rows); i += s.size {
		shares.Rows = append(shares.Rows, b.Cut(i, min(i+s.size, len(b.Rows))).Clone())
		shares.Origins = append(shares.Origins, b.Origins[i])
	}
	return s.next.Push(ctx, shares)
}

func (s *shareOut[A]) Mark(ctx context.Context, m shardlake.Mark) error { return s.next.Mark(ctx, m) }

// rejoin makes rows of the answers again.
type rejoin[A, B any] struct {
	next shardlake.Emit[B]
	guard
}

func (s *rejoin[A, B]) Push(ctx context.Context, b shardlake.Batch[share[A, B]]) error {
	for _, c := range b.Rows {
		out, err := sift(ctx, &s.guard, c.in, c.rows, func(i int) error {
			if c.all != nil {
				return c.all
			}
			return c.refused[i]
		})
		if err != nil {
			return err
		}
		if len(out.Rows) == 0 {
			continue
		}
		if err := s.next.Push(ctx, out); err != nil {
			return err
		}
	}
	return nil
}

func (s *rejoin[A, B]) Mark(ctx context.Context, m shardlake.Mark) error { return s.next.Mark(ctx, m) }
