// Package stage holds the verbs that stand between a source and a sink. A stage
// is a value: compose it with Then, name it with Named, test it alone with
// stagetest. Opening a chain yields plain nested calls on one goroutine.
//
// A function given to a stage answers a bad row through its error:
// shardlake.ErrSkip drops it, shardlake.Reject makes it a dead letter, any other
// error stops the lane, since stopping loses nothing. A panic stops the lane with
// an error that names stage, lane and position.
package stage

import (
	"context"
	"fmt"
	"reflect"
	"runtime"
	"strings"

	"github.com/shardlake/shardlake"
)

// Stage makes, for one lane, the upstream end of a piece of pipeline from its
// downstream end. It is called once per lane; it must start nothing but what
// Env.Go ends, and do no I/O. Any function of this form is a stage:
//
//	func Dedup(env *shardlake.Env, next shardlake.Emit[Click]) (shardlake.Emit[Click], error)
//
// is used as clicks.Via(Dedup).
type Stage[In, Out any] func(env *shardlake.Env, next shardlake.Emit[Out]) (shardlake.Emit[In], error)

// Then is a followed by t.
func (a Stage[In, Mid]) Then[Out any](t Stage[Mid, Out]) Stage[In, Out] {
	return func(env *shardlake.Env, next shardlake.Emit[Out]) (shardlake.Emit[In], error) {
		if a == nil || t == nil {
			return nil, fmt.Errorf("stage Then: a stage is nil")
		}
		mid, err := t(env, next)
		if err != nil {
			return nil, err
		}
		return a(env, mid)
	}
}

// Named gives st a stable name: in errors, in metrics, and as the key of its
// state. Only a program with two states of one row type must use it.
func Named[In, Out any](name string, st Stage[In, Out]) Stage[In, Out] {
	return func(env *shardlake.Env, next shardlake.Emit[Out]) (shardlake.Emit[In], error) {
		if name == "" {
			return nil, fmt.Errorf("stage.Named: the name is empty")
		}
		if st == nil {
			return nil, fmt.Errorf("stage.Named: stage %q is nil", name)
		}
		return st(env.In(name), next)
	}
}

// guard remembers which row user code is looking at, so that a panic can be
// told as an error with stage, lane and position.
type guard struct {
	env  *shardlake.Env
	name string
	at   int
}

// guarded labels a stage by its verb and the user's function, "map(main.toView)".
// It is a label for people: state is never found by it.
func guarded(env *shardlake.Env, verb string, fn any) (guard, error) {
	v := reflect.ValueOf(fn)
	if v.IsNil() {
		return guard{}, fmt.Errorf("stage %s: its function is nil", env.Name(verb))
	}
	name := "?"
	if f := runtime.FuncForPC(v.Pointer()); f != nil {
		name = f.Name()
	}
	return guard{env: env, name: verb + "(" + name[strings.LastIndexByte(name, '/')+1:] + ")"}, nil
}

// catch is deferred around the loop over one batch, not around each row.
func (g *guard) catch(origins []shardlake.Origin, records []shardlake.Record, err *error) {
	p := recover()
	if p == nil {
		return
	}
	var pos shardlake.Position
	if g.at < len(origins) && int(origins[g.at].Record) < len(records) {
		pos = records[origins[g.at].Record].Pos
	}
	*err = g.env.Fail(g.name, pos, fmt.Errorf("panic: %v", p), "mend the function, or answer such rows with shardlake.Reject; nothing is lost, the records come again")
}

// settle asks the Env about an error of row i of b.
func settle[T any](ctx context.Context, g *guard, b shardlake.Batch[T], i int, err error) error {
	return g.env.Settle(ctx, g.name, b.From(i), err)
}
