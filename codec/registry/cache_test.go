package registry_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardlake/shardlake/codec/registry"
)

// scripted answers questions by a function and counts them.
type scripted struct {
	asked  atomic.Int32
	answer func(ctx context.Context, n int, id registry.ID) (registry.Schema, error)
}

func (s *scripted) Schema(ctx context.Context, id registry.ID) (registry.Schema, error) {
	return s.answer(ctx, int(s.asked.Add(1)), id)
}

func id(n uint32) registry.ID { return registry.ID{Framing: registry.Confluent, Number: n} }

func echo(_ context.Context, _ int, id registry.ID) (registry.Schema, error) {
	return registry.Schema{Format: registry.Avro, Definition: id.String()}, nil
}

func cache(t *testing.T, s *scripted, c registry.CacheConfig) *registry.Cache {
	t.Helper()
	k, err := registry.NewCache(s, c)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func want(t *testing.T, c *registry.Cache, n uint32) {
	t.Helper()
	if s, err := c.Schema(t.Context(), id(n)); err != nil || s.Definition != fmt.Sprint(n) {
		t.Errorf("schema %d: %+v, %v", n, s, err)
	}
}

func TestAVersionIsAskedForOnce(t *testing.T) {
	s := &scripted{answer: echo}
	c := cache(t, s, registry.CacheConfig{Size: 2})
	for range 3 {
		want(t, c, 1)
		want(t, c, 2)
	}
	if n := s.asked.Load(); n != 2 {
		t.Errorf("%d questions for 2 versions", n)
	}
	want(t, c, 1)
	want(t, c, 3) // 2 was not used for longest
	want(t, c, 1)
	if n := s.asked.Load(); n != 3 {
		t.Errorf("%d questions for 3 versions", n)
	}
	want(t, c, 2)
	if n := s.asked.Load(); n != 4 {
		t.Errorf("%d questions: more than 2 versions are kept", n)
	}
}

func TestLanesShareAQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		open := make(chan struct{})
		s := &scripted{answer: func(ctx context.Context, n int, id registry.ID) (registry.Schema, error) {
			<-open
			return echo(ctx, n, id)
		}}
		c := cache(t, s, registry.CacheConfig{})
		var lanes sync.WaitGroup
		for range 10 {
			lanes.Go(func() { want(t, c, 7) })
		}
		synctest.Wait()
		if n := s.asked.Load(); n != 1 {
			t.Errorf("%d questions at a time", n)
		}
		close(open)
		lanes.Wait()
		if n := s.asked.Load(); n != 1 {
			t.Errorf("%d questions in all", n)
		}
	})
}

// A lane that ends while it asks for others leaves the question to them.
func TestALaneThatEndsLeavesTheQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{answer: func(ctx context.Context, n int, id registry.ID) (registry.Schema, error) {
			if n == 1 {
				<-ctx.Done()
				return registry.Schema{}, ctx.Err()
			}
			return echo(ctx, n, id)
		}}
		c := cache(t, s, registry.CacheConfig{})
		ctx, end := context.WithCancel(t.Context())
		var lanes sync.WaitGroup
		lanes.Go(func() {
			if _, err := c.Schema(ctx, id(7)); !errors.Is(err, context.Canceled) {
				t.Errorf("the lane that ended: %v", err)
			}
		})
		synctest.Wait()
		lanes.Go(func() { want(t, c, 7) })
		synctest.Wait()
		end()
		lanes.Wait()
		ended, end := context.WithCancel(t.Context())
		end()
		if _, err := c.Schema(ended, id(8)); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("after the end: %v", err)
		}
	})
}

func TestAnUnknownVersionIsRememberedForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var registered atomic.Bool
		s := &scripted{answer: func(ctx context.Context, n int, id registry.ID) (registry.Schema, error) {
			if !registered.Load() && id.Number != 1 {
				return registry.Schema{}, registry.ErrUnknown
			}
			return echo(ctx, n, id)
		}}
		c := cache(t, s, registry.CacheConfig{Size: 1, UnknownSize: 2})
		want(t, c, 1)
		for range 5 {
			if _, err := c.Schema(t.Context(), id(7)); !errors.Is(err, registry.ErrUnknown) || !strings.Contains(err.Error(), "schema 7") {
				t.Errorf("%v", err)
			}
		}
		if n := s.asked.Load(); n != 2 {
			t.Errorf("%d questions", n)
		}
		for n := range uint32(100) { // hostile ids push out no schema
			if _, err := c.Schema(t.Context(), id(100+n)); !errors.Is(err, registry.ErrUnknown) {
				t.Errorf("%v", err)
			}
		}
		want(t, c, 1)
		if n := s.asked.Load(); n != 102 {
			t.Errorf("%d questions", n)
		}
		registered.Store(true)
		if _, err := c.Schema(t.Context(), id(199)); !errors.Is(err, registry.ErrUnknown) {
			t.Errorf("%v: want the answer that is remembered", err)
		}
		time.Sleep(time.Minute)
		want(t, c, 199)
	})
}

func TestWhatMayPassIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{answer: func(ctx context.Context, n int, id registry.ID) (registry.Schema, error) {
			switch n {
			case 1:
				return registry.Schema{}, errors.New("connection refused")
			case 2: // hangs
				<-ctx.Done()
				return registry.Schema{}, ctx.Err()
			}
			return echo(ctx, n, id)
		}}
		start := time.Now()
		c := cache(t, s, registry.CacheConfig{})
		want(t, c, 7)
		if d := time.Since(start); d != 10*time.Second+600*time.Millisecond {
			t.Errorf("the answer came after %v: want one question of 10 s, and pauses of 200 and 400 ms", d)
		}
	})
}

// An outage is never held against a record: the lane stops, with a remedy, and a
// later question is put anew.
func TestAnOutageStopsTheLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := true
		s := &scripted{answer: func(ctx context.Context, n int, id registry.ID) (registry.Schema, error) {
			if down {
				return registry.Schema{}, errors.New("connection refused")
			}
			return echo(ctx, n, id)
		}}
		c := cache(t, s, registry.CacheConfig{})
		start := time.Now()
		_, err := c.Schema(t.Context(), id(7))
		if err == nil || refused(err) || errors.Is(err, registry.ErrUnknown) || !strings.Contains(err.Error(), "connection refused (nothing is lost: see whether the registry can be reached from here") {
			t.Errorf("%v", err)
		}
		if d, n := time.Since(start), s.asked.Load(); d > time.Minute || n < 8 || n > 20 {
			t.Errorf("gave up after %v and %d questions", d, n)
		}
		down = false
		want(t, c, 7)
	})
}

func TestARefusalIsNotRepeated(t *testing.T) {
	s := &scripted{answer: func(context.Context, int, registry.ID) (registry.Schema, error) {
		return registry.Schema{}, fmt.Errorf("403: %w", registry.ErrRefused)
	}}
	c := cache(t, s, registry.CacheConfig{})
	if _, err := c.Schema(t.Context(), id(7)); !errors.Is(err, registry.ErrRefused) || !strings.Contains(err.Error(), "mend permissions") || s.asked.Load() != 1 {
		t.Errorf("%v after %d questions", err, s.asked.Load())
	}
}

// A resolver that panics leaves no lane waiting.
func TestAPanicLeavesNobodyWaiting(t *testing.T) {
	s := &scripted{answer: func(ctx context.Context, n int, id registry.ID) (registry.Schema, error) {
		if n == 1 {
			panic("at the first question")
		}
		return echo(ctx, n, id)
	}}
	c := cache(t, s, registry.CacheConfig{})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is swallowed")
			}
		}()
		if _, err := c.Schema(t.Context(), id(7)); err != nil {
			t.Error(err)
		}
	}()
	want(t, c, 7)
}

func TestSettingsOfTheCacheAreChecked(t *testing.T) {
	if _, err := registry.NewCache(nil, registry.CacheConfig{}); err == nil {
		t.Error("no resolver is taken")
	}
	if _, err := registry.NewCache(&scripted{}, registry.CacheConfig{Patience: -1}); err == nil {
		t.Error("negative patience is taken")
	}
}
