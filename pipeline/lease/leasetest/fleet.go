package leasetest

import (
	"testing"
	"time"

	"github.com/shardlake/shardlake/pipeline/lease"
)

func testAsk(t *testing.T, s lease.Store) {
	create(t, s, "a")
	idle := get(t, s, "a")
	r := take(t, s, "a", "me")
	seen := get(t, s, "a")
	check(t, s.Ask(t.Context(), seen, "you"))
	want := r
	want.Want = "you"
	now(t, "asked", s, want)
	if get(t, s, "a").Beat != seen.Beat {
		t.Error("a request changes Beat, as if the owner lived")
	}
	check(t, s.Ask(t.Context(), seen, "you"))
	wantLost(t, "ask with a Want that has moved", s.Ask(t.Context(), seen, "they"))
	now(t, "asked", s, want)
	check(t, s.Ask(t.Context(), get(t, s, "a"), "they"))
	check(t, s.Ask(t.Context(), get(t, s, "a"), ""))
	now(t, "withdrawn", s, r)

	seen = get(t, s, "a")
	second := take(t, s, "a", "me")
	wantLost(t, "ask an owner that has gone", s.Ask(t.Context(), seen, "you"))
	wantLost(t, "ask as if nobody had it", s.Ask(t.Context(), idle, "you"))
	now(t, "the owner's", s, second)
	// The owner is told with its next commit as well as with its next heartbeat.
	check(t, s.Ask(t.Context(), get(t, s, "a"), "you"))
	check(t, s.Release(t.Context(), second))
	if got := get(t, s, "a"); got.Owner != "" {
		t.Errorf("released: %s", text(got))
	}
}

func testRelease(t *testing.T, s lease.Store) {
	create(t, s, "a")
	me := commit(t, s, take(t, s, "a", "me"))
	other := me
	other.Token = lease.NewID()
	check(t, s.Release(t.Context(), other))
	now(t, "released by another", s, me)
	check(t, s.Release(t.Context(), me))
	check(t, s.Release(t.Context(), me))
	got := get(t, s, "a")
	want := me
	want.Owner, want.Token = "", got.Token
	same(t, "released", got, want)
	if l := count(t, s, 1)["a"]; l.Owner != "" {
		t.Errorf("listed with owner %q", l.Owner)
	}
	wantLost(t, "a commit in flight", s.Commit(t.Context(), after(me)))
	you := take(t, s, "a", "you")
	if you.Fence != me.Fence+1 || len(you.Pending) != 1 {
		t.Errorf("taken: %s after %s", text(you), text(me))
	}
	check(t, s.Release(t.Context(), me)) // late
	now(t, "the successor's", s, you)
}

// testRenew: a heartbeat changes Beat and Vitals and says whether somebody asks.
func testRenew(t *testing.T, s lease.Store) {
	create(t, s, "a")
	r := commit(t, s, take(t, s, "a", "me"))
	beats := map[uint64]bool{get(t, s, "a").Beat: true}
	for i := range 3 {
		r.Vitals = lease.Vitals{Behind: time.Duration(i) * time.Hour, Records: 1.5, Bytes: 1e9, Busy: 0.25}
		if i == 2 {
			r.Vitals = lease.Vitals{Behind: -1}
		}
		got, err := s.Renew(t.Context(), r)
		check(t, err)
		if beats[got.Beat] {
			t.Errorf("heartbeat %d: Beat is %d again", i, got.Beat)
		}
		beats[got.Beat] = true
		now(t, "renewed", s, r)
		if got.Vitals != r.Vitals || got.Number != r.Number || got.Pos != r.Pos || got.Owner != "me" || got.Token != r.Token || got.Want != "" {
			t.Errorf("renewed %s, want %s", text(got), text(r))
		}
		if l := count(t, s, 1)["a"]; l.Vitals != r.Vitals || l.Beat != got.Beat {
			t.Errorf("listed %s, want %s", text(l), text(got))
		}
	}
	check(t, s.Ask(t.Context(), get(t, s, "a"), "you"))
	got, err := s.Renew(t.Context(), r)
	check(t, err)
	if got.Want != "you" {
		t.Errorf("a heartbeat does not say who asks: %s", text(got))
	}
	r.Want = "you"
	// Known only rises, and only a heartbeat or a commit raises it.
	for _, known := range [][2]int64{{0, 0}, {5, 5}, {3, 5}, {0, 5}, {7, 7}} {
		r.Known = instant(known[0])
		got, err := s.Renew(t.Context(), r)
		check(t, err)
		if got.Known != instant(known[1]) || get(t, s, "a").Known != instant(known[1]) {
			t.Errorf("Known is %d after a heartbeat with %d, want %d", got.Known, known[0], known[1])
		}
	}
	r.Known = 7
	now(t, "all else is as it was", s, r)
	for what, edit := range map[string]func(*lease.Row){
		"owner": func(r *lease.Row) { r.Owner = "you" },
		"token": func(r *lease.Row) { r.Token = lease.NewID() },
	} {
		by := r
		edit(&by)
		by.Vitals.Records = 99
		_, err := s.Renew(t.Context(), by)
		wantLost(t, what, err)
		now(t, what, s, r)
	}
	you := take(t, s, "a", "you")
	_, err = s.Renew(t.Context(), r)
	wantLost(t, "the earlier owner", err)
	now(t, "the successor's", s, you)
}

// testKeeps: a commit is built from the row as the lane knew it. What heartbeats
// and requests wrote meanwhile stays.
func testKeeps(t *testing.T, s lease.Store) {
	create(t, s, "a")
	r := commit(t, s, take(t, s, "a", "me"))
	check(t, s.Mark(t.Context(), r))
	beat := r
	beat.Vitals, beat.Known = lease.Vitals{Records: 3}, 40
	_, err := s.Renew(t.Context(), beat)
	check(t, err)
	check(t, s.Ask(t.Context(), get(t, s, "a"), "you"))

	next := after(r)
	next.Known = 30 // of the record at its position
	check(t, s.Commit(t.Context(), next))
	want := next
	want.Vitals, want.Known, want.Want, want.Repair = beat.Vitals, 40, "you", ""
	want.Prev = &lease.Prev{Pos: r.Pos, Watermark: r.Watermark, State: r.State, Known: 40}
	now(t, "committed", s, want)
	check(t, s.Commit(t.Context(), next))
	now(t, "repeated", s, want)

	last := after(want)
	last.Known = 50
	check(t, s.Commit(t.Context(), last))
	if got := get(t, s, "a"); got.Known != 50 || got.Prev.Known != 40 {
		t.Errorf("Known %d after %d, want 50 after 40", got.Known, got.Prev.Known)
	}
}
