package shardlake

import (
	"context"
	"errors"
	"log/slog"
	"sync"
)

// Env is what one lane lends to the stages and sinks opened in it: a name, a
// place to keep state, goroutines that end with the lane, memory, the identity
// of the commit at hand, and the dead letters. It is valid as long as the lane
// is open. Go, Buffer and Recycle may be called from any goroutine, the other
// methods only from the lane's.
type Env struct {
	l    *lane
	name string // set by In; "" in a program that names nothing
}

// Host is what a runner of lanes (package pipeline or stagetest) gives NewEnv.
type Host struct {
	Source string // the stream, as the source names it
	Lane   string // the shard
	Range  HashRange
	// Scattered says that records of one partition key may lie in several lanes.
	Scattered bool
	State     Kept // of the last commit

	// Peers are the lanes of the stream that are being read, or can be, now: neither
	// those that are done with nor those that wait for their parents. Nil means that
	// this lane is alone.
	Peers func() []string
	// Attempt identifies the commit that is being prepared. Nil means none.
	Attempt func() Attempt
	// Dead takes a dead letter and the record it was made of; nil if the program
	// has no place for them.
	Dead func(context.Context, *Record, DeadLetter) error
	// Late takes those that are rejected with ErrLate; nil sends them to Dead.
	Late func(context.Context, *Record, DeadLetter) error
	// Buffer lends and Recycle takes back memory of BufferSize bytes under the
	// task's budget. Nil means plain allocation.
	Buffer  func() []byte
	Recycle func([]byte)
	// Log takes what an operator should know; nil discards it.
	Log *slog.Logger
}

// BufferSize is the size in bytes of what Env.Buffer lends.
const BufferSize = 64 << 10

type lane struct {
	Host
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	kept   map[string]*keeping
	files  int
	chains map[string][]segment // of Host.State, until a stage claims them
	broken error                // why Host.State cannot be read
}

// NewEnv opens the environment of one lane. Stages never call it.
func NewEnv(ctx context.Context, h Host) *Env {
	if h.Log == nil {
		h.Log = slog.New(slog.DiscardHandler)
	}
	l := &lane{Host: h, kept: map[string]*keeping{}}
	l.chains, l.broken = chains(h.State)
	l.Host.State = nil // it is as large as what the stages make of it
	l.ctx, l.cancel = context.WithCancel(ctx)
	return &Env{l: l}
}

// In returns the environment of a named part of the lane.
func (e *Env) In(name string) *Env {
	if e.name != "" {
		name = e.name + "/" + name
	}
	return &Env{e.l, name}
}

// Source is the stream as its source names it.
func (e *Env) Source() string { return e.l.Source }

// Lane is the shard's id.
func (e *Env) Lane() string { return e.l.Lane }

// Range is the lane's part of the hash space; zero if it has none.
func (e *Env) Range() HashRange { return e.l.Range }

// Scattered tells whether records of one partition key may lie in several lanes at
// once, so that no lane sees all records of a key.
func (e *Env) Scattered() bool { return e.l.Host.Scattered }

// Peers are the lanes of the stream that are being read, or could be, this one
// included, sorted. The answer may be a little old.
func (e *Env) Peers() []string {
	if e.l.Host.Peers == nil {
		return []string{e.l.Lane}
	}
	return e.l.Host.Peers()
}

// Log is the lane's logger. It never is nil.
func (e *Env) Log() *slog.Logger { return e.l.Log }

// Name is the stage's name in errors and metrics: what stage.Named gave, or els.
func (e *Env) Name(els string) string {
	if e.name != "" {
		return e.name
	}
	return els
}

// Attempt identifies the commit that is being prepared. It changes with each
// commit: ask when a file is begun.
func (e *Env) Attempt() Attempt {
	if e.l.Host.Attempt == nil {
		return Attempt{Source: e.l.Source, Lane: e.l.Lane}
	}
	return e.l.Host.Attempt()
}

// NextFile returns a number that no other file of this lane's life gets. Sinks
// put it into file names.
func (e *Env) NextFile() int { e.l.files++; return e.l.files }

// Buffer lends BufferSize bytes under the task's memory budget. It never blocks:
// when the budget is overdrawn the fetchers wait and the largest lane commits.
func (e *Env) Buffer() []byte {
	if e.l.Host.Buffer == nil {
		return make([]byte, BufferSize)
	}
	return e.l.Host.Buffer()
}

// Recycle gives back what Buffer lent.
func (e *Env) Recycle(b []byte) {
	if e.l.Host.Recycle != nil {
		e.l.Host.Recycle(b)
	}
}

// Go runs f until it returns; its context ends with the lane, and Close waits.
func (e *Env) Go(f func(context.Context)) { e.l.wg.Go(func() { f(e.l.ctx) }) }

// Close ends the lane's goroutines and waits for them. Only the host calls it.
func (e *Env) Close() { e.l.cancel(); e.l.wg.Wait() }

// Settle turns the error that a user function gave for r into what the stage
// does next: nil, after a skip or a dead letter, means go on without the row.
func (e *Env) Settle(ctx context.Context, stage string, r *Record, err error) error {
	rej, isReject := errors.AsType[*rejection](err)
	switch {
	case !isReject && errors.Is(err, ErrSkip):
		return nil
	case isReject && e.l.Late != nil && errors.Is(rej.reason, ErrLate):
		return e.l.Late(ctx, r, newDeadLetter(e.l.Source, e.l.Lane, e.Name(stage), r, rej.reason))
	case isReject && e.l.Dead != nil:
		return e.l.Dead(ctx, r, newDeadLetter(e.l.Source, e.l.Lane, e.Name(stage), r, rej.reason))
	case isReject:
		return e.Fail(stage, r.Pos, err, "write p.Dead() to a folder so that refused rows have a place, or answer shardlake.ErrSkip")
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	return e.Fail(stage, r.Pos, err, "mend the cause and start again, nothing is lost; or answer such rows with shardlake.Reject or shardlake.ErrSkip")
}

// Fail returns an *Error for this lane.
func (e *Env) Fail(stage string, p Position, err error, remedy string) error {
	return &Error{Stage: e.Name(stage), Lane: e.Lane(), Pos: p, Err: err, Remedy: remedy}
}
