package kinesis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
)

// verdict is what an error of the service means for who called.
type verdict int

const (
	again     verdict = iota // repeat the same call after a wait
	throttled                // the same, and the reason is a limit of the service
	slow                     // repeat, but slowly: somebody has to mend something outside
	renew                    // the iterator is stale: make another and go on
	refused                  // repeating will not help
)

// judge sorts an error. What is not known is repeated: a broken connection, a torn
// answer and a new kind of server error all leave the iterator as it was.
func judge(err error) verdict {
	if _, ok := errors.AsType[*types.ExpiredIteratorException](err); ok {
		return renew
	}
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return again
	}
	switch api.ErrorCode() {
	case "ExpiredIteratorException":
		return renew
	case "KMSAccessDeniedException", "KMSDisabledException", "KMSInvalidStateException", "KMSNotFoundException", "KMSOptInRequired":
		return slow
	case "ProvisionedThroughputExceededException", "LimitExceededException", "KMSThrottlingException", "ThrottlingException", "RequestLimitExceeded", "Throttling":
		return throttled
	case "ExpiredTokenException", "ExpiredToken", "RequestExpired":
		return again // credentials are asked for again
	case "AccessDeniedException", "UnrecognizedClientException", "InvalidSignatureException", "IncompleteSignature", "InvalidClientTokenId",
		"MissingAuthenticationTokenException", "OptInRequired", "NotAuthorized",
		"ResourceNotFoundException", "InvalidArgumentException", "ValidationException", "UnknownOperationException", "SerializationException":
		return refused
	}
	return again
}

// explain adds what to do to an error that repeating will not mend.
func explain(call string, stream string, err error) error {
	remedy := ""
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		switch api.ErrorCode() {
		case "ResourceNotFoundException":
			remedy = "there is no such stream or shard here: look at the name, the region and the account"
		case "AccessDeniedException", "NotAuthorized":
			remedy = "allow kinesis:" + call + " on the stream to the role of this task"
		case "UnrecognizedClientException", "InvalidSignatureException", "InvalidClientTokenId", "IncompleteSignature", "MissingAuthenticationTokenException":
			remedy = "the credentials are not taken: look at AWS_PROFILE, the task's role, the region, and the clock of this machine"
		case "KMSAccessDeniedException", "KMSDisabledException", "KMSInvalidStateException", "KMSNotFoundException", "KMSOptInRequired":
			remedy = "the stream is encrypted: let the role of this task decrypt with its key (kms:Decrypt), and look whether the key is enabled"
		case "LimitExceededException":
			if call == "RegisterStreamConsumer" {
				remedy = "a stream takes 20 consumers: remove one that nobody reads by, or poll"
			}
		case "InvalidArgumentException":
			remedy = "the position is not one of this shard: the stream may have been made again, or the lease rows are of another stream"
		}
	}
	if remedy != "" {
		return fmt.Errorf("kinesis %s of %s: %w (%s)", call, stream, err, remedy)
	}
	return fmt.Errorf("kinesis %s of %s: %w", call, stream, err)
}

// backoff is the wait before try n, from 1: 200 ms doubling to 5 s, with full
// jitter above the least that the limit of calls asks for.
func backoff(n int) time.Duration {
	wait := 5 * time.Second
	if n < 6 {
		wait = min(wait, minPoll<<(n-1))
	}
	return minPoll + rand.N(wait)
}

const slowWait = 30 * time.Second

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
