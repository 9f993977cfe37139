package leasetest

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/lease"
)

func testChain(t *testing.T, s lease.Store) {
	create(t, s, "a")
	r := take(t, s, "a", "me")
	for range 5 {
		beat := get(t, s, "a").Beat
		r = commit(t, s, r)
		now(t, "committed", s, r)
		if get(t, s, "a").Beat == beat {
			t.Error("a commit does not change Beat")
		}
		check(t, s.Clear(t.Context(), r))
		r.Pending, r.Prev = nil, nil
		now(t, "cleared", s, r)
	}
	next := after(r)
	next.Ended, next.State, next.Children = true, nil, []string{"b", "c"}
	check(t, s.Commit(t.Context(), next))
	now(t, "ended", s, replaced(r, next))
	if got := get(t, s, "a"); got.Finished() || !got.Ended || got.Pos != next.Pos {
		t.Errorf("ended at %v, finished %t: want %v, with uploads to publish", got.Pos, got.Finished(), next.Pos)
	}
	if l := count(t, s, 1)["a"]; l.Finished() || !l.Ended {
		t.Error("listed as finished with uploads to publish")
	}
	check(t, s.Clear(t.Context(), next))
	if !get(t, s, "a").Finished() || !count(t, s, 1)["a"].Finished() {
		t.Error("not finished")
	}
}

// testFields: everything that a row can say comes back.
func testFields(t *testing.T, s lease.Store) {
	create(t, s, "a")
	r := take(t, s, "a", "me")
	for i, edit := range []func(*lease.Row){
		func(r *lease.Row) {
			r.Pos = shardlake.Position{Seq: strings.Repeat("9", 128), Sub: 3, Partial: true}
			r.Watermark, r.Known = shardlake.Forever, 1<<53+1
			r.State = map[string][]byte{"": {0, 255}, "<win/dow>&\u2028": {}, "x": []byte("y"), "ü": bytes.Repeat([]byte{0}, 300)}
		},
		func(r *lease.Row) {
			r.Pos, r.Watermark, r.State = shardlake.Position{Seq: "0", Sub: 1 << 30}, shardlake.Never, nil
			r.Pending = []shardlake.Pending{{Kind: "s3", Data: []byte(`{"n":18446744073709551615,"s":"<&\u2028ü"}`)}, {Kind: "", Data: []byte(`null`)}}
		},
		func(r *lease.Row) { // nothing was read, and yet there is something to keep
			r.Pos, r.Begin, r.Pending = shardlake.Position{}, 1_700_000_000_000_000, nil
			r.Source, r.Parents, r.Children = "arn:aws:kinesis:eu-west-1:123456789012:stream/clicks@1700000000", []string{"p"}, []string{"c", "d"}
			r.Range = shardlake.HashRange{To: shardlake.MaxHash}
		},
		func(r *lease.Row) { r.Hold, r.Parents, r.Children = "a person must look", nil, nil },
		func(r *lease.Row) { r.Hold, r.Ended = "", true },
	} {
		next := after(r)
		edit(&next)
		check(t, s.Commit(t.Context(), next))
		r = replaced(r, next)
		now(t, fmt.Sprintf("commit %d", i+1), s, r)
		same(t, fmt.Sprintf("commit %d, listed", i+1), count(t, s, 1)["a"], r)
	}
	you := take(t, s, "a", "you")
	r.Owner, r.Token, r.Fence = "you", you.Token, r.Fence+1
	same(t, "acquired", you, r)
}

func testRepeatedCommit(t *testing.T, s lease.Store) {
	create(t, s, "a")
	before := take(t, s, "a", "me")
	r := after(before)
	for range 3 {
		check(t, s.Commit(t.Context(), r))
		now(t, "repeated", s, replaced(before, r))
	}
	check(t, s.Clear(t.Context(), r))
	check(t, s.Commit(t.Context(), r)) // late, after the clear: the list stays empty
	if got := get(t, s, "a"); got.Number != 1 || len(got.Pending) != 0 || got.Prev != nil {
		t.Errorf("row %+v", got)
	}
	// The commit stands, also when somebody else has the lane since.
	you := take(t, s, "a", "you")
	check(t, s.Commit(t.Context(), r))
	now(t, "untouched", s, you)
	next := commit(t, s, you)
	wantLost(t, "repeated after a later commit", s.Commit(t.Context(), r))
	now(t, "the later commit", s, next)
}

func testLost(t *testing.T, s lease.Store) {
	create(t, s, "a")
	r := commit(t, s, take(t, s, "a", "me"))
	for what, edit := range map[string]func(*lease.Row){
		"owner":        func(r *lease.Row) { r.Owner = "you" },
		"no owner":     func(r *lease.Row) { r.Owner = "" },
		"token":        func(r *lease.Row) { r.Token = lease.NewID() },
		"no token":     func(r *lease.Row) { r.Token = "" },
		"number again": func(r *lease.Row) { r.Number-- },
		"number ahead": func(r *lease.Row) { r.Number++ },
		"number 0":     func(r *lease.Row) { r.Number = 0 },
		"inc":          func(r *lease.Row) { r.Inc = lease.NewID() },
		"no commit id": func(r *lease.Row) { r.CommitID, r.Number = "", r.Number-1 },
	} {
		next := after(r)
		edit(&next)
		wantLost(t, what, s.Commit(t.Context(), next))
		now(t, what, s, r)
	}
	now(t, "the next", s, commit(t, s, r))
}

// testLarge: a state of 60 KB and a list of 200 uploads, and all of it gone again.
func testLarge(t *testing.T, s lease.Store) {
	create(t, s, "a")
	r := take(t, s, "a", "me")
	for i := range 3 {
		next := after(r)
		next.State = map[string][]byte{"fold": bytes.Repeat([]byte{byte(i), 0xff, '"'}, 20_000), "small": {byte(i)}}
		next.Pending = nil
		for n := range 200 {
			next.Pending = append(next.Pending, shardlake.Pending{Kind: "s3", Data: fmt.Appendf(nil, `{"key":"raw/dt=2026-01-01/sl-%d-%d.parquet","size":%d}`, i, n, n)})
		}
		check(t, s.Commit(t.Context(), next))
		check(t, s.Commit(t.Context(), next))
		r = replaced(r, next)
		now(t, "large", s, r)
		if l := count(t, s, 1)["a"]; l.Finished() || len(l.Pending) == 0 && !l.Unread {
			t.Errorf("listed with %d uploads, unread %t", len(l.Pending), l.Unread)
		}
		you := take(t, s, "a", "you")
		r.Owner, r.Token, r.Fence = "you", you.Token, r.Fence+1
		same(t, "acquired", you, r)
		check(t, s.Clear(t.Context(), r))
		r.Pending, r.Prev = nil, nil
		now(t, "cleared", s, r)
		if l := count(t, s, 1)["a"]; len(l.Pending) != 0 || l.Unread {
			t.Error("listed with uploads after the clear")
		}
	}
	r = commit(t, s, r)
	now(t, "small again", s, r)
	check(t, s.Clear(t.Context(), r))
}

// testCopies: a stage may restore its state in place; a sink may edit its list.
func testCopies(t *testing.T, s lease.Store) {
	create(t, s, "a")
	r := take(t, s, "a", "me")
	r.Parents, r.Children = []string{"p"}, []string{"c"}
	one := after(r)
	check(t, s.Commit(t.Context(), one))
	two := after(one)
	check(t, s.Commit(t.Context(), two))
	spoil := func(r lease.Row) {
		r.Parents[0], r.Children[0], r.State["fold"][0], r.Pending[0].Data[0], r.Pending[0].Kind = "x", "x", 'X', 'X', "x"
		r.State["more"] = nil
		if r.Prev != nil {
			r.Prev.State["fold"][0] = 'X'
		}
	}
	spoil(one)
	spoil(two)
	for range 2 {
		for how, got := range map[string]lease.Row{"get": get(t, s, "a"), "list": count(t, s, 1)["a"], "acquire": take(t, s, "a", "me")} {
			if got.Parents[0] != "p" || got.Children[0] != "c" || string(got.State["fold"]) != "state 2" || len(got.State) != 1 ||
				got.Pending[0].Kind != "dir" || string(got.Pending[0].Data) != `{"file":2}` || string(got.Prev.State["fold"]) != "state 1" {
				t.Errorf("by %s: the store's row was changed from outside: %s", how, text(got))
			}
			spoil(got)
		}
	}
}
