package dynamotest

import (
	"errors"
	"fmt"
	"net/http"
)

// Error is an error of the service. The methods of Server return it, and the wire
// carries it as {"__type": Code, "message": Message}.
type Error struct {
	// Code is the name that SDKs map to a type, as in "ResourceNotFoundException".
	Code string
	// Message is for people. Where the wording of the service is known it is used.
	Message string
	// Status is the status of the HTTP answer, 400 or above.
	Status int

	item Item // of a failed condition, if it was asked for
}

// Error returns the code and the message.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Codes of the API reference that the server answers with.
const (
	codeConditionFailed = "ConditionalCheckFailedException"
	codeInUse           = "ResourceInUseException"
	codeInternal        = "InternalServerError"
	codeNotFound        = "ResourceNotFoundException"
	codeThroughput      = "ProvisionedThroughputExceededException"
	codeAccessDenied    = "AccessDeniedException"
	codeUnknown         = "UnknownOperationException"
	codeValidation      = "ValidationException"
)

func failure(code, format string, args ...any) *Error {
	status := http.StatusBadRequest
	if code == codeInternal {
		status = http.StatusInternalServerError
	}
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Status: status}
}

func invalid(format string, args ...any) *Error { return failure(codeValidation, format, args...) }

// missing says that this server lacks what a request asks for.
func missing(format string, args ...any) *Error {
	return failure(codeValidation, "dynamotest does not have "+format, args...)
}

// asError makes any error one that the wire can carry.
func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return failure(codeInternal, "%v", err)
}
