package kinesis

import "time"

const (
	minPoll   = 200 * time.Millisecond // 5 calls a second, which all readers of a shard share
	shardRate = 2 << 20                // bytes a second that a shard gives all of them
)

// pause is the least time between the begin of a call and that of the next one,
// by what it gave: 5 calls and 2 MiB a second while the shard is behind, and Poll
// apart at the tip.
func (c Config) pause(records int, bytes int64, behind time.Duration) time.Duration {
	wait := minPoll
	if records == 0 && behind <= 0 {
		wait = c.Poll
	}
	return max(wait, time.Duration(float64(bytes)/shardRate*float64(time.Second)))
}
