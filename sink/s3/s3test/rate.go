package s3test

import (
	"math"
	"sync"
	"time"
)

// rate is a token bucket.
type rate struct {
	mu        sync.Mutex
	perSecond float64 // 0: no limit
	burst     float64
	tokens    float64
	last      time.Time // zero: no request yet
}

func (r *rate) set(perSecond float64, burst int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.perSecond = max(0, perSecond)
	r.burst = float64(burst)
	if burst <= 0 {
		r.burst = math.Max(1, r.perSecond)
	}
	r.tokens = r.burst
	r.last = time.Time{}
}

// allow takes one token, if there is one at that time.
func (r *rate) allow(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.perSecond == 0 {
		return true
	}
	// A clock that went back gives nothing and takes nothing.
	if now.After(r.last) {
		if !r.last.IsZero() {
			r.tokens = math.Min(r.burst, r.tokens+now.Sub(r.last).Seconds()*r.perSecond)
		}
		r.last = now
	}
	if r.tokens < 1 {
		return false
	}
	r.tokens--
	return true
}
