package dynamo_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/pipeline/lease/dynamo"
	"github.com/shardlake/shardlake/pipeline/lease/dynamo/dynamotest"
)

// wantKeys wants the objects to be those of the given names, below the lane's.
func wantKeys(t *testing.T, what string, b *blobs, lane string, names ...string) {
	t.Helper()
	var got []string
	for _, k := range b.keys() {
		got = append(got, strings.TrimPrefix(k, "_shardlake/state/"+lane+"/"))
	}
	if fmt.Sprint(got) != fmt.Sprint(names) {
		t.Errorf("%s: objects %q, want %q", what, got, names)
	}
}

// name is that of the first segment that a commit wrote.
func name(r lease.Row) string { return fmt.Sprintf("%d-%d-%s-0", r.Number, r.Fence, r.CommitID) }

// TestObjectsLife: an object is there from before the row that refers to it until
// no row does.
func TestObjectsLife(t *testing.T) {
	srv, large := dynamotest.New(dynamotest.Config{}), newBlobs()
	s := opened(t, srv, dynamo.Config{Large: large})
	r0 := mine(t, s)
	commitLarge := func(r lease.Row, state, files int) lease.Row {
		t.Helper()
		next := after(r, state)
		next.Pending = nil
		for i := range files {
			next.Pending = append(next.Pending, shardlake.Pending{Kind: "s3", Data: fmt.Appendf(nil, `{"key":"raw/part-%d-%d.parquet"}`, next.Number, i)})
		}
		check(t, s.Commit(t.Context(), next))
		got := get(t, s, "a")
		if len(got.State["fold"]) != state || len(got.Pending) != files {
			t.Errorf("read %d bytes of state and %d files, want %d and %d", len(got.State["fold"]), len(got.Pending), state, files)
		}
		if n := srv.Item(table, "a").Size(); n > 5<<10 {
			t.Errorf("the row has %d bytes", n)
		}
		return got
	}
	r1 := commitLarge(r0, 100, 1)
	wantKeys(t, "small", large, "a")
	r2 := commitLarge(r1, 10_000, 1)
	wantKeys(t, "state", large, "a", name(r2))
	check(t, s.Clear(t.Context(), r2))
	wantKeys(t, "cleared", large, "a", name(r2)) // the row's own
	r3 := commitLarge(r2, 20_000, 300)
	pending := strings.TrimSuffix(name(r3), "-0") + "-pending.json"
	wantKeys(t, "both, and the state before", large, "a", name(r2), name(r3), pending)
	rows, err := s.List(t.Context())
	check(t, err)
	if !rows[0].Unread || len(rows[0].Pending) != 0 || rows[0].Finished() {
		t.Errorf("listed %+v", rows[0])
	}
	if r3.Prev == nil || len(r3.Prev.State["fold"]) != 10_000 {
		t.Error("the state before is not read")
	}
	check(t, s.Clear(t.Context(), r3))
	wantKeys(t, "cleared", large, "a", name(r3))
	r4 := commitLarge(r3, 30_000, 0)
	wantKeys(t, "two states", large, "a", name(r3), name(r4))
	r5 := commitLarge(r4, 30_000, 0) // without a clear between
	wantKeys(t, "two states again", large, "a", name(r4), name(r5))
	// The next owner reads both, and cleans up behind its predecessor.
	you := take(t, s, "a", "you")
	if len(you.State["fold"]) != 30_000 || len(you.Prev.State["fold"]) != 30_000 {
		t.Error("the successor lacks a state")
	}
	r6 := commitLarge(you, 5, 0)
	wantKeys(t, "the successor's first commit", large, "a", name(r5))
	check(t, s.Clear(t.Context(), r6))
	wantKeys(t, "small again", large, "a")

	r7 := commitLarge(r6, 9_000, 0)
	next := after(r7, 9_000)
	next.Ended, next.Pending = true, nil
	check(t, s.Commit(t.Context(), next))
	check(t, s.Clear(t.Context(), next))
	wantKeys(t, "ended", large, "a", name(next)) // children take the state over
	check(t, s.Delete(t.Context(), next))
	if len(large.m) != 0 {
		t.Errorf("left are %q", large.m)
	}
}

// TestObjectsOfLosers: what a refused commit wrote is deleted, what a repeated one
// wrote is not, though it is refused as well.
func TestObjectsOfLosers(t *testing.T) {
	srv, large := dynamotest.New(dynamotest.Config{}), newBlobs()
	s := opened(t, srv, dynamo.Config{Large: large})
	r := mine(t, s)
	one := after(r, 10_000)
	check(t, s.Commit(t.Context(), one))
	check(t, s.Commit(t.Context(), one))
	two := after(get(t, s, "a"), 10_000)
	check(t, s.Commit(t.Context(), two))
	wantLost(t, "the commit before", s.Commit(t.Context(), one))
	wantKeys(t, "which the row still refers to", large, "a", name(one), name(two))
	get(t, s, "a")

	second := opened(t, srv, dynamo.Config{Large: large})
	take(t, second, "a", "you")
	wantLost(t, "the loser", s.Commit(t.Context(), after(two, 10_000)))
	wantKeys(t, "of the loser nothing is left", large, "a", name(one), name(two))
}

// TestObjectsAreWrittenFirst: a commit whose object cannot be written does not
// happen.
func TestObjectsAreWrittenFirst(t *testing.T) {
	srv, large := dynamotest.New(dynamotest.Config{}), newBlobs()
	s := opened(t, srv, dynamo.Config{Large: large})
	r := mine(t, s)
	next := after(r, 10_000)
	large.fail["put"] = errors.New("the bucket is away")
	wantError(t, "commit", s.Commit(t.Context(), next), "the bucket is away", `"a"`, table)
	if got := get(t, s, "a"); got.Number != 0 {
		t.Errorf("committed %+v", got)
	}
	large.fail["put"] = nil
	check(t, s.Commit(t.Context(), next))
	large.fail["get"] = errors.New("the bucket is away")
	_, err := s.Get(t.Context(), "a")
	wantError(t, "get", err, "the bucket is away")
	seen := next
	seen.Fence, seen.Beat = 1, 2
	_, err = s.Acquire(t.Context(), seen, "you", "token")
	wantError(t, "acquire", err, "the bucket is away")
	if rows, err := s.List(t.Context()); err != nil || len(rows) != 1 {
		t.Errorf("list: %v", err) // it reads no objects
	}
	large.fail["get"] = nil
	got, err := s.Acquire(t.Context(), seen, "you", "token") // the same acquisition
	check(t, err)
	if len(got.State["fold"]) != 10_000 || got.Fence != 2 {
		t.Errorf("acquired %+v", got)
	}
	// What cannot be deleted costs storage, and nothing else.
	large.fail["delete"] = errors.New("denied")
	check(t, s.Clear(t.Context(), got))
}

// TestDamagedObject: a state that is not what was written is refused.
func TestDamagedObject(t *testing.T) {
	for what, edit := range map[string]func(*blobs, string){
		"it is damaged":     func(b *blobs, k string) { b.m[k] = "?" + b.m[k][1:] },
		"bytes with CRC32":  func(b *blobs, k string) { b.m[k] = b.m[k][:100] },
		"a lifecycle rule":  func(b *blobs, k string) { delete(b.m, k) },
		"Config.Large: set": nil,
	} {
		srv, large := dynamotest.New(dynamotest.Config{}), newBlobs()
		s := opened(t, srv, dynamo.Config{Large: large})
		r := after(mine(t, s), 10_000)
		check(t, s.Commit(t.Context(), r))
		key := large.keys()[0]
		if edit != nil {
			edit(large, key)
		} else {
			s = opened(t, srv, dynamo.Config{})
		}
		_, err := s.Get(t.Context(), "a")
		wantError(t, what, err, what, key, `"a"`)
		_, err = s.Acquire(t.Context(), lease.Row{Lane: "a", Fence: 1, Beat: 2}, "you", "t")
		wantError(t, what, err, what, key)
	}
}

// TestGetWhileItMoves: the object may go between reading the row and reading it.
func TestGetWhileItMoves(t *testing.T) {
	srv, large := dynamotest.New(dynamotest.Config{}), newBlobs()
	s := opened(t, srv, dynamo.Config{Large: large})
	r := commit(t, s, mine(t, s), 10_000)
	reader := opened(t, srv, dynamo.Config{Large: &moving{blobs: large, then: func() {
		check(t, s.Clear(t.Context(), r))
		r = commit(t, s, r, 20_000)
		check(t, s.Clear(t.Context(), r))
	}}})
	if got := get(t, reader, "a"); len(got.State["fold"]) != 20_000 {
		t.Errorf("read %+v", got)
	}
}

// moving calls then before its first read.
type moving struct {
	*blobs
	then func()
}

func (m *moving) GetBlob(ctx context.Context, key string) ([]byte, error) {
	if then := m.then; then != nil {
		m.then = nil
		then()
	}
	return m.blobs.GetBlob(ctx, key)
}

// TestWithoutLarge: up to 300 KB go into the row; then the error says what to do.
func TestWithoutLarge(t *testing.T) {
	srv := dynamotest.New(dynamotest.Config{})
	s := opened(t, srv, dynamo.Config{})
	r := mine(t, s)
	for range 3 {
		r = commit(t, s, r, 100_000)
	}
	wantError(t, "commit", s.Commit(t.Context(), after(r, 150_000)), "set Config.Large", `"a"`, table)
	if got := get(t, s, "a"); got.Number != 3 {
		t.Errorf("committed %+v", got)
	}
	// A row that the service finds too large is refused with the same words.
	srv.Edit(table, "a", func(i dynamotest.Item) { i["other"] = dynamotest.S(strings.Repeat("x", 160_000)) })
	wantError(t, "commit", s.Commit(t.Context(), after(r, 100_000)), "set Config.Large")
	commit(t, s, r, 10)
}

// TestOddLanes: keys of objects have the lane as one segment.
func TestOddLanes(t *testing.T) {
	srv, large := dynamotest.New(dynamotest.Config{}), newBlobs()
	s := opened(t, srv, dynamo.Config{Large: large})
	for lane, want := range map[string]string{
		"a/b": "a%2Fb", "..": "%2E%2E", ".": "%2E", "../x": "..%2Fx", "a b": "a%20b", "ü\x00": "%C3%BC%00",
		"123456789012:clicks:1700000000:shardId-0": "123456789012:clicks:1700000000:shardId-0",
	} {
		create(t, s, lane)
		r := commit(t, s, take(t, s, lane, "me"), 10_000)
		if len(large.keys()) != 1 || large.keys()[0] != "_shardlake/state/"+want+"/"+name(r) {
			t.Errorf("lane %q: objects %q", lane, large.keys())
		}
		next := after(r, 0)
		next.Ended, next.Pending, next.State = true, nil, nil
		check(t, s.Commit(t.Context(), next))
		check(t, s.Clear(t.Context(), next))
		check(t, s.Delete(t.Context(), next))
	}
	if len(large.m) != 0 {
		t.Errorf("left are %q", large.m)
	}
}

// TestRestoredRow, case C4: a row from a backup that is older than the lake is held
// and says so, also to the next owner.
func TestRestoredRow(t *testing.T) {
	for every, held := range map[int]bool{1: true, 5: true, 100: false} {
		srv, large := dynamotest.New(dynamotest.Config{}), newBlobs()
		s := opened(t, srv, dynamo.Config{Large: large, HeadEvery: every})
		r := mine(t, s)
		var backup dynamotest.Item
		for i := range 12 {
			if i == 4 {
				backup = srv.Item(table, "a")
			}
			r = commit(t, s, r, 10)
			check(t, s.Clear(t.Context(), r))
		}
		check(t, srv.Put(table, backup))
		for range 2 {
			got := take(t, s, "a", "you")
			if (got.Hold != "") != held || got.Number != 4 {
				t.Errorf("head every %d: hold %q at commit %d", every, got.Hold, got.Number)
			}
			if held && (!strings.Contains(got.Hold, "backup") || !strings.Contains(got.Hold, "_shardlake/head/a-"+got.Inc)) {
				t.Errorf("hold %q", got.Hold)
			}
			if again := get(t, s, "a"); again.Hold != got.Hold {
				t.Errorf("the row says %q", again.Hold)
			}
		}
	}
	// An acquisition writes the number too, so a later one sees a younger backup.
	srv, large := dynamotest.New(dynamotest.Config{}), newBlobs()
	s := opened(t, srv, dynamo.Config{Large: large})
	r := commit(t, s, mine(t, s), 10)
	backup := srv.Item(table, "a")
	commit(t, s, r, 10)
	take(t, s, "a", "you")
	check(t, srv.Put(table, backup))
	if got := take(t, s, "a", "me"); got.Hold == "" {
		t.Error("a backup from before the last acquisition is not noticed")
	}
	// A lane that is deleted and made again counts from the start, by its own life.
	srv.Remove(table, "a")
	create(t, s, "a")
	if got := take(t, s, "a", "me"); got.Hold != "" {
		t.Errorf("a new row is held: %s", got.Hold)
	}
}

// TestHeadIsNoCondition: a commit stands, whether or not its number can be written;
// an acquisition that cannot compare is repeated.
func TestHeadIsNoCondition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, large := dynamotest.New(dynamotest.Config{}), newBlobs()
		s := opened(t, srv, dynamo.Config{Large: large, HeadEvery: 1, RetryFor: time.Second})
		r := mine(t, s)
		large.fail["put"] = errors.New("the bucket is away")
		r = commit(t, s, r, 10)
		seen := get(t, s, "a")
		_, err := s.Acquire(t.Context(), seen, "you", "token")
		wantError(t, "acquire", err, "the bucket is away")
		large.fail["put"] = nil
		got, err := s.Acquire(t.Context(), seen, "you", "token")
		check(t, err)
		if got.Fence != r.Fence+1 || got.Hold != "" {
			t.Errorf("acquired %+v", got)
		}
		large.m["_shardlake/head/a-"+r.Inc] = "not JSON"
		_, err = s.Acquire(t.Context(), get(t, s, "a"), "me", "t")
		wantError(t, "acquire", err, "_shardlake/head/a-"+r.Inc)
	})
}

// TestCost: a commit without objects costs one write, a heartbeat one write of a KB
// or two, and a listing half a unit for each 4 KB.
func TestCost(t *testing.T) {
	srv, large := dynamotest.New(dynamotest.Config{}), newBlobs()
	s := opened(t, srv, dynamo.Config{Large: large})
	r := commit(t, s, mine(t, s), 100_000)
	check(t, s.Clear(t.Context(), r))
	srv.ResetUsage()
	puts, gets := large.puts, large.gets
	_, err := s.Renew(t.Context(), r)
	check(t, err)
	if u := srv.Usage(""); u.Calls != 1 || u.Write > 2 {
		t.Errorf("a heartbeat takes %+v", u)
	}
	check(t, s.Commit(t.Context(), after(r, 10)))
	if u := srv.Usage(""); u.Calls != 2 || u.Write > 5 {
		t.Errorf("a heartbeat and a commit take %+v", u)
	}
	if large.puts != puts || large.gets != gets {
		t.Errorf("%d objects were written and %d read", large.puts-puts, large.gets-gets)
	}
	srv.ResetUsage()
	_, err = s.List(t.Context())
	check(t, err)
	if u := srv.Usage(""); u.Calls != 1 || u.Read != 0.5 {
		t.Errorf("a listing takes %+v", u)
	}
}
