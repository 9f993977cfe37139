package lineage_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/shardlake/shardlake/pipeline/internal/lineage"
	"github.com/shardlake/shardlake/pipeline/lease"
)

// life is a random history: records, splits, merges, trimming, workers that come
// and die, decisions that are carried out late or in part.
func life(f *fleet, steps int, mayTrim func(*shard) bool) {
	f.old = f.listing(f.r)
	d := f.planBy(f.old)
	f.create(d, len(d.Create))
	var late []lineage.Decision
	away := 0 // steps for which no worker runs
	for range steps {
		for range f.r.IntN(4) {
			f.write(f.r.IntN(len(f.keys)))
		}
		open := f.open()
		switch i := f.r.IntN(len(open)); f.r.IntN(8) {
		case 0:
			if len(open) < 12 {
				f.split(open[i])
			}
		case 1:
			if i+1 < len(open) {
				f.merge(open[i], open[i+1])
			}
		case 2:
			for range 1 + away {
				if f.trim(mayTrim) {
					// Nobody is late by as long as a stream keeps records.
					late, f.old = nil, f.listing(f.r)
				}
			}
		case 3:
			if f.r.IntN(3) == 0 {
				away = f.r.IntN(15)
			}
		}
		if away = max(0, away-1); away > 0 {
			clear(f.own)
			continue
		}
		work(f, &late)
		if f.emptied {
			return
		}
	}
}

// work is one step of some worker.
func work(f *fleet, late *[]lineage.Decision) {
	owned := slices.Sorted(maps.Keys(f.own))
	switch f.r.IntN(6) {
	case 0:
		*late = append(*late, f.plan())
	case 1: // dies while it makes rows
		d := f.plan()
		f.create(d, f.r.IntN(len(d.Create)+1))
	case 2:
		if len(owned) > 0 { // dies
			delete(f.own, owned[f.r.IntN(len(owned))])
		}
	default:
		d := f.planBy(f.old)
		if f.r.IntN(3) > 0 {
			f.old = f.listing(f.r)
			d = f.planBy(f.old)
		}
		if len(*late) > 0 && f.r.IntN(2) == 0 {
			d, *late = (*late)[0], (*late)[1:]
		}
		f.create(d, len(d.Create))
		if !d.First || !f.began {
			f.acquire(slices.DeleteFunc(d.Ready, func(lease.Row) bool { return f.r.IntN(2) == 0 }))
		}
		if f.r.IntN(2) == 0 {
			f.remove(d.Delete)
		}
		for _, id := range owned {
			if _, mine := f.own[id]; mine && f.r.IntN(2) == 0 {
				f.work(id)
			}
		}
	}
}

// finished tells whether a shard was read, and its records are visible.
func finished(f *fleet) func(*shard) bool {
	return func(sh *shard) bool {
		r, ok := f.rows[sh.ID]
		return f.ended[sh.ID] && (!ok || r.Finished())
	}
}

// Every record is delivered once, in order per key, no lane is read twice,
// nothing stands still, what lanes keep goes to their heirs, and no row stays that
// is not needed.
func TestEveryRecordOnce(t *testing.T) {
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 1))
		f := newFleet(t, newStream(1+r.IntN(4), 8, r), r)
		life(f, 30, finished(f))
		d := f.settle()
		if t.Failed() || len(f.delivered) != f.written {
			t.Fatalf("seed %d: %d of %d records were delivered; %v waits, %v is held", seed, len(f.delivered), f.written, d.Waiting, d.Held)
		}
		if len(f.warned)+len(d.Waiting)+len(d.Held)+len(d.Holes) > 0 {
			t.Fatalf("seed %d: %v waits, %v is held, holes %v, warnings %v", seed, d.Waiting, d.Held, d.Holes, f.warned)
		}
		atRest(f, seed)
	}
}

// atRest checks what is left once everything that can be read is read and all
// closed shards are trimmed.
func atRest(f *fleet, seed uint64) {
	for f.trim(func(*shard) bool { return true }) {
		if f.r.IntN(4) == 0 {
			f.settle()
		}
	}
	f.settle()
	var open []string
	for _, sh := range f.open() {
		open = append(open, sh.ID)
	}
	slices.Sort(open)
	if rows := slices.Sorted(maps.Keys(f.rows)); !slices.Equal(rows, open) {
		f.t.Fatalf("seed %d: rows of %v are left, the open shards are %v", seed, rows, open)
	}
	seen, kepts := map[int]int{}, map[int]int{}
	for _, sh := range f.shards {
		for _, rec := range sh.recs {
			if f.delivered[rec.n] {
				seen[rec.key]++
			}
		}
	}
	for _, r := range f.rows {
		for key, n := range kept(r) {
			if n > 0 {
				kepts[key] += n
			}
		}
	}
	if f.halfSeen() {
		for key := range seen {
			kepts[key] = max(kepts[key], seen[key]) // not more than was delivered
		}
	}
	if !maps.Equal(seen, kepts) {
		f.t.Fatalf("seed %d: lanes keep %v, delivered was %v", seed, kepts, seen)
	}
}

// halfSeen tells whether a shard left no row, and its sibling did.
func (f *fleet) halfSeen() bool {
	return slices.ContainsFunc(f.shards, func(sh *shard) bool {
		return !f.made[sh.ID] && slices.ContainsFunc(f.shards, func(o *shard) bool {
			return f.made[o.ID] && len(o.Parents) == 1 && slices.Equal(o.Parents, sh.Parents)
		})
	})
}

// Shards are trimmed before they are read: what is lost is said, and all else
// holds.
func TestTrimmedUnread(t *testing.T) {
	lost, standIns := 0, 0
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 2))
		f := newFleet(t, newStream(1+r.IntN(4), 8, r), r)
		life(f, 40, func(*shard) bool { return true })
		d := f.settle()
		if len(d.Waiting)+len(d.Held)+len(d.Holes) > 0 {
			t.Fatalf("seed %d: %v waits, %v is held, holes %v", seed, d.Waiting, d.Held, d.Holes)
		}
		told := strings.Join(slices.Sorted(maps.Keys(f.warned)), "\n")
		if strings.Contains(told, "before anybody read it") {
			standIns++
		}
		for _, sh := range f.shards {
			if !delivered(f, sh) {
				lost++
				if !sh.trimmed || !slices.ContainsFunc(line(f, sh.ID), func(id string) bool { return strings.Contains(told, "lane "+id+" is no longer") }) {
					t.Fatalf("seed %d: records of %s were lost in silence; said was:\n%s", seed, sh.ID, told)
				}
			}
		}
		atRest(f, seed)
	}
	if lost < 100 || standIns < 10 {
		t.Fatalf("%d shards were lost, %d times a line had to be bridged: the test shows too little", lost, standIns)
	}
}

func delivered(f *fleet, sh *shard) bool {
	return !slices.ContainsFunc(sh.recs, func(r rec) bool { return !f.delivered[r.n] })
}

// line is a shard with its ancestors.
func line(f *fleet, id string) []string {
	ids := []string{id}
	for _, p := range f.shard(id).Parents {
		ids = append(ids, line(f, p)...)
	}
	return ids
}

// decide is a person who rebuilds a row from what is in the lake.
func (f *fleet) decide(id string) {
	sh, r, n := f.shard(id), f.rows[id], 0
	for _, rec := range sh.recs {
		if f.delivered[rec.n] {
			n++
		}
	}
	r.Hold, r.Number, r.Pos.Seq = "", r.Number+1, strconv.Itoa(n)
	f.rows[id], f.ended[id] = r, false
}

// A row is lost: no record comes twice, whatever it was; and what is not delivered
// waits for a person, who is told. Once the person has decided all is as it was.
func TestRowLost(t *testing.T) {
	held, right, emptied := 0, 0, 0
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 3))
		f := newFleet(t, newStream(2+r.IntN(3), 8, r), r)
		life(f, 10+r.IntN(25), finished(f))
		if ids := slices.Sorted(maps.Keys(f.rows)); len(ids) > 0 {
			delete(f.rows, ids[r.IntN(len(ids))])
		}
		f.began = slices.ContainsFunc(slices.Collect(maps.Values(f.rows)), func(r lease.Row) bool { return r.Fence > 0 }) || f.began
		life(f, r.IntN(20), finished(f))
		if f.emptied {
			emptied++ // the caller has seen that lanes were acquired, and stops
			continue
		}
		d := f.settle()
		for _, sh := range f.shards {
			if !delivered(f, sh) && !sh.trimmed && !slices.ContainsFunc(line(f, sh.ID), func(id string) bool { return d.Held[id] != "" }) {
				t.Fatalf("seed %d: records of %s are not delivered, and nothing of its line is held: %v, %v waits", seed, sh.ID, d.Held, d.Waiting)
			}
		}
		if len(d.Held) == 0 {
			right++
		} else {
			held++
		}
		for len(d.Held) > 0 {
			f.decide(slices.Sorted(maps.Keys(d.Held))[0])
			d = f.settle()
		}
		if len(f.delivered) != f.written || len(d.Waiting) > 0 {
			t.Fatalf("seed %d: %d of %d records were delivered, %v waits", seed, len(f.delivered), f.written, d.Waiting)
		}
	}
	if held < 50 || right < 50 {
		t.Fatalf("%d times held, %d times right, %d times emptied: the test shows too little", held, right, emptied)
	}
	t.Logf("%d times held, %d times right, %d times emptied", held, right, emptied)
}
