//go:build !race

package pipelinetest_test

import (
	"flag"
	"strconv"
	"testing"

	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/pipeline/pipelinetest"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/source"
)

// two rows, one shard, one folder: small enough to go through everything.
func tiny(workers int) pipelinetest.Scenario[click] {
	return pipelinetest.Scenario[click]{
		Rows: clicks(2), Key: func(c click) string { return c.Key }, At: click.when,
		Workers: workers, Shards: 1,
		Build: func(p *pipeline.Pipeline, src source.Source[click], lake func(string) sink.Folder) {
			p.Read(src).Write(lake("raw"), pipelinetest.JSON)
		},
		Read: func(_ string, file []byte) (out []pipelinetest.Row, err error) {
			rows, err := pipelinetest.Lines[click](file)
			for _, c := range rows {
				out = append(out, pipelinetest.Row{ID: strconv.Itoa(c.ID), Key: c.Key, Order: int64(c.ID)})
			}
			return out, err
		},
		Want: func(shards []pipelinetest.Shard[click]) map[string]int64 {
			w := map[string]int64{}
			for _, s := range shards {
				for _, c := range s.Rows {
					w[strconv.Itoa(c.ID)] = 1
				}
			}
			return w
		},
	}
}

// all adds searches that take half a minute.
var all = flag.Bool("explore.all", false, "also explore a crash with a late request, and two workers with a crash")

// Everything that one worker can do, with one crash or one late request, and two
// workers with none.
func TestExplore(t *testing.T) {
	type search struct {
		workers int
		bounds  pipelinetest.Bounds
	}
	searches := []search{{1, pipelinetest.Bounds{Crashes: 1}}, {1, pipelinetest.Bounds{Late: 1}}, {2, pipelinetest.Bounds{}}}
	if *all {
		searches = append(searches, search{1, pipelinetest.Bounds{Crashes: 1, Late: 1, Runs: 200_000}}, search{2, pipelinetest.Bounds{Crashes: 1, Runs: 200_000}})
	}
	for _, c := range searches {
		e := pipelinetest.Explore(t, c.bounds, tiny(c.workers))
		t.Logf("%d workers, %d crashes, %d late: %d runs, %d states", c.workers, c.bounds.Crashes, c.bounds.Late, e.Runs, e.States)
		if !e.Complete {
			t.Errorf("%d workers, %+v: not complete after %d runs", c.workers, c.bounds, e.Runs)
		}
	}
}

// What a search does not find is not looked for: it notices a broken rule too.
func TestSearchNotices(t *testing.T) {
	s := tiny(1)
	mine := &ownUploads{by: map[string][]sink.Upload{}}
	s.WrapStore = func(w string, st sink.Store) sink.Store { mine.store(w, st); return &noting{st, w, mine} }
	s.WrapTable = func(w string, t lease.Store) lease.Store { return &abortOnDoubt{t, w, mine} }
	e := pipelinetest.Search(t, pipelinetest.Bounds{Late: 1}, s)
	if e.Violation == nil {
		t.Errorf("not noticed in %d runs", e.Runs)
	}
	t.Logf("run %d: %v", e.Runs, e.Violation)
}
