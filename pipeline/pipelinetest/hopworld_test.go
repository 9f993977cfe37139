package pipelinetest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/internal/hop"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/source"
)

// hopping is two groups of workers in one world: what the first one reads, it sends
// on by another key in frames, which are the second one's stream.
type hopping struct {
	views      []view
	stragglers bool               // some views come after their window has closed
	live       bool               // a view happens when it is put; lanes that rest follow the clock
	seconds    func() map[int]int // of views in the stream, if live
	faults     Faults
	buckets    int
	shards     [2]int // that the two streams begin with
	broken     broken
}

// broken says which rule is broken on purpose.
type broken struct {
	header  func(h *hop.Header)                                                                      // of each frame that a commit lists
	early   bool                                                                                     // frames are sent before the commit
	atOnce  bool                                                                                     // a frame does not wait for the one before
	frame   func(f *hop.Frame, from *shardlake.Record) []hop.Frame                                   // what is taken instead
	env     func(*shardlake.Env) *shardlake.Env                                                      // that the receiver keeps its ledger in
	table   func(worker string, t lease.Store) lease.Store                                           // of the receivers
	between func(env *shardlake.Env, next shardlake.Emit[view]) (in shardlake.Emit[view], err error) // receiver and windows
}

// RunHop simulates the hop with a seed, and fails the test with the trace if a promise
// is broken. TestSim does, too.
func RunHop(t *testing.T, seed uint64) Report {
	t.Helper()
	return shown(t, seed, func(verbose bool) Report { return hoppingOf(seed).simulate(t, seed, verbose) })
}

func (h *hopping) simulate(t *testing.T, seed uint64, verbose bool) (r Report) {
	t.Helper()
	synctest.Test(t, func(*testing.T) {
		p := newSeeded(seed, h.faults.withDefaults())
		p.until *= 3 // a view takes as many turns as in two runs, and its frames
		w := newWorld(p)
		w.verbose = verbose
		h.groups(w)
		w.run()
		r = w.report
	})
	r.Seed = seed
	return r
}

// groups makes the two.
func (h *hopping) groups(w *world) {
	from := newGroup(w, Scenario[view]{Rows: h.views, Key: func(v view) string { return v.Device }, Workers: 2, Shards: h.shards[0], Reshards: 3})
	from.prefix = "a"
	if h.live {
		from.config.EventTime.Idle = 3 * time.Second
	}
	to := newGroup(w, Scenario[hop.Frame]{Workers: 2, Shards: h.shards[1], Reshards: 5, Read: h.read})
	to.prefix, to.uneven, to.ready = "b", true, from.quiet
	from.build = func(p *process, _ func(string) sink.Folder) {
		var src source.Source[view] = &simSource[view]{p, h.views, view.when}
		if h.live {
			src = liveSource{&simSource[view]{p: p, rows: h.views}}
		}
		p.pipe.Read(src).Into(&frameSink{h, p, to})
	}
	h.seconds = func() map[int]int { return secondsOf(from.stream) }
	from.want = func() map[string]int64 { return nil }
	if h.broken.table != nil {
		to.wrapTable = h.broken.table
	}
	to.build = func(p *process, lake func(string) sink.Folder) {
		h.receiver(p.pipe, frameSource{&simSource[hop.Frame]{p: p}}, lake)
	}
	to.want = func() map[string]int64 { return h.want(shardsOf(from.stream, h.views)) }
}
