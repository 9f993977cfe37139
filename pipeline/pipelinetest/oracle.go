package pipelinetest

import (
	"cmp"
	"context"
	"encoding/json"
	"path"
	"slices"
	"strings"

	"github.com/shardlake/shardlake/pipeline/lease"
)

// oracle knows what was committed and looks at what is visible, after every
// effect that changes either.
type oracle struct {
	g       *group
	read    func(folder string, file []byte) ([]Row, error)
	folders []string

	uploads map[string]*upload // by id
	commits map[string]*commit // by id
	chains  map[string][]*commit
	owned   map[string]int // the turn in which a lane was acquired last
	unswept bool           // a sweep was disturbed: what it left, nobody may look for again
	files   map[string]*file
	total   map[string]int64 // of what is visible, by Row.ID
	peak    map[string]int64 // the highest it ever was

	listed, sent map[string]bool // frames that a commit lists, that are in the next group's stream
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
	frames   []string // that it sends to the next group
	after    *commit  // the one before, of the lane
	repair   bool     // it is being taken back
}

// file is a visible object.
type file struct {
	key, folder string
	of          *commit
	rows        []Row
}

func newOracle(g *group, read func(string, []byte) ([]Row, error)) *oracle {
	return &oracle{
		g: g, read: read, uploads: map[string]*upload{}, commits: map[string]*commit{}, chains: map[string][]*commit{},
		owned: map[string]int{}, files: map[string]*file{}, total: map[string]int64{}, peak: map[string]int64{},
		listed: map[string]bool{}, sent: map[string]bool{},
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
	if _, again := o.owned[r.Lane]; again {
		o.g.report.HandOvers++
	}
	o.owned[r.Lane] = o.g.turn
}

func (o *oracle) created(id, key string, meta map[string]string) {
	o.uploads[id] = &upload{key: key, cid: meta["sl-commit"], turn: o.g.turn}
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
		o.g.violate("upload %s of %s is aborted, and commit %d of %s lists it", id, plainKey(u.key), c.number, short(c.lane))
	}
}

// entry is what a Pending of a file sink tells about where it lies, or what one that
// is sent on holds.
type entry struct {
	Key, Upload string
	Frames      [][]byte
}

// committed takes note of a commit that is in its row now. It may be told again.
func (o *oracle) committed(r lease.Row) {
	if o.commits[r.CommitID] != nil {
		return
	}
	c := &commit{lane: r.Lane, id: r.CommitID, number: r.Number, ended: r.Ended}
	for _, p := range r.Pending {
		var e entry
		if err := json.Unmarshal(p.Data, &e); err != nil {
			continue // of another kind of sink
		}
		for _, f := range e.Frames {
			c.frames = append(c.frames, string(f))
			o.listed[string(f)] = true
		}
		if e.Key == "" {
			continue
		}
		u := o.uploads[e.Upload]
		if u == nil || u.aborted {
			o.g.violate("commit %d of %s lists upload %s of %s, which is gone", c.number, short(c.lane), e.Upload, plainKey(e.Key))
			return
		}
		c.keys, c.uploads = append(c.keys, u.key), append(c.uploads, e.Upload)
	}
	chain := o.chains[r.Lane]
	if n := len(chain); n > 0 {
		c.after = chain[n-1]
		if !o.whole(c.after) {
			o.g.violate("commit %d of %s replaces commit %d, which is not visible as a whole", c.number, short(c.lane), c.after.number)
		}
		if c.after.ended && !c.after.repair {
			o.g.violate("commit %d of %s follows the one that ended the lane", c.number, short(c.lane))
		}
		if c.number != c.after.number+1 {
			o.g.violate("commit %d of %s follows number %d", c.number, short(c.lane), c.after.number)
		}
	}
	o.commits[c.id], o.chains[r.Lane] = c, append(chain, c)
	o.g.report.Commits++
}

// whole tells whether all files of a commit are visible and all its frames sent, or it
// is taken back.
func (o *oracle) whole(c *commit) bool {
	return c.repair || !slices.ContainsFunc(c.keys, func(k string) bool { return o.files[k] == nil }) &&
		!slices.ContainsFunc(c.frames, func(f string) bool { return !o.sent[f] })
}

// arrives looks at a frame that comes into the next group's stream, as what: it is
// committed. It may come again.
func (o *oracle) arrives(frame []byte, what string) {
	if !o.listed[string(frame)] {
		o.g.violate("%s is sent, and no commit lists it", what)
	}
	if o.sent[string(frame)] {
		o.g.report.Faults["frame again"]++
	}
	o.sent[string(frame)] = true
}

// cleared checks that nothing is forgotten that is not visible.
func (o *oracle) cleared(r lease.Row) {
	if c := o.commits[r.CommitID]; c != nil && len(r.Pending) == 0 && !o.whole(c) {
		o.g.violate("the list of commit %d of %s is cleared before all its files are visible", c.number, short(c.lane))
	}
}

// forgotten checks that a row that is deleted keeps nobody from reading its shard
// again, and that each child has taken over what it kept.
func (o *oracle) forgotten(lane string) {
	x := o.g.stream.find(lane)
	if !x.trimmed {
		o.g.violate("the row of %s is deleted, and the stream still lists the shard", short(lane))
	}
	for _, c := range x.children {
		if len(o.chains[c]) == 0 {
			o.g.violate("the row of %s is deleted, and its child %s has not taken over what it kept", short(lane), short(c))
		}
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
		o.g.violate("%s is deleted", plainKey(key))
	}
	delete(o.files, key)
	o.count(f, -1)
}

// completed looks at an object that has just become visible.
func (o *oracle) completed(id, key string) error {
	u := o.uploads[id]
	if u == nil {
		o.g.violate("%s is visible, of an upload that nobody began", plainKey(key))
		return nil
	}
	u.complete = true
	c := o.commits[u.cid]
	switch {
	case c == nil:
		o.g.violate("%s is visible and not committed", plainKey(key))
		return nil
	case !slices.Contains(c.uploads, id):
		o.g.violate("%s is visible and its commit does not list it", plainKey(key))
	case c.after != nil && !o.whole(c.after):
		o.g.violate("%s of commit %d is visible before all of commit %d", plainKey(key), c.number, c.after.number)
	case c.after == nil:
		o.parents(c)
	}
	if old := o.files[key]; old != nil {
		o.g.violate("%s is replaced", plainKey(key))
		o.count(old, -1)
	}
	f := &file{key: key, folder: o.folderOf(key), of: c}
	var err error
	if f.rows, err = o.read(f.folder, o.g.memory.Objects()[key]); err != nil {
		o.g.violate("%s cannot be read: %v", plainKey(key), err)
	}
	o.files[key] = f
	o.count(f, 1)
	return nil
}

// parents checks that nothing of a lane is visible before all of its parents is.
func (o *oracle) parents(c *commit) {
	x := o.g.stream.find(c.lane)
	if x == nil {
		return
	}
	for _, id := range x.parents {
		chain := o.chains[id]
		if len(chain) == 0 || !chain[len(chain)-1].ended || !o.whole(chain[len(chain)-1]) {
			o.g.violate("rows of %s are visible before all rows of its parent %s", short(c.lane), short(id))
		}
	}
}

func (o *oracle) count(f *file, sign int64) {
	for _, r := range f.rows {
		k := r.ID
		o.total[k] += sign * cmp.Or(r.Value, 1)
		o.peak[k] = max(o.peak[k], o.total[k])
		if r.Value == 0 && o.total[k] > 1 {
			o.g.violate("row %s is visible %d times", k, o.total[k])
		}
	}
}

// vanish removes an upload that a row lists and that is not visible yet, as a
// lifecycle rule would; false if there is none.
func (o *oracle) vanish() bool {
	for _, x := range o.g.stream.shards {
		chain := o.chains[x.id]
		if len(chain) == 0 {
			continue
		}
		for _, id := range chain[len(chain)-1].uploads {
			if u := o.uploads[id]; !u.complete && !u.aborted {
				u.aborted = true
				o.g.trace.add("the upload of %s vanishes", plainKey(u.key))
				return o.g.memory.Abort(context.Background(), u.key, id) == nil
			}
		}
	}
	return false
}

// trim takes a shard that was read to its end out of the listing; false if there
// is none. A stream keeps records for a day at least: nobody is left then who has
// seen the shard listed and not its row, and is about to make one.
func (o *oracle) trim() bool {
	if slices.ContainsFunc(slices.Concat(o.g.bus.sorted(), o.g.late), func(c *call) bool { return c.op == "row" }) {
		return false
	}
	for _, x := range o.g.stream.shards {
		chain := o.chains[x.id]
		if x.trimmed || !x.closed || len(chain) == 0 {
			continue
		}
		if last := chain[len(chain)-1]; last.ended && o.whole(last) && !last.repair {
			x.trimmed = true
			o.g.trace.add("%s is trimmed", short(x.id))
			return true
		}
	}
	return false
}

// disturbed takes note of a call in which something goes wrong.
func (o *oracle) disturbed(c *call) { o.unswept = o.unswept || c.op == "uploads" || c.op == "abort" }

func plainKey(key string) string { _, n := plain(key); return n }
