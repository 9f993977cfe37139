package stage

import (
	"context"
	"fmt"

	"github.com/shardlake/shardlake"
)

// Lookup joins each row with reference data: it replaces the row by join(row,
// value, found), where value is what table holds for key(row), and found tells
// whether it holds anything. join answers bad rows as in TryMap; it may drop those
// without a value by ErrSkip, or make them dead letters by Reject. Time and origin
// stay. Values are shared by all lanes: join must not change what they point to.
//
// All rows of one pushed batch see the same version of the table, and rows behind
// them the same or a later one. A replay after a crash may see another version
// than the attempt before it: rows that were not committed are made anew. Do not
// let a looked-up value decide on what must be the same in every attempt, such as
// the key of a row that is sent into another stream.
//
// The first batch waits until the table is loaded, as does one that finds the table
// older than its MaxAge; otherwise no batch waits. See [TableConfig] for what
// happens when it cannot be loaded. The same table may stand in several stages.
func Lookup[K comparable, V, A, B any](table *Table[K, V], key func(A) K, join func(row A, value V, found bool) (B, error)) Stage[A, B] {
	return func(env *shardlake.Env, next shardlake.Emit[B]) (shardlake.Emit[A], error) {
		g, err := guarded(env, "lookup", join)
		switch {
		case err != nil:
			return nil, err
		case table == nil:
			return nil, fmt.Errorf("stage %s: the table is nil: make one with stage.NewTable", env.Name(g.name))
		case key == nil:
			return nil, fmt.Errorf("stage %s: key must not be nil", env.Name(g.name))
		}
		return &lookup[K, V, A, B]{Emit: next, guard: g, table: table, key: key, join: join}, nil
	}
}

type lookup[K comparable, V, A, B any] struct {
	shardlake.Emit[B] // next; forwards marks
	guard
	table *Table[K, V]
	key   func(A) K
	join  func(A, V, bool) (B, error)
	out   []B // re-used: nobody keeps rows after Push
}

func (l *lookup[K, V, A, B]) Push(ctx context.Context, b shardlake.Batch[A]) error {
	rows, err := l.table.rows(ctx, l.env)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return l.env.Fail(l.name, b.From(0).Pos, err, "mend the source of the table and start again, nothing is lost")
	}
	n, err := l.apply(ctx, b, rows)
	if err != nil || n == 0 {
		return err
	}
	return l.Emit.Push(ctx, shardlake.Batch[B]{Rows: l.out[:n:n], Origins: b.Origins[:n:n], Records: b.Records})
}

// Mark comes after a handful of batches: what their rows point to shall not live
// until the next ones.
func (l *lookup[K, V, A, B]) Mark(ctx context.Context, m shardlake.Mark) error {
	clear(l.out[:cap(l.out)])
	return l.Emit.Mark(ctx, m)
}

func (l *lookup[K, V, A, B]) apply(ctx context.Context, b shardlake.Batch[A], rows map[K]V) (n int, err error) {
	defer l.catch(b.Origins, b.Records, &err)
	if cap(l.out) < len(b.Rows) {
		l.out = make([]B, len(b.Rows))
	}
	l.out = l.out[:len(b.Rows)]
	for i, row := range b.Rows {
		l.at = i
		v, found := rows[l.key(row)]
		w, err := l.join(row, v, found)
		if err != nil {
			if err := settle(ctx, &l.guard, b, i, err); err != nil {
				return n, err
			}
			continue
		}
		l.out[n], b.Origins[n] = w, b.Origins[i]
		n++
	}
	return n, nil
}
