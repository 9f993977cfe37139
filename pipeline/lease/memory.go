package lease

import (
	"context"
	"sync"
)

// Memory is a store that ends with the process: for tests, and for bounded runs
// whose input can be read again. The zero value is ready.
type Memory struct {
	mu   sync.Mutex
	rows map[string]Row
}

var _ Store = (*Memory)(nil)

// Shared is false: whoever asks for a lane gets it.
func (m *Memory) Shared() bool { return false }

// Open has nothing to do.
func (m *Memory) Open(context.Context) error { return nil }

// List returns all rows, in full.
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
	r, err := created(r)
	if err != nil {
		return err
	}
	if m.rows == nil {
		m.rows = map[string]Row{}
	}
	m.rows[r.Lane] = r
	return nil
}

// Get returns one row.
func (m *Memory) Get(_ context.Context, lane string) (Row, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.rows[lane]
	if !ok {
		return Row{}, ErrNoRow
	}
	return clone(r), nil
}

// Acquire takes the lane.
func (m *Memory) Acquire(_ context.Context, seen Row, owner, token string) (Row, error) {
	r, err := m.change(seen.Lane, func(r Row) (Row, bool, error) { return acquired(r, seen, owner, token) })
	return clone(r), err
}

// Renew shows that the owner lives. It returns the row in full.
func (m *Memory) Renew(_ context.Context, by Row) (Row, error) {
	r, err := m.change(by.Lane, func(r Row) (Row, bool, error) { return renewed(r, by) })
	return clone(r), err
}

// Ask sets Want.
func (m *Memory) Ask(_ context.Context, seen Row, want string) error {
	_, err := m.change(seen.Lane, func(r Row) (Row, bool, error) { return asked(r, seen, want) })
	return err
}

// Commit is the conditional write. Segments that are carried over are shared with
// the row before, not copied.
func (m *Memory) Commit(_ context.Context, next Row) error {
	_, err := m.change(next.Lane, func(r Row) (Row, bool, error) { return committed(r, next) })
	return err
}

// Clear empties Pending.
func (m *Memory) Clear(_ context.Context, by Row) error {
	_, err := m.change(by.Lane, func(r Row) (Row, bool, error) { return cleared(r, by) })
	return err
}

// Mark begins a repair.
func (m *Memory) Mark(_ context.Context, by Row) error {
	_, err := m.change(by.Lane, func(r Row) (Row, bool, error) { return marked(r, by) })
	return err
}

// Release gives the lane up.
func (m *Memory) Release(_ context.Context, by Row) error {
	_, err := m.change(by.Lane, func(r Row) (Row, bool, error) { return released(r, by) })
	return err
}

// Delete removes a finished row.
func (m *Memory) Delete(_ context.Context, by Row) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.rows[by.Lane]
	if !ok {
		return nil
	}
	if !deletable(r, by) {
		return ErrLost
	}
	delete(m.rows, by.Lane)
	return nil
}

// change reads, compares and writes, and returns the row as it is then. What it
// returns is the store's own, to be read and not to be written into: rows are
// replaced, never changed.
func (m *Memory) change(lane string, f func(Row) (Row, bool, error)) (Row, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.rows[lane]
	if !ok {
		return Row{}, ErrNoRow
	}
	r, write, err := f(r)
	if write {
		m.rows[lane] = r
	}
	return r, err
}
