package kinesis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"

	"github.com/shardlake/shardlake/internal/awsnet"
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
		if !spoken && !r.answered.Load() && (try > 3 && time.Since(began) > patience || awsnet.WithoutCredentials(err)) {
			return none, r.unreachable(name, err)
		}
		r.cfg.Log.Warn("kinesis did not answer; trying again", "call", name, "error", err, "try", try)
		if err := sleep(ctx, backoff(try)); err != nil {
			return none, err
		}
	}
}

// unreachable explains why a service may never have answered.
func (r *reader) unreachable(call string, err error) error {
	return fmt.Errorf("kinesis %s of %s: %w (%s)", call, r.cfg.Stream, err, awsnet.Unreachable("AWS_ENDPOINT_URL_KINESIS", err))
}
