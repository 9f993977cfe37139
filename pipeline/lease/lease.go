// Package lease is the contract of the commit store: one row per lane, written
// under a condition, is the only place where a commit happens. Memory and File
// are the stores for one process; a table shared by a fleet fulfils the same
// contract.
package lease

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/shardlake/shardlake"
)

// ErrLost says that another owner has the lane, or that its row is gone. What
// the loser sealed stays where it is: no row lists it, nobody will publish it,
// and only an owner with a higher fence may sweep it away.
var ErrLost = errors.New("the lane belongs to another owner")

// ErrNoRow is an ErrLost: the lane has no row. It is not made anew by whoever
// finds that out, since its position would be lost.
var ErrNoRow = fmt.Errorf("the lane has no row: %w", ErrLost)

// ErrUncertain says that an earlier write of this row ended in a way that the
// store cannot find out about before the process starts again. Nothing may be
// written for the lane; a restart reads what is there and goes on.
var ErrUncertain = errors.New("the outcome of a write is not known")

// ErrRefused says that repeating the call will not help before somebody changes
// something: a permission that is missing, a table of another kind. The text says
// what to change.
var ErrRefused = errors.New("refused")

// ErrNoSegment is an ErrRefused: a commit, or a new row, has a nil entry in its
// State, and the row has no segment of that name. Nothing was written.
var ErrNoSegment = fmt.Errorf("a segment of the state is not there: %w", ErrRefused)

// Row is what a lane has committed: everything up to Pos is in files that are
// visible or listed in Pending; State is what the stages knew at Pos.
type Row struct {
	Lane    string   `json:"lane"`
	Parents []string `json:"parents,omitempty"`
	// Children are the lanes that go on where this one ended: known once Ended.
	Children []string `json:"children,omitempty"`
	// Range is the lane's part of the hash space, if it has one.
	Range shardlake.HashRange `json:"range,omitzero"`
	// Source is the identity of the stream: positions of a stream that was deleted
	// and made again under its old name mean nothing. It is empty in rows that
	// another program made.
	Source string `json:"source,omitempty"`

	// Owner, Token and Fence say who may write. Token is random per acquisition:
	// a counter alone is not enough, since a row that was lost and made again
	// counts from the start. Fence counts acquisitions and is part of file names.
	Owner string `json:"owner,omitempty"`
	Token string `json:"token,omitempty"`
	Fence uint64 `json:"fence"`
	// Inc is random and drawn when the row is made, or first acquired if another
	// program made it: two lives of one lane never share a file name.
	Inc string `json:"inc"`
	// Beat changes whenever the owner shows that it lives, with each Renew and
	// Commit. Others watch it by their own clocks.
	Beat uint64 `json:"beat,omitempty"`
	// Want is the worker that has asked the owner to hand the lane over.
	Want string `json:"want,omitempty"`
	// Vitals are what the owner last told of itself.
	Vitals Vitals `json:"vitals,omitzero"`

	Number    uint64             `json:"number"`        // of the last commit; 0 before the first
	CommitID  string             `json:"cid,omitempty"` // random per attempt
	Pos       shardlake.Position `json:"pos"`
	Begin     shardlake.Instant  `json:"begin"` // where the lane begins while Pos is the start
	Watermark shardlake.Instant  `json:"watermark"`
	// State is made of segments by name. A segment is written once: a later commit
	// names it again, drops it, or has another one, as a whole, under its name. In
	// the row given to Commit, an entry that is nil stands for the segment that the
	// row has under that name, which then need not be at hand. An empty entry that is
	// not nil is an empty segment. Rows that a store returns have no nil entries.
	State map[string][]byte `json:"state,omitempty"`
	// Known is a time, by the service's clock, up to which nothing that arrived in
	// the shard is unread: when the record at Pos arrived, or when the shard was
	// last seen to hold nothing beyond it. 0 says that it is not known.
	Known shardlake.Instant `json:"known,omitempty"`
	// Pending are the uploads of the last commit, until all are published and
	// Clear has emptied the list.
	Pending []shardlake.Pending `json:"pending,omitempty"`
	// Unread says that Pending is not empty and lies outside of the row, from where
	// List does not fetch it. Get and Acquire do.
	Unread bool `json:"-"`
	// Prev is what the last commit replaced, until Clear: a repair goes back to it.
	// The segments of its State are kept as long.
	Prev *Prev `json:"prev,omitempty"`
	// Ended says that the shard is closed and was read to its end. A row that has
	// ended with Pending left is still work.
	Ended bool `json:"ended,omitempty"`

	// Hold, if not empty, says why the lane must not be read before a person has
	// decided where it goes on.
	Hold string `json:"hold,omitempty"`
	// Repair is the id of the commit whose uploads are being given up, because one
	// of them is lost. From then on nobody publishes its list.
	Repair string `json:"repair,omitempty"`
}

// Prev is what a lane had committed before its last commit.
type Prev struct {
	Pos       shardlake.Position `json:"pos"`
	Watermark shardlake.Instant  `json:"watermark"`
	State     map[string][]byte  `json:"state,omitempty"`
	Known     shardlake.Instant  `json:"known,omitempty"`
}

// Vitals are what the owner of a lane tells the fleet with each heartbeat.
type Vitals struct {
	Behind  time.Duration `json:"behind,omitempty"`  // distance to the tip of the shard; negative if unknown
	Records float64       `json:"records,omitempty"` // a second, since the heartbeat before
	Bytes   float64       `json:"bytes,omitempty"`   // of payload a second
	Busy    float64       `json:"busy,omitempty"`    // share of the time, 0 to 1, that the lane was not waiting for input
}

// Finished tells whether nothing is left to do for the lane, ever: only then may
// its children start.
func (r Row) Finished() bool { return r.Ended && len(r.Pending) == 0 && !r.Unread }

// Store keeps rows. It is safe for concurrent use. An error that is neither
// ErrLost nor ErrUncertain says nothing about the outcome: the write may have
// happened, or happen later. A caller may then repeat the very same call, and
// nothing else, until the answer is nil, ErrLost or ErrUncertain.
//
// A write by an owner never depends on Beat, so that a heartbeat does not refuse
// a commit that is under way, and no write makes a row but Create.
type Store interface {
	// Shared tells whether several processes may use the store at once. If so,
	// owners show that they live with Renew, and a lane is taken from an owner only
	// after its Beat has stood still for the lease time. If not, every owner but
	// the caller is dead.
	Shared() bool
	// Open is called once before all other methods, and again if it failed: it
	// makes what is missing and refuses what it cannot work with, such as a table
	// in use by another program.
	Open(ctx context.Context) error
	// List returns all rows, in no order. They may be a little old. A State of
	// which a part lies outside of the row may be missing, and Prev's likewise; it is
	// never there in part.
	List(ctx context.Context) ([]Row, error)
	// Get returns one row as it is now, in full, or ErrNoRow.
	Get(ctx context.Context, lane string) (Row, error)
	// Create makes a row without an owner, with a fresh Inc, unless the lane has
	// one. The lane's present row is not touched and is no error. ErrNoSegment says
	// that State has a nil entry.
	Create(ctx context.Context, r Row) error
	// Acquire takes the lane for an owner, provided that its Fence and Beat are
	// still those of seen: nobody else has acquired it, and its owner has given no
	// sign since. It returns the row as it is from then on, in full: with a higher
	// Fence, a new Token and no Want. No write of an earlier owner succeeds
	// afterwards. token is drawn by the caller, with NewID, and is new for each
	// acquisition; repeating a call with the same token is one acquisition. owner
	// and token are not empty. ErrLost says that somebody was faster.
	Acquire(ctx context.Context, seen Row, owner, token string) (Row, error)
	// Renew shows that the owner lives, if owner and token are still those of r: it
	// changes Beat, replaces Vitals by r's, and raises Known to r's. It returns the
	// row as it is then, in which Want may have been set; Pending and State may be
	// missing from it. Only shared stores are asked.
	Renew(ctx context.Context, r Row) (Row, error)
	// Ask sets Want, if Owner, Token and Want are still those of seen.
	Ask(ctx context.Context, seen Row, want string) error
	// Commit replaces the row by next if owner and token are still next's and the
	// number is next's less one; Beat, Want and Vitals go on as they are, and Prev
	// becomes what next replaces. Repeated with the same CommitID after it
	// succeeded, it returns nil; else ErrLost, and nothing changes. It is durable
	// when it returns.
	//
	// Entries of next's State that are nil are carried over: the new row has what the
	// one replaced has in its State under that name, and neither the caller nor the
	// store needs the content for that. If the row, still the caller's and at the
	// number before, has no such entry, Commit returns ErrNoSegment, however often it
	// is repeated. Entries that next lacks are gone from State; in Prev they stay
	// until Clear or the next Commit. Commit changes nothing in next and keeps
	// nothing of it.
	Commit(ctx context.Context, next Row) error
	// Clear empties Pending and Prev if owner, token and CommitID are still those
	// of r, and no repair has begun. Clearing again what is clear returns nil.
	Clear(ctx context.Context, r Row) error
	// Mark sets Repair to the CommitID of r, if owner, token and CommitID are still
	// those of r.
	Mark(ctx context.Context, r Row) error
	// Release gives the lane up, if owner and token are still those of r; a lane
	// that belongs to somebody else is no error.
	Release(ctx context.Context, r Row) error
	// Delete removes a row, if it is finished and CommitID and Fence are still those
	// of r; a row that is gone is no error.
	Delete(ctx context.Context, r Row) error
}

// NewID draws 16 hexadecimal digits: a token or a commit id.
func NewID() string {
	var b [8]byte
	rand.Read(b[:]) // never fails: package crypto/rand
	return hex.EncodeToString(b[:])
}
