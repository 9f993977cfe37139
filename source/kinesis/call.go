package kinesis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
)

const (
	// callTries is about two minutes of a service that does not answer.
	callTries = 30
	// patience is how long a service may be silent, and for one call, which has never
	// answered: after four tries that is rather a wrong setting than an outage, and
	// whoever started the program waits.
	patience = 5 * time.Second
)

// call repeats a call that describes the stream until it is answered or refused.
func call[Out any](ctx context.Context, r *reader, name string, f func(*kinesis.Client, context.Context) (Out, error)) (Out, error) {
	var none Out
	began := time.Now()
	for try := 1; ; try++ {
		c, err := r.connect(ctx)
		if err != nil {
			return none, err
		}
		limit := callTimeout
		if !r.answered.Load() {
			limit = patience
		}
		tctx, cancel := context.WithTimeout(ctx, limit)
		out, err := f(c, tctx)
		cancel()
		api, spoken := errors.AsType[smithy.APIError](err)
		if err == nil || spoken && api.ErrorFault() == smithy.FaultClient {
			r.answered.Store(true)
		}
		if err == nil {
			return out, nil
		}
		if ctx.Err() != nil || judge(err) == refused || try == callTries {
			return none, explain(name, r.cfg.Stream, err)
		}
		if _, stale := errors.AsType[*types.ExpiredNextTokenException](err); stale {
			return none, err
		}
		if !spoken && !r.answered.Load() && (try > 3 && time.Since(began) > patience || withoutCredentials(err)) {
			return none, r.unreachable(name, err)
		}
		r.cfg.Log.Warn("kinesis did not answer; trying again", "call", name, "error", err, "try", try)
		if err := sleep(ctx, backoff(try)); err != nil {
			return none, err
		}
	}
}

// withoutCredentials tells whether a call failed for want of credentials. The SDK
// has no type for that, only these words.
func withoutCredentials(err error) bool {
	return strings.Contains(err.Error(), "get credentials") || strings.Contains(err.Error(), "get identity")
}

// unreachable explains why a service may never have answered.
func (r *reader) unreachable(call string, err error) error {
	remedy := "nothing answers there: look at the endpoint (AWS_ENDPOINT_URL_KINESIS, Config.Endpoint), the region, and the way of the network (NAT, VPC endpoint, security group)"
	if withoutCredentials(err) {
		remedy = "there are no credentials: give the task a role, or set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
	}
	return fmt.Errorf("kinesis %s of %s: %w (%s)", call, r.cfg.Stream, err, remedy)
}
