package pipeline

import (
	"context"
	"time"

	"github.com/shardlake/shardlake/internal/spread"
)

// Waits between tries of what is tried for as long as the lane lives.
const (
	firstWait = 200 * time.Millisecond
	maxWait   = 30 * time.Second
)

// pause waits before try n, from 1: exponential, and spread, so that lanes and
// workers that were refused together do not come back together. It returns false
// when ctx has ended.
func pause(ctx context.Context, n int, who string) bool {
	wait := maxWait
	if n < 9 {
		wait = min(maxWait, firstWait<<(n-1))
	}
	return sleep(ctx, wait/2+time.Duration(spread.Of(who, n)*float64(wait/2)))
}

// sleep returns false when ctx has ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
