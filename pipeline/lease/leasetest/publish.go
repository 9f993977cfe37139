package leasetest

import (
	"testing"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/lease"
)

func testClear(t *testing.T, s lease.Store) {
	create(t, s, "a")
	one := commit(t, s, take(t, s, "a", "me"))
	for what, edit := range map[string]func(*lease.Row){
		"commit id":    func(r *lease.Row) { r.CommitID = lease.NewID() },
		"no commit id": func(r *lease.Row) { r.CommitID = "" },
		"owner":        func(r *lease.Row) { r.Owner = "you" },
		"token":        func(r *lease.Row) { r.Token = lease.NewID() },
	} {
		by := one
		edit(&by)
		wantLost(t, what, s.Clear(t.Context(), by))
		now(t, what, s, one)
	}
	check(t, s.Clear(t.Context(), one))
	check(t, s.Clear(t.Context(), one))
	want := one
	want.Pending, want.Prev = nil, nil
	now(t, "cleared", s, want)

	two := commit(t, s, want)
	wantLost(t, "a late clear of the commit before", s.Clear(t.Context(), one))
	now(t, "the next commit's list", s, two)
	you := take(t, s, "a", "you")
	wantLost(t, "a clear of the earlier owner", s.Clear(t.Context(), two))
	now(t, "the successor's list", s, you)
	check(t, s.Clear(t.Context(), you))
}

// testMark: once a repair has begun nobody empties the list, and a commit that goes
// back to Prev ends it.
func testMark(t *testing.T, s lease.Store) {
	create(t, s, "a")
	one := commit(t, s, take(t, s, "a", "me"))
	check(t, s.Clear(t.Context(), one))
	one.Pending, one.Prev = nil, nil
	two := commit(t, s, one)
	for what, edit := range map[string]func(*lease.Row){
		"the commit before": func(r *lease.Row) { r.CommitID = one.CommitID },
		"owner":             func(r *lease.Row) { r.Owner = "you" },
		"token":             func(r *lease.Row) { r.Token = lease.NewID() },
	} {
		by := two
		edit(&by)
		wantLost(t, what, s.Mark(t.Context(), by))
		now(t, what, s, two)
	}
	check(t, s.Mark(t.Context(), two))
	check(t, s.Mark(t.Context(), two))
	marked := two
	marked.Repair = two.CommitID
	now(t, "marked", s, marked)
	same(t, "listed", count(t, s, 1)["a"], marked)
	wantLost(t, "clear during a repair", s.Clear(t.Context(), two))
	now(t, "marked", s, marked)
	// The next owner goes on with the repair.
	you := take(t, s, "a", "you")
	marked.Owner, marked.Token, marked.Fence = "you", you.Token, you.Fence
	same(t, "acquired", you, marked)
	check(t, s.Mark(t.Context(), you))

	back := you
	back.Number, back.CommitID, back.Pending = you.Number+1, lease.NewID(), nil
	back.Pos, back.Watermark, back.State = you.Prev.Pos, you.Prev.Watermark, you.Prev.State
	check(t, s.Commit(t.Context(), back))
	got := get(t, s, "a")
	same(t, "repaired", got, replaced(you, back))
	if got.Pos != one.Pos || string(got.State["fold"]) != "state 1" || got.Repair != "" {
		t.Errorf("repaired %s, want the position and the state of commit 1", text(got))
	}
	check(t, s.Clear(t.Context(), back))
	wantLost(t, "a late mark", s.Mark(t.Context(), you))
}

func testDelete(t *testing.T, s lease.Store) {
	create(t, s, "a")
	create(t, s, "b")
	other := get(t, s, "b")
	refused := func(what string, r lease.Row) {
		t.Helper()
		before := get(t, s, "a")
		wantLost(t, what, s.Delete(t.Context(), r))
		now(t, what, s, before)
	}
	refused("never read", get(t, s, "a"))
	r := commit(t, s, take(t, s, "a", "me"))
	refused("not ended", r)
	next := after(r)
	next.Ended, next.Children = true, []string{"b"}
	check(t, s.Commit(t.Context(), next))
	refused("with uploads to publish", next)
	refused("as if it had none", cleared(next))
	check(t, s.Clear(t.Context(), next))
	r = get(t, s, "a")
	wrong := r
	wrong.CommitID = lease.NewID()
	refused("commit id", wrong)
	wrong = r
	wrong.Fence++
	refused("fence ahead", wrong)
	wrong.Fence -= 2
	refused("fence behind", wrong)
	// Whoever looks after the fleet may delete it; it need not be the owner.
	r.Owner, r.Token = "", ""
	check(t, s.Delete(t.Context(), r))
	check(t, s.Delete(t.Context(), r))
	if _, err := s.Get(t.Context(), "a"); err == nil {
		t.Error("the row is still there")
	}
	count(t, s, 1)
	now(t, "another row", s, other)
}

func cleared(r lease.Row) lease.Row {
	r.Pending, r.Prev = nil, nil
	return r
}

// testMadeAgain: a counter alone is not enough. A row that was lost and made again
// counts from the start, and a late write of the earlier life must not pass.
func testMadeAgain(t *testing.T, s lease.Store) {
	create(t, s, "a")
	old := take(t, s, "a", "me")
	next := after(old)
	next.Ended, next.Pending = true, nil
	check(t, s.Commit(t.Context(), next))
	check(t, s.Delete(t.Context(), next))
	create(t, s, "a")
	r := take(t, s, "a", "me")
	if r.Fence != old.Fence || r.Inc == old.Inc || r.Number != 0 || r.Ended {
		t.Errorf("made again: %s after %s", text(r), text(old))
	}
	wantLost(t, "commit of the earlier life", s.Commit(t.Context(), after(old)))
	wantLost(t, "commit of the earlier life, with the token of this one", s.Commit(t.Context(), mixed(old, r.Token)))
	check(t, s.Release(t.Context(), old))
	wantLost(t, "delete of the earlier life", s.Delete(t.Context(), next))
	now(t, "made again", s, r)
	if r.Pos != (shardlake.Position{}) {
		t.Errorf("made again at %v", r.Pos)
	}
}

func mixed(r lease.Row, token string) lease.Row {
	r = after(r)
	r.Token = token
	return r
}
