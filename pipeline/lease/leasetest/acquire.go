package leasetest

import (
	"errors"
	"testing"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/lease"
)

func testCreate(t *testing.T, s lease.Store) {
	count(t, s, 0)
	want := lease.Row{
		Lane: "a", Parents: []string{"p", "q"}, Source: "arn", Begin: 7, Watermark: shardlake.Never, Hold: "its row was lost",
		Range: shardlake.HashRange{From: shardlake.Hash{15: 1}, To: shardlake.MaxHash},
	}
	with := want
	with.Inc, with.Owner, with.Token, with.Fence = "mine", "me", "token", 9 // not the caller's to say
	check(t, s.Create(t.Context(), with))
	got := get(t, s, "a")
	if len(got.Inc) != 16 {
		t.Errorf("inc %q: want it drawn by the store, with NewID", got.Inc)
	}
	want.Inc = got.Inc
	same(t, "created", got, want)
	same(t, "listed", count(t, s, 1)["a"], want)

	held := commit(t, s, take(t, s, "a", "me"))
	create(t, s, "a")
	now(t, "created again", s, held)

	create(t, s, "b")
	if get(t, s, "b").Inc == got.Inc {
		t.Error("two lanes have one inc")
	}
	count(t, s, 2)
}

// testAbsent: no write makes a row but Create.
func testAbsent(t *testing.T, s lease.Store) {
	r := lease.Row{Lane: "no", Owner: "me", Token: "t", Inc: "i", Fence: 1, Beat: 1, Number: 1, CommitID: "c"}
	noRow := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, lease.ErrNoRow) {
			t.Errorf("%s: %v, want ErrNoRow", what, err)
		}
	}
	_, err := s.Get(t.Context(), "no")
	noRow("get", err)
	for _, seen := range []lease.Row{{Lane: "no"}, r} {
		_, err = s.Acquire(t.Context(), seen, "me", lease.NewID())
		noRow("acquire", err)
		noRow("ask", s.Ask(t.Context(), seen, "you"))
	}
	if s.Shared() {
		_, err = s.Renew(t.Context(), r)
		noRow("renew", err)
	}
	noRow("commit", s.Commit(t.Context(), r))
	noRow("clear", s.Clear(t.Context(), r))
	noRow("mark", s.Mark(t.Context(), r))
	if err := s.Release(t.Context(), r); err != nil && !errors.Is(err, lease.ErrNoRow) {
		t.Errorf("release: %v, want nothing or ErrNoRow", err)
	}
	check(t, s.Delete(t.Context(), r))
	count(t, s, 0)
}

// testLanes: ids that a file system or a service might take for something else.
func testLanes(t *testing.T, s lease.Store) {
	lanes := []string{
		"a", "a.tmp", "a.lane.json", "lock", ".", "..", "../a", "/a", "a/b", "a%2Fb", "*", "[", "ü", " ", "a\x00b", "Leader",
		"shardId-000000000000", "123456789012:clicks:1700000000:shardId-000000000000", "a:b",
	}
	for _, l := range lanes {
		check(t, s.Create(t.Context(), lease.Row{Lane: l, Parents: []string{l + "0"}, Watermark: shardlake.Never, Begin: shardlake.Never}))
	}
	for i, l := range lanes {
		r := take(t, s, l, "me")
		for range i % 4 {
			r = commit(t, s, r)
		}
	}
	rows := count(t, s, len(lanes))
	for i, l := range lanes {
		for how, r := range map[string]lease.Row{"get": get(t, s, l), "list": rows[l]} {
			if r.Number != uint64(i%4) || r.Fence != 1 {
				t.Errorf("lane %q by %s: %+v, want number %d", l, how, r, i%4)
			}
			if len(r.Parents) != 1 || r.Parents[0] != l+"0" {
				t.Errorf("lane %q by %s: parents %q, want %q", l, how, r.Parents, l+"0")
			}
		}
	}
}

func testAcquire(t *testing.T, s lease.Store) {
	create(t, s, "a")
	seen, token := get(t, s, "a"), lease.NewID()
	first, err := s.Acquire(t.Context(), seen, "me", token)
	check(t, err)
	want := seen
	want.Owner, want.Token, want.Fence = "me", token, seen.Fence+1
	same(t, "acquired", first, want)
	if first.Beat == seen.Beat {
		t.Error("an acquisition does not change Beat")
	}
	again, err := s.Acquire(t.Context(), seen, "me", token)
	check(t, err)
	same(t, "the same acquisition", again, first)
	now(t, "the row", s, first)

	// The same owner counts as another one: a late commit of its earlier life must
	// not pass.
	second := take(t, s, "a", "me")
	if second.Fence != 2 || second.Token == token || second.Inc != first.Inc {
		t.Errorf("acquired again: %+v after %+v", second, first)
	}
	wantLost(t, "commit of the earlier acquisition", s.Commit(t.Context(), after(first)))
	now(t, "afterwards", s, second)

	done := commit(t, s, second)
	third := take(t, s, "a", "you")
	want = done
	want.Owner, want.Token, want.Fence = "you", third.Token, 3
	same(t, "the successor's, in full", third, want)
}

// testSeen: whoever has looked before somebody else acquired the lane, or before
// its owner gave a sign of life, does not get it.
func testSeen(t *testing.T, s lease.Store) {
	create(t, s, "a")
	fresh := get(t, s, "a")
	refused := func(what string, seen lease.Row) {
		t.Helper()
		before := get(t, s, "a")
		_, err := s.Acquire(t.Context(), seen, "you", lease.NewID())
		wantLost(t, what, err)
		now(t, what, s, before)
	}
	r := take(t, s, "a", "me")
	refused("acquired since", fresh)
	seen := get(t, s, "a")
	check(t, s.Ask(t.Context(), seen, "you"))
	r.Want = "you"
	r = commit(t, s, r)
	refused("committed since", seen)
	if s.Shared() {
		seen = get(t, s, "a")
		_, err := s.Renew(t.Context(), r)
		check(t, err)
		refused("renewed since", seen)
	}
	seen = get(t, s, "a")
	check(t, s.Release(t.Context(), r))
	refused("released since", seen)

	seen = get(t, s, "a")
	_, err := s.Acquire(t.Context(), seen, "you", lease.NewID())
	check(t, err)
	got := get(t, s, "a")
	if got.Owner != "you" || got.Want != "" || got.Fence != r.Fence+1 {
		t.Errorf("acquired %+v, want no Want", got)
	}
	refused("acquired by somebody since", seen)
	// A request is no sign of the owner's life.
	seen = get(t, s, "a")
	check(t, s.Ask(t.Context(), seen, "they"))
	if _, err := s.Acquire(t.Context(), seen, "they", lease.NewID()); err != nil {
		t.Errorf("acquire after a request: %v", err)
	}
}

// testUnowned: a row that was read and not acquired is no licence to write.
func testUnowned(t *testing.T, s lease.Store) {
	create(t, s, "a")
	fresh := get(t, s, "a")
	none := func(what string, r lease.Row) {
		t.Helper()
		before := get(t, s, "a")
		wantLost(t, what+": commit", s.Commit(t.Context(), after(r)))
		wantLost(t, what+": clear", s.Clear(t.Context(), r))
		wantLost(t, what+": mark", s.Mark(t.Context(), r))
		if s.Shared() {
			_, err := s.Renew(t.Context(), r)
			wantLost(t, what+": renew", err)
		}
		check(t, s.Release(t.Context(), r))
		now(t, what, s, before)
	}
	none("never acquired", fresh)
	r := commit(t, s, take(t, s, "a", "me"))
	check(t, s.Release(t.Context(), r))
	none("released", get(t, s, "a"))
	none("released, by the owner", r)
}
