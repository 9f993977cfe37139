package kinesistest

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
)

const (
	// eventBytes bounds the payloads of an event, eventRecords their number. A
	// larger record comes alone.
	eventBytes   = 1 << 20
	eventRecords = 1000
	// idleEvent is after how long without one an event comes that has no records.
	idleEvent = 5 * time.Second
)

// pushing is a subscription that is being served. One event is in memory at a time:
// the next one is made when the connection has taken this one, so a slow reader
// holds the server back and costs it nothing.
type pushing struct {
	s        *Server
	c        *call
	w        http.ResponseWriter
	ctx      context.Context
	consumer *consumer
	sub      *subscription
	sh       *shard
	next     uint64 // index of the next record, at least 1
	events   int    // sent
	spoilt   bool   // the fault has struck
	frames   *eventstream.Encoder
}

// batch is what the next event carries.
type batch struct {
	from, next uint64
	records    []record
	bytes      int64
	behind     int64           // milliseconds
	wake       <-chan struct{} // closed when there is more to see
	ended      bool
	children   []object
}

// subscribeToShard checks a request and takes the subscription. The events follow
// when the request's turn to be answered has come.
func (s *Server) subscribeToShard(c *call) *Error {
	r := &c.req
	if r.ConsumerARN == "" {
		return violation("consumerARN", "Member must not be null")
	}
	if r.StartingPosition == nil {
		return violation("startingPosition", "Member must not be null")
	}
	k, err := s.consumer(c)
	if err != nil {
		return err
	}
	st := k.stream
	st.mu.RLock()
	defer st.mu.RUnlock()
	if status := k.status(c.now); status != statusActive {
		return failure(codeInUse, "Consumer %s is not ACTIVE, instead in state %s", k.arn, status)
	}
	if status := st.status(c.now); status != statusActive && status != statusUpdating {
		return s.notActive(st, status)
	}
	sh := st.shardNamed(r.ShardId, c.now)
	if sh == nil {
		return s.shardNotFound(st, r.ShardId)
	}
	s.trim(st, sh, c.now)
	r.ShardIteratorType, r.StartingSequenceNumber, r.Timestamp = r.StartingPosition.Type, r.StartingPosition.SequenceNumber, r.StartingPosition.Timestamp
	index, err := s.position(c, st, sh)
	if err != nil {
		return err
	}
	if r.DryRun {
		return dryRunSucceeded()
	}
	sub, err := k.subscriptions.begin(k, sh.name, c.now, s.config.Limits)
	if err != nil {
		return err
	}
	c.push = &pushing{s: s, c: c, consumer: k, sub: sub, sh: sh, next: max(1, index), frames: eventstream.NewEncoder()}
	return nil
}

// run sends events until the subscription ends: with the shard, after its time, by
// an exception, or with the connection.
func (p *pushing) run(w http.ResponseWriter, r *http.Request) {
	if p.c.spoils(LostAnswer) {
		panic(http.ErrAbortHandler)
	}
	p.w, p.ctx = w, r.Context()
	w.Header().Set("Content-Type", "application/vnd.amazon.eventstream")
	w.WriteHeader(http.StatusOK)
	p.send("event", "initial-response", []byte("{}"))
	for due := true; ; {
		left := subscriptionLife - p.s.config.Now().Sub(p.sub.since)
		if p.ctx.Err() != nil || left <= 0 {
			return
		}
		select {
		case <-p.sub.end:
			p.exception(p.sub.why)
			return
		default:
		}
		if p.fault() {
			return
		}
		b := p.look()
		if len(b.records) == 0 && !b.ended && !due {
			due = p.wait(b.wake, min(left, idleEvent))
			continue
		}
		if last := p.event(&b); last {
			return
		}
		due = false
		if p.s.config.Limits && b.bytes > 0 {
			p.wait(nil, time.Duration(float64(b.bytes)/readBytesPerSecond*float64(time.Second)))
		}
	}
}

// wait returns when there may be news, or when the time is over, and tells which.
func (p *pushing) wait(wake <-chan struct{}, d time.Duration) (over bool) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-p.ctx.Done():
	case <-p.sub.end:
	case <-wake:
	case <-t.C:
		return true
	}
	return false
}

// strikes tells whether the fault of the call, if it is of a kind, is due at this
// event.
func (p *pushing) strikes(k Kind) bool {
	return !p.spoilt && p.c.spoils(k) && p.events >= p.c.struck.After
}

// fault does what a fault of the call asks for before this event, and tells whether
// the subscription is over.
func (p *pushing) fault() (over bool) {
	switch {
	case p.strikes(CutEvents):
		panic(http.ErrAbortHandler)
	case p.strikes(Silence):
		<-p.ctx.Done()
		return true
	case p.strikes(ErrorEvent):
		f := p.c.struck
		code := f.Code
		if code == "" {
			code = codeInternalEvent
		}
		p.exception(p.s.refusal(&Fault{Kind: ErrorAnswer, Code: code, Message: f.Message}, "", ""))
		return true
	case p.strikes(RepeatEvent):
		p.next -= min(p.next-1, overlapLen)
		p.spoilt = true
	}
	return false
}

// look finds out what there is to send.
func (p *pushing) look() (b batch) {
	now := p.s.config.Now()
	st := p.consumer.stream
	st.mu.RLock()
	defer st.mu.RUnlock()
	p.s.trim(st, p.sh, now)
	p.sh.mu.Lock()
	defer p.sh.mu.Unlock()
	l := &p.sh.log
	b.from = max(p.next, l.first)
	b.records, b.next = l.read(nil, b.from, eventRecords, eventBytes)
	if b.next < l.next {
		b.behind = max(1, now.UnixMilli()-l.at(b.next).at)
	}
	for i := range b.records {
		b.bytes += b.records[i].size()
	}
	b.wake = p.sh.changed()
	b.ended = p.sh.isClosed && b.next >= l.next
	if b.ended {
		for _, child := range p.sh.children {
			b.children = append(b.children, childObject(child))
		}
	}
	return b
}

// event sends one event, and tells whether it was the last.
func (p *pushing) event(b *batch) (last bool) {
	falseEnd := p.strikes(FalseEnd)
	j := append([]byte(nil), `{"MillisBehindLatest":`...)
	j = strconv.AppendInt(j, b.behind, 10)
	switch {
	case falseEnd:
	case b.ended:
		children, err := json.Marshal(b.children)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		j = append(append(j, `,"ChildShards":`...), children...)
	default:
		// The index is that of the last record before, so reading goes on after it; the
		// second is now, so the number advances though no record comes.
		at := p.s.config.Now().UnixMilli()
		j = append(j, `,"ContinuationSequenceNumber":"`...)
		j = append(p.sh.sequence(b.next-1, at).appendTo(j), '"')
	}
	j = append(j, `,"Records":[`...)
	for i := range b.records {
		if i > 0 {
			j = append(j, ',')
		}
		j = appendRecord(j, p.sh, b.from+uint64(i), &b.records[i])
	}
	p.next = b.next
	p.send("event", "SubscribeToShardEvent", append(j, `]}`...))
	p.events++
	return b.ended || falseEnd
}

func (p *pushing) exception(e *Error) {
	b, err := json.Marshal(object{"message": e.Message})
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	p.send("exception", e.Code, b)
}

// send writes a frame, and returns when the client has taken it as far as the
// connection holds it back. The headers are those of the event stream encoding of
// the AWS protocols: :message-type, :event-type or :exception-type, :content-type.
func (p *pushing) send(kind, name string, payload []byte) {
	m := eventstream.Message{Payload: payload}
	m.Headers.Set(":message-type", eventstream.StringValue(kind))
	m.Headers.Set(":"+kind+"-type", eventstream.StringValue(name))
	m.Headers.Set(":content-type", eventstream.StringValue(contentType))
	var frame bytes.Buffer
	if err := p.frames.Encode(&frame, m); err != nil {
		panic(http.ErrAbortHandler)
	}
	p.s.send(p.w, frame.Bytes())
}

// changed returns what is closed when the shard has a new record or is closed; the
// shard's lock is held.
func (sh *shard) changed() <-chan struct{} {
	if sh.wake == nil {
		sh.wake = make(chan struct{})
	}
	return sh.wake
}

// tell wakes subscriptions; the shard's lock is held.
func (sh *shard) tell() {
	if sh.wake != nil {
		close(sh.wake)
		sh.wake = nil
	}
}
