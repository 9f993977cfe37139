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
	// eventBytes bounds the payloads of an event, eventRecords their number.
	eventBytes   = 1 << 20
	eventRecords = 1000
	// idleEvent is how often an event comes that has no records.
	idleEvent = 5 * time.Second
)

// pushing is a subscription that is being served.
type pushing struct {
	s        *Server
	c        *call
	w        http.ResponseWriter
	ctx      context.Context
	consumer *consumer
	sub      *subscription
	sh       *shard
	next     uint64 // index of the next record
	events   int    // sent
	frames   *eventstream.Encoder
}

// subscribeToShard checks a request and takes the subscription. The events follow
// when the request's turn to be answered has come.
func (s *Server) subscribeToShard(c *call) *Error {
	r := &c.req
	if r.ConsumerARN == "" || r.StartingPosition == nil {
		return invalidArgument("ConsumerARN and StartingPosition must be given.")
	}
	k, err := s.consumer(c)
	if err != nil {
		return err
	}
	if k.status(c.now) != statusActive {
		return failure(codeInUse, "Consumer %s is not ACTIVE, instead in state %s", k.arn, k.status(c.now))
	}
	k.stream.mu.RLock()
	defer k.stream.mu.RUnlock()
	sh := k.stream.shardNamed(r.ShardId, c.now)
	if sh == nil {
		return s.shardNotFound(k.stream, r.ShardId)
	}
	s.trim(k.stream, sh, c.now)
	r.ShardIteratorType, r.StartingSequenceNumber, r.Timestamp = r.StartingPosition.Type, r.StartingPosition.SequenceNumber, r.StartingPosition.Timestamp
	index, err := s.position(c, k.stream, sh)
	if err != nil {
		return err
	}
	sub, err := k.subscribe(sh.name, c.now)
	if err != nil {
		return err
	}
	c.push = &pushing{s: s, c: c, consumer: k, sub: sub, sh: sh, next: index, frames: eventstream.NewEncoder()}
	return nil
}

// run sends events until the subscription ends.
func (p *pushing) run(w http.ResponseWriter, r *http.Request) {
	p.w, p.ctx = w, r.Context()
	w.Header().Set("Content-Type", "application/vnd.amazon.eventstream")
	w.WriteHeader(http.StatusOK)
	p.send("event", "initial-response", []byte("{}"))
	for p.ctx.Err() == nil && p.s.config.Now().Sub(p.sub.since) < subscriptionLife {
		select {
		case <-p.sub.end:
			p.exception(p.sub.why)
			return
		default:
		}
		if p.fault() {
			return
		}
		wake, sent, ended := p.event()
		if ended {
			return
		}
		if sent > 0 && p.s.config.Limits {
			p.wait(nil, time.Duration(float64(sent)/readBytesPerSecond*float64(time.Second)))
		} else if sent < 0 {
			p.wait(wake, idleEvent)
		}
	}
}

// wait returns when there may be news.
func (p *pushing) wait(wake <-chan struct{}, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-p.ctx.Done():
	case <-p.sub.end:
	case <-wake:
	case <-t.C:
	}
}

// fault does what a fault of the call asks for at this event, and tells whether
// the subscription is over.
func (p *pushing) fault() bool {
	f := p.c.struck
	if f == nil || f.Do != nil || p.events != f.After {
		return false
	}
	switch f.Kind {
	case CutEvents:
		panic(http.ErrAbortHandler)
	case Silence:
		<-p.ctx.Done()
		return true
	case ErrorEvent:
		p.exception(p.s.refusal(&Fault{Kind: ErrorAnswer, Code: f.Code, Message: f.Message}, "", ""))
		return true
	case RepeatEvent:
		p.next -= min(p.next-1, overlapLen)
	}
	return false
}

// event sends one event. sent is what it carried in bytes, -1 for no record; wake
// is closed when a record comes.
func (p *pushing) event() (wake <-chan struct{}, sent int64, ended bool) {
	now := p.s.config.Now()
	st := p.consumer.stream
	st.mu.RLock()
	p.s.trim(st, p.sh, now)
	p.sh.mu.Lock()
	l := &p.sh.log
	from := max(p.next, l.first)
	records, next := l.read(nil, from, eventRecords, eventBytes)
	behind := int64(0)
	if next < l.next {
		behind = max(1, now.UnixMilli()-l.at(next).at)
	}
	ended = p.sh.isClosed && next >= l.next
	wake = p.sh.changed()
	p.sh.mu.Unlock()
	var children []object
	if ended {
		for _, child := range p.sh.children {
			children = append(children, childObject(child))
		}
	}
	st.mu.RUnlock()

	sent = -1
	b := append([]byte(nil), `{"MillisBehindLatest":`...)
	b = strconv.AppendInt(b, behind, 10)
	if ended {
		o, err := json.Marshal(children)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		b = append(append(b, `,"ChildShards":`...), o...)
	} else {
		at := now.UnixMilli()
		b = append(b, `,"ContinuationSequenceNumber":"`...)
		b = append(p.sh.sequence(max(1, next)-1, at).appendTo(b), '"')
	}
	b = append(b, `,"Records":[`...)
	for i := range records {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendRecord(b, p.sh, from+uint64(i), &records[i])
		sent = max(0, sent) + records[i].size()
	}
	p.next = max(next, from)
	p.send("event", "SubscribeToShardEvent", append(b, `]}`...))
	p.events++
	return wake, sent, ended
}

func (p *pushing) exception(e *Error) {
	b, err := json.Marshal(object{"message": e.Message})
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	p.send("exception", e.Code, b)
}

// send writes a frame, and returns when the client has taken it as far as the
// connection holds it back.
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
