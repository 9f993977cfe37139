package s3

import (
	"errors"
	"io"
	"sync"

	"github.com/shardlake/shardlake/sink"
)

// errBodyEnded is what a transport gets that reads on after its attempt is over.
var errBodyEnded = errors.New("s3: the attempt that this body belongs to is over")

// lent is a part's body for one attempt. A transport may go on reading for a
// while after it has returned; by then the caller uses the memory for something
// else, or the next attempt has moved the offset.
type lent struct {
	mu   sync.Mutex
	body sink.Body
	err  error // of the body itself
}

// Read reads on, or fails after end.
func (l *lent) Read(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.body == nil {
		return 0, errBodyEnded
	}
	n, err := l.body.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		l.err = err
	}
	return n, err
}

// Seek lets the SDK measure and rewind the body.
func (l *lent) Seek(offset int64, whence int) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.body == nil {
		return 0, errBodyEnded
	}
	n, err := l.body.Seek(offset, whence)
	if err != nil {
		l.err = err
	}
	return n, err
}

// end takes the body back, and returns the error that the body itself gave. No
// Read is under way afterwards.
func (l *lent) end() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.body = nil
	return l.err
}
