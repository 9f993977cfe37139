package kinesistest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Limits of consumers, from the API reference of RegisterStreamConsumer and
// SubscribeToShard.
const (
	maxConsumers      = 20 // of a stream
	subscriptionLife  = 5 * time.Minute
	subscriptionTaken = 5 * time.Second // until another call takes a subscription over
)

// consumer is a registered consumer of a stream. The stream's lock guards the list
// of a stream's consumers.
type consumer struct {
	name, arn string
	stream    *stream
	created   time.Time
	settles   time.Time // when it becomes ACTIVE

	mu   sync.Mutex
	subs map[string]*subscription // by shard
	gone bool
}

// subscription is one stream of events. end is closed when another one takes it
// over, or the consumer is removed.
type subscription struct {
	since time.Time
	end   chan struct{}
	why   *Error // set before end is closed
}

func (k *consumer) status(now time.Time) string {
	if now.Before(k.settles) {
		return statusCreating
	}
	return statusActive
}

func (k *consumer) object(now time.Time) object {
	return object{"ConsumerName": k.name, "ConsumerARN": k.arn, "ConsumerStatus": k.status(now), "ConsumerCreationTimestamp": timestamp(k.created.UnixMilli())}
}

// subscribe makes a subscription to a shard, and ends the one that there was if it
// is old enough.
func (k *consumer) subscribe(shard string, now time.Time) (*subscription, *Error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.gone {
		return nil, failure(codeNotFound, "Consumer %s is not found.", k.arn)
	}
	if old := k.subs[shard]; old != nil {
		if now.Sub(old.since) < subscriptionTaken {
			return nil, failure(codeInUse, "Another active subscription exists for this consumer: %s and shard: %s", k.arn, shard)
		}
		old.finish(failure(codeInUse, "Another subscription for consumer %s and shard %s has taken over.", k.arn, shard))
	}
	s := &subscription{since: now, end: make(chan struct{})}
	k.subs[shard] = s
	return s, nil
}

// finish ends a subscription once; the consumer's lock is held.
func (s *subscription) finish(why *Error) {
	if s.why == nil {
		s.why = why
		close(s.end)
	}
}

// remove ends all subscriptions.
func (k *consumer) remove() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.gone = true
	for _, s := range k.subs {
		s.finish(failure(codeNotFound, "Consumer %s is not found.", k.arn))
	}
}

// consumer finds the consumer of a request, by ARN, or by stream and name.
func (s *Server) consumer(c *call) (*consumer, *Error) {
	r := &c.req
	if r.ConsumerARN == "" && (r.StreamARN == "" || r.ConsumerName == "") {
		return nil, invalidArgument("Either ConsumerARN, or both StreamARN and ConsumerName must be given.")
	}
	name, err := s.nameOf(r)
	if r.ConsumerARN != "" {
		name, err = s.nameOfConsumer(r.ConsumerARN)
	}
	if err != nil {
		return nil, err
	}
	st, err := s.lookup(name, c.now)
	if err != nil {
		return nil, err
	}
	st.mu.RLock()
	defer st.mu.RUnlock()
	for _, k := range st.consumers {
		if k.arn == r.ConsumerARN || r.ConsumerARN == "" && k.name == r.ConsumerName {
			return k, nil
		}
	}
	return nil, failure(codeNotFound, "Consumer %s%s of stream %s under account %s is not found.", r.ConsumerARN, r.ConsumerName, name, s.config.Account)
}

// nameOfConsumer is the stream's name in a consumer's ARN.
func (s *Server) nameOfConsumer(arn string) (string, *Error) {
	rest, ours := strings.CutPrefix(arn, s.arn(""))
	name, _, ok := strings.Cut(rest, "/consumer/")
	if !ours || !ok {
		return "", failure(codeNotFound, "ConsumerARN %s is not one of this server.", arn)
	}
	return name, nil
}

func (s *Server) registerConsumer(c *call) *Error {
	st, err := s.stream(c)
	if err != nil {
		return err
	}
	if c.req.ConsumerName == "" || len(c.req.ConsumerName) > 128 {
		return violation("consumerName", "Member must have length between 1 and 128")
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if err := s.writable(st, c.now); err != nil {
		return err
	}
	for _, k := range st.consumers {
		if k.name == c.req.ConsumerName {
			return failure(codeInUse, "Consumer under stream %s already exists for account %s.", st.arn, s.config.Account)
		}
	}
	if len(st.consumers) >= maxConsumers {
		return failure(codeLimitExceeded, "Consumer limit of %d for stream %s is reached.", maxConsumers, st.name)
	}
	k := &consumer{name: c.req.ConsumerName, stream: st, created: c.now, settles: c.now.Add(s.config.StatusDelay), subs: map[string]*subscription{}}
	k.arn = fmt.Sprintf("%s/consumer/%s:%d", st.arn, k.name, c.now.Unix())
	st.consumers = append(st.consumers, k)
	o := k.object(c.now)
	o["ConsumerStatus"] = statusCreating // as the service answers, whatever comes next
	return c.answer(object{"Consumer": o})
}

func (s *Server) deregisterConsumer(c *call) *Error {
	k, err := s.consumer(c)
	if err != nil {
		return err
	}
	k.stream.mu.Lock()
	k.stream.consumers = slices.DeleteFunc(k.stream.consumers, func(o *consumer) bool { return o == k })
	k.stream.mu.Unlock()
	k.remove()
	return c.answer(object{})
}

func (s *Server) describeConsumer(c *call) *Error {
	k, err := s.consumer(c)
	if err != nil {
		return err
	}
	o := k.object(c.now)
	o["StreamARN"] = k.stream.arn
	return c.answer(object{"ConsumerDescription": o})
}

func (s *Server) listConsumers(c *call) *Error {
	st, err := s.stream(c)
	if err != nil {
		return err
	}
	limit, err := atMost(c.req.MaxResults, 100, 10_000, "maxResults")
	if err != nil {
		return err
	}
	from := 0
	if c.req.NextToken != "" {
		n, bad := strconv.Atoi(c.req.NextToken)
		if bad != nil || n < 0 {
			return invalidArgument("NextToken %q is not one of ListStreamConsumers.", c.req.NextToken)
		}
		from = n
	}
	st.mu.RLock()
	defer st.mu.RUnlock()
	out, all := object{}, []object{}
	for i := from; i < len(st.consumers); i++ {
		if len(all) == limit {
			out["NextToken"] = strconv.Itoa(i)
			break
		}
		all = append(all, st.consumers[i].object(c.now))
	}
	out["Consumers"] = all
	return c.answer(out)
}
