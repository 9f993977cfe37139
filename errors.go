package shardlake

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// ErrSkip drops a row. A user function gives one of three answers through its
// error: ErrSkip drops the row, Reject(reason) sends it to the dead letters, any
// other error stops the lane. Each may be wrapped. Stopping is the default
// because it loses nothing.
var ErrSkip = errors.New("skip this row")

// ErrLate is the reason of a dead letter whose window had closed.
var ErrLate = errors.New("late: its window is closed")

// Reject returns an error that makes the row a dead letter.
func Reject(reason error) error {
	if reason == nil {
		reason = errors.New("no reason given")
	}
	return &rejection{reason}
}

// IsReject tells whether err holds what Reject returns.
func IsReject(err error) bool {
	_, ok := errors.AsType[*rejection](err)
	return ok
}

type rejection struct{ reason error }

func (r *rejection) Error() string { return "rejected: " + r.reason.Error() }
func (r *rejection) Unwrap() error { return r.reason }

// DeadLetter is a row that was refused, by user code, a decoder or a file
// format, with the bytes it was made of. It is a member of the same commit as
// the rows around it, so it is in the lake exactly once too.
type DeadLetter struct {
	Source  string    `lake:"source"`  // the stream, as the source names it
	Lane    string    `lake:"lane"`    // the shard
	Seq     string    `lake:"seq"`     // sequence number of the record
	Sub     int32     `lake:"sub"`     // index of the user record inside it
	Key     string    `lake:"key"`     // partition key
	Arrived time.Time `lake:"arrived"` // when the service took the record
	Stage   string    `lake:"stage"`   // who refused it
	Reason  string    `lake:"reason"`  // at most 1,024 bytes
	Data    []byte    `lake:"data"`    // the record's payload as it was read
}

// maxReason bounds what a user's error, which may quote a payload of 10 MiB,
// adds to a dead letter or an error.
const maxReason = 1024

func newDeadLetter(source, lane, stage string, r *Record, reason error) DeadLetter {
	return DeadLetter{
		Source: source, Lane: lane, Stage: stage,
		Seq: r.Pos.Seq, Sub: int32(r.Pos.Sub), Key: strings.ToValidUTF8(r.Key, "\uFFFD"), Arrived: r.Arrived.Time(),
		Reason: shorten(reason.Error()), Data: r.Data,
	}
}

// shorten makes record-derived text safe to log and to store.
func shorten(s string) string {
	long := len(s) > maxReason
	s = strings.ToValidUTF8(s[:min(len(s), maxReason)], "\uFFFD")
	if !long && len(s) <= maxReason {
		return s
	}
	n := min(len(s), maxReason-len("..."))
	for n > 0 && !utf8.RuneStart(s[min(n, len(s)-1)]) {
		n--
	}
	return s[:n] + "..."
}

// Error says where in a pipeline something went wrong, and what to do.
type Error struct {
	Stage  string // the stage's name, or the lane's step: "fetch", "commit", "publish"
	Lane   string
	Pos    Position // of the record at hand, or the last one that was done with
	Err    error
	Remedy string // what to do; may be empty
}

// Error names stage, lane, position and remedy in one line.
func (e *Error) Error() string {
	s := fmt.Sprintf("stage %s, lane %s, position %s: %s", e.Stage, e.Lane, e.Pos, shorten(e.Err.Error()))
	if e.Remedy != "" {
		s += " (" + e.Remedy + ")"
	}
	return strings.ReplaceAll(s, "\n", "; ") // of joined causes
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
