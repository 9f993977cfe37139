package sinktest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/shardlake/shardlake/sink"
)

// endedContext sees that no call goes on with a context that has ended.
func endedContext(t *testing.T, p *place) {
	key := p.key("ended/x.parquet")
	id := p.create(t, key)
	part := p.put(t, key, id, 1, content(1, 10))
	ctx, s := canceled(), p.Store
	_, err := s.Create(ctx, key, nil)
	errs := map[string]error{"Create": err}
	_, errs["PutPart"] = s.PutPart(ctx, key, id, 2, body([]byte("x")))
	errs["Complete"] = s.Complete(ctx, key, id, []sink.Part{part})
	errs["Abort"] = s.Abort(ctx, key, id)
	_, errs["Parts"] = s.Parts(ctx, key, id)
	_, errs["Head"] = s.Head(ctx, key)
	for _, err := range s.Uploads(ctx, p.Prefix) {
		errs["Uploads"] = err
	}
	for call, err := range errs {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s with an ended context: %v, want %v", call, err, context.Canceled)
		}
	}
	if _, ok := errs["Uploads"]; !ok {
		t.Error("Uploads with an ended context lists nothing, as if there was nothing")
	}
	p.see(t)
	// The upload is as it was.
	p.prepare(t, key, id, part)
	p.complete(t, s, key, id, content(1, 10), part)
}

// concurrentUploads makes several objects of two parts at once, each part on a
// goroutine of its own.
func concurrentUploads(t *testing.T, p *place) {
	var wg sync.WaitGroup
	for i := range 3 {
		key := p.key(fmt.Sprintf("crowd/i=%d/x.parquet", i%2) + fmt.Sprint(i))
		a, b := content(uint64(i), p.size), content(uint64(i)+100, 1000)
		p.want[key] = join(a, b)
		wg.Go(func() {
			if err := p.whole(t.Context(), key, a, b); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	p.see(t)
}

// whole makes an object without a look at what is visible.
func (p *place) whole(ctx context.Context, key string, bodies ...[]byte) error {
	id, err := p.Store.Create(ctx, key, nil)
	if err != nil {
		return err
	}
	parts, errs := make([]sink.Part, len(bodies)), make([]error, len(bodies))
	var wg sync.WaitGroup
	for i, b := range bodies {
		wg.Go(func() { parts[i], errs[i] = p.Store.PutPart(ctx, key, id, i+1, body(b)) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if err := p.Store.Prepare(ctx, key, id, parts); err != nil {
		return err
	}
	return p.Store.Complete(ctx, key, id, parts)
}

// concurrentCompletes is two processes that publish what a row lists.
func concurrentCompletes(t *testing.T, p *place) {
	key := p.key("both/dt=1/x.parquet")
	id := p.create(t, key)
	b := content(1, 2000)
	part := p.put(t, key, id, 1, b)
	p.prepare(t, key, id, part)
	stores := []sink.Store{p.Store, p.Reopen(t), p.Reopen(t)}
	errs := make([]error, len(stores))
	var wg sync.WaitGroup
	for i, s := range stores {
		wg.Go(func() { errs[i] = s.Complete(t.Context(), key, id, []sink.Part{part}) })
	}
	wg.Wait()
	done := 0
	for _, err := range errs {
		switch {
		case err == nil:
			done++
		case !errors.Is(err, sink.ErrNoUpload):
			t.Errorf("Complete: %v, want nil or %v", err, sink.ErrNoUpload)
		}
	}
	if done == 0 {
		t.Error("no Complete says that it succeeded")
	}
	p.want[key] = b
	p.see(t)
}

// resume completes in another process what was prepared, by what a row stored.
func resume(t *testing.T, p *place) {
	key := p.key("later/dt=1/x.parquet")
	id := p.create(t, key)
	a, b := content(1, p.size), content(2, 50)
	parts := []sink.Part{p.put(t, key, id, 1, a), p.put(t, key, id, 2, b)}
	p.prepare(t, key, id, parts...)

	row, err := json.Marshal(parts)
	if err != nil {
		t.Fatal(err)
	}
	var stored []sink.Part
	if err := json.Unmarshal(row, &stored); err != nil {
		t.Fatal(err)
	}
	s, err := p.Reopen(t).At(p.Store.Location())
	if err != nil {
		t.Fatalf("At: %v", err)
	}
	if got := p.uploads(t, s, key); len(got[key]) != 1 || got[key][0] != id {
		t.Errorf("Uploads of another process: %v, want %s", got, id)
	}
	p.complete(t, s, key, id, join(a, b), stored...)
	// The first process wakes up and does the same.
	if err := p.Store.Complete(t.Context(), key, id, parts); err != nil && !errors.Is(err, sink.ErrNoUpload) {
		t.Errorf("late Complete: %v, want nil or %v", err, sink.ErrNoUpload)
	}
	p.see(t)
}

// abortElsewhere is the sweep of another owner.
func abortElsewhere(t *testing.T, p *place) {
	key := p.key("swept/x.parquet")
	id := p.create(t, key)
	part := p.put(t, key, id, 1, content(1, 10))
	p.abort(t, p.Reopen(t), key, id)
	p.isGone(t, key, id, part)
}
