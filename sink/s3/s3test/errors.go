package s3test

import (
	"errors"
	"fmt"
	"net/http"
)

// ErrCut cuts, where Fault.Func returns it, the client's connection without an
// answer. It is also what [Client.Do] and the body of a response return (wrapped)
// where the connection was cut.
var ErrCut = errors.New("s3test: connection cut")

// Error is an answer of the S3 protocol that is an error document. A Fault.Func
// or a Config.Credentials returns one to choose the answer.
type Error struct {
	// Status is the HTTP status. With 200 the document comes in a response that
	// looks like success, as CompleteMultipartUpload of S3 can do.
	Status int
	// Code is the S3 error code, such as "SlowDown".
	Code string
	// Message is for people.
	Message string
}

// Error returns the code, the status and the message.
func (e *Error) Error() string {
	return fmt.Sprintf("s3test: %s (%d): %s", e.Code, e.Status, e.Message)
}

// errorf makes an Error. Codes and statuses are those of the page "Error
// responses" of the S3 API reference unless a comment says otherwise.
func errorf(status int, code, format string, args ...any) *Error {
	return &Error{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

func invalidRequest(format string, args ...any) *Error {
	return errorf(http.StatusBadRequest, "InvalidRequest", format, args...)
}

func invalidArgument(format string, args ...any) *Error {
	return errorf(http.StatusBadRequest, "InvalidArgument", format, args...)
}

func notImplemented(what string) *Error {
	return errorf(http.StatusNotImplemented, "NotImplemented",
		"A header or query you provided implies functionality that is not implemented: %s", what)
}

func noSuchBucket(name string) *Error {
	return errorf(http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist: %s", name)
}

func noSuchKey(key string) *Error {
	return errorf(http.StatusNotFound, "NoSuchKey", "The specified key does not exist: %s", key)
}

func noSuchUpload(id string) *Error {
	return errorf(http.StatusNotFound, "NoSuchUpload",
		"The specified multipart upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed: %s", id)
}

func preconditionFailed(header string) *Error {
	return errorf(http.StatusPreconditionFailed, "PreconditionFailed",
		"At least one of the pre-conditions you specified did not hold: %s", header)
}

func malformedXML(err error) *Error {
	return errorf(http.StatusBadRequest, "MalformedXML",
		"The XML you provided was not well-formed or did not validate against our published schema: %v", err)
}

func slowDown() *Error {
	return errorf(http.StatusServiceUnavailable, "SlowDown", "Please reduce your request rate.")
}

func internalError(format string, args ...any) *Error {
	return errorf(http.StatusInternalServerError, "InternalError", format, args...)
}
