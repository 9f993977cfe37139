package pipeline

import (
	"context"
	"math/rand/v2"
	"time"
)

// Waits between tries of what is tried for as long as the lane lives.
const (
	firstWait = 200 * time.Millisecond
	maxWait   = 30 * time.Second
)

// pause waits before try n, from 1: exponential with jitter, so that a fleet
// that was refused together does not come back together. It returns false when
// ctx has ended.
func pause(ctx context.Context, n int) bool {
	wait := maxWait
	if n < 9 {
		wait = min(maxWait, firstWait<<(n-1))
	}
	t := time.NewTimer(wait/2 + rand.N(wait/2+1))
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
