package pipeline

import (
	"slices"
	"sync/atomic"

	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/source"
)

// peers are the lanes of one source that are being read somewhere, as the last round
// saw them. The runner writes, lanes read.
type peers struct{ lanes atomic.Pointer[[]string] }

func (p *peers) meet(lanes []string) { p.lanes.Store(&lanes) }

// siblings are the lanes as last seen, sorted.
func (p *peers) siblings() []string {
	if l := p.lanes.Load(); l != nil {
		return *l
	}
	return nil
}

// abreast are the lanes that are not done with and do not wait for a parent, by
// stream and rows, sorted: each is read by somebody, or will be.
func abreast(l source.Listing, rows []lease.Row) (out []string) {
	parents, finished := map[string][]string{}, map[string]bool{}
	for _, lane := range l.Lanes {
		parents[lane.ID] = lane.Parents
	}
	for _, row := range rows {
		if _, listed := parents[row.Lane]; listed || row.Source == l.Identity {
			finished[row.Lane] = row.Finished()
			parents[row.Lane] = row.Parents
		}
	}
	for lane, above := range parents {
		waits := slices.ContainsFunc(above, func(p string) bool {
			_, known := parents[p]
			return known && !finished[p]
		})
		if !finished[lane] && !waits {
			out = append(out, lane)
		}
	}
	slices.Sort(out)
	return out
}
