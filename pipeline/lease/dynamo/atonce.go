package dynamo

import (
	"context"
	"sync"
	"sync/atomic"
)

// atOnce calls f for 0 to n-1, some at the same time, and returns when all have
// ended. The first error ends the context of the others, and is returned: nil says
// that all were called and succeeded.
func atOnce(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var first sync.Once
	var failed error
	var workers sync.WaitGroup
	for range min(n, objectsAtOnce) {
		workers.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				err := context.Cause(ctx)
				if err == nil {
					err = f(ctx, i)
				}
				if err != nil {
					first.Do(func() { failed = err })
					cancel(err)
					return
				}
			}
		})
	}
	workers.Wait()
	return failed
}
