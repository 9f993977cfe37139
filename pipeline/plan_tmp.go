package pipeline

import (
	"fmt"
	"slices"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/source"
)

type tmpPlan struct {
	Create, Ready, Delete []lease.Row
	Warnings              []string
	Busy                  bool
}

type tmpLineage struct{}

var lineage tmpLineage

func (tmpLineage) Plan(listing source.Listing, all []lease.Row) (p tmpPlan, err error) {
	rows, begin := map[string]lease.Row{}, listing.Begin
	for _, row := range all {
		rows[row.Lane] = row
		if row.Source == listing.Identity {
			begin = row.Begin
		}
	}
	listed := map[string]bool{}
	for _, l := range listing.Lanes {
		listed[l.ID] = true
	}
	for _, l := range listing.Lanes {
		row, ok := rows[l.ID]
		if ok && row.Source != listing.Identity {
			return p, fmt.Errorf("lane %s: its lease row is of %q, the source is %q now: the stream was deleted and made again, or another stream has the same lane names; positions of one mean nothing in the other: use another Application with leases of its own", l.ID, row.Source, listing.Identity)
		}
		if !ok {
			p.Create = append(p.Create, lease.Row{Lane: l.ID, Parents: slices.Clone(l.Parents), Range: l.Range, Source: listing.Identity, Begin: begin, Watermark: shardlake.Never})
			p.Busy = true
			continue
		}
		if row.Finished() {
			continue
		}
		p.Busy = true
		done := true
		for _, id := range l.Parents {
			row, ok := rows[id]
			if ok && !row.Finished() || !ok && listed[id] {
				done = false
			}
		}
		if done {
			p.Ready = append(p.Ready, row)
		}
	}
	return p, nil
}
