package leasetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/shardlake/shardlake/pipeline/lease"
)

// carrying is the commit that follows r: it names all segments of r's State again
// but the dropped ones, without their content, and adds fresh ones.
func carrying(r lease.Row, fresh map[string][]byte, dropped ...string) lease.Row {
	next := after(r)
	next.State = map[string][]byte{}
	for name := range r.State {
		if !slices.Contains(dropped, name) {
			next.State[name] = nil
		}
	}
	for name, b := range fresh {
		next.State[name] = b
	}
	return next
}

// resolved is the row as it must be read after next has replaced r.
func resolved(r, next lease.Row) lease.Row {
	state := map[string][]byte{}
	for name, b := range next.State {
		if b == nil {
			b = r.State[name]
		}
		state[name] = b
	}
	next.State = state
	return replaced(r, next)
}

// follow commits what carrying returns, and returns the row as it must be then.
func follow(t *testing.T, s lease.Store, r lease.Row, fresh map[string][]byte, dropped ...string) lease.Row {
	t.Helper()
	next := carrying(r, fresh, dropped...)
	check(t, s.Commit(t.Context(), next))
	for name, b := range next.State {
		if _, isFresh := fresh[name]; !isFresh && b != nil {
			t.Errorf("Commit has put content into the caller's entry %q", name)
		}
	}
	return resolved(r, next)
}

// content is not like any other, and does not compress.
func content(seed, n int) []byte {
	b := make([]byte, n)
	x := uint32(seed)*2654435761 + 1
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

func wantNoSegment(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, lease.ErrNoSegment) || errors.Is(err, lease.ErrLost) || errors.Is(err, lease.ErrUncertain) {
		t.Errorf("%s: %v, want ErrNoSegment", what, err)
	}
}

// passed wants the next owner to get the row whole, and returns it.
func passed(t *testing.T, s lease.Store, r lease.Row, owner string) lease.Row {
	t.Helper()
	got := take(t, s, r.Lane, owner)
	r.Owner, r.Token, r.Fence, r.Want = owner, got.Token, got.Fence, ""
	same(t, "acquired", got, r)
	return r
}

// testCarried: a segment that is carried over, twice, is there for the next owner,
// whatever its size.
func testCarried(t *testing.T, s lease.Store) {
	create(t, s, "a")
	r := take(t, s, "a", "me")
	first := after(r)
	first.State = map[string][]byte{"": content(0, 7), "small": content(1, 100), "1 KiB": content(2, 1<<10), "3 KB": content(3, 3000), "large": content(4, 30_000)}
	check(t, s.Commit(t.Context(), first))
	r = replaced(r, first)
	for i := range 2 {
		r = follow(t, s, r, map[string][]byte{fmt.Sprint("delta ", i): content(10+i, 1500*i+5)})
		now(t, "carried over", s, r)
	}
	check(t, s.Clear(t.Context(), r))
	r = passed(t, s, cleared(r), "you")
	// The next owner carries on with what it was given, and may replace it.
	r = follow(t, s, r, map[string][]byte{"large": content(5, 20_000), "small": content(6, 9)}, "3 KB", "delta 0")
	now(t, "replaced and dropped", s, r)
	check(t, s.Clear(t.Context(), r))
	r = passed(t, s, cleared(r), "they")
	next := after(r)
	next.State = nil
	check(t, s.Commit(t.Context(), next))
	now(t, "all gone", s, replaced(r, next))
	check(t, s.Clear(t.Context(), next))
	now(t, "all gone", s, cleared(replaced(r, next)))
}

// testNoSegment: what is not there cannot be carried over, however often it is
// tried; whoever has lost the lane is told that.
func testNoSegment(t *testing.T, s lease.Store) {
	wantNoSegment(t, "create", s.Create(t.Context(), lease.Row{Lane: "b", State: map[string][]byte{"x": nil}}))
	count(t, s, 0)
	create(t, s, "a")
	r := take(t, s, "a", "me")
	next := after(r)
	next.State = map[string][]byte{"fold": nil}
	wantNoSegment(t, "the first commit", s.Commit(t.Context(), next))
	now(t, "refused", s, r)
	r = commit(t, s, r)
	r = follow(t, s, r, map[string][]byte{"large": content(1, 30_000)}, "fold")
	for _, missing := range []string{"other", "", "fold"} { // fold is in Prev only
		bad := carrying(r, map[string][]byte{missing: nil, "more": content(2, 30_000)})
		for range 3 {
			wantNoSegment(t, "commit", s.Commit(t.Context(), bad))
			now(t, "refused", s, r)
		}
		bad.Token = lease.NewID()
		wantLost(t, "by somebody else", s.Commit(t.Context(), bad))
		bad = carrying(r, map[string][]byte{missing: nil})
		bad.Number++
		wantLost(t, "of another number", s.Commit(t.Context(), bad))
		now(t, "refused", s, r)
	}
	r = follow(t, s, r, nil)
	now(t, "the next", s, r)
}

// testEmptySegment: empty is a content, and not nil.
func testEmptySegment(t *testing.T, s lease.Store) {
	create(t, s, "a")
	r := take(t, s, "a", "me")
	next := after(r)
	next.State = map[string][]byte{"empty": {}, "full": content(1, 10)}
	check(t, s.Commit(t.Context(), next))
	r = follow(t, s, replaced(r, next), nil)
	now(t, "carried over", s, r)
	r = follow(t, s, r, map[string][]byte{"full": {}})
	now(t, "emptied", s, r)
	for how, got := range map[string]lease.Row{"get": get(t, s, "a"), "acquire": take(t, s, "a", "you")} {
		if len(got.State) != 2 || got.State["empty"] == nil || got.State["full"] == nil || len(got.State["full"]) != 0 || len(got.Prev.State["full"]) != 10 {
			t.Errorf("by %s: %s", how, text(got))
		}
	}
}

// testDropped: what State has dropped stays in Prev until Clear, or until the next
// commit.
func testDropped(t *testing.T, s lease.Store) {
	create(t, s, "a")
	r := take(t, s, "a", "me")
	r = follow(t, s, r, map[string][]byte{"keep": content(1, 5000), "drop": content(2, 5000), "too": content(3, 50)})
	r = follow(t, s, r, nil, "drop", "too")
	now(t, "dropped", s, r)
	if got := get(t, s, "a"); len(got.State) != 1 || !bytes.Equal(got.Prev.State["drop"], content(2, 5000)) {
		t.Errorf("%s, want the dropped segments in Prev", text(got))
	}
	r = passed(t, s, r, "you")
	now(t, "dropped before the next owner came", s, r)
	check(t, s.Clear(t.Context(), r))
	r = cleared(r)
	now(t, "cleared", s, r)
	r = follow(t, s, r, map[string][]byte{"drop": content(4, 6000)}) // another one under the name
	r = follow(t, s, r, nil, "drop")
	r = follow(t, s, r, nil) // without a Clear between
	now(t, "after the next commit", s, r)
	passed(t, s, r, "me")
}

// testRepairedSegments: a repair goes back to all segments of Prev, those that were
// carried over since as well as those that were dropped.
func testRepairedSegments(t *testing.T, s lease.Store) {
	create(t, s, "a")
	r := take(t, s, "a", "me")
	r = follow(t, s, r, map[string][]byte{"keep": content(1, 5000), "drop": content(2, 5000), "small": content(3, 5)})
	check(t, s.Clear(t.Context(), r))
	good := cleared(r)
	r = follow(t, s, good, map[string][]byte{"lost": content(4, 5000)}, "drop")
	check(t, s.Mark(t.Context(), r))
	r.Repair = r.CommitID
	r = passed(t, s, r, "you")
	you := get(t, s, "a")
	back := you
	back.Number, back.CommitID, back.Pending = you.Number+1, lease.NewID(), nil
	back.Pos, back.Watermark, back.State = you.Prev.Pos, you.Prev.Watermark, you.Prev.State
	for range 2 {
		check(t, s.Commit(t.Context(), back))
		now(t, "repaired", s, replaced(r, back))
	}
	check(t, s.Clear(t.Context(), back))
	r = cleared(replaced(r, back))
	now(t, "cleared", s, r)
	if got := states(get(t, s, "a").State); len(got) != 3 || !bytes.Equal(got["drop"], content(2, 5000)) || !bytes.Equal(got["keep"], good.State["keep"]) {
		t.Errorf("repaired to %s", text(get(t, s, "a")))
	}
	r = follow(t, s, r, nil)
	passed(t, s, r, "me")
}

// testManyLarge: a snapshot of 100 KB now and then, and small deltas in between.
func testManyLarge(t *testing.T, s lease.Store) {
	create(t, s, "a")
	r := take(t, s, "a", "me")
	for i := range 15 {
		fresh, dropped := map[string][]byte{}, []string{}
		if i%5 == 0 {
			for name := range r.State {
				dropped = append(dropped, name)
			}
			fresh[fmt.Sprint("snapshot ", i)] = content(i, 100_000)
		} else {
			fresh[fmt.Sprint("delta ", i)] = content(i, 700*(i%4)+1)
		}
		r = follow(t, s, r, fresh, dropped...)
		now(t, fmt.Sprintf("commit %d", i), s, r)
		if i%2 == 0 {
			check(t, s.Clear(t.Context(), r))
			r = cleared(r)
		}
		if i%4 == 3 {
			r = passed(t, s, r, fmt.Sprint("worker-", i))
		}
	}
}

// testRepeatedCarry: a commit whose answer was lost is repeated as it was, without
// the content of what it carries over.
func testRepeatedCarry(t *testing.T, s lease.Store) {
	create(t, s, "a")
	one := follow(t, s, take(t, s, "a", "me"), map[string][]byte{"keep": content(1, 5000), "drop": content(2, 5000), "small": content(3, 5)})
	next := carrying(one, map[string][]byte{"new": content(4, 5000)}, "drop")
	two := resolved(one, next)
	for range 3 {
		check(t, s.Commit(t.Context(), next))
		now(t, "repeated", s, two)
	}
	check(t, s.Clear(t.Context(), next))
	two = cleared(two)
	check(t, s.Commit(t.Context(), next)) // late, after the clear
	now(t, "repeated after the clear", s, two)
	you := passed(t, s, two, "you")
	check(t, s.Commit(t.Context(), next)) // it stands
	now(t, "repeated after the lane was taken", s, you)
	three := follow(t, s, you, nil, "keep", "new") // what the late one names is not there any more
	wantLost(t, "repeated after a later commit", s.Commit(t.Context(), next))
	now(t, "the later commit", s, three)
	check(t, s.Clear(t.Context(), three))
	wantLost(t, "repeated after a later clear", s.Commit(t.Context(), next))
	now(t, "the later clear", s, cleared(three))
}

// testZombieSegments: what a displaced owner sends late neither removes nor changes
// what the present one refers to.
func testZombieSegments(t *testing.T, s lease.Store) {
	create(t, s, "a")
	one := follow(t, s, take(t, s, "a", "me"), map[string][]byte{"keep": content(1, 5000), "drop": content(2, 5000), "small": content(3, 5)})
	two := follow(t, s, one, map[string][]byte{"new": content(4, 5000)})
	inFlight := carrying(two, map[string][]byte{"keep": content(5, 5000), "late": content(6, 5000)}, "drop")
	fromBefore := carrying(one, map[string][]byte{"late": content(7, 5000)})
	zombie := func(when string, want lease.Row) {
		t.Helper()
		for range 2 {
			wantLost(t, when+": the next commit", s.Commit(t.Context(), inFlight))
			now(t, when, s, want)
			wantLost(t, when+": a commit from before", s.Commit(t.Context(), fromBefore))
			now(t, when, s, want)
			wantLost(t, when+": clear", s.Clear(t.Context(), two))
			now(t, when, s, want)
		}
	}
	you := passed(t, s, two, "you")
	zombie("acquired by another", you)
	three := follow(t, s, you, map[string][]byte{"yours": content(8, 5000)}, "drop")
	zombie("committed by another", three)
	check(t, s.Clear(t.Context(), three))
	three = cleared(three)
	zombie("cleared by another", three)
	four := follow(t, s, three, map[string][]byte{"keep": content(9, 5000)}, "new")
	zombie("replaced by another", four)
	passed(t, s, four, "they")
}
