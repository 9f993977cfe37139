package lease

import (
	"context"
	"sync"
)

// Memory is a store that ends with the process: for tests, and for bounded runs
// whose input can be read again. Whoever asks for a lane gets it. The zero value
// is ready.
type Memory struct {
	mu   sync.Mutex
	rows map[string]Row
}

var _ Store = (*Memory)(nil)

// List returns all rows.
func (m *Memory) List(context.Context) ([]Row, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	rows := make([]Row, 0, len(m.rows))
	for _, r := range m.rows {
		rows = append(rows, clone(r))
	}
	return rows, nil
}

// Create makes a row unless there is one.
func (m *Memory) Create(_ context.Context, r Row) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.rows[r.Lane]; ok {
		return nil
	}
	if m.rows == nil {
		m.rows = map[string]Row{}
	}
	r.Owner, r.Token, r.Fence, r.Inc = "", "", 0, NewID()
	m.rows[r.Lane] = clone(r)
	return nil
}

// Acquire takes the lane at once.
func (m *Memory) Acquire(_ context.Context, lane, owner, token string) (Row, error) {
	var got Row
	err := m.change(lane, func(r Row) (Row, bool, error) {
		var write bool
		got, write = acquired(r, owner, token)
		return got, write, nil
	})
	return clone(got), err
}

// Commit is the conditional write.
func (m *Memory) Commit(_ context.Context, next Row) error {
	return m.change(next.Lane, func(r Row) (Row, bool, error) { return committed(r, next) })
}

// Clear empties Pending.
func (m *Memory) Clear(_ context.Context, by Row) error {
	return m.change(by.Lane, func(r Row) (Row, bool, error) { return cleared(r, by) })
}

// Release gives the lane up.
func (m *Memory) Release(_ context.Context, by Row) error {
	return m.change(by.Lane, func(r Row) (Row, bool, error) {
		r, write := released(r, by)
		return r, write, nil
	})
}

func (m *Memory) change(lane string, f func(Row) (Row, bool, error)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.rows[lane]
	if !ok {
		return ErrLost
	}
	r, write, err := f(r)
	if write {
		m.rows[lane] = r
	}
	return err
}
