package kinesistest

import (
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"time"
)

// Kind is what a Fault does to a call.
type Kind int

// Kinds that refuse a request, without effect and with an error as the answer.
const (
	// Throttle answers ProvisionedThroughputExceededException.
	Throttle Kind = iota
	// InternalError answers InternalFailure, with status 500.
	InternalError
	// ExpiredIterator answers ExpiredIteratorException.
	ExpiredIterator
	// AccessDenied answers AccessDeniedException.
	AccessDenied
	// ErrorAnswer answers Fault.Code.
	ErrorAnswer
)

// Kinds that strike the connection.
const (
	// CutBefore cuts the connection when the request has been read: no effect, no
	// answer.
	CutBefore Kind = iota + 100
	// LostAnswer cuts the connection after the effect: a put has been stored, and the
	// client cannot know.
	LostAnswer
	// CutBody cuts the connection in the middle of the answer's body, after the
	// effect.
	CutBody
	// SlowAnswer waits for Fault.Delay before it serves the request.
	SlowAnswer
	// SlowBody serves the request and sends the header, then the body in ten parts
	// over Fault.Delay.
	SlowBody
	// Hang does nothing until the client gives up: its context ends or it closes the
	// connection.
	Hang
)

// Kinds that spoil the answer of GetRecords; other operations are not changed.
const (
	// EmptyAnswer returns no records, the same place as NextShardIterator, and the
	// true MillisBehindLatest: legal, and seen in long stretches on AWS.
	EmptyAnswer Kind = iota + 200
	// Overlap begins with up to ten records that precede the iterator's place.
	Overlap
	// OutOfOrder reverses the records of the answer.
	OutOfOrder
	// FalseEnd leaves out NextShardIterator, as at a shard's end, though the shard has
	// not ended: there are no ChildShards. An event of a subscription loses its
	// ContinuationSequenceNumber, after Fault.After others, and is the last.
	FalseEnd
)

// Kinds that strike a subscription when Fault.After events have been sent; other
// operations are not changed. The kinds that refuse a request refuse a subscription
// too, and LostAnswer takes it and cuts the connection, so that the next call for
// the shard is refused for five seconds. CutBody and SlowBody do nothing to it.
const (
	// CutEvents cuts the connection.
	CutEvents Kind = iota + 300
	// Silence sends nothing more until the client gives up, as a half-open connection.
	Silence
	// ErrorEvent sends Fault.Code as an exception, which ends the subscription:
	// "ResourceInUseException", "KMSThrottlingException". Empty means
	// "InternalFailureException".
	ErrorEvent
	// RepeatEvent goes back by up to ten records.
	RepeatEvent
)

// String is the name of the constant.
func (k Kind) String() string {
	switch k {
	case Throttle:
		return "Throttle"
	case InternalError:
		return "InternalError"
	case ExpiredIterator:
		return "ExpiredIterator"
	case AccessDenied:
		return "AccessDenied"
	case ErrorAnswer:
		return "ErrorAnswer"
	case CutBefore:
		return "CutBefore"
	case LostAnswer:
		return "LostAnswer"
	case CutBody:
		return "CutBody"
	case SlowAnswer:
		return "SlowAnswer"
	case SlowBody:
		return "SlowBody"
	case Hang:
		return "Hang"
	case EmptyAnswer:
		return "EmptyAnswer"
	case Overlap:
		return "Overlap"
	case OutOfOrder:
		return "OutOfOrder"
	case FalseEnd:
		return "FalseEnd"
	case CutEvents:
		return "CutEvents"
	case Silence:
		return "Silence"
	case ErrorEvent:
		return "ErrorEvent"
	case RepeatEvent:
		return "RepeatEvent"
	}
	return fmt.Sprintf("Kind(%d)", int(k))
}

// Forever as Fault.Times strikes every call from the Nth on.
const Forever = -1

// Fault says which calls go wrong, and how. A call matches if it has the
// operation, the stream and the shard of the fault; matching calls are counted
// from when the fault was added, and those from Nth on are struck, Times of them.
//
// The SDK retries, and every attempt is a call.
type Fault struct {
	// Op is the operation, as in "GetRecords". Empty matches all.
	Op string
	// Stream is the stream's name. Empty matches all, and calls without a stream.
	Stream string
	// Shard is the shard's id, for operations on a shard: GetRecords (also with an
	// expired iterator), GetShardIterator, SubscribeToShard, PutRecord, PutRecords, SplitShard (the
	// shard to split), MergeShards (ShardToMerge). Empty matches all, and calls
	// without a shard. Puts to a stream with distribution AUTO match no shard.
	//
	// PutRecords matches if any record goes to the shard. Then Throttle,
	// InternalError and ErrorAnswer refuse only that shard's records, in the
	// answer's entries; the other kinds strike the call.
	Shard string
	// Nth is the first matching call that is struck. 0 means 1.
	Nth int
	// Times is how many calls are struck, in sequence. 0 means 1.
	Times int
	// Kind is what happens. It is not looked at if Do is set.
	Kind Kind
	// Delay is the time that SlowAnswer and SlowBody take. 0 means one second. It
	// passes by the timers of package time; see Config.Now.
	Delay time.Duration
	// After is how many events a subscription sends before it is struck. 0 strikes
	// after the frame that opens the stream.
	After int
	// Code, Status and Message make the answer of ErrorAnswer, as in
	// "KMSThrottlingException". Empty means "InternalFailure", 400 (500 for
	// "InternalFailure"), and a text. Code and Message make an ErrorEvent.
	Code    string
	Status  int
	Message string
	// Do, if not nil, is called instead of Kind, before any effect. The request's
	// body can be read. If it returns true it has written the answer, or cut the
	// connection by a panic with http.ErrAbortHandler; else the request is served as
	// if there were no fault.
	Do func(w http.ResponseWriter, r *http.Request) bool
}

// Injection is a Fault in force.
type Injection struct {
	fault Fault
	seen  int // guarded by script.mu
	hits  atomic.Int64
	owner *script
}

// Hits is how many calls have been struck. A test that ends without them has not
// tested what it meant to.
func (i *Injection) Hits() int { return int(i.hits.Load()) }

// Remove ends the fault. It may be called at any time, more than once.
func (i *Injection) Remove() {
	i.owner.mu.Lock()
	defer i.owner.mu.Unlock()
	i.owner.faults = slices.DeleteFunc(i.owner.faults, func(o *Injection) bool { return o == i })
}

// Fault adds a fault to the script. If several are due for one call, the one added
// first strikes, and the call counts for all. A fault that has struck as often as
// it should is dropped.
func (s *Server) Fault(f Fault) *Injection {
	f.Nth = max(1, f.Nth)
	if f.Times == 0 {
		f.Times = 1
	}
	if f.Delay <= 0 {
		f.Delay = time.Second
	}
	i := &Injection{fault: f, owner: &s.script}
	s.script.mu.Lock()
	defer s.script.mu.Unlock()
	s.script.faults = append(s.script.faults, i)
	return i
}

// Calls is how many requests of an operation about a shard have arrived, in all
// streams, struck by faults or not. Empty names mean all. PutRecords counts for
// each shard that it has records for, and once without a shard.
func (s *Server) Calls(op, shard string) int {
	s.script.mu.Lock()
	defer s.script.mu.Unlock()
	return s.script.calls[callKey{op, shard}]
}
