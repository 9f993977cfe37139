package pipelinetest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"

	"github.com/shardlake/shardlake/pipeline/lease"
)

// simTable is one worker's view of the lease table.
type simTable struct{ p *process }

var _ lease.Store = simTable{}

// Shared is true: workers must show each other that they live.
func (s simTable) Shared() bool { return true }

// Open has nothing to do.
func (s simTable) Open(ctx context.Context) error {
	return tell(ctx, s.p, call{op: "open", read: true}, func() error { return nil })
}

// List returns all rows, by lane.
func (s simTable) List(ctx context.Context) ([]lease.Row, error) {
	return ask(ctx, s.p, call{op: "list", read: true}, func() ([]lease.Row, error) {
		rows, err := s.p.table.List(context.Background())
		slices.SortFunc(rows, func(a, b lease.Row) int { return cmp.Compare(a.Lane, b.Lane) })
		return rows, err
	})
}

// Get returns one row.
func (s simTable) Get(ctx context.Context, lane string) (lease.Row, error) {
	return ask(ctx, s.p, call{op: "get", lane: lane, read: true}, func() (lease.Row, error) {
		return s.p.table.Get(context.Background(), lane)
	})
}

// Create makes a row.
func (s simTable) Create(ctx context.Context, r lease.Row) error {
	return tell(ctx, s.p, call{op: "row", lane: r.Lane}, func() error { return s.p.table.Create(context.Background(), r) })
}

// Acquire takes a lane.
func (s simTable) Acquire(ctx context.Context, seen lease.Row, owner, token string) (lease.Row, error) {
	return ask(ctx, s.p, call{op: "acquire", lane: seen.Lane, name: numbers(seen)}, func() (lease.Row, error) {
		r, err := s.p.table.Acquire(context.Background(), seen, owner, token)
		if err == nil {
			s.p.oracle.acquired(r)
		}
		return r, err
	})
}

// Renew shows that the owner lives.
func (s simTable) Renew(ctx context.Context, r lease.Row) (lease.Row, error) {
	return ask(ctx, s.p, call{op: "renew", lane: r.Lane, name: numbers(r)}, func() (lease.Row, error) {
		return s.p.table.Renew(context.Background(), r)
	})
}

// Ask sets Want.
func (s simTable) Ask(ctx context.Context, seen lease.Row, want string) error {
	return tell(ctx, s.p, call{op: "ask", lane: seen.Lane, name: numbers(seen) + " " + want}, func() error {
		return s.p.table.Ask(context.Background(), seen, want)
	})
}

// Commit is the conditional write.
func (s simTable) Commit(ctx context.Context, next lease.Row) error {
	next = copyRow(next)
	return tell(ctx, s.p, call{op: "commit", lane: next.Lane, name: numbers(next)}, func() error {
		err := s.p.table.Commit(context.Background(), next)
		switch {
		case err == nil:
			s.p.oracle.committed(next)
		case errors.Is(err, lease.ErrLost) && !s.p.faulty():
			s.p.violate("commit %d of %s is refused although nothing has gone wrong", next.Number, short(next.Lane))
		}
		return err
	})
}

// Clear empties Pending.
func (s simTable) Clear(ctx context.Context, r lease.Row) error {
	return tell(ctx, s.p, call{op: "clear", lane: r.Lane, name: numbers(r)}, func() error {
		if err := s.p.table.Clear(context.Background(), r); err != nil {
			return err
		}
		now, err := s.p.table.Get(context.Background(), r.Lane)
		if err == nil {
			s.p.oracle.cleared(now)
		}
		return nil
	})
}

// Mark begins a repair.
func (s simTable) Mark(ctx context.Context, r lease.Row) error {
	return tell(ctx, s.p, call{op: "mark", lane: r.Lane, name: numbers(r)}, func() error {
		err := s.p.table.Mark(context.Background(), r)
		if err == nil {
			s.p.oracle.marked(r)
		}
		return err
	})
}

// Release gives a lane up.
func (s simTable) Release(ctx context.Context, r lease.Row) error {
	return tell(ctx, s.p, call{op: "release", lane: r.Lane, name: numbers(r)}, func() error {
		return s.p.table.Release(context.Background(), r)
	})
}

// Delete removes a row.
func (s simTable) Delete(ctx context.Context, r lease.Row) error {
	return tell(ctx, s.p, call{op: "delete", lane: r.Lane, name: numbers(r)}, func() error {
		err := s.p.table.Delete(context.Background(), r)
		if err == nil {
			s.p.oracle.forgotten(r.Lane)
		}
		return err
	})
}

// numbers are what tells two states of a row apart and is not random.
func numbers(r lease.Row) string {
	return "c" + strconv.FormatUint(r.Number, 10) + " f" + strconv.FormatUint(r.Fence, 10)
}

// copyRow keeps a request as it was sent, however late it arrives. Entries of State
// that are nil stay nil: they are carried over from the row as it is then.
func copyRow(r lease.Row) lease.Row {
	r.Pending = slices.Clone(r.Pending)
	for i := range r.Pending {
		r.Pending[i].Data = bytes.Clone(r.Pending[i].Data)
	}
	r.State = maps.Clone(r.State)
	for k, b := range r.State {
		r.State[k] = bytes.Clone(b) // nil of nil
	}
	return r
}
