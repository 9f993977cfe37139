package stage

import (
	"context"

	"github.com/shardlake/shardlake"
)

// gather cuts what is pushed into batches of size rows. Only the last one before a
// mark has fewer.
type gather[T any] struct {
	next shardlake.Emit[T]
	size int
	// What waits. Rows and origins are used again for each batch. Records are not,
	// since whoever gets them may keep them.
	rows    []T
	origins []shardlake.Origin
	records []shardlake.Record
}

func (g *gather[T]) Push(ctx context.Context, b shardlake.Batch[T]) error {
	for i, n := 0, len(b.Rows); i < n; {
		j := min(i+g.size-len(g.rows), n)
		if j-i == g.size { // nothing waits, and it need not be copied
			if err := g.next.Push(ctx, b.Cut(i, j)); err != nil {
				return err
			}
		} else {
			g.add(b, i, j)
		}
		if len(g.rows) == g.size {
			if err := g.flush(ctx); err != nil {
				return err
			}
		}
		i = j
	}
	return nil
}

// add copies rows i to j of b, and of its records those which they are made of.
func (g *gather[T]) add(b shardlake.Batch[T], i, j int) {
	g.rows = append(g.rows, b.Rows[i:j]...)
	last := int32(-1)
	for _, o := range b.Origins[i:j] {
		if o.Record != last { // rows of one record stand together
			last = o.Record
			g.records = append(g.records, b.Records[last])
		}
		o.Record = int32(len(g.records) - 1)
		g.origins = append(g.origins, o)
	}
}

func (g *gather[T]) flush(ctx context.Context) error {
	n := len(g.rows)
	if n == 0 {
		return nil
	}
	b := shardlake.Batch[T]{Rows: g.rows[:n:n], Origins: g.origins[:n:n], Records: g.records}
	g.rows, g.origins, g.records = g.rows[:0], g.origins[:0], nil
	err := g.next.Push(ctx, b)
	clear(b.Rows) // what they point to shall not live until the next ones
	return err
}

func (g *gather[T]) Mark(ctx context.Context, m shardlake.Mark) error {
	if err := g.flush(ctx); err != nil {
		return err
	}
	return g.next.Mark(ctx, m)
}
