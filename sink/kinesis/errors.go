package kinesis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/smithy-go"

	"github.com/shardlake/shardlake/internal/awsnet"
	"github.com/shardlake/shardlake/internal/spread"
)

// ErrClosed is what a closed Producer returns.
var ErrClosed = errors.New("kinesis: the producer is closed")

// RecordError says why a record can never be put. In a pipeline such a row becomes
// a dead letter.
type RecordError struct {
	Key    string // partition key, cut to 64 bytes
	Bytes  int    // of key and payload
	Reason string // with the remedy
}

// Error names key, size and reason.
func (e *RecordError) Error() string {
	return fmt.Sprintf("kinesis: a record of %d bytes with key %q: %s", e.Bytes, e.Key, e.Reason)
}

// verdict is what an error of the service means for who called.
type verdict int

const (
	again     verdict = iota // repeat the same call after a wait
	throttled                // the same, and the reason is a limit of the service
	refused                  // repeating will not help
)

// judge sorts an error. What is not known is repeated: a broken connection, a torn
// answer and a new kind of server error may all pass.
func judge(err error) verdict {
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return again
	}
	switch api.ErrorCode() {
	case "ProvisionedThroughputExceededException", "LimitExceededException", "KMSThrottlingException", "ThrottlingException", "RequestLimitExceeded", "Throttling":
		return throttled
	case "AccessDeniedException", "UnrecognizedClientException", "InvalidSignatureException", "IncompleteSignature", "InvalidClientTokenId",
		"MissingAuthenticationTokenException", "OptInRequired", "NotAuthorized",
		"KMSAccessDeniedException", "KMSDisabledException", "KMSInvalidStateException", "KMSNotFoundException", "KMSOptInRequired",
		"ResourceNotFoundException", "InvalidArgumentException", "ValidationException", "UnknownOperationException", "SerializationException":
		return refused
	}
	return again
}

// explain adds what to do to an error that repeating will not mend.
func explain(call, stream string, err error) error {
	remedy := ""
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		switch api.ErrorCode() {
		case "ResourceNotFoundException":
			remedy = "there is no such stream here: look at the name, the region, the endpoint and the account, or make the stream"
		case "AccessDeniedException", "NotAuthorized":
			remedy = "allow kinesis:" + call + " on the stream to the role of this task"
		case "UnrecognizedClientException", "InvalidSignatureException", "InvalidClientTokenId", "IncompleteSignature", "MissingAuthenticationTokenException":
			remedy = "the credentials are not taken: look at AWS_PROFILE, the task's role, the region, and the clock of this machine"
		case "KMSAccessDeniedException", "KMSDisabledException", "KMSInvalidStateException", "KMSNotFoundException", "KMSOptInRequired":
			remedy = "the stream is encrypted: let the role of this task use its key (kms:GenerateDataKey), and look whether the key is enabled"
		case "InvalidArgumentException", "ValidationException":
			remedy = "a stream takes records of 1 MiB unless it is set to more (UpdateMaxRecordSize): is Config.MaxRecord what it takes?"
		case "UnknownOperationException":
			remedy = "is the endpoint that of Kinesis?"
		}
	}
	if remedy != "" {
		return fmt.Errorf("kinesis %s to %s: %w (%s)", call, stream, err, remedy)
	}
	return fmt.Errorf("kinesis %s to %s: %w", call, stream, err)
}

// unreachable explains why a service may never have answered.
func unreachable(call, stream string, err error) error {
	return fmt.Errorf("kinesis %s to %s: %w (%s)", call, stream, err, awsnet.Unreachable("AWS_ENDPOINT_URL_KINESIS", err))
}

// backoff is the wait before try n, from 1: 100 ms doubling to 5 s, with jitter in
// its upper half.
func backoff(who string, n int) time.Duration {
	wait := 5 * time.Second
	if n < 7 {
		wait = min(wait, 100*time.Millisecond<<(n-1))
	}
	return wait/2 + time.Duration(spread.Of(who, n)*float64(wait/2))
}

// sleep waits unless ctx ends first.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
