package kinesis

import (
	"time"
)

const (
	minPoll   = 200 * time.Millisecond // 5 calls a second, which all readers of a shard share
	shardRate = 2 << 20                // bytes a second that a shard gives all of them
	maxGap    = 2 * time.Second
	gapStep   = 20 * time.Millisecond
)

// pace spaces the calls of one poller so that all readers of a shard together keep
// within its limits. Nobody tells a reader of the others: it learns of them by
// being refused, doubles the gap between its calls then, and shortens it by a
// little with each call that is answered. By that rule readers who share a limit
// come to equal shares of it (additive increase, multiplicative decrease).
type pace struct {
	poll time.Duration // between calls at the tip of a shard
	gap  time.Duration // between calls behind it; 0 stands for minPoll
}

// answered returns the least time between the begin of a call and that of the next
// one, by what it gave. A shard gives 2 MiB a second: after 10 MiB at once it
// refuses calls for 5 seconds.
func (p *pace) answered(records int, bytes int64, behind time.Duration) time.Duration {
	p.gap = max(minPoll, p.gap-gapStep)
	wait := p.gap
	switch {
	case behind > 0 || behind < 0 && records > 0:
		// There is more, or nobody says that there is not.
	case records > 0:
		// At the tip of a shard that is written to: what comes next is not here yet.
		wait = max(wait, p.poll/2)
	default:
		wait = max(wait, p.poll)
	}
	return max(wait, time.Duration(float64(bytes)/shardRate*float64(time.Second)))
}

// refused notes that the shard's limits were met.
func (p *pace) refused() { p.gap = min(maxGap, 2*max(minPoll, p.gap)) }
