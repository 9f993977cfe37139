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
	lanes, acquired, commits, changes, recovers := r.watch.sums()
	f := r.fleet
	f.mu.Lock()
	defer f.mu.Unlock()
	faults, by := 0, []string{}
	for _, k := range kinds() {
		faults += f.done[k]
		by = append(by, fmt.Sprintf("%s %d", k, f.done[k]))
	}
	fmt.Printf("chaos: seed %d, %.0f s, %d workers; %d faults (%s), %d passed over; %d records in %d shards, %d of them malformed, %d refused once, %d not known; "+
		"%d commits, %d files, %d rows; %d acquisitions, %d changes of owner; SIGKILL to next commit %s; SIGTERM to exit %s, in trouble %s; "+
		"%d looks, %d checks, %d failed; %d other failures\n",
		r.seed, time.Since(r.began).Seconds(), r.workers, faults, strings.Join(by, ", "), f.passed,
		put.acked, lanes, put.malformed, put.refused, put.unknown, commits, v.Files, v.Rows, acquired, changes,
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
