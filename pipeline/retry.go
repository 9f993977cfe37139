package pipeline

import (
	"context"
	"hash/fnv"
	"time"
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
	return sleep(ctx, wait/2+time.Duration(spread(who, n)*float64(wait/2)))
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

// spread is a number from 0 to 1 that differs between those who ask, and not from
// run to run: what happens in a simulation can be made to happen again.
func spread(who string, n int) float64 {
	h := fnv.New64a()
	h.Write([]byte(who))
	h.Write([]byte{byte(n), byte(n >> 8), byte(n >> 16)})
	// The low bits of this hash are the good ones.
	x := h.Sum64() * 0x9e3779b97f4a7c15
	return float64(x>>11) / (1 << 53)
}
