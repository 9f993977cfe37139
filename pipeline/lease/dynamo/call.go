package dynamo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/shardlake/shardlake/pipeline/lease"
)

const (
	// callTimeout is for one attempt: a third of the default lease time would be too
	// short for a page of a Scan over a slow line, and all of it would cost the lease.
	callTimeout = 5 * time.Second

	firstWait     = 50 * time.Millisecond
	firstSlowWait = 500 * time.Millisecond // where the service says that it is too busy
	longestWait   = 3 * time.Second
)

// call is one operation on the service as far as errors go.
type call struct {
	op   string // of the API: "UpdateItem"
	lane string // of the row; empty for the table
}

// do runs f until it succeeds, is refused, or has failed for Config.RetryFor. A
// condition that failed comes back as it is.
func (s *Store) do(ctx context.Context, c call, f func(context.Context, *dynamodb.Client) error) error {
	if s.err != nil {
		return s.err
	}
	begun := time.Now()
	for attempt := 1; ; attempt++ {
		if ctx.Err() != nil {
			return s.ended(ctx, c, nil)
		}
		client, forget, err := s.use(ctx)
		if err == nil {
			err = try(ctx, client, f)
		}
		if err == nil {
			return nil
		}
		if _, ok := errors.AsType[*types.ConditionalCheckFailedException](err); ok {
			return err
		}
		if ctx.Err() != nil {
			return s.ended(ctx, c, err)
		}
		v := s.judge(c, err)
		if v.expired && forget != nil {
			forget()
		}
		wait := backOff(attempt, v.slow)
		if v.final || time.Since(begun)+wait > s.cfg.RetryFor {
			return s.failure(c, v, attempt, err)
		}
		if sleep(ctx, wait) != nil {
			return s.ended(ctx, c, err)
		}
	}
}

func try(ctx context.Context, client *dynamodb.Client, f func(context.Context, *dynamodb.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return f(ctx, client)
}

// backOff doubles from attempt to attempt, up to longestWait, and takes a random
// half off, so that the tasks of a fleet do not come back together.
func backOff(attempt int, slow bool) time.Duration {
	wait := firstWait
	if slow {
		wait = firstSlowWait
	}
	for ; attempt > 1 && wait < longestWait; attempt-- {
		wait *= 2
	}
	wait = min(wait, longestWait)
	return wait/2 + rand.N(wait/2)
}

// verdict is what an error of the service means.
type verdict struct {
	kind    error // lease.ErrNoRow, lease.ErrRefused, or nil
	final   bool  // not worth repeating
	slow    bool  // the service is too busy
	expired bool  // other credentials may help
	remedy  string
	code    string
	message string
	status  int
	request string // the service's id of the request
}

// judge finds out what an error means, by its code (DynamoDB developer guide, "Error
// handling").
func (s *Store) judge(c call, err error) verdict {
	var v verdict
	if answer, ok := errors.AsType[*smithyhttp.ResponseError](err); ok && answer.Response != nil && answer.Response.Response != nil {
		v.status = answer.HTTPStatusCode()
		v.request = answer.Response.Header.Get("x-amzn-RequestId")
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		v.code, v.message = api.ErrorCode(), api.ErrorMessage()
	} else {
		v.message = err.Error()
	}
	if _, ok := errors.AsType[*mistake](err); ok {
		v.final = true
		return v
	}
	var params smithy.InvalidParamsError
	var serial *smithy.SerializationError
	if errors.As(err, &params) || errors.As(err, &serial) {
		return s.refuse(v, "the AWS SDK cannot make this request")
	}
	switch v.code {
	case "ProvisionedThroughputExceededException", "ThrottlingException", "Throttling", "RequestLimitExceeded", "LimitExceededException", "TooManyRequestsException":
		v.slow = true
		v.remedy = "the table is throttled: set it to on-demand capacity, or give it more"
	case "AccessDeniedException":
		return s.refuse(v, "allow dynamodb:"+c.op+" on arn:aws:dynamodb:*:*:table/"+s.cfg.Table+", and with a KMS key of your own kms:Decrypt and kms:GenerateDataKey on it")
	case "ExpiredTokenException", "ExpiredToken", "RequestExpired":
		v.expired = true
	case "UnrecognizedClientException", "InvalidClientTokenId", "IncompleteSignatureException", "MissingAuthenticationTokenException", "InvalidSignatureException", "SignatureDoesNotMatch":
		v.expired = true // the next call asks for them anew
		return s.refuse(v, "the credentials are not valid at this endpoint, or the clock is off: correct them, for example the task's role")
	case "ResourceNotFoundException":
		if c.lane != "" {
			v.kind = lease.ErrNoRow
		}
		return s.refuse(v, "the table is not there in this region: if somebody deleted it, stop all workers and restore it from a backup or from point-in-time recovery, since nothing else knows what was committed")
	case "ValidationException":
		if strings.Contains(v.message, "size") && strings.Contains(v.message, "exceeded") {
			return s.refuse(v, tooLarge)
		}
		return s.refuse(v, "is the endpoint that of DynamoDB, and the table one of leases?")
	case "UnknownOperationException", "SerializationException":
		return s.refuse(v, "is the endpoint that of DynamoDB?")
	case "InternalServerError", "InternalFailure", "ServiceUnavailable", "ServiceUnavailableException", "TransactionConflictException", "ReplicatedWriteConflictException", "RequestTimeTooSkewed":
	default:
		switch {
		case v.status == http.StatusTooManyRequests || v.status == http.StatusServiceUnavailable:
			v.slow = true
		case v.code != "" && v.status >= 400 && v.status < 500:
			v.final = true
		}
	}
	return v
}

const tooLarge = "the row is larger than DynamoDB takes: set Config.Large to a store of objects, such as the lake's own"

func (s *Store) refuse(v verdict, remedy string) verdict {
	v.final, v.remedy = true, remedy
	if v.kind == nil {
		v.kind = lease.ErrRefused
	}
	return v
}

// callError is a failed call in one line. It unwraps to its kind and to the SDK's
// error.
type callError struct {
	text string
	kind error
	err  error
}

func (e *callError) Error() string { return e.text }

// Unwrap returns the kind, if there is one, and the SDK's error.
func (e *callError) Unwrap() []error {
	if e.kind == nil {
		return []error{e.err}
	}
	return []error{e.kind, e.err}
}

func (s *Store) failure(c call, v verdict, attempts int, err error) error {
	var b strings.Builder
	b.WriteString(s.where(c))
	if v.kind != nil {
		fmt.Fprintf(&b, ": %v", v.kind)
	}
	if attempts > 1 {
		fmt.Fprintf(&b, ": given up after %d attempts", attempts)
	}
	if v.code != "" {
		fmt.Fprintf(&b, ": %s", v.code)
	}
	fmt.Fprintf(&b, ": %s", v.message)
	if v.status != 0 {
		fmt.Fprintf(&b, " (status %d", v.status)
		if v.request != "" {
			fmt.Fprintf(&b, ", request %s", v.request)
		}
		b.WriteString(")")
	}
	if v.remedy != "" {
		b.WriteString("; " + v.remedy)
	}
	return &callError{text: b.String(), kind: v.kind, err: err}
}

// where says what was called, and on what.
func (s *Store) where(c call) string {
	if c.lane == "" {
		return fmt.Sprintf("dynamo: %s of table %s", c.op, s.cfg.Table)
	}
	return fmt.Sprintf("dynamo: %s of row %q in table %s", c.op, c.lane, s.cfg.Table)
}

// ended wraps ctx's end with the last error, which tells what was waited for.
func (s *Store) ended(ctx context.Context, c call, err error) error {
	end := ctx.Err()
	if cause := context.Cause(ctx); !errors.Is(cause, end) {
		end = fmt.Errorf("%w: %w", end, cause)
	}
	if err == nil || errors.Is(err, ctx.Err()) {
		return fmt.Errorf("%s: %w", s.where(c), end)
	}
	return fmt.Errorf("%s: %w; last error: %w", s.where(c), end, err)
}
