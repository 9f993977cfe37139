// Package lease is the contract of the commit store: one row per lane, written
// under a condition, is the only place where a commit happens. Memory and File
// are the stores for one process; a table shared by a fleet fulfils the same
// contract.
package lease

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"maps"
	"slices"

	"github.com/shardlake/shardlake"
)

// ErrLost says that another owner has the lane, or that its row is gone. What
// the loser sealed stays where it is: no row lists it, nobody will publish it,
// and only an owner with a higher fence may sweep it away.
var ErrLost = errors.New("the lane belongs to another owner")

// ErrUncertain says that an earlier write of this row ended in a way that the
// store cannot find out about before the process starts again. Nothing may be
// written for the lane; a restart reads what is there and goes on.
var ErrUncertain = errors.New("the outcome of a write is not known")

// Row is what a lane has committed: everything up to Pos is in files that are
// visible or listed in Pending; State is what the stages knew at Pos.
type Row struct {
	Lane    string   `json:"lane"`
	Parents []string `json:"parents,omitempty"`
	// Source is the identity of the stream: positions of a stream that was deleted
	// and made again under its old name mean nothing.
	Source string `json:"source,omitempty"`

	// Owner, Token and Fence say who may write. Token is random per acquisition:
	// a counter alone is not enough, since a row that was lost and made again
	// counts from the start. Fence counts acquisitions and is part of file names.
	Owner string `json:"owner,omitempty"`
	Token string `json:"token,omitempty"`
	Fence uint64 `json:"fence"`
	// Inc is random and drawn when the row is made: two lives of one lane never
	// share a file name.
	Inc string `json:"inc"`

	Number    uint64             `json:"number"`        // of the last commit; 0 before the first
	CommitID  string             `json:"cid,omitempty"` // random per attempt
	Pos       shardlake.Position `json:"pos"`
	Begin     shardlake.Instant  `json:"begin"` // where the lane begins while Pos is the start
	Watermark shardlake.Instant  `json:"watermark"`
	State     map[string][]byte  `json:"state,omitempty"`
	// Pending are the uploads of the last commit, until all are published and
	// Clear has emptied the list.
	Pending []shardlake.Pending `json:"pending,omitempty"`
	// Ended says that the shard is closed and was read to its end. A row that has
	// ended with Pending left is still work.
	Ended bool `json:"ended,omitempty"`
}

// Finished tells whether nothing is left to do for the lane, ever: only then may
// its children start.
func (r Row) Finished() bool { return r.Ended && len(r.Pending) == 0 }

// Store keeps rows. It is safe for concurrent use. An error that is neither
// ErrLost nor ErrUncertain says nothing about the outcome: the write may have
// happened, or happen later. A caller may then repeat the very same call, and
// nothing else, until the answer is nil, ErrLost or ErrUncertain.
type Store interface {
	// List returns all rows, in no order.
	List(ctx context.Context) ([]Row, error)
	// Create makes a row without an owner, with a fresh Inc, unless the lane has
	// one. The lane's present row is not touched and is no error.
	Create(ctx context.Context, r Row) error
	// Acquire takes the lane for an owner and returns the row as it is from then
	// on: with a higher Fence and a new Token. No write of an earlier owner
	// succeeds afterwards. token is drawn by the caller, with NewID, and is new for
	// each acquisition; repeating a call with the same token is one acquisition.
	// owner and token are not empty. It fails with ErrLost if the lane has no row.
	Acquire(ctx context.Context, lane, owner, token string) (Row, error)
	// Commit replaces the row by next if owner and token are still next's and the
	// number is next's less one. Repeated with the same CommitID after it
	// succeeded, it returns nil; else ErrLost, and nothing changes. It is durable
	// when it returns.
	Commit(ctx context.Context, next Row) error
	// Clear empties Pending if owner, token and CommitID are still those of r.
	// Clearing again what is clear returns nil.
	Clear(ctx context.Context, r Row) error
	// Release gives the lane up, if owner and token are still those of r; a lane
	// that belongs to somebody else is no error.
	Release(ctx context.Context, r Row) error
}

// NewID draws 16 hexadecimal digits: a token or a commit id.
func NewID() string {
	var b [8]byte
	rand.Read(b[:]) // never fails: package crypto/rand
	return hex.EncodeToString(b[:])
}

// The rules of the contract, shared by the stores of this package. Each returns
// the row to be written, and whether there is something to write.

func acquired(r Row, owner, token string) (Row, bool) {
	if r.Owner == owner && r.Token == token {
		return r, false
	}
	r.Owner, r.Token, r.Fence = owner, token, r.Fence+1
	return r, true
}

func committed(r, next Row) (Row, bool, error) {
	// The own commit is looked for first: it stands also when somebody else has
	// acquired the lane since.
	if next.CommitID != "" && r.CommitID == next.CommitID {
		return r, false, nil
	}
	if !owned(r, next) || r.Number+1 != next.Number || r.Inc != next.Inc {
		return r, false, ErrLost
	}
	return clone(next), true, nil
}

func cleared(r, by Row) (Row, bool, error) {
	if !owned(r, by) || r.CommitID != by.CommitID {
		return r, false, ErrLost
	}
	if len(r.Pending) == 0 {
		return r, false, nil
	}
	r.Pending = nil
	return r, true, nil
}

func released(r, by Row) (Row, bool) {
	if !owned(r, by) {
		return r, false
	}
	r.Owner = ""
	return r, true
}

// owned tells whether the acquisition that by stems from is still r's. A lane
// without an owner belongs to nobody, not to whoever shows an empty owner: a row
// that was listed and never acquired.
func owned(r, by Row) bool {
	return r.Owner != "" && r.Owner == by.Owner && r.Token == by.Token
}

// clone copies down to the bytes: a stage may restore its state in place, and a
// later acquisition must not see that.
func clone(r Row) Row {
	r.Parents, r.State, r.Pending = slices.Clone(r.Parents), maps.Clone(r.State), slices.Clone(r.Pending)
	for k, b := range r.State {
		r.State[k] = bytes.Clone(b)
	}
	for i, p := range r.Pending {
		r.Pending[i].Data = slices.Clone(p.Data)
	}
	return r
}
