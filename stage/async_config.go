package stage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/shardlake/shardlake"
)

// AsyncConfig is [Async] for calls that may hang or fail for a while: each call
// has a time limit, failed ones are repeated, and a number of calls may be shared
// by all lanes. The zero value makes 16 calls at once per lane, gives each 30
// seconds and repeats none.
//
//	lookUp := stage.AsyncConfig{Calls: 32, Timeout: time.Second, Retries: 3, Shared: limit}.Stage(client.LookUp)
//
// Order, marks and commits are those of Async. Whatever the function does, a
// commit waits for a row no longer than (Retries+1) times Timeout and the waits
// between, besides queueing for Shared behind calls that return.
type AsyncConfig struct {
	// Calls is how many rows a lane works on at once, those that wait for a
	// repetition or for Shared included; 0 means 16.
	Calls int
	// Shared bounds the calls of all lanes and stages that are given the same limit;
	// nil means no bound but Calls. A row that waits for its repetition holds no
	// part of it.
	Shared *Limit
	// Timeout is how long an attempt may take, from its start and not from when it
	// began to wait for Shared; 0 means 30 seconds. The function's context ends then.
	// If the function does not return, the attempt has failed all the same; its
	// goroutine keeps its place in Calls and Shared until it does return, so there
	// are never more than Calls per lane, and the end of the lane waits for it.
	Timeout time.Duration
	// Retries is how often a failed attempt is repeated; 0 means never.
	Retries int
	// Backoff is the wait before the first repetition, which doubles with each
	// further one up to MaxBackoff; 0 means 100 milliseconds. Each wait is shortened
	// by up to half, by a hash of lane, position and attempt, so that rows which
	// failed together come again one by one, and in the same way in every run.
	Backoff time.Duration
	// MaxBackoff bounds a wait; 0 means 10 seconds, or Backoff if that is longer.
	MaxBackoff time.Duration
	// Retry tells which errors are worth a repetition; nil means all. It is not
	// asked about shardlake.Reject and shardlake.ErrSkip, which are answers, about
	// panics, nor after the lane has ended. It is called from several goroutines at
	// once.
	Retry func(error) bool
	// GiveUp makes the row's answer of the error that is left when Retry or Retries
	// allow no further attempt: shardlake.Reject(err) for a dead letter, say. The
	// error names the number of attempts and the time that they took, and wraps the
	// last one's. Nil, the function or what it returns, leaves the error as it is,
	// and the lane stops. It is not asked where Retry would not be. It is called
	// from several goroutines at once.
	GiveUp func(error) error
}

// Stage is Async with these settings. Mistakes in them are reported together when
// the stage is opened.
func (c AsyncConfig) Stage[A, B any](f func(context.Context, A) (B, error)) Stage[A, B] {
	return func(env *shardlake.Env, next shardlake.Emit[B]) (shardlake.Emit[A], error) {
		g, err := guarded(env, "async", f)
		if err != nil {
			return nil, err
		}
		if err := c.validate(); err != nil {
			return nil, fmt.Errorf("stage %s: %w", env.Name(g.name), err)
		}
		how := c.withDefaults()
		p := how.policy(env)
		return newAsync(g, next, how.Calls, func(ctx context.Context, j job[A, B]) (B, error) {
			v, err := run(ctx, p, j.who(env), func(ctx context.Context) (B, error) { return f(ctx, j.fl.in.Rows[j.i]) })
			return v, how.giveUp(err)
		}), nil
	}
}

// who tells apart the rows of all lanes.
func (j job[A, B]) who(env *shardlake.Env) func() string {
	return func() string { return fmt.Sprint(env.Lane(), " ", j.fl.in.From(j.i).Pos, " ", j.i) }
}

// giveUp is what becomes of the error of run.
func (c AsyncConfig) giveUp(err error) error {
	if spent, ok := errors.AsType[*spentError](err); ok && c.GiveUp != nil {
		if answer := c.GiveUp(spent); answer != nil {
			return answer
		}
	}
	return err
}

// validate reports all mistakes together.
func (c AsyncConfig) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("AsyncConfig: "+format, args...)) }
	if c.Calls < 0 {
		bad("Calls is %d: want 1 or more, or 0 for the default", c.Calls)
	}
	if c.Shared != nil && c.Shared.Size() < 1 {
		bad("Shared is a limit of no calls: give stage.NewLimit 1 or more")
	}
	if c.Timeout < 0 {
		bad("Timeout is %v: want a positive duration, or 0 for the default", c.Timeout)
	}
	if c.Retries < 0 {
		bad("Retries is %d: want a positive number, or 0 for none", c.Retries)
	}
	if c.Backoff < 0 {
		bad("Backoff is %v: want a positive duration, or 0 for the default", c.Backoff)
	}
	if c.MaxBackoff < 0 || c.MaxBackoff > 0 && c.MaxBackoff < c.Backoff {
		bad("MaxBackoff is %v and Backoff %v: want at least as much, or 0 for the default", c.MaxBackoff, c.Backoff)
	}
	return errors.Join(errs...)
}

func (c AsyncConfig) withDefaults() AsyncConfig {
	c.Calls = cmp.Or(c.Calls, 16)
	c.Timeout = cmp.Or(c.Timeout, 30*time.Second)
	if c.Backoff == 0 {
		c.Backoff = 100 * time.Millisecond
		if c.MaxBackoff > 0 {
			c.Backoff = min(c.Backoff, c.MaxBackoff)
		}
	}
	c.MaxBackoff = cmp.Or(c.MaxBackoff, max(10*time.Second, c.Backoff))
	return c
}

// policy is made once per lane: the limit of Calls, unlike Shared, is the lane's.
func (c AsyncConfig) policy(env *shardlake.Env) *policy {
	p := &policy{env: env, limits: []*Limit{NewLimit(c.Calls)}, timeout: c.Timeout, attempts: c.Retries + 1, first: c.Backoff, most: c.MaxBackoff, again: c.Retry}
	if c.Shared != nil {
		p.limits = append(p.limits, c.Shared)
	}
	return p
}

// isAnswer tells whether err is what a function says about its row, and so final.
func isAnswer(err error) bool {
	return errors.Is(err, shardlake.ErrSkip) || shardlake.IsReject(err)
}
