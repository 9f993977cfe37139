package kinesistest

import "time"

// The throughput of a shard, from the API references of GetRecords and PutRecords.
const (
	readCallsPerSecond    = 5
	readBytesPerSecond    = 2 << 20
	writeRecordsPerSecond = 1000
	writeBytesPerSecond   = 1 << 20
)

// bucket is a token bucket that starts full.
type bucket struct {
	tokens float64
	last   time.Time
}

// refill adds what the time since the last call allows. A clock that steps back
// adds nothing.
func (b *bucket) refill(now time.Time, perSecond float64) {
	if b.last.IsZero() {
		b.tokens = perSecond
	} else if d := now.Sub(b.last); d > 0 {
		b.tokens = min(perSecond, b.tokens+perSecond*d.Seconds())
	}
	b.last = now
}

// shardLimits meters one shard. The shard's lock guards it.
type shardLimits struct {
	readCalls, writeRecords, writeBytes bucket
	readAgain                           time.Time
}

// allowRead admits a GetRecords call, or not, and counts it if so.
func (l *shardLimits) allowRead(now time.Time) bool {
	l.readCalls.refill(now, readCallsPerSecond)
	if l.readCalls.tokens < 1 || now.Before(l.readAgain) {
		return false
	}
	l.readCalls.tokens--
	return true
}

// didRead counts an answer. A quiet second counts as credit for small answers; an
// answer of more than a second's worth blocks the shard for all of its time.
func (l *shardLimits) didRead(now time.Time, bytes int64) {
	t := time.Duration(float64(bytes) / readBytesPerSecond * float64(time.Second))
	if t > time.Second {
		l.readAgain = now.Add(min(t, 5*time.Second))
		return
	}
	from := now.Add(-time.Second)
	if l.readAgain.After(from) {
		from = l.readAgain
	}
	l.readAgain = from.Add(t)
}

// allowWrite admits one record of a size, or not, and counts it if so. A record
// larger than a second's worth passes when the bucket is full, and leaves a debt.
func (l *shardLimits) allowWrite(now time.Time, bytes int64) bool {
	l.writeRecords.refill(now, writeRecordsPerSecond)
	l.writeBytes.refill(now, writeBytesPerSecond)
	n := float64(bytes)
	if l.writeRecords.tokens < 1 || l.writeBytes.tokens < min(n, writeBytesPerSecond) {
		return false
	}
	l.writeRecords.tokens--
	l.writeBytes.tokens -= n
	return true
}
