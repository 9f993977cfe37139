package kinesistest

import (
	"errors"
	"fmt"
	"net/http"
)

// Error is an error of the service. The methods of Server return it, and the
// wire carries it as {"__type": Code, "message": Message}.
type Error struct {
	// Code is the name that SDKs map to a type, as in "ResourceNotFoundException".
	Code string
	// Message is for people. Where the wording of the service is known it is used.
	Message string
	// Status is the status of the HTTP answer, 400 or above.
	Status int
}

// Error returns the code and the message.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Codes of the API reference that the server answers with.
const (
	codeAccessDenied     = "AccessDeniedException"
	codeDryRun           = "DryRunOperationException"
	codeExpiredIterator  = "ExpiredIteratorException"
	codeExpiredNextToken = "ExpiredNextTokenException"
	codeInternal         = "InternalFailure"
	codeInternalEvent    = "InternalFailureException" // its name as an event of SubscribeToShard
	codeInvalidArgument  = "InvalidArgumentException"
	codeLimitExceeded    = "LimitExceededException"
	codeNotFound         = "ResourceNotFoundException"
	codeInUse            = "ResourceInUseException"
	codeSerialization    = "SerializationException"
	codeThroughput       = "ProvisionedThroughputExceededException"
	codeUnknownOperation = "UnknownOperationException"
	codeValidation       = "ValidationException"
)

func failure(code, format string, args ...any) *Error {
	status := http.StatusBadRequest
	if code == codeInternal {
		status = http.StatusInternalServerError
	}
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Status: status}
}

func invalidArgument(format string, args ...any) *Error {
	return failure(codeInvalidArgument, format, args...)
}

// violation is the answer to a member outside of its modelled bounds.
func violation(member, format string, args ...any) *Error {
	return failure(codeValidation, "1 validation error detected: Value at '%s' failed to satisfy constraint: %s",
		member, fmt.Sprintf(format, args...))
}

// asError makes any error one that the wire can carry.
func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return failure(codeInternal, "%v", err)
}
