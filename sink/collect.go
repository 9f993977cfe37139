package sink

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/shardlake/shardlake"
)

// Collect is a sink for tests: published rows gather in memory, once, even when
// a resumed pipeline publishes them again. Rows pass through JSON, as they would
// through a lease row. The zero value is ready:
//
//	var got sink.Collect[PageMinute]
//	minutes.Into(&got)
type Collect[T any] struct {
	mu   sync.Mutex
	seen map[string]bool
	rows []T
}

// Rows returns what is published so far.
func (c *Collect[T]) Rows() []T { c.mu.Lock(); defer c.mu.Unlock(); return slices.Clone(c.rows) }

// Kind is of this process only: the rows live in this variable.
func (c *Collect[T]) Kind() string { return fmt.Sprintf("collect:%p", c) }

// Open opens a lane.
func (c *Collect[T]) Open(env *shardlake.Env) (Writer[T], error) {
	return &collector[T]{c: c, env: env}, nil
}

// Publish appends the rows of p unless it has.
func (c *Collect[T]) Publish(_ context.Context, p shardlake.Pending) error {
	var a collected[T]
	if err := json.Unmarshal(p.Data, &a); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen[a.ID] {
		return nil
	}
	if c.seen == nil {
		c.seen = map[string]bool{}
	}
	c.seen[a.ID], c.rows = true, append(c.rows, a.Rows...)
	return nil
}

type collected[T any] struct {
	ID   string
	Rows []T
}

type collector[T any] struct {
	c    *Collect[T]
	env  *shardlake.Env
	rows []T
}

func (w *collector[T]) Write(_ context.Context, b shardlake.Batch[T]) error {
	w.rows = append(w.rows, b.Rows...)
	return nil
}

func (w *collector[T]) Seal(context.Context) ([]shardlake.Pending, error) {
	if len(w.rows) == 0 {
		return nil, nil
	}
	data, err := json.Marshal(collected[T]{w.env.Attempt().FileName(w.env.NextFile(), "rows"), w.rows})
	w.rows = nil
	return []shardlake.Pending{{Kind: w.c.Kind(), Data: data}}, err
}

func (w *collector[T]) Buffered() int64 { return 0 }
func (w *collector[T]) Close() error    { return nil }

// Discard is a sink that drops every row. Its lane commits positions all the
// same. It is for measuring what comes before a sink.
type Discard[T any] struct{}

// Kind of a sink that has nothing to publish.
func (Discard[T]) Kind() string { return "discard" }

// Publish has nothing to do.
func (Discard[T]) Publish(context.Context, shardlake.Pending) error { return nil }

// Open opens a lane.
func (Discard[T]) Open(*shardlake.Env) (Writer[T], error) { return discard[T]{}, nil }

type discard[T any] struct{}

func (discard[T]) Write(context.Context, shardlake.Batch[T]) error   { return nil }
func (discard[T]) Seal(context.Context) ([]shardlake.Pending, error) { return nil, nil }
func (discard[T]) Buffered() int64                                   { return 0 }
func (discard[T]) Close() error                                      { return nil }
