package s3

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/shardlake/shardlake/sink"
)

const (
	callTimeout     = 30 * time.Second
	completeTimeout = 5 * time.Minute // the service may assemble for minutes before it answers
	partRate        = 1 << 20         // bytes per second that an attempt of a part is given time for

	firstWait     = 200 * time.Millisecond
	firstSlowWait = time.Second // where the service says that it is too busy
	longestWait   = 20 * time.Second
)

// call is one operation on the service as far as errors and repetition go.
type call struct {
	op      string // of the API: "UploadPart"
	key     string // or prefix
	actions string // of IAM that it needs
	timeout time.Duration
}

// do runs f until it succeeds, is refused, or has failed for Config.RetryFor. Each
// attempt has its own timeout.
func (s *Store) do(ctx context.Context, c call, f func(context.Context, *awss3.Client) error) error {
	if s.err != nil {
		return s.err
	}
	begun := s.now()
	for attempt := 1; ; attempt++ {
		if ctx.Err() != nil {
			return s.ended(ctx, c, nil)
		}
		client, forget, err := s.use(ctx)
		if err == nil {
			err = try(ctx, c.timeout, client, f)
		}
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return s.ended(ctx, c, err)
		case errors.Is(err, sink.ErrRefused):
			return err
		}
		v := s.judge(c, err)
		if v.expired && forget != nil {
			forget()
		}
		if v.region != "" && s.move(v.region) {
			continue
		}
		if v.kind != nil || v.final {
			return s.failure(c, v, attempt, err)
		}
		wait := backOff(attempt, v.slow)
		if s.now().Add(wait).Sub(begun) > s.cfg.RetryFor {
			return s.failure(c, v, attempt, err)
		}
		if s.sleep(ctx, wait) != nil {
			return s.ended(ctx, c, err)
		}
	}
}

func try(ctx context.Context, timeout time.Duration, client *awss3.Client, f func(context.Context, *awss3.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
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

// ended wraps ctx's end with the last error, which tells what was waited for.
func (s *Store) ended(ctx context.Context, c call, err error) error {
	end := ctx.Err()
	if cause := context.Cause(ctx); !errors.Is(cause, end) {
		end = fmt.Errorf("%w: %w", end, cause)
	}
	if err == nil || errors.Is(err, ctx.Err()) {
		return fmt.Errorf("s3: %s of %s in bucket %s: %w", c.op, c.key, s.cfg.Bucket, end)
	}
	return fmt.Errorf("s3: %s of %s in bucket %s: %w; last error: %w", c.op, c.key, s.cfg.Bucket, end, err)
}

// partTimeout is the time for an attempt to store a part.
func partTimeout(size int64) time.Duration {
	return callTimeout + time.Duration(size)*time.Second/partRate
}
