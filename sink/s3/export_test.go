package s3

import (
	"context"
	"time"
)

// SmallParts is Bucket with parts of 64 KiB, for servers without a minimum.
func SmallParts(c Config) *Store {
	c.PartSize = 64 << 10
	return open(c, 64<<10)
}

// SetSleep replaces the wait between two attempts.
func (s *Store) SetSleep(f func(context.Context, time.Duration) error) { s.sleep = f }
