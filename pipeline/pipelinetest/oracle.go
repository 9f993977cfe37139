package pipelinetest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/shardlake/shardlake/pipeline/lease"
)

// oracle knows what was committed and looks at what is visible, after every
// effect that changes either.
type oracle struct {
	w       *world
	read    func(folder string, file []byte) ([]Row, error)
	folders []string

	uploads map[string]*upload // by id
	commits map[string]*commit // by id
	chains  map[string][]*commit
	owned   map[string]bool // lanes that were acquired once
	files   map[string]*file
	total   map[string]int64 // of what is visible, by Row.ID
	peak    map[string]int64 // the highest it ever was
}

// upload is one that was begun.
type upload struct {
	key, cid string
	turn     int
	complete bool
	aborted  bool
}

// commit is one that is in a row.
type commit struct {
	lane, id string
	number   uint64
	ended    bool
	keys     []string
	uploads  []string
	after    *commit // the one before, of the lane
	repair   bool    // it is being taken back
}

// file is a visible object.
type file struct {
	key, folder string
	of          *commit
	rows        []Row
}

func newOracle(w *world, read func(string, []byte) ([]Row, error)) *oracle {
	return &oracle{
		w: w, read: read, uploads: map[string]*upload{}, commits: map[string]*commit{}, chains: map[string][]*commit{},
		owned: map[string]bool{}, files: map[string]*file{}, total: map[string]int64{}, peak: map[string]int64{},
	}
}

// folder remembers a prefix that is written to; the longest come first.
func (o *oracle) folder(prefix string) {
	if !slices.Contains(o.folders, prefix) {
		o.folders = append(o.folders, prefix)
		slices.SortFunc(o.folders, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	}
}

func (o *oracle) folderOf(key string) string {
	for _, f := range o.folders {
		if strings.HasPrefix(key, f+"/") {
			return f
		}
	}
	return path.Dir(key)
}

func (o *oracle) acquired(r lease.Row) {
	if o.owned[r.Lane] {
		o.w.report.HandOvers++
	}
	o.owned[r.Lane] = true
}

func (o *oracle) created(id, key string, meta map[string]string) {
	o.uploads[id] = &upload{key: key, cid: meta["sl-commit"], turn: o.w.turn}
}

func (o *oracle) isComplete(id string) bool { u := o.uploads[id]; return u != nil && u.complete }

// aborted checks that no row refers to the upload.
func (o *oracle) aborted(id string) {
	u := o.uploads[id]
	if u == nil || u.complete {
		return
	}
	u.aborted = true
	if c := o.commits[u.cid]; c != nil && !c.repair && slices.Contains(c.uploads, id) {
		o.w.violate("upload %s of %s is aborted, and commit %d of %s lists it", id, plainKey(u.key), c.number, short(c.lane))
	}
}

// entry is what a Pending of a file sink tells about where it lies.
type entry struct{ Key, Upload string }

// committed takes note of a commit that is in its row now. It may be told again.
func (o *oracle) committed(r lease.Row) {
	if o.commits[r.CommitID] != nil {
		return
	}
	c := &commit{lane: r.Lane, id: r.CommitID, number: r.Number, ended: r.Ended}
	for _, p := range r.Pending {
		var e entry
		if err := json.Unmarshal(p.Data, &e); err != nil || e.Key == "" {
			continue // of another kind of sink
		}
		u := o.uploads[e.Upload]
		if u == nil || u.aborted {
			o.w.violate("commit %d of %s lists upload %s of %s, which is gone", c.number, short(c.lane), e.Upload, plainKey(e.Key))
			return
		}
		c.keys, c.uploads = append(c.keys, u.key), append(c.uploads, e.Upload)
	}
	chain := o.chains[r.Lane]
	if n := len(chain); n > 0 {
		c.after = chain[n-1]
		if !o.whole(c.after) {
			o.w.violate("commit %d of %s replaces commit %d, which is not visible as a whole", c.number, short(c.lane), c.after.number)
		}
		if c.after.ended && !c.after.repair {
			o.w.violate("commit %d of %s follows the one that ended the lane", c.number, short(c.lane))
		}
		if c.number != c.after.number+1 {
			o.w.violate("commit %d of %s follows number %d", c.number, short(c.lane), c.after.number)
		}
	}
	o.commits[c.id], o.chains[r.Lane] = c, append(chain, c)
	o.w.report.Commits++
}

// whole tells whether all files of a commit are visible, or it is taken back.
func (o *oracle) whole(c *commit) bool {
	return c.repair || !slices.ContainsFunc(c.keys, func(k string) bool { return o.files[k] == nil })
}

// cleared checks that nothing is forgotten that is not visible.
func (o *oracle) cleared(r lease.Row) {
	if c := o.commits[r.CommitID]; c != nil && len(r.Pending) == 0 && !o.whole(c) {
		o.w.violate("the list of commit %d of %s is cleared before all its files are visible", c.number, short(c.lane))
	}
}

// marked takes note that a commit is being taken back: its files may go.
func (o *oracle) marked(r lease.Row) {
	if c := o.commits[r.CommitID]; c != nil {
		c.repair = true
	}
}

// deleted checks that nothing is taken from readers but by a repair.
func (o *oracle) deleted(key string) {
	f := o.files[key]
	if f == nil {
		return
	}
	if !f.of.repair {
		o.w.violate("%s is deleted", plainKey(key))
	}
	delete(o.files, key)
	o.count(f, -1)
}

// completed looks at an object that has just become visible.
func (o *oracle) completed(id, key string) error {
	u := o.uploads[id]
	if u == nil {
		o.w.violate("%s is visible, of an upload that nobody began", plainKey(key))
		return nil
	}
	u.complete = true
	c := o.commits[u.cid]
	switch {
	case c == nil:
		o.w.violate("%s is visible and not committed", plainKey(key))
		return nil
	case !slices.Contains(c.uploads, id):
		o.w.violate("%s is visible and its commit does not list it", plainKey(key))
	case c.after != nil && !o.whole(c.after):
		o.w.violate("%s of commit %d is visible before all of commit %d", plainKey(key), c.number, c.after.number)
	case c.after == nil:
		o.parents(c)
	}
	if old := o.files[key]; old != nil {
		o.w.violate("%s is replaced", plainKey(key))
		o.count(old, -1)
	}
	f := &file{key: key, folder: o.folderOf(key), of: c}
	var err error
	if f.rows, err = o.read(f.folder, o.w.memory.Objects()[key]); err != nil {
		o.w.violate("%s cannot be read: %v", plainKey(key), err)
	}
	o.files[key] = f
	o.count(f, 1)
	return nil
}

// parents checks that nothing of a lane is visible before all of its parents is.
func (o *oracle) parents(c *commit) {
	x := o.w.stream.find(c.lane)
	if x == nil {
		return
	}
	for _, id := range x.parents {
		chain := o.chains[id]
		if len(chain) == 0 || !chain[len(chain)-1].ended || !o.whole(chain[len(chain)-1]) {
			o.w.violate("rows of %s are visible before all rows of its parent %s", short(c.lane), short(id))
		}
	}
}

func (o *oracle) count(f *file, sign int64) {
	for _, r := range f.rows {
		k := r.ID
		o.total[k] += sign * cmp.Or(r.Value, 1)
		o.peak[k] = max(o.peak[k], o.total[k])
		if r.Value == 0 && o.total[k] > 1 {
			o.w.violate("row %s is visible %d times", k, o.total[k])
		}
	}
}

// final compares what a reader finds in the end with what shall be there.
func (o *oracle) final(want map[string]int64) error {
	var errs []error
	bad := func(format string, args ...any) {
		if len(errs) < 8 {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	got := map[string]int64{}
	objects := o.w.memory.Objects()
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
	errs = append(errs, o.order())
	return errors.Join(errs...)
}

// order checks that rows of one key are in order over lanes, commits and files.
func (o *oracle) order() error {
	rank := map[string]int{}
	for i, x := range o.w.stream.shards {
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

// vanish removes an upload that a row lists and that is not visible yet, as a
// lifecycle rule would; false if there is none.
func (o *oracle) vanish() bool {
	for _, x := range o.w.stream.shards {
		chain := o.chains[x.id]
		if len(chain) == 0 {
			continue
		}
		for _, id := range chain[len(chain)-1].uploads {
			if u := o.uploads[id]; !u.complete && !u.aborted {
				u.aborted = true
				o.w.trace.add("the upload of %s vanishes", plainKey(u.key))
				return o.w.memory.Abort(context.Background(), u.key, id) == nil
			}
		}
	}
	return false
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

func plainKey(key string) string { _, n := plain(key); return n }
