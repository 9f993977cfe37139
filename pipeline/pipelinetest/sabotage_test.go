//go:build !race

package pipelinetest_test

import (
	"strings"
	"testing"

	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/pipeline/pipelinetest"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/source"
)

// Each of these breaks one rule of the protocol on purpose, around the product's
// code. A simulator that does not notice is worth nothing.
var sabotages = []struct {
	rule   string
	within uint64 // seeds
	apply  func(*pipelinetest.Scenario[click])
}{
	{"a worker that gives a lane up aborts its own uploads without looking at the row", 400, func(s *pipelinetest.Scenario[click]) {
		s.Faults = pipelinetest.Faults{Stop: 25, Slow: 100, Refused: 60}
		mine := &ownUploads{by: map[string][]sink.Upload{}}
		s.WrapStore = func(w string, st sink.Store) sink.Store { mine.store(w, st); return &noting{st, w, mine} }
		s.WrapTable = func(w string, t lease.Store) lease.Store { return &abortOnRelease{t, w, mine} }
	}},
	{"an object that is there already is refused", 400, func(s *pipelinetest.Scenario[click]) {
		s.Lake = func(st sink.Store) sink.Store { return ifNoneMatch{st} }
	}},
	{"names of files do not tell one attempt from another", 400, func(s *pipelinetest.Scenario[click]) {
		s.WrapStore = func(_ string, st sink.Store) sink.Store { return plainNames{st} }
	}},
	{"a commit does not ask who owns the lane", 400, func(s *pipelinetest.Scenario[click]) {
		s.Faults = pipelinetest.Faults{Pause: 25, Slow: 60, Late: 40}
		s.Table = func(t lease.Store) lease.Store { return unfenced{t} }
	}},
	{"children are read before their parents have ended", 400, func(s *pipelinetest.Scenario[click]) {
		s.WrapSource = func(_ string, src source.Source[click]) source.Source[click] { return orphaned[click]{src} }
	}},
	{"the position is stored before the files are", 400, func(s *pipelinetest.Scenario[click]) {
		s.WrapStore = func(_ string, st sink.Store) sink.Store { return &lazy{Store: st, parts: map[string][]lazyPart{}} }
	}},
	{"a heartbeat refuses the commit that is under way", 400, func(s *pipelinetest.Scenario[click]) {
		s.Faults = pipelinetest.NoFaults()
		s.Table = func(t lease.Store) lease.Store { return restless{t} }
	}},
	{"state is stored apart from the commit", 400, func(s *pipelinetest.Scenario[click]) {
		side := &sideState{states: map[string]map[string][]byte{}}
		s.WrapTable = func(_ string, t lease.Store) lease.Store { return &stateApart{t, side} }
	}},
	{"a late Clear empties the list of another commit", 600, func(s *pipelinetest.Scenario[click]) {
		s.Faults = pipelinetest.Faults{Late: 100, Slow: 50}
		s.Table = func(t lease.Store) lease.Store { return clearAny{t} }
	}},
	{"uploads are aborted when the outcome of a commit is not known", 400, func(s *pipelinetest.Scenario[click]) {
		mine := &ownUploads{by: map[string][]sink.Upload{}}
		s.WrapStore = func(w string, st sink.Store) sink.Store { mine.store(w, st); return &noting{st, w, mine} }
		s.WrapTable = func(w string, t lease.Store) lease.Store { return &abortOnDoubt{t, w, mine} }
	}},
	{"the sweeper takes the uploads of other lanes for its own", 400, func(s *pipelinetest.Scenario[click]) {
		s.WrapStore = func(_ string, st sink.Store) sink.Store { return &greedy{Store: st} }
	}},
	{"a lane that has ended with files to publish is left alone", 400, func(s *pipelinetest.Scenario[click]) {
		s.Table = func(t lease.Store) lease.Store { return endIsEnd{t} }
	}},
	{"a child does not take over its parents' watermarks", 400, func(s *pipelinetest.Scenario[click]) {
		s.WrapTable = func(_ string, t lease.Store) lease.Store { return forgetful{t} }
	}},
}

func TestSabotageIsNoticed(t *testing.T) {
	for _, c := range sabotages {
		t.Run(strings.ReplaceAll(c.rule, " ", "-"), func(t *testing.T) {
			for seed := range c.within {
				s := scenario(3, 3, 4)
				c.apply(&s)
				if r := pipelinetest.Simulate(t, seed, s); r.Violation != nil {
					t.Logf("seed %d, turn %d: %.200v", seed, r.Turns, r.Violation)
					return
				}
			}
			t.Errorf("not noticed within %d seeds", c.within)
		})
	}
}
