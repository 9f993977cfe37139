package lease_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/lease"
)

// contract is what each store promises; every part gets a store of its own.
func contract(t *testing.T, open func(*testing.T) lease.Store) {
	for name, f := range map[string]func(*testing.T, lease.Store){
		"create":                 testCreate,
		"absent":                 testAbsent,
		"acquire":                testAcquire,
		"unowned":                testUnowned,
		"chain":                  testChain,
		"repeated commit":        testRepeatedCommit,
		"lost":                   testLost,
		"clear":                  testClear,
		"release":                testRelease,
		"memory is not shared":   testCopies,
		"concurrent commits":     testConcurrentCommits,
		"concurrent acquisition": testConcurrentAcquire,
		"lanes are independent":  testLanes,
	} {
		t.Run(name, func(t *testing.T) { f(t, open(t)) })
	}
}

func TestMemory(t *testing.T) {
	contract(t, func(*testing.T) lease.Store { return new(lease.Memory) })
}

func TestFile(t *testing.T) {
	contract(t, func(t *testing.T) lease.Store { return openFile(t, t.TempDir()) })
}

func openFile(t *testing.T, dir string) *lease.File {
	t.Helper()
	f, err := lease.OpenFile(dir)
	check(t, err)
	t.Cleanup(func() {
		if err := f.Close(); err != nil && !closedBefore(err) {
			t.Error(err)
		}
	})
	return f
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantLost(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, lease.ErrLost) {
		t.Errorf("%s: %v, want ErrLost", what, err)
	}
}

func create(t *testing.T, s lease.Store, lane string) {
	t.Helper()
	check(t, s.Create(t.Context(), lease.Row{Lane: lane, Begin: shardlake.Never, Watermark: shardlake.Never}))
}

func acquire(t *testing.T, s lease.Store, lane, owner string) lease.Row {
	t.Helper()
	r, err := s.Acquire(t.Context(), lane, owner, lease.NewID())
	check(t, err)
	return r
}

// row reads one lane's row.
func row(t *testing.T, s lease.Store, lane string) lease.Row {
	t.Helper()
	rows, err := s.List(t.Context())
	check(t, err)
	for _, r := range rows {
		if r.Lane == lane {
			return r
		}
	}
	t.Fatalf("no row of %q in %v", lane, rows)
	return lease.Row{}
}

// after is the commit that follows r.
func after(r lease.Row) lease.Row {
	r.Number++
	r.CommitID = lease.NewID()
	r.Pos = shardlake.Position{Seq: fmt.Sprint(r.Number * 10)}
	r.Watermark = shardlake.Instant(r.Number)
	r.State = map[string][]byte{"fold": fmt.Appendf(nil, "state %d", r.Number)}
	r.Pending = []shardlake.Pending{{Kind: "dir", Data: fmt.Appendf(nil, `{"file":%d}`, r.Number)}}
	return r
}

func same(t *testing.T, what string, got, want lease.Row) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func testCreate(t *testing.T, s lease.Store) {
	rows, err := s.List(t.Context())
	check(t, err)
	if len(rows) != 0 {
		t.Fatalf("a new store holds %v", rows)
	}
	want := lease.Row{Lane: "a", Parents: []string{"p", "q"}, Source: "arn", Begin: 7, Watermark: shardlake.Never}
	with := want
	with.Inc, with.Owner, with.Token, with.Fence = "mine", "me", "token", 9 // not the caller's to say
	check(t, s.Create(t.Context(), with))
	got := row(t, s, "a")
	if len(got.Inc) != 16 {
		t.Errorf("inc %q: want it drawn by the store", got.Inc)
	}
	want.Inc = got.Inc
	same(t, "created", got, want)

	held := acquire(t, s, "a", "me")
	create(t, s, "a")
	same(t, "created again", row(t, s, "a"), held)

	create(t, s, "b")
	if row(t, s, "b").Inc == got.Inc {
		t.Error("two lanes have one inc")
	}
}

func testAbsent(t *testing.T, s lease.Store) {
	_, err := s.Acquire(t.Context(), "no", "me", lease.NewID())
	wantLost(t, "acquire", err)
	r := lease.Row{Lane: "no", Owner: "me", Token: "t", Number: 1, CommitID: "c"}
	wantLost(t, "commit", s.Commit(t.Context(), r))
	wantLost(t, "clear", s.Clear(t.Context(), r))
	rows, err := s.List(t.Context())
	check(t, err)
	if len(rows) != 0 {
		t.Errorf("a row came to be: %v", rows)
	}
}

func testAcquire(t *testing.T, s lease.Store) {
	create(t, s, "a")
	token := lease.NewID()
	first, err := s.Acquire(t.Context(), "a", "me", token)
	check(t, err)
	if first.Owner != "me" || first.Token != token || first.Fence != 1 {
		t.Errorf("acquired %+v", first)
	}
	again, err := s.Acquire(t.Context(), "a", "me", token)
	check(t, err)
	same(t, "the same acquisition", again, first)

	// The same owner counts as another one: a late commit of its earlier life
	// must not pass.
	second := acquire(t, s, "a", "me")
	if second.Fence != 2 || second.Token == token || second.Inc != first.Inc {
		t.Errorf("acquired again: %+v after %+v", second, first)
	}
	wantLost(t, "commit of the earlier acquisition", s.Commit(t.Context(), after(first)))
	same(t, "afterwards", row(t, s, "a"), second)
	check(t, s.Commit(t.Context(), after(second)))

	third := acquire(t, s, "a", "you")
	if third.Fence != 3 || third.Number != 1 || third.Pos.Seq != "10" || string(third.State["fold"]) != "state 1" || len(third.Pending) != 1 {
		t.Errorf("the successor got %+v", third)
	}
}

// testUnowned: a row that was listed and not acquired is no licence to write.
func testUnowned(t *testing.T, s lease.Store) {
	create(t, s, "a")
	wantLost(t, "commit, never acquired", s.Commit(t.Context(), after(row(t, s, "a"))))
	r := acquire(t, s, "a", "me")
	r = after(r)
	check(t, s.Commit(t.Context(), r))
	check(t, s.Release(t.Context(), r))
	wantLost(t, "commit, released", s.Commit(t.Context(), after(row(t, s, "a"))))
	wantLost(t, "clear, released", s.Clear(t.Context(), row(t, s, "a")))
	if got := row(t, s, "a"); got.Number != 1 || len(got.Pending) != 1 {
		t.Errorf("left %+v", got)
	}
}

func testChain(t *testing.T, s lease.Store) {
	create(t, s, "a")
	r := acquire(t, s, "a", "me")
	for range 5 {
		r = after(r)
		check(t, s.Commit(t.Context(), r))
		same(t, "committed", row(t, s, "a"), r)
	}
	r = after(r)
	r.Ended, r.State = true, nil
	check(t, s.Commit(t.Context(), r))
	if got := row(t, s, "a"); got.Finished() || !got.Ended {
		t.Error("finished with uploads to publish")
	}
	check(t, s.Clear(t.Context(), r))
	if !row(t, s, "a").Finished() {
		t.Error("not finished")
	}
}

func testRepeatedCommit(t *testing.T, s lease.Store) {
	create(t, s, "a")
	r := after(acquire(t, s, "a", "me"))
	for range 3 {
		check(t, s.Commit(t.Context(), r))
	}
	check(t, s.Clear(t.Context(), r))
	check(t, s.Commit(t.Context(), r)) // late, after the clear: the list stays empty
	if got := row(t, s, "a"); got.Number != 1 || len(got.Pending) != 0 {
		t.Errorf("row %+v", got)
	}
	// The commit stands, also when somebody else has the lane since.
	you := acquire(t, s, "a", "you")
	check(t, s.Commit(t.Context(), r))
	same(t, "untouched", row(t, s, "a"), you)
	check(t, s.Commit(t.Context(), after(you)))
	wantLost(t, "repeated after a later commit", s.Commit(t.Context(), r))
}

func testLost(t *testing.T, s lease.Store) {
	create(t, s, "a")
	r := after(acquire(t, s, "a", "me"))
	check(t, s.Commit(t.Context(), r))
	for what, edit := range map[string]func(*lease.Row){
		"owner":        func(r *lease.Row) { r.Owner = "you" },
		"no owner":     func(r *lease.Row) { r.Owner = "" },
		"token":        func(r *lease.Row) { r.Token = lease.NewID() },
		"number again": func(r *lease.Row) { r.Number-- },
		"number ahead": func(r *lease.Row) { r.Number++ },
		"number 0":     func(r *lease.Row) { r.Number = 0 },
		"inc":          func(r *lease.Row) { r.Inc = lease.NewID() },
		"no commit id": func(r *lease.Row) { r.CommitID, r.Number = "", r.Number-1 },
	} {
		next := after(r)
		edit(&next)
		wantLost(t, what, s.Commit(t.Context(), next))
		same(t, what, row(t, s, "a"), r)
	}
	check(t, s.Commit(t.Context(), after(r)))
}

func testClear(t *testing.T, s lease.Store) {
	create(t, s, "a")
	one := after(acquire(t, s, "a", "me"))
	check(t, s.Commit(t.Context(), one))
	for what, edit := range map[string]func(*lease.Row){
		"commit id": func(r *lease.Row) { r.CommitID = lease.NewID() },
		"owner":     func(r *lease.Row) { r.Owner = "you" },
		"token":     func(r *lease.Row) { r.Token = lease.NewID() },
	} {
		by := one
		edit(&by)
		wantLost(t, what, s.Clear(t.Context(), by))
		same(t, what, row(t, s, "a"), one)
	}
	check(t, s.Clear(t.Context(), one))
	check(t, s.Clear(t.Context(), one))
	want := one
	want.Pending = nil
	same(t, "cleared", row(t, s, "a"), want)

	two := after(one)
	check(t, s.Commit(t.Context(), two))
	wantLost(t, "a late clear of the commit before", s.Clear(t.Context(), one))
	same(t, "the next commit's list", row(t, s, "a"), two)
	acquire(t, s, "a", "you")
	wantLost(t, "a clear of the earlier owner", s.Clear(t.Context(), two))
	if len(row(t, s, "a").Pending) != 1 {
		t.Error("the successor's list is gone")
	}
}

func testRelease(t *testing.T, s lease.Store) {
	create(t, s, "a")
	me := after(acquire(t, s, "a", "me"))
	check(t, s.Commit(t.Context(), me))
	other := me
	other.Token = lease.NewID()
	check(t, s.Release(t.Context(), other))
	same(t, "released by another", row(t, s, "a"), me)
	check(t, s.Release(t.Context(), me))
	check(t, s.Release(t.Context(), me))
	got := row(t, s, "a")
	if got.Owner != "" || got.Fence != me.Fence || len(got.Pending) != 1 || got.Number != 1 {
		t.Errorf("released %+v", got)
	}
	wantLost(t, "a commit in flight", s.Commit(t.Context(), after(me)))
	you := acquire(t, s, "a", "you")
	if you.Fence != me.Fence+1 {
		t.Errorf("fence %d after %d", you.Fence, me.Fence)
	}
	check(t, s.Release(t.Context(), me)) // late
	same(t, "the successor's", row(t, s, "a"), you)
}

// testCopies: a stage may restore its state in place; a sink may edit its list.
func testCopies(t *testing.T, s lease.Store) {
	create(t, s, "a")
	r := after(acquire(t, s, "a", "me"))
	r.Parents = []string{"p"}
	spoil := func(r lease.Row) {
		r.Parents[0], r.State["fold"][0], r.Pending[0].Data[0], r.Pending[0].Kind = "x", 'X', 'X', "x"
		r.State["more"] = nil
	}
	check(t, s.Commit(t.Context(), r))
	spoil(r)
	for _, read := range []func() lease.Row{
		func() lease.Row { return row(t, s, "a") },
		func() lease.Row { return acquire(t, s, "a", "me") },
	} {
		for range 2 {
			got := read()
			if got.Parents[0] != "p" || string(got.State["fold"]) != "state 1" || len(got.State) != 1 ||
				got.Pending[0].Kind != "dir" || string(got.Pending[0].Data) != `{"file":1}` {
				t.Errorf("the store's row was changed from outside: %+v", got)
			}
			spoil(got)
		}
	}
}

// testConcurrentCommits: of many commits that follow one row, one succeeds.
func testConcurrentCommits(t *testing.T, s lease.Store) {
	create(t, s, "a")
	r := acquire(t, s, "a", "me")
	for range 5 {
		var wg sync.WaitGroup
		attempts := make([]lease.Row, 8)
		errs := make([]error, len(attempts))
		for i := range attempts {
			attempts[i] = after(r)
			wg.Go(func() { errs[i] = s.Commit(context.Background(), attempts[i]) })
			wg.Go(func() {
				if _, err := s.List(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		won := 0
		for i, err := range errs {
			if err == nil {
				won++
				r = attempts[i]
			} else {
				wantLost(t, "a loser", err)
			}
		}
		if won != 1 {
			t.Fatalf("%d commits of number %d", won, r.Number)
		}
		same(t, "the winner's", row(t, s, "a"), r)
	}
}

func testConcurrentAcquire(t *testing.T, s lease.Store) {
	var wg sync.WaitGroup
	got := make([]lease.Row, 12)
	for i := range got {
		wg.Go(func() {
			if err := s.Create(context.Background(), lease.Row{Lane: "a"}); err != nil {
				t.Error(err)
				return
			}
			var err error
			if got[i], err = s.Acquire(context.Background(), "a", "me", lease.NewID()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	last, fences := row(t, s, "a"), map[uint64]bool{}
	for _, r := range got {
		if r.Inc != last.Inc {
			t.Errorf("created twice: %s and %s", r.Inc, last.Inc)
		}
		if fences[r.Fence] {
			t.Errorf("fence %d given twice", r.Fence)
		}
		fences[r.Fence] = true
		if err := s.Commit(t.Context(), after(r)); r.Fence == last.Fence {
			check(t, err)
		} else {
			wantLost(t, "an earlier acquisition", err)
		}
	}
	if last.Fence != uint64(len(got)) {
		t.Errorf("fence %d after %d acquisitions", last.Fence, len(got))
	}
}

// testLanes: ids that a file system might mistake for something else.
func testLanes(t *testing.T, s lease.Store) {
	lanes := []string{"a", "a.tmp", "a.lane.json", "lock", ".", "..", "../a", "/a", "a/b", "a%2Fb", "*", "[", "ü", " ", "a\x00b", "shardId-000000000000"}
	for _, l := range lanes {
		create(t, s, l)
	}
	for i, l := range lanes {
		r := acquire(t, s, l, "me")
		for range i {
			r = after(r)
			check(t, s.Commit(t.Context(), r))
		}
	}
	for i, l := range lanes {
		if r := row(t, s, l); r.Number != uint64(i) || r.Fence != 1 {
			t.Errorf("lane %q: %+v, want number %d", l, r, i)
		}
	}
	rows, err := s.List(t.Context())
	check(t, err)
	if len(rows) != len(lanes) {
		t.Errorf("%d rows of %d lanes", len(rows), len(lanes))
	}
}
