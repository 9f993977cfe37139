package leasetest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/lease"
)

func instant(n int64) shardlake.Instant { return shardlake.Instant(n) }

// winner wants one call of many to have succeeded, and the others to be lost.
func winner(t *testing.T, what string, errs []error) int {
	t.Helper()
	won := -1
	for i, err := range errs {
		switch {
		case err != nil:
			wantLost(t, what, err)
		case won >= 0:
			t.Errorf("%s: %d and %d have both won", what, won, i)
		default:
			won = i
		}
	}
	if won < 0 {
		t.Fatalf("%s: nobody has won", what)
	}
	return won
}

func race(n int, f func(i int) error) []error {
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	return errs
}

// testRacingAcquire: of many who have seen the same row, one gets the lane.
func testRacingAcquire(t *testing.T, s lease.Store) {
	for _, err := range race(8, func(int) error { return s.Create(context.Background(), lease.Row{Lane: "a"}) }) {
		check(t, err)
	}
	inc := get(t, s, "a").Inc
	for round := range 5 {
		seen := get(t, s, "a")
		got := make([]lease.Row, 8)
		won := winner(t, "acquire", race(len(got), func(i int) (err error) {
			got[i], err = s.Acquire(context.Background(), seen, fmt.Sprint("worker-", i), lease.NewID())
			return err
		}))
		r := got[won]
		if r.Fence != uint64(round+1) || r.Inc != inc || r.Owner != fmt.Sprint("worker-", won) {
			t.Errorf("round %d: %s", round, text(r))
		}
		now(t, "the winner's", s, r)
		commit(t, s, r)
	}
}

// testRacingCommits: of many commits that follow one row, one succeeds, whole.
func testRacingCommits(t *testing.T, s lease.Store) {
	create(t, s, "a")
	r := take(t, s, "a", "me")
	for range 5 {
		attempts := make([]lease.Row, 8)
		for i := range attempts {
			attempts[i] = after(r)
			attempts[i].State = map[string][]byte{"fold": []byte(attempts[i].CommitID)}
		}
		won := winner(t, "commit", race(len(attempts), func(i int) error {
			if _, err := s.List(context.Background()); err != nil {
				return err
			}
			return s.Commit(context.Background(), attempts[i])
		}))
		r = replaced(r, attempts[won])
		now(t, "the winner's", s, r)
	}
}

func testRacingAsk(t *testing.T, s lease.Store) {
	create(t, s, "a")
	take(t, s, "a", "me")
	seen := get(t, s, "a")
	won := winner(t, "ask", race(8, func(i int) error {
		return s.Ask(context.Background(), seen, fmt.Sprint("worker-", i))
	}))
	if got := get(t, s, "a"); got.Want != fmt.Sprint("worker-", won) {
		t.Errorf("wanted by %q, not by the winner, %d", got.Want, won)
	}
}

// testHeartbeats: heartbeats and commits of one owner do not refuse each other.
func testHeartbeats(t *testing.T, s lease.Store) {
	create(t, s, "a")
	r := take(t, s, "a", "me")
	for range 5 {
		next, beat := after(r), r
		beat.Known = r.Known + 10
		next.Known = r.Known + 5
		for _, err := range race(5, func(i int) error {
			if i == 0 {
				return s.Commit(context.Background(), next)
			}
			_, err := s.Renew(context.Background(), beat)
			return err
		}) {
			check(t, err)
		}
		got := get(t, s, "a")
		if got.CommitID != next.CommitID || got.Known != beat.Known {
			t.Errorf("%s, want commit %s and Known %d", text(got), next.CommitID, beat.Known)
		}
		r = got
	}
}
