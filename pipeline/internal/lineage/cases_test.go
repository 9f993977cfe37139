package lineage_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// C4 of the open cases (awslabs/amazon-kinesis-client#461, #414): a row is deleted
// while its lane is read. Its worker finds that out with its next write; the lane
// is not begun anew by anybody, others go on, and a person is told what to choose.
func TestRowDeletedWhileRead(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 4))
	f := newFleet(t, newStream(2, 8, r), r)
	for range 100 {
		f.write(r.IntN(8))
	}
	f.settle()
	lane := f.shards[0].ID
	for range 100 {
		f.write(r.IntN(8))
	}
	delete(f.rows, lane)
	d := f.settle()
	if len(d.Held) != 1 || !strings.Contains(d.Held[lane], "TRIM_HORIZON") || !d.Busy {
		t.Fatalf("held: %v", d.Held)
	}
	if !delivered(f, f.shards[1]) || delivered(f, f.shards[0]) {
		t.Error("the other lane stands still, or this one goes on")
	}
	f.decide(lane)
	if d = f.settle(); len(d.Held) > 0 || !delivered(f, f.shards[0]) {
		t.Errorf("after the decision: %v", d.Held)
	}
	// The whole table is gone: nothing here can tell that from a first run. A caller
	// that has seen lanes acquired can.
	clear(f.rows)
	if d := f.plan(); !d.First || !f.emptied {
		t.Error("an empty table is not reported")
	}
}

// D1 (spring-cloud-stream-binder-aws-kinesis#212): the stream doubles itself twice
// under load, and is halved. Nobody is restarted.
func TestScaledUnderLoad(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	f := newFleet(t, newStream(4, 64, r), r)
	load := func() {
		for range 40 {
			for range 10 {
				f.write(r.IntN(64))
			}
			d := f.plan()
			f.create(d, len(d.Create))
			f.acquire(d.Ready)
			for _, id := range slices.Sorted(maps.Keys(f.own)) {
				f.work(id)
			}
		}
	}
	double := func() {
		for _, sh := range f.open() {
			f.split(sh)
		}
	}
	for i, reshard := range []func(){func() {}, double, double, func() {
		for pair := range slices.Chunk(f.open(), 2) {
			f.merge(pair[0], pair[1])
		}
	}} {
		reshard()
		load()
		want := []int{4, 8, 16, 8}[i]
		d := f.settle()
		if len(d.Ready) != want || len(f.open()) != want || len(d.Waiting)+len(d.Held)+len(d.Holes)+len(d.Warnings) > 0 {
			t.Fatalf("%d lanes can be read, want %d; %v waits, %v is held", len(d.Ready), want, d.Waiting, d.Held)
		}
	}
	if len(f.delivered) != f.written {
		t.Errorf("%d of %d records were delivered", len(f.delivered), f.written)
	}
	atRest(f, 1)
}

// D2 (WW-Digital/reactive-kinesis#37, evansolomon/nodejs-kinesis-client-library#21):
// the fleet stops, the stream is split, and the parent is gone when the fleet comes
// back. The parent ends, what is lost is said, and the children start.
func TestAwayForLongerThanTheRetention(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	f := newFleet(t, newStream(2, 8, r), r)
	f.write(1)
	f.settle()
	clear(f.own)
	for range 20 {
		f.write(r.IntN(8))
	}
	for _, sh := range f.open() {
		f.split(sh)
	}
	for range 20 {
		f.write(r.IntN(8))
	}
	for range 2 {
		f.trim(func(*shard) bool { return true })
	}
	parent, children := f.shards[0], []string{f.shards[2].ID, f.shards[3].ID}

	d := f.plan()
	if !slices.Equal(d.Gone[parent.ID], children) || len(d.Warnings) != 2 || !strings.Contains(d.Warnings[0], parent.ID+" is no longer in the stream") {
		t.Errorf("gone: %v, warnings: %q", d.Gone, d.Warnings)
	}
	if !slices.Equal(lanes(d.Ready), []string{parent.ID, f.shards[1].ID}) {
		t.Errorf("ready are %v", lanes(d.Ready))
	}
	d = f.settle()
	if len(d.Waiting)+len(d.Held)+len(d.Warnings) > 0 || len(d.Ready) != 4 {
		t.Errorf("%v waits, %v is held, %v are ready, warnings %q", d.Waiting, d.Held, lanes(d.Ready), d.Warnings)
	}
	for _, sh := range f.open() {
		if !delivered(f, sh) {
			t.Errorf("%s is not read", sh.ID)
		}
	}
	atRest(f, 1)
}
