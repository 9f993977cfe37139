package kinesistest

import (
	"math"
	"time"
)

// reserve makes room for n bytes of records, or refuses. No lock may be held.
// What is not used in the end is given back by release.
func (s *Server) reserve(now time.Time, n int64) *Error {
	if s.used.Add(n) <= s.config.MaxBytes {
		return nil
	}
	s.dropExpired(now)
	if s.used.Load() <= s.config.MaxBytes {
		return nil
	}
	if s.config.TrimOldest && n <= s.config.MaxBytes {
		s.dropOldest()
		return nil
	}
	s.used.Add(-n)
	return invalidArgument("kinesistest: the server holds %d bytes of records and Config.MaxBytes is %d. "+
		"Raise it, shorten Config.Retention, or set Config.TrimOldest.", s.used.Load(), s.config.MaxBytes)
}

func (s *Server) release(n int64) { s.used.Add(-n) }

// dropExpired applies retention to all shards; elsewhere it is applied to a shard
// when that is used.
func (s *Server) dropExpired(now time.Time) {
	for _, st := range s.snapshot() {
		st.mu.RLock()
		for _, sh := range st.shards {
			s.trim(st, sh, now)
		}
		st.mu.RUnlock()
	}
}

// trim applies retention to a shard. The stream's lock is held, the shard's is
// not.
func (s *Server) trim(st *stream, sh *shard, now time.Time) {
	sh.mu.Lock()
	freed := sh.log.dropBefore(now.Add(-st.retention).UnixMilli())
	sh.mu.Unlock()
	s.release(freed)
}

// dropOldest frees records in the order of arrival until a sixteenth of MaxBytes
// is free, so that the search for them is rare.
func (s *Server) dropOldest() {
	var shards []*shard
	for _, st := range s.snapshot() {
		st.mu.RLock()
		shards = append(shards, st.shards...)
		st.mu.RUnlock()
	}
	target := s.config.MaxBytes - s.config.MaxBytes/16
	for s.used.Load() > target {
		oldest, until, found := oldestOf(shards)
		if !found {
			return
		}
		oldest.mu.Lock()
		l := &oldest.log
		for n := 0; l.first < l.next && (n == 0 || l.at(l.first).at <= until) && s.used.Load() > target; n++ {
			s.release(l.dropFirst())
		}
		oldest.mu.Unlock()
	}
}

// oldestOf finds the shard with the oldest record, and the arrival of the oldest
// record of all others.
func oldestOf(shards []*shard) (oldest *shard, until int64, found bool) {
	const never = math.MaxInt64
	best, second := int64(never), int64(never)
	for _, sh := range shards {
		sh.mu.Lock()
		at, some := int64(never), sh.log.first < sh.log.next
		if some {
			at = sh.log.at(sh.log.first).at
		}
		sh.mu.Unlock()
		switch {
		case some && (at < best || oldest == nil):
			oldest, best, second = sh, at, best
		case at < second:
			second = at
		}
	}
	return oldest, second, oldest != nil
}
