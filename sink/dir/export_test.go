package dir

import (
	"os"
	"time"
)

// SetSync replaces the call of fsync.
func (s *Store) SetSync(f func(*os.File) error) { s.syncFile = f }

// SetLink replaces the call of link.
func (s *Store) SetLink(f func(from, to string) error) { s.link = f }

// SetNow replaces the clock.
func (s *Store) SetNow(f func() time.Time) { s.now = f }
