package dynamo_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/pipeline/lease/dynamo"
	"github.com/shardlake/shardlake/pipeline/lease/dynamo/dynamotest"
)

// pair is one row as both stores have shown it.
type pair struct{ model, real lease.Row }

// history plays random calls of three workers, most of them late or wrong, on the
// store in memory and on one over a table whose service loses answers, and compares
// what they say and what they hold.
type history struct {
	t      *testing.T
	rnd    *rand.Rand
	srv    *dynamotest.Server
	large  *blobs
	model  *lease.Memory
	real   []*dynamo.Store // of each worker
	known  []pair
	worker int
	log    []string
}

func TestAgainstTheModel(t *testing.T) {
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			h := &history{t: t, rnd: rand.New(rand.NewPCG(seed, 1)), srv: dynamotest.New(dynamotest.Config{NoOldOnFailure: seed%2 == 0}), large: newBlobs(), model: new(lease.Memory)}
			for range 3 {
				h.real = append(h.real, opened(t, h.srv, dynamo.Config{Large: h.large, RetryFor: time.Hour, HeadEvery: 3}))
			}
			check(t, h.model.Create(t.Context(), lease.Row{Lane: "a", Watermark: shardlake.Never}))
			check(t, h.real[0].Create(t.Context(), lease.Row{Lane: "a", Watermark: shardlake.Never}))
			for range 120 {
				h.step()
				h.compare()
				if t.Failed() {
					t.Fatalf("seed %d: %s", seed, strings.Join(h.log, "\n"))
				}
			}
		})
	}
}

// any is a row from some time ago, mostly the last one.
func (h *history) any() pair {
	if n := len(h.known); n > 0 && h.rnd.IntN(4) == 0 {
		return h.known[h.rnd.IntN(n)]
	} else if n > 0 {
		return h.known[n-1]
	}
	return pair{lease.Row{Lane: "a"}, lease.Row{Lane: "a"}}
}

func (h *history) step() {
	t, ctx := h.t, h.t.Context()
	if h.rnd.IntN(3) == 0 {
		kind := []dynamotest.Kind{dynamotest.LostAnswer, dynamotest.CutBefore, dynamotest.Throttle, dynamotest.InternalErrorAfter, dynamotest.SlowAnswer}[h.rnd.IntN(5)]
		h.srv.Fault(dynamotest.Fault{Kind: kind, Nth: 1 + h.rnd.IntN(2), Times: 1 + h.rnd.IntN(2), Delay: 7 * time.Second})
	}
	at, op, note := h.any(), h.rnd.IntN(10), ""
	h.worker = h.rnd.IntN(3)
	if n, err := strconv.Atoi(strings.TrimPrefix(at.real.Owner, "worker-")); err == nil && op > 2 {
		h.worker = n // a token is used by the process that drew it
	}
	store := h.real[h.worker]
	var merr, rerr error
	switch op {
	case 0, 1: // look
		var p pair
		p.model, merr = h.model.Get(ctx, "a")
		p.real, rerr = store.Get(ctx, "a")
		if merr == nil && rerr == nil {
			h.known = append(h.known, p)
		}
	case 2:
		owner, token := fmt.Sprint("worker-", h.worker), lease.NewID()
		var p pair
		p.model, merr = h.model.Acquire(ctx, at.model, owner, token)
		p.real, rerr = store.Acquire(ctx, at.real, owner, token)
		if merr == nil && rerr == nil {
			h.known = append(h.known, p)
		}
	case 3, 4, 5:
		next := pair{h.next(at.model), lease.Row{}}
		if h.rnd.IntN(4) == 0 && at.model.CommitID != "" {
			next.model = at.model // once more
		}
		next.real = next.model
		next.real.Inc, next.real.Beat = at.real.Inc, at.real.Beat
		merr, rerr = h.model.Commit(ctx, next.model), store.Commit(ctx, next.real)
		note = fmt.Sprintf("number %d, ended %t", next.model.Number, next.model.Ended)
		h.known = append(h.known, next)
	case 6:
		merr, rerr = h.model.Clear(ctx, at.model), store.Clear(ctx, at.real)
	case 7:
		at.model.Known = shardlake.Instant(h.rnd.IntN(50))
		at.model.Vitals.Records = float64(h.rnd.IntN(5))
		at.real.Known, at.real.Vitals = at.model.Known, at.model.Vitals
		_, merr = h.model.Renew(ctx, at.model)
		_, rerr = store.Renew(ctx, at.real)
	case 8:
		switch h.rnd.IntN(3) {
		case 0:
			note = "ask"
			want := fmt.Sprint("worker-", h.rnd.IntN(3))
			merr, rerr = h.model.Ask(ctx, at.model, want), store.Ask(ctx, at.real, want)
			if merr == nil && errors.Is(rerr, lease.ErrLost) && h.want() == want {
				rerr = nil // it is there already, which is as good
			}
		case 1:
			note = "mark"
			if at.model.CommitID != "" {
				merr, rerr = h.model.Mark(ctx, at.model), store.Mark(ctx, at.real)
			}
		default:
			note = "release"
			merr, rerr = h.model.Release(ctx, at.model), store.Release(ctx, at.real)
		}
	case 9:
		if h.rnd.IntN(3) > 0 {
			return
		}
		merr, rerr = h.model.Delete(ctx, at.model), store.Delete(ctx, at.real)
		if merr == nil && rerr == nil {
			r := lease.Row{Lane: "a", Watermark: shardlake.Never}
			merr, rerr = h.model.Create(ctx, r), store.Create(ctx, r)
			note = "deleted and made again"
		}
	}
	h.log = append(h.log, fmt.Sprintf("worker-%d op %d %s: %v / %v", h.worker, op, note, merr, rerr))
	if class(merr) != class(rerr) || errors.Is(merr, lease.ErrNoSegment) != errors.Is(rerr, lease.ErrNoSegment) {
		t.Errorf("op %d: the model says %v, the table %v", op, merr, rerr)
	}
}

func (h *history) want() string {
	r, err := h.model.Get(context.Background(), "a")
	check(h.t, err)
	return r.Want
}

func class(err error) string {
	switch {
	case err == nil:
		return "done"
	case errors.Is(err, lease.ErrLost):
		return "lost"
	}
	return "failed"
}

func (h *history) next(r lease.Row) lease.Row {
	before := r.State
	r = after(r, []int{1, 100, 6_000}[h.rnd.IntN(3)])
	r.State[fmt.Sprint("segment ", h.rnd.IntN(3))] = []byte(strings.Repeat(r.CommitID[1:2], h.rnd.IntN(3)*1500))
	// Of the segments that were there, as far as this worker knows, most are carried
	// over; some that it names are not there.
	for name := range before {
		if h.rnd.IntN(4) > 0 {
			r.State[name] = nil
		}
	}
	if h.rnd.IntN(10) == 0 {
		r.State[fmt.Sprint("segment ", h.rnd.IntN(4))] = nil
	}
	r.Known = shardlake.Instant(h.rnd.IntN(50))
	if h.rnd.IntN(3) == 0 {
		r.Pending = nil
	}
	for i := h.rnd.IntN(2) * h.rnd.IntN(200); i > 0; i-- {
		r.Pending = append(r.Pending, shardlake.Pending{Kind: "s3", Data: fmt.Appendf(nil, `{"upload":%d}`, i)})
	}
	if r.Ended = h.rnd.IntN(8) == 0; r.Ended {
		r.State = nil
	}
	return r
}

// objectRef is a ref in an attribute: with a whole key, or with a name.
var objectRef = regexp.MustCompile(`\{"(?:key":"_shardlake/state/a/|name":")([^"/]+)"`)

// compare wants both rows to be equal but for what is random, and the objects to be
// those that the row refers to.
func (h *history) compare() {
	t := h.t
	m, err := h.model.Get(t.Context(), "a")
	check(t, err)
	h.srv.Fault(dynamotest.Fault{Kind: dynamotest.Pass}) // keeps this read out of the script
	r, err := h.real[2].Get(t.Context(), "a")
	check(t, err)
	m.Inc, r.Inc, m.Beat, r.Beat = "", "", 0, 0
	if !reflect.DeepEqual(flat(m), flat(r)) {
		t.Errorf("the model has\n%+v\nthe table\n%+v", flat(m), flat(r))
	}
	var refs []string
	for _, attr := range h.srv.Item(table, "a") {
		for _, m := range objectRef.FindAllStringSubmatch(attr.Text, -1) {
			refs = append(refs, "_shardlake/state/a/"+m[1])
		}
	}
	slices.Sort(refs)
	if got := h.large.keys(); !slices.Equal(got, slices.Compact(refs)) {
		t.Errorf("objects %q, the row refers to %q", got, refs)
	}
}

// flat has nil for what is empty, and Prev by value.
func flat(r lease.Row) []any {
	var prev lease.Prev
	if r.Prev != nil {
		prev = *r.Prev
	}
	for _, s := range []*map[string][]byte{&r.State, &prev.State} {
		if len(*s) == 0 {
			*s = nil
		}
	}
	if len(r.Pending) == 0 {
		r.Pending = nil
	}
	has := r.Prev != nil
	r.Prev = nil
	return []any{r, has, prev}
}
