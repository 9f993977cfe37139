package kinesistest

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Limits of consumers, from the API reference of RegisterStreamConsumer and
// ListStreamConsumers.
const (
	maxConsumers          = 20 // of a stream
	maxConsumersAdvantage = 50 // of a stream with On-demand Advantage
	maxCreating           = 5  // consumers of the account in status CREATING
	defaultConsumer       = 100
	maxListed             = 10_000
)

var consumerName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,128}$`)

// consumer is a registered consumer of a stream. The stream's lock guards what may
// change, but for the subscriptions.
type consumer struct {
	name, arn string
	number    uint32 // in the order of registration
	stream    *stream
	created   time.Time
	pending   string // status until settles
	settles   time.Time
	tags      map[string]string
	policy    string

	subscriptions subscriptions
}

// status is the status by the clock; the stream's lock is held.
func (k *consumer) status(now time.Time) string {
	if k.pending == statusDeleting || now.Before(k.settles) {
		return k.pending
	}
	return statusActive
}

// gone tells whether the removal has come to its end; the stream's lock is held.
func (k *consumer) gone(now time.Time) bool {
	return k.pending == statusDeleting && !now.Before(k.settles)
}

func (k *consumer) notFound() *Error {
	return failure(codeNotFound, "Consumer %s is not found.", k.arn)
}

func (k *consumer) object(now time.Time) object {
	return object{"ConsumerName": k.name, "ConsumerARN": k.arn, "ConsumerStatus": k.status(now), "ConsumerCreationTimestamp": timestamp(k.created.UnixMilli())}
}

// registered lists the consumers that are not gone; the stream's lock is held.
func (st *stream) registered(now time.Time) []*consumer {
	all := make([]*consumer, 0, len(st.consumers))
	for _, k := range st.consumers {
		if !k.gone(now) {
			all = append(all, k)
		}
	}
	return all
}

// consumer finds the consumer of a request, by ARN, or by stream and name.
func (s *Server) consumer(c *call) (*consumer, *Error) {
	r := &c.req
	if r.ConsumerARN == "" && (r.StreamARN == "" || r.ConsumerName == "") {
		return nil, invalidArgument("Either ConsumerARN, or both StreamARN and ConsumerName must be given.")
	}
	var name string
	var err *Error
	if r.ConsumerARN != "" {
		name, err = s.nameOfConsumer(r.ConsumerARN)
	} else {
		name, err = s.nameOf(r)
	}
	if err != nil {
		return nil, err
	}
	st, err := s.lookup(name, c.now)
	if err != nil {
		return nil, err
	}
	if r.ConsumerARN != "" && r.StreamARN != "" && r.StreamARN != st.arn {
		return nil, invalidArgument("ConsumerARN %s is not of the stream %s.", r.ConsumerARN, r.StreamARN)
	}
	st.mu.RLock()
	defer st.mu.RUnlock()
	for _, k := range st.registered(c.now) {
		if r.ConsumerARN != "" && k.arn != r.ConsumerARN || r.ConsumerARN == "" && k.name != r.ConsumerName {
			continue
		}
		if r.ConsumerName != "" && k.name != r.ConsumerName {
			return nil, invalidArgument("ConsumerARN %s is not of the consumer %s.", r.ConsumerARN, r.ConsumerName)
		}
		return k, nil
	}
	asked := r.ConsumerARN
	if asked == "" {
		asked = r.ConsumerName
	}
	return nil, failure(codeNotFound, "Consumer %s of stream %s under account %s is not found.", asked, name, s.config.Account)
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
	if c.req.StreamARN == "" {
		return violation("streamARN", "Member must not be null")
	}
	if !consumerName.MatchString(c.req.ConsumerName) {
		return violation("consumerName", "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+ and have length between 1 and 128")
	}
	if err := checkTags(c.req.Tags); err != nil {
		return err
	}
	st, err := s.stream(c)
	if err != nil {
		return err
	}
	creating := s.consumersCreating(c.now)
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.gone(c.now) {
		return failure(codeNotFound, "Stream %s under account %s not found.", st.name, s.config.Account)
	}
	if status := st.status(c.now); status != statusActive && status != statusUpdating {
		return s.notActive(st, status)
	}
	st.consumers = st.registered(c.now)
	for _, k := range st.consumers {
		if k.name == c.req.ConsumerName {
			return failure(codeInUse, "Consumer under stream %s already exists for account %s: %s is %s.", st.arn, s.config.Account, k.arn, k.status(c.now))
		}
	}
	if allowed := s.consumersAllowed(st); len(st.consumers) >= allowed {
		return failure(codeLimitExceeded, "Consumer limit of %d for stream %s is reached.", allowed, st.name)
	}
	if creating >= maxCreating {
		return failure(codeLimitExceeded, "%d consumers of account %s are CREATING, and there can be no more at a time.", creating, s.config.Account)
	}
	k := &consumer{
		name: c.req.ConsumerName, number: st.nextConsumer, stream: st, created: c.now,
		pending: statusCreating, settles: c.now.Add(cmp.Or(s.config.ConsumerDelay, s.config.StatusDelay)), tags: map[string]string{},
	}
	k.subscriptions.shards, k.subscriptions.asked = map[string]*subscription{}, map[string]time.Time{}
	k.arn = fmt.Sprintf("%s/consumer/%s:%d", st.arn, k.name, c.now.Unix())
	for key, value := range c.req.Tags {
		k.tags[key] = value
	}
	st.nextConsumer++
	st.consumers = append(st.consumers, k)
	o := k.object(c.now)
	o["ConsumerStatus"] = statusCreating // as the service answers, whatever comes next
	return c.answer(object{"Consumer": o})
}

// consumersCreating counts the consumers of all streams that are CREATING.
func (s *Server) consumersCreating(now time.Time) (n int) {
	for _, st := range s.snapshot() {
		st.mu.RLock()
		for _, k := range st.registered(now) {
			if k.status(now) == statusCreating {
				n++
			}
		}
		st.mu.RUnlock()
	}
	return n
}

func (s *Server) deregisterConsumer(c *call) *Error {
	k, err := s.consumer(c)
	if err != nil {
		return err
	}
	k.stream.mu.Lock()
	if k.pending != statusDeleting {
		k.pending, k.settles = statusDeleting, c.now.Add(s.config.ConsumerDelay)
	}
	k.stream.consumers = k.stream.registered(c.now)
	k.stream.mu.Unlock()
	k.subscriptions.close(k.notFound())
	return c.answer(object{})
}

func (s *Server) describeConsumer(c *call) *Error {
	k, err := s.consumer(c)
	if err != nil {
		return err
	}
	k.stream.mu.RLock()
	defer k.stream.mu.RUnlock()
	o := k.object(c.now)
	o["StreamARN"] = k.stream.arn
	return c.answer(object{"ConsumerDescription": o})
}

func (s *Server) listConsumers(c *call) *Error {
	r := &c.req
	if r.StreamARN == "" {
		return violation("streamARN", "Member must not be null")
	}
	limit, err := atMost(r.MaxResults, defaultConsumer, maxListed, "maxResults")
	if err != nil {
		return err
	}
	st, err := s.stream(c)
	if err != nil {
		return err
	}
	if r.NextToken != "" && r.StreamCreationTimestamp != nil {
		return invalidArgument("NextToken cannot be provided together with StreamCreationTimestamp.")
	}
	if err := s.sameCreation(c, st); err != nil {
		return err
	}
	var from uint32 // number of the first consumer of the page
	if r.NextToken != "" {
		t, ok := parseNextToken(r.NextToken, consumersMark)
		if !ok || t.stream != st.id {
			return invalidArgument("Invalid NextToken.")
		}
		if err := t.expired(c.now); err != nil {
			return err
		}
		from = t.after
	}
	st.mu.RLock()
	defer st.mu.RUnlock()
	out, page := object{}, []object{}
	for _, k := range st.registered(c.now) {
		if k.number < from {
			continue
		}
		if len(page) == limit {
			out["NextToken"] = nextToken{mark: consumersMark, stream: st.id, after: k.number, created: c.now.UnixMilli()}.String()
			break
		}
		page = append(page, k.object(c.now))
	}
	out["Consumers"] = page
	return c.answer(out)
}

// consumersAllowed is how many consumers the stream may have: with On-demand
// Advantage, which the commitment of the account is, more. Its lock is held.
func (s *Server) consumersAllowed(st *stream) int {
	if st.mode == modeOnDemand && s.committed.Load() {
		return maxConsumersAdvantage
	}
	return maxConsumers
}
