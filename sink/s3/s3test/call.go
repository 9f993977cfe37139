package s3test

import (
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// Call is one request, as a [Fault] sees it. It is valid until Fault.Func or
// Fault.Match returns; its maps must not be changed.
type Call struct {
	// Op is the operation, such as "UploadPart".
	Op string
	// Bucket, Key and UploadID are empty where the operation has none.
	Bucket, Key, UploadID string
	// Part is the part number of UploadPart, else 0.
	Part int
	// AccessKey is the access key id, empty for unsigned requests.
	AccessKey string
	// Header and Query are as they were received.
	Header http.Header
	Query  url.Values
	// Size is the number of bytes of the body, without aws-chunked framing.
	Size int64

	srv      *Server
	run      operation
	routeErr *Error

	body     []byte
	bodyErr  *Error            // found while reading; answered when applied
	trailers map[string]string // by lower-case name
	reserved atomic.Int64      // bytes of the budget that the call still owns
	held     atomic.Bool       // a Rule owns the call

	once sync.Once
	done *answer

	pieceDelay time.Duration // SlowBody
	cutBody    bool          // CutBody
}

// Apply carries the request out, once, and returns its error answer, if any. A
// Fault.Func calls it to do something after the effect and before the answer.
func (c *Call) Apply() error {
	if err := c.apply().err; err != nil {
		return err
	}
	return nil
}

// apply carries the request out, once, and returns the answer.
func (c *Call) apply() *answer {
	c.once.Do(func() {
		switch {
		case c.bodyErr != nil:
			c.done = failed(c.bodyErr)
		default:
			c.done = c.run(c.srv, c)
		}
	})
	return c.done
}

// finish gives back the memory of a body that was not stored.
func (c *Call) finish() {
	if !c.held.Load() {
		c.drop()
	}
}

func (c *Call) drop() { c.srv.memory.release(c.reserved.Swap(0)) }

// take makes the body's memory the property of what is stored.
func (c *Call) take() { c.reserved.Store(0) }
