package pipeline

import (
	"cmp"
	"context"
	"sync"

	"github.com/shardlake/shardlake"
)

// memory is the task's byte budget. Fetchers wait for room; what lanes hold in
// files, buffers and state is counted as it grows and never waits, since a lane
// that waited in the middle of a batch could not commit either. When the budget
// is short, the lane that holds most is asked to commit.
//
// It cannot get stuck: fetched records are given back by lanes that never wait
// for memory, held bytes are given back by commits, and a fetcher is let through
// when nothing at all is in use.
type memory struct {
	limit int64

	mu      sync.Mutex
	used    int64
	state   int64           // of used: what no commit gives back
	waiters []chan struct{} // closed to wake, oldest first
	lanes   map[*share]struct{}
	joined  int
	free    [][]byte // buffers to lend again; counted as unused
	peak    int64
}

// share is what one lane holds.
type share struct {
	m        *memory
	n        int           // in order of joining: ties do not depend on the order of a map
	shed     chan struct{} // capacity 1: a wish that the lane commits
	held     int64         // encoders and states, as last told by set
	state    int64         // of held
	lent     int64         // buffers
	shedding bool
}

// maxFree bounds what is kept for lending again.
const maxFree = 1024

func newMemory(limit int64) *memory { return &memory{limit: limit, lanes: map[*share]struct{}{}} }

func (m *memory) join() *share {
	s := &share{m: m, shed: make(chan struct{}, 1)}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.joined++
	s.n = m.joined
	m.lanes[s] = struct{}{}
	return s
}

// leave gives back everything of the lane.
func (s *share) leave() {
	m := s.m
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state -= s.state
	m.add(-s.held - s.lent)
	s.held, s.lent, s.state = 0, 0, 0
	delete(m.lanes, s)
}

// add changes used and wakes who waits; m.mu is held.
func (m *memory) add(n int64) {
	m.used += n
	m.peak = max(m.peak, m.used)
	if n < 0 {
		m.wake()
	}
}

// wake lets every waiter look again; m.mu is held.
func (m *memory) wake() {
	for _, w := range m.waiters {
		close(w)
	}
	m.waiters = nil
}

// take waits until n bytes fit, or nothing is in use but states, and counts them.
func (m *memory) take(ctx context.Context, n int64) error {
	for {
		m.mu.Lock()
		if m.used+n <= m.limit || m.used == m.state {
			m.add(n)
			m.mu.Unlock()
			return nil
		}
		m.askLargest()
		wake := make(chan struct{})
		m.waiters = append(m.waiters, wake)
		m.mu.Unlock()
		select {
		case <-wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// adjust corrects a taken amount without waiting.
func (m *memory) adjust(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.add(n)
}

// askLargest asks one lane to commit unless one is at it; m.mu is held.
func (m *memory) askLargest() {
	var largest *share
	for s := range m.lanes {
		if s.shedding {
			return
		}
		if s.freed() > 0 && (largest == nil || cmp.Or(cmp.Compare(s.freed(), largest.freed()), cmp.Compare(largest.n, s.n)) > 0) {
			largest = s
		}
	}
	if largest != nil {
		largest.shedding = true
		select {
		case largest.shed <- struct{}{}:
		default:
		}
	}
}

// freed is what a commit gives back.
func (s *share) freed() int64 { return s.held - s.state + s.lent }

// set tells what the lane's encoders and states hold now, and how much of it is
// states. It returns the states of all lanes.
func (s *share) set(held, state int64) int64 {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	n := held - s.held
	s.m.state += state - s.state
	s.held, s.state = held, state
	s.m.add(n)
	if s.m.used > s.m.limit {
		s.m.askLargest()
	}
	return s.m.state
}

// relieved says that the lane has committed. Waiters look again, so that the
// next lane is asked if that was not enough.
func (s *share) relieved() {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.shedding = false
	s.m.wake()
}

// buffer lends shardlake.BufferSize bytes.
func (s *share) buffer() []byte {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.lent += shardlake.BufferSize
	s.m.add(shardlake.BufferSize)
	if n := len(s.m.free); n > 0 {
		b := s.m.free[n-1]
		s.m.free = s.m.free[:n-1]
		return b
	}
	return make([]byte, shardlake.BufferSize)
}

// recycle takes a buffer back.
func (s *share) recycle(b []byte) {
	if cap(b) != shardlake.BufferSize {
		return
	}
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.lent -= shardlake.BufferSize
	s.m.add(-shardlake.BufferSize)
	if len(s.m.free) < maxFree {
		s.m.free = append(s.m.free, b[:shardlake.BufferSize])
	}
}
