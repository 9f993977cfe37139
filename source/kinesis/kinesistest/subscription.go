package kinesistest

import (
	"sync"
	"time"
)

// Bounds of subscriptions, from the API reference of SubscribeToShard.
const (
	subscriptionLife  = 5 * time.Minute
	subscriptionTaken = 5 * time.Second // until another call takes a subscription over
	subscribeEvery    = time.Second     // one call for each consumer and shard
)

// subscriptions are those of one consumer.
type subscriptions struct {
	mu     sync.Mutex
	shards map[string]*subscription // the last one of each shard
	asked  map[string]time.Time     // the last call for each shard, with Config.Limits
	closed *Error                   // why there can be no more, nil if there can
}

// subscription is one stream of events. end is closed when another one takes it
// over, or the consumer or its stream is removed.
type subscription struct {
	since time.Time
	end   chan struct{}
	why   *Error // set before end is closed
}

// begin makes a subscription to a shard, and ends the one that there was if that is
// old enough. It does not matter whether that one still runs: the service counts
// from the successful call.
func (ss *subscriptions) begin(k *consumer, shard string, now time.Time, limited bool) (*subscription, *Error) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.closed != nil {
		return nil, ss.closed
	}
	old := ss.shards[shard]
	asked, before := ss.asked[shard]
	if limited {
		ss.asked[shard] = now
	}
	switch {
	case old != nil && now.Sub(old.since) < subscriptionTaken:
		return nil, failure(codeInUse, "Another active subscription exists for this consumer: %s and shard: %s", k.arn, shard)
	case limited && before && now.Sub(asked) < subscribeEvery:
		return nil, failure(codeLimitExceeded, "Rate exceeded for consumer %s and shard %s: SubscribeToShard can be called once a second.", k.arn, shard)
	}
	if old != nil {
		old.finish(failure(codeInUse, "Another subscription for consumer %s and shard %s has taken over.", k.arn, shard))
	}
	s := &subscription{since: now, end: make(chan struct{})}
	ss.shards[shard] = s
	return s, nil
}

// finish ends a subscription once; the lock of its subscriptions is held.
func (s *subscription) finish(why *Error) {
	if s.why == nil {
		s.why = why
		close(s.end)
	}
}

// close ends all subscriptions and allows no more.
func (ss *subscriptions) close(why *Error) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if ss.closed != nil {
		return
	}
	ss.closed = why
	for _, s := range ss.shards {
		s.finish(why)
	}
	clear(ss.shards)
	clear(ss.asked)
}

// forget drops what is known of a shard that has expired, whose subscriptions have
// come to its end long ago.
func (ss *subscriptions) forget(shard string) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	delete(ss.shards, shard)
	delete(ss.asked, shard)
}
