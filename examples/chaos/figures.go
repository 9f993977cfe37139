//go:build unix

package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// figures prints the last line.
func (r *run) figures(v verdict) {
	put, _ := r.producer.state()
	f := r.fleet
	var lanes, changes int
	var acquired, commits uint64
	var recovers []time.Duration
	for _, g := range f.groups {
		l, a, c, ch, re := g.watch.sums()
		lanes, acquired, commits, changes, recovers = lanes+l, acquired+a, commits+c, changes+ch, append(recovers, re...)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	faults, by := 0, []string{}
	for _, k := range kinds() {
		faults += f.done[k]
		by = append(by, fmt.Sprintf("%s %d", k, f.done[k]))
	}
	fmt.Printf("chaos: seed %d, %.0f s, %d workers; %d faults (%s), %d passed over; %d records in %d shards, %d of them malformed, %d refused once, %d not known; "+
		"%d commits, %d files, %d rows; %d acquisitions, %d changes of owner%s; SIGKILL to next commit %s; SIGTERM to exit %s, in trouble %s; "+
		"%d looks, %d checks, %d failed; %d other failures\n",
		r.seed, time.Since(r.began).Seconds(), len(f.slots), faults, strings.Join(by, ", "), f.passed,
		put.acked, lanes, put.malformed, put.refused, put.unknown, commits, v.Files, v.Rows, acquired, changes, r.frames,
		spread(recovers), spread(f.exits), spread(f.cuts), v.Looks, v.Checks, v.Failed, len(f.blamed))
}

// spread is the median and the longest of some times.
func spread(ds []time.Duration) string {
	if len(ds) == 0 {
		return "not seen"
	}
	slices.Sort(ds)
	return fmt.Sprintf("%.1f s (longest of %d: %.1f s)", ds[len(ds)/2].Seconds(), len(ds), ds[len(ds)-1].Seconds())
}
