package s3test

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// Fault says what goes wrong for which requests. It is looked at after the
// request was read whole and its credentials were accepted. Fields that are zero
// do not narrow it.
type Fault struct {
	// Op is an operation, such as "UploadPart".
	Op string
	// Bucket is a bucket.
	Bucket string
	// KeyContains is a part of the key.
	KeyContains string
	// Match looks at the request. It is called concurrently.
	Match func(*Call) bool

	// Nth is the first request that is hit, among those that match, from 1. 0: 1.
	Nth int
	// Times is how many requests are hit, from the Nth on. 0: one. Negative: all.
	Times int

	// Kind is what happens.
	Kind Kind
	// Delay is what Slow and SlowBody wait for. 0: their default.
	// It is waited for with a timer of the process, so in a testing/synctest
	// bubble it takes no time.
	Delay time.Duration
	// Func, if set, is what happens instead of Kind. After nil the request is
	// carried out, if c.Apply has not done so, and answered. An *Error is the
	// answer; ErrCut and errors of ctx cut the connection; any other error is
	// answered 500 InternalError. ctx ends when the client gives up.
	Func func(ctx context.Context, c *Call) error
}

// Kind is a fault of the usual kinds.
type Kind uint8

const (
	// Pass serves the request as usual: a rule that only counts.
	Pass Kind = iota
	// SlowDown answers 503 SlowDown without an effect.
	SlowDown
	// InternalError answers 500 InternalError without an effect.
	InternalError
	// ServiceUnavailable answers 503 ServiceUnavailable without an effect.
	ServiceUnavailable
	// RequestTimeout answers 400 RequestTimeout without an effect, as S3 does when
	// a body comes too slowly.
	RequestTimeout
	// AccessDenied answers 403 AccessDenied without an effect.
	AccessDenied
	// ExpiredToken answers 400 ExpiredToken without an effect.
	ExpiredToken
	// NoSuchUpload answers 404 NoSuchUpload without an effect, also while the
	// upload is there.
	NoSuchUpload
	// PreconditionFailed answers 412 PreconditionFailed without an effect.
	PreconditionFailed
	// Conflict answers 409 ConditionalRequestConflict without an effect, but that
	// CompleteMultipartUpload loses its upload: S3 documents that after this
	// answer the upload has to be begun anew.
	Conflict
	// ErrorIn200 answers 200 with an error document, InternalError, in the body and
	// has no effect, as CompleteMultipartUpload of S3 can do.
	ErrorIn200
	// ErrorIn200After is ErrorIn200 although the request took effect.
	ErrorIn200After
	// InternalErrorAfter answers 500 InternalError although the request took effect.
	InternalErrorAfter
	// CutBefore cuts the connection without an effect: the request is lost.
	CutBefore
	// CutAfter cuts the connection after the effect: the answer is lost.
	CutAfter
	// CutBody sends the headers and the first half of the answer's body, if it has
	// one, and cuts the connection.
	CutBody
	// Slow waits for Delay, by default one second, and serves the request. A client
	// that gives up meanwhile prevents the effect.
	Slow
	// SlowBody waits for Delay, by default one second, before each 64 KiB of the
	// answer's body.
	SlowBody
	// Hang answers nothing and has no effect; it waits for the client to give up.
	Hang
	// HangAfter takes effect and then answers nothing until the client gives up.
	HangAfter
	// Late cuts the connection at once; the request takes effect when the test
	// calls Rule.Release, however late that is.
	Late
	// Held lets the client wait; the request takes effect when the test calls
	// Rule.Release, also if the client gave up before, and is answered if it did
	// not.
	Held
)

// String returns the name of the constant.
func (k Kind) String() string {
	names := [...]string{
		"Pass", "SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "AccessDenied", "ExpiredToken",
		"NoSuchUpload", "PreconditionFailed", "Conflict", "ErrorIn200", "ErrorIn200After", "InternalErrorAfter",
		"CutBefore", "CutAfter", "CutBody", "Slow", "SlowBody", "Hang", "HangAfter", "Late", "Held",
	}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("Kind(%d)", k)
}

// defaultDelay is Delay where it is zero.
func defaultDelay(k Kind) time.Duration {
	if k == Slow || k == SlowBody {
		return time.Second
	}
	return 0
}

// play does what the kind of the rule says; see script.act for the result.
func (r *Rule) play(ctx context.Context, c *Call) error {
	if err := r.fault.Kind.refusal(c); err != nil {
		return err
	}
	switch r.fault.Kind {
	case Pass:
		return nil
	case Conflict:
		if c.Op == "CompleteMultipartUpload" {
			c.srv.abortUpload(c)
		}
		return errorf(http.StatusConflict, "ConditionalRequestConflict",
			"A conflicting operation occurred during the request. If using PutObject you can retry the request. If using multipart upload you should initiate another CreateMultipartUpload request and re-upload each part.")
	case ErrorIn200After, InternalErrorAfter:
		if err := c.Apply(); err != nil {
			return err
		}
		status := http.StatusOK
		if r.fault.Kind == InternalErrorAfter {
			status = http.StatusInternalServerError
		}
		return errorf(status, "InternalError", "We encountered an internal error. Please try again.")
	case CutBefore:
		return ErrCut
	case CutAfter:
		c.apply()
		return ErrCut
	case CutBody:
		c.cutBody = true
		return nil
	case Slow:
		return sleep(ctx, r.fault.Delay)
	case SlowBody:
		c.pieceDelay = r.fault.Delay
		return nil
	case HangAfter:
		c.apply()
		<-ctx.Done()
		return ctx.Err()
	case Hang:
		<-ctx.Done()
		return ctx.Err()
	case Late:
		r.hold(c)
		return ErrCut
	case Held:
		h := r.hold(c)
		select {
		case <-h.done:
			if c.apply() == nil { // dropped
				return ErrCut
			}
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return fmt.Errorf("s3test: Fault has an unknown %v", r.fault.Kind)
}

// refusal is the answer of the kinds that only refuse, else nil.
func (k Kind) refusal(c *Call) error {
	const again = "We encountered an internal error. Please try again."
	switch k {
	case SlowDown:
		return slowDown()
	case InternalError:
		return errorf(http.StatusInternalServerError, "InternalError", again)
	case ErrorIn200:
		return errorf(http.StatusOK, "InternalError", again)
	case ServiceUnavailable:
		return errorf(http.StatusServiceUnavailable, "ServiceUnavailable", "Service is unable to handle request.")
	case RequestTimeout:
		return errorf(http.StatusBadRequest, "RequestTimeout",
			"Your socket connection to the server was not read from or written to within the timeout period.")
	case AccessDenied:
		return errorf(http.StatusForbidden, "AccessDenied", "Access Denied")
	case ExpiredToken:
		return errorf(http.StatusBadRequest, "ExpiredToken", "The provided token has expired.")
	case NoSuchUpload:
		return noSuchUpload(c.UploadID)
	case PreconditionFailed:
		return preconditionFailed("scripted")
	}
	return nil
}
