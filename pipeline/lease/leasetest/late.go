package leasetest

import (
	"testing"

	"github.com/shardlake/shardlake/pipeline/lease"
)

// testLate: a request whose answer was lost may arrive long after its sender has
// gone, and once more. None of them changes what the successor does.
func testLate(t *testing.T, s lease.Store) {
	create(t, s, "a")
	fresh := get(t, s, "a")
	token := lease.NewID()
	me, err := s.Acquire(t.Context(), fresh, "me", token)
	check(t, err)
	one := commit(t, s, me)
	asked := get(t, s, "a")
	check(t, s.Ask(t.Context(), asked, "you"))
	check(t, s.Clear(t.Context(), one))
	check(t, s.Release(t.Context(), one))

	late := func(when string) {
		t.Helper()
		before := get(t, s, "a")
		check(t, s.Create(t.Context(), fresh))
		if s.Shared() {
			_, err := s.Renew(t.Context(), me)
			wantLost(t, when+": renew", err)
		}
		_, err := s.Acquire(t.Context(), fresh, "me", token)
		wantLost(t, when+": acquire", err)
		wantLost(t, when+": the next commit", s.Commit(t.Context(), after(one)))
		wantLost(t, when+": clear", s.Clear(t.Context(), one))
		wantLost(t, when+": mark", s.Mark(t.Context(), one))
		check(t, s.Release(t.Context(), one))
		wantLost(t, when+": delete", s.Delete(t.Context(), one))
		wantLost(t, when+": ask", s.Ask(t.Context(), asked, "they"))
		now(t, when, s, before)
		if got := get(t, s, "a"); got.Beat != before.Beat {
			t.Errorf("%s: Beat has moved", when)
		}
	}
	late("released")
	check(t, s.Commit(t.Context(), one)) // it stands
	you := take(t, s, "a", "you")
	late("acquired by another")
	check(t, s.Commit(t.Context(), one))
	two := commit(t, s, you)
	late("committed by another")
	wantLost(t, "the commit before", s.Commit(t.Context(), one))
	check(t, s.Clear(t.Context(), two))
	late("cleared by another")
	mine := take(t, s, "a", "me")
	late("acquired by the same worker again")
	now(t, "at the end", s, mine)
}
