package lineage_test

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"testing"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/internal/lineage"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/source"
)

// fleet is a model of workers that read a stream: rows under conditions, lanes
// that are owned until their worker dies, records that are delivered when they are
// published. What a lane keeps is how many records of each key it has seen.
type fleet struct {
	t *testing.T
	*stream
	r    *rand.Rand
	rows map[string]lease.Row
	own  map[string]lease.Row
	old  source.Listing // that a worker still goes by

	pending   map[string][]rec // by commit
	delivered map[int]bool
	last      map[int]int // by key
	warned    map[string]bool
	ended     map[string]bool
	made      map[string]bool // rows, ever
	began     bool            // a lane was acquired
	emptied   bool            // the rows look as if none ever was
	commits   int
	moves     int // acquisitions, commits and publications
}

func newFleet(t *testing.T, s *stream, r *rand.Rand) *fleet {
	return &fleet{t: t, stream: s, r: r, rows: map[string]lease.Row{}, own: map[string]lease.Row{}, pending: map[string][]rec{},
		delivered: map[int]bool{}, last: map[int]int{}, warned: map[string]bool{}, ended: map[string]bool{}, made: map[string]bool{}}
}

// plan decides, and checks now and then that the same facts lead to the same
// decision.
func (f *fleet) plan() lineage.Decision { return f.planBy(f.listing(f.r)) }

// planBy decides by a listing that may be older than the rows.
func (f *fleet) planBy(l source.Listing) lineage.Decision {
	rows := slices.Collect(maps.Values(f.rows))
	d, err := lineage.Plan(l, rows)
	if err != nil {
		f.t.Fatal(err)
	}
	if f.r.IntN(10) == 0 {
		slices.Reverse(rows)
		l.Lanes = slices.Clone(l.Lanes)
		slices.Reverse(l.Lanes)
		again, err := lineage.Plan(l, rows)
		if err != nil || !reflect.DeepEqual(again, d) {
			f.t.Fatalf("the order of shards or rows makes a difference: %v\n%v\n%v", err, d, again)
		}
	}
	for _, w := range d.Warnings {
		f.warned[w] = true
	}
	if d.First && f.began {
		f.emptied = true
	}
	return d
}

// create makes the first n rows of a decision.
func (f *fleet) create(d lineage.Decision, n int) {
	for _, r := range d.Create[:n] {
		if _, ok := f.rows[r.Lane]; !ok {
			f.rows[r.Lane], f.made[r.Lane] = r, true
		}
	}
}

// acquire takes those of the rows that are still as they were seen.
func (f *fleet) acquire(rows []lease.Row) {
	for _, seen := range rows {
		r, ok := f.rows[seen.Lane]
		if _, mine := f.own[seen.Lane]; mine || !ok || r.Fence != seen.Fence || r.Hold != "" || r.Finished() {
			continue
		}
		r.Fence, r.Token, f.began = r.Fence+1, lease.NewID(), true
		f.moves++
		f.rows[r.Lane], f.own[r.Lane] = r, r
	}
}

// remove deletes rows as a store does.
func (f *fleet) remove(rows []lease.Row) {
	for _, r := range rows {
		if now, ok := f.rows[r.Lane]; ok && now.Finished() && now.Fence == r.Fence && now.CommitID == r.CommitID {
			delete(f.rows, r.Lane)
		}
	}
}

// commit replaces a row, unless it is lost or somebody else's.
func (f *fleet) commit(r lease.Row, recs []rec) bool {
	f.commits++
	r.Number, r.CommitID = r.Number+1, strconv.Itoa(f.commits)
	if now, ok := f.rows[r.Lane]; !ok || now.Token != r.Token {
		delete(f.own, r.Lane)
		return false
	}
	if r.Ended && f.ended[r.Lane] {
		f.t.Fatalf("lane %s was read twice", r.Lane)
	}
	f.ended[r.Lane] = r.Ended
	if len(recs) > 0 {
		r.Pending, f.pending[r.CommitID] = []shardlake.Pending{{Kind: "model"}}, recs
	}
	f.rows[r.Lane], f.own[r.Lane] = r, r
	return true
}

// publish delivers what a row lists. It may be called again by another owner.
func (f *fleet) publish(r lease.Row) {
	for _, rec := range f.pending[r.CommitID] {
		if f.delivered[rec.n] {
			f.t.Fatalf("record %d came twice, from %s", rec.n, r.Lane)
		}
		if last, ok := f.last[rec.key]; ok && rec.n < last {
			f.t.Fatalf("record %d of key %d came after record %d, from %s", rec.n, rec.key, last, r.Lane)
		}
		f.delivered[rec.n], f.last[rec.key] = true, rec.n
	}
	delete(f.pending, r.CommitID)
	if now, ok := f.rows[r.Lane]; ok && now.Token == r.Token {
		r.Pending = nil
		f.rows[r.Lane], f.own[r.Lane] = r, r
		if !r.Finished() {
			return
		}
	}
	delete(f.own, r.Lane)
}

// work moves one lane on by a commit or a publication.
func (f *fleet) work(id string) {
	f.moves++
	r := f.own[id]
	switch {
	case len(r.Pending) > 0:
		f.publish(r)
		return
	case r.Number == 0 && len(r.Parents) > 0:
		if f.adopt(&r) {
			f.commit(r, nil)
		}
		return
	}
	sh, from := f.shard(id), at(r)
	if sh.trimmed {
		d := f.plan()
		f.create(d, len(d.Create))
		heirs, gone := f.plan().Gone[id]
		if !gone {
			delete(f.own, id) // its row was lost, too
			return
		}
		r.Ended, r.Children = true, heirs
		f.commit(r, nil)
		f.finish(id)
		return
	}
	to := min(len(sh.recs), from+f.r.IntN(4))
	recs := sh.recs[from:to]
	if to > 0 {
		r.Pos.Seq = strconv.Itoa(to)
	}
	if to == len(sh.recs) && sh.closed && f.r.IntN(2) == 0 {
		d := f.plan()
		f.create(d, len(d.Create))
		r.Ended, r.Children = true, f.children(id)
	}
	counts := kept(r)
	for _, rec := range recs {
		counts[rec.key]++
	}
	keep(&r, counts)
	if f.commit(r, recs) {
		f.finish(id)
	}
}

// finish releases a lane that is finished.
func (f *fleet) finish(id string) {
	if f.rows[id].Finished() {
		delete(f.own, id)
	}
}

// adopt takes over what the parents kept, by key. If a parent's row is not there
// any more, or is a new one, the lane is given back.
func (f *fleet) adopt(r *lease.Row) bool {
	counts := map[int]int{}
	for _, p := range r.Parents {
		parent, ok := f.rows[p]
		if !parent.Finished() {
			if ok && parent.Hold == "" {
				f.t.Fatalf("lane %s began before %s was finished", r.Lane, p)
			}
			delete(f.own, r.Lane)
			return false
		}
		for key, n := range kept(parent) {
			if f.shard(r.Lane).Range.Contains(f.keys[key]) {
				counts[key] += n
			}
		}
	}
	keep(r, counts)
	return true
}

func kept(r lease.Row) map[int]int {
	counts := map[int]int{}
	if b, ok := r.State["counts"]; ok {
		if err := json.Unmarshal(b, &counts); err != nil {
			panic(err)
		}
	}
	return counts
}

func keep(r *lease.Row, counts map[int]int) {
	b, err := json.Marshal(counts)
	if err != nil {
		panic(err)
	}
	r.State = map[string][]byte{"counts": b}
}

// settle reads until nothing moves any more, and returns what stays.
func (f *fleet) settle() lineage.Decision {
	for range 10_000 {
		d := f.plan()
		f.create(d, len(d.Create))
		if len(d.Create) > 0 {
			if again := f.plan(); len(again.Create) > 0 {
				f.t.Fatalf("not all rows were made at once: %v", again.Create)
			}
			continue
		}
		before := f.moves
		f.acquire(d.Ready)
		f.remove(d.Delete)
		ids := slices.Sorted(maps.Keys(f.own))
		f.r.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		for _, id := range ids {
			for range 10 {
				if _, mine := f.own[id]; mine && !f.idle(id) {
					f.work(id)
				}
			}
		}
		if len(d.Delete) == 0 && f.moves == before {
			return d
		}
	}
	f.t.Fatal("it does not come to rest")
	return lineage.Decision{}
}

// idle tells whether a lane of a shard that is open has nothing to read.
func (f *fleet) idle(id string) bool {
	sh, r := f.shard(id), f.own[id]
	return !sh.closed && r.Number > 0 && len(r.Pending) == 0 && at(r) == len(sh.recs)
}

// at is how many records of its shard a row has behind it.
func at(r lease.Row) int {
	n, _ := strconv.Atoi(r.Pos.Seq) // 0 at the start
	return n
}
