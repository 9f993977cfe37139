package pipelinetest

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
)

// final compares what a reader finds in the end with what shall be there.
func (o *oracle) final(want map[string]int64) error {
	var errs []error
	bad := func(format string, args ...any) {
		if len(errs) < 8 {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	got := map[string]int64{}
	objects := o.g.memory.Objects()
	for _, key := range slices.Sorted(maps.Keys(objects)) {
		folder := o.folderOf(key)
		rows, err := o.read(folder, objects[key])
		if err != nil {
			bad("%s cannot be read: %v", plainKey(key), err)
		}
		for _, r := range rows {
			got[r.ID] += cmp.Or(r.Value, 1)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if got[k] != want[k] {
			bad("%s: %d is visible in the end, want %d", k, got[k], want[k])
		}
	}
	for _, k := range slices.Sorted(maps.Keys(o.peak)) {
		if o.peak[k] > want[k] {
			bad("%s: %d was visible, want %d at most", k, o.peak[k], want[k])
		}
	}
	for _, k := range slices.Sorted(maps.Keys(got)) {
		if got[k] > want[k] && o.peak[k] < got[k] {
			bad("%s: %d is visible in the end, want %d", k, got[k], want[k])
		}
	}
	for _, id := range o.leftover() {
		u := o.uploads[id]
		if lane, name := plain(u.key); u.turn < o.owned[lane] && !o.unswept {
			bad("the upload of %s, begun in turn %d, is left, and %s had another owner since turn %d", name, u.turn, short(lane), o.owned[lane])
		}
	}
	errs = append(errs, o.order())
	return errors.Join(errs...)
}

// order checks that rows of one key are in order over lanes, commits and files.
func (o *oracle) order() error {
	rank := map[string]int{}
	for i, x := range o.g.stream.shards {
		rank[x.id] = i
	}
	files := slices.SortedFunc(maps.Values(o.files), func(a, b *file) int {
		x, _ := parseName(a.key)
		y, _ := parseName(b.key)
		return cmp.Or(cmp.Compare(rank[a.of.lane], rank[b.of.lane]), cmp.Compare(a.of.number, b.of.number), cmp.Compare(x.ordinal, y.ordinal), cmp.Compare(a.key, b.key))
	})
	type last struct {
		order int64
		of    *commit
	}
	inDir, inFolder := map[string]last{}, map[string]last{}
	var highest map[string]last // of the commits before the one at hand, by folder and key
	var at *commit
	for _, f := range files {
		if f.of != at {
			at, highest = f.of, maps.Clone(inFolder)
		}
		for _, r := range f.rows {
			if r.Key == "" {
				continue
			}
			dir, folder := path.Dir(f.key)+" "+r.Key, f.folder+" "+r.Key
			if l, ok := inDir[dir]; ok && l.order >= r.Order {
				return fmt.Errorf("key %s: row %d in commit %d of %s comes behind row %d in commit %d of %s", dir, r.Order, f.of.number, short(f.of.lane), l.order, l.of.number, short(l.of.lane))
			}
			if l, ok := highest[folder]; ok && l.order >= r.Order {
				return fmt.Errorf("key %s: row %d in commit %d of %s comes behind row %d in commit %d of %s", folder, r.Order, f.of.number, short(f.of.lane), l.order, l.of.number, short(l.of.lane))
			}
			inDir[dir] = last{r.Order, f.of}
			if l, ok := inFolder[folder]; !ok || r.Order > l.order {
				inFolder[folder] = last{r.Order, f.of}
			}
		}
	}
	return nil
}

// leftover lists uploads that are neither finished nor listed by a row.
func (o *oracle) leftover() (ids []string) {
	for id, u := range o.uploads {
		if !u.complete && !u.aborted {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	return ids
}
