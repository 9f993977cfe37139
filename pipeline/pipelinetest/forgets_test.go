//go:build !race

package pipelinetest_test

import (
	"context"
	"errors"
	"path"
	"strings"
	"testing"

	"github.com/shardlake/shardlake/pipeline/pipelinetest"
	"github.com/shardlake/shardlake/sink"
)

// lateAfterRepair is a store in which, of a commit of which an upload has
// vanished, no other Complete gets an answer any more: what was sent arrives just
// after a repair has looked that nothing is there.
type lateAfterRepair struct {
	sink.Store
	forget bool            // Abort has no effect on such a commit
	broken map[string]bool // commits of which an upload has vanished, by id
	gone   map[string]bool // what has vanished, by key
	late   map[string]func()
}

func attemptOf(key string) string { return strings.Split(path.Base(key), "-")[5] }

func (s *lateAfterRepair) Complete(ctx context.Context, key, id string, parts []sink.Part) error {
	if s.broken[attemptOf(key)] && !s.gone[key] {
		s.late[key] = func() {
			if err := s.Store.Complete(context.WithoutCancel(ctx), key, id, parts); err != nil && !errors.Is(err, sink.ErrNoUpload) {
				panic(err)
			}
		}
		return errors.New("no answer")
	}
	err := s.Store.Complete(ctx, key, id, parts)
	if errors.Is(err, sink.ErrNoUpload) {
		if _, err := s.Store.Head(ctx, key); errors.Is(err, sink.ErrNoObject) {
			s.broken[attemptOf(key)], s.gone[key] = true, true
		}
	}
	return err
}

func (s *lateAfterRepair) Abort(ctx context.Context, key, id string) error {
	if s.forget && s.broken[attemptOf(key)] {
		return nil
	}
	return s.Store.Abort(ctx, key, id)
}

func (s *lateAfterRepair) Head(ctx context.Context, key string) (sink.Object, error) {
	o, err := s.Store.Head(ctx, key)
	if arrive := s.late[key]; arrive != nil && errors.Is(err, sink.ErrNoObject) {
		delete(s.late, key)
		arrive()
	}
	return o, err
}

// repairs is a scenario in which uploads vanish.
func repairs(forget bool) pipelinetest.Scenario[click] {
	s := scenario(2, 2, 2)
	s.Config.Repair = true
	s.Faults = pipelinetest.Faults{Slow: 60, Vanish: 150}
	s.Lake = func(st sink.Store) sink.Store {
		return &lateAfterRepair{Store: st, forget: forget, broken: map[string]bool{}, gone: map[string]bool{}, late: map[string]func(){}}
	}
	return s
}

// A repair that does not abort before it goes back is noticed within 400 seeds; one
// that does keeps every promise under the same faults.
func TestRepairWithoutAbortIsNoticed(t *testing.T) {
	for seed := range uint64(60) {
		pipelinetest.Run(t, seed, repairs(false))
	}
	for seed := range uint64(400) {
		if r := pipelinetest.Simulate(t, seed, repairs(true)); r.Violation != nil {
			t.Logf("seed %d, turn %d: %.200v", seed, r.Turns, r.Violation)
			return
		}
	}
	t.Error("not noticed within 400 seeds")
}
