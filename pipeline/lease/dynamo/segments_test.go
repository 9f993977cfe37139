package dynamo_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/pipeline/lease/dynamo"
	"github.com/shardlake/shardlake/pipeline/lease/dynamo/dynamotest"
)

// with is the commit that follows r, with a state of its own.
func with(r lease.Row, state map[string][]byte) lease.Row {
	r = after(r, 0)
	r.State = state
	return r
}

func filled(b byte, n int) []byte { return []byte(strings.Repeat(string(b), n)) }

// object is the name of the i-th segment that a commit wrote.
func object(r lease.Row, i int) string {
	return fmt.Sprintf("%d-%d-%s-%d", r.Number, r.Fence, r.CommitID, i)
}

// TestSegmentsAreWrittenOnce: a commit writes one object for each fresh segment of
// more than 1 KiB, and what it carries over costs neither an object nor a request.
func TestSegmentsAreWrittenOnce(t *testing.T) {
	srv, large := dynamotest.New(dynamotest.Config{}), newBlobs()
	s := opened(t, srv, dynamo.Config{Large: large})
	r := mine(t, s)
	one := with(r, map[string][]byte{"a": filled('a', 1<<10), "b": filled('b', 1<<10+1), "snapshot": filled('s', 5<<20)})
	check(t, s.Commit(t.Context(), one))
	wantKeys(t, "first", large, "a", object(one, 1), object(one, 2))
	if got := large.m["_shardlake/state/a/"+object(one, 1)]; got != string(filled('b', 1<<10+1)) {
		t.Errorf("the object is not the segment but %.50q", got)
	}
	ref := fmt.Sprintf(`{"name":"%s","size":1025,"crc":%d}`, object(one, 1), crc32.ChecksumIEEE(filled('b', 1<<10+1)))
	if got := srv.Item(table, "a")["sl_state"].Text; !strings.Contains(got, `"b":`+ref) || !strings.Contains(got, `"a":"YWFh`) {
		t.Errorf("sl_state is %s", got)
	}
	srv.ResetUsage()
	puts, gets := large.puts, large.gets
	last := one
	for i := range 4 {
		next := map[string][]byte{fmt.Sprint("delta ", i): filled('d', 2000)}
		for name := range last.State {
			next[name] = nil
		}
		last = with(last, next)
		check(t, s.Commit(t.Context(), last))
	}
	if u := srv.Usage(""); u.Calls != 4 || large.puts != puts+4 || large.gets != gets {
		t.Errorf("4 commits took %d requests, wrote %d objects and read %d", u.Calls, large.puts-puts, large.gets-gets)
	}
	check(t, s.Clear(t.Context(), last))
	if n := srv.Item(table, "a").Size(); n > 5<<10 {
		t.Errorf("the row has %d bytes", n)
	}
	rows, err := s.List(t.Context())
	check(t, err)
	renewed, err := s.Renew(t.Context(), last)
	check(t, err)
	if rows[0].State != nil || renewed.State != nil {
		t.Error("a part of the state is listed or renewed as if it were all")
	}
	got := take(t, s, "a", "you")
	if len(got.State) != 7 || len(got.State["snapshot"]) != 5<<20 || string(got.State["a"]) != string(one.State["a"]) || len(got.State["delta 3"]) != 2000 {
		t.Errorf("acquired %d segments", len(got.State))
	}
}

// TestEarlierStates: what earlier versions wrote, all of a state in one object or
// in the row, is read and carried over.
func TestEarlierStates(t *testing.T) {
	old, err := json.Marshal(map[string][]byte{"fold": filled('f', 9000), "empty": {}, "tiny": {1}})
	check(t, err)
	const key = "_shardlake/state/a/1-1-0123456789abcdef.json"
	for name, attr := range map[string]string{
		"an object":  fmt.Sprintf(`@{"key":%q,"size":%d,"crc":%d}`, key, len(old), crc32.ChecksumIEEE(old)),
		"in the row": string(old),
	} {
		for _, carryAtOnce := range []bool{true, false} {
			srv, large := dynamotest.New(dynamotest.Config{}), newBlobs()
			s := opened(t, srv, dynamo.Config{Large: large})
			r := commit(t, s, mine(t, s), 0)
			check(t, s.Clear(t.Context(), r))
			if attr[0] == '@' {
				large.m[key] = string(old)
			}
			srv.Edit(table, "a", func(i dynamotest.Item) { i["sl_state"] = dynamotest.S(attr) })
			if carryAtOnce {
				s = opened(t, srv, dynamo.Config{Large: large}) // reads the row for the commit
			} else {
				r = take(t, s, "a", "me")
				if len(r.State) != 3 || len(r.State["fold"]) != 9000 || r.State["empty"] == nil || r.State["tiny"][0] != 1 {
					t.Errorf("%s: read %d segments", name, len(r.State))
				}
			}
			next := with(r, map[string][]byte{"fold": nil, "empty": nil, "x": filled('x', 3000)})
			check(t, s.Commit(t.Context(), next))
			check(t, s.Commit(t.Context(), next))
			got := get(t, s, "a")
			if len(got.State) != 3 || len(got.State["fold"]) != 9000 || got.State["empty"] == nil || len(got.Prev.State["fold"]) != 9000 || got.Prev.State["tiny"][0] != 1 {
				t.Errorf("%s: committed %d segments after %d", name, len(got.State), len(got.Prev.State))
			}
			if carryAtOnce {
				got = take(t, s, "a", "you")
			}
			check(t, s.Clear(t.Context(), got))
			wantKeys(t, name, large, "a", object(next, 1), object(next, 2))
		}
	}
}

// TestCommitOfAnotherStore: a Store that did not acquire the lane reads the row to
// find out what is carried over.
func TestCommitOfAnotherStore(t *testing.T) {
	for _, large := range []lease.Blobs{newBlobs(), nil} { // with objects, and without
		srv := dynamotest.New(dynamotest.Config{})
		c := dynamo.Config{Large: large}
		s := opened(t, srv, c)
		one := with(mine(t, s), map[string][]byte{"big": filled('b', 9000), "small": {1}, "moves": {1}})
		check(t, s.Commit(t.Context(), one))
		other := opened(t, srv, c)
		two := with(one, map[string][]byte{"big": nil, "more": filled('m', 9000), "moves": {2}})
		check(t, other.Commit(t.Context(), two))
		check(t, other.Commit(t.Context(), two))
		check(t, s.Commit(t.Context(), two)) // whose own picture is of the row before
		bad := with(two, map[string][]byte{"small": nil})
		for _, by := range []lease.Store{s, other} {
			if err := by.Commit(t.Context(), bad); !errors.Is(err, lease.ErrNoSegment) || !strings.Contains(err.Error(), `"small"`) || !strings.Contains(err.Error(), table) {
				t.Errorf("carried over what is only in Prev: %v", err)
			}
		}
		three := with(two, map[string][]byte{"big": nil, "more": nil, "moves": nil})
		check(t, other.Commit(t.Context(), three))
		four := with(three, map[string][]byte{"big": nil, "moves": nil})
		check(t, s.Commit(t.Context(), four)) // which has heard of two at most
		if got := get(t, other, "a"); len(got.State["big"]) != 9000 || string(got.State["moves"]) != "\x02" || len(got.Prev.State["more"]) != 9000 {
			t.Errorf("read %d segments, and %d before", len(got.State), len(got.Prev.State))
		}
	}
}

// TestRowThatSomebodyReplaced: a commit carries over from the row that it was made
// from, and from no other with the same owner and number.
func TestRowThatSomebodyReplaced(t *testing.T) {
	srv, large := dynamotest.New(dynamotest.Config{}), newBlobs()
	s := opened(t, srv, dynamo.Config{Large: large})
	one := with(mine(t, s), map[string][]byte{"big": filled('b', 9000)})
	check(t, s.Commit(t.Context(), one))
	srv.Edit(table, "a", func(i dynamotest.Item) {
		i["sl_cid"], i["sl_state"] = dynamotest.S("another"), dynamotest.S(`{"big":"AA=="}`)
	})
	wantLost(t, "commit", s.Commit(t.Context(), with(one, map[string][]byte{"big": nil})))
	if got := get(t, s, "a"); got.Number != 1 || string(got.State["big"]) != "\x00" {
		t.Errorf("the row is %+v", got)
	}
}

// TestZombieObjects: the objects of the present owner are there whatever a displaced
// process still sends, and what that has written is removed.
func TestZombieObjects(t *testing.T) {
	srv, large := dynamotest.New(dynamotest.Config{}), newBlobs()
	c := dynamo.Config{Large: large}
	zombie, s := opened(t, srv, c), opened(t, srv, c)
	one := with(mine(t, zombie), map[string][]byte{"a": filled('a', 2000), "b": filled('b', 2000)})
	check(t, zombie.Commit(t.Context(), one))
	two := with(one, map[string][]byte{"a": nil, "c": filled('c', 2000)})
	check(t, zombie.Commit(t.Context(), two))
	inFlight := with(two, map[string][]byte{"a": nil, "c": filled('x', 2000), "d": filled('d', 2000)})

	you := take(t, s, "a", "you")
	three := with(you, map[string][]byte{"a": nil, "c": nil, "e": filled('e', 2000)})
	check(t, s.Commit(t.Context(), three))
	// What the zombie holds is of before; this is when it finds out.
	wantLost(t, "the commit in flight", zombie.Commit(t.Context(), inFlight))
	wantKeys(t, "a commit in flight", large, "a", object(one, 0), object(two, 1), object(three, 2))
	wantLost(t, "once more, with what it had carried over", zombie.Commit(t.Context(), inFlight))
	wantLost(t, "the commit before", zombie.Commit(t.Context(), two))
	wantLost(t, "clear", zombie.Clear(t.Context(), two))
	_, err := zombie.Renew(t.Context(), two)
	wantLost(t, "renew", err)
	wantKeys(t, "all that is late", large, "a", object(one, 0), object(two, 1), object(three, 2))
	check(t, s.Clear(t.Context(), three))
	four := with(three, map[string][]byte{"a": nil, "e": nil})
	check(t, s.Commit(t.Context(), four))
	check(t, s.Clear(t.Context(), four))
	wantLost(t, "the commit before", zombie.Commit(t.Context(), two))
	wantKeys(t, "at the end", large, "a", object(one, 0), object(three, 2))
	if got := get(t, s, "a"); len(got.State["a"]) != 2000 || len(got.State["e"]) != 2000 {
		t.Errorf("read %d segments", len(got.State))
	}
}

// TestAnswersOutOfOrder: an answer that is looked at late does not make the objects
// of a later commit look unused.
func TestAnswersOutOfOrder(t *testing.T) {
	srv, large := dynamotest.New(dynamotest.Config{}), newBlobs()
	g := &gate{next: srv.Client()}
	s := opened(t, srv, dynamo.Config{Large: large, HTTPClient: g})
	one := with(mine(t, s), map[string][]byte{"a": filled('a', 2000)})
	check(t, s.Commit(t.Context(), one))
	answered, goOn, done := make(chan struct{}), make(chan struct{}), make(chan error)
	g.hold = func() { close(answered); <-goOn }
	go func() { done <- s.Clear(t.Context(), one) }()
	<-answered
	two := with(one, map[string][]byte{"a": nil, "b": filled('b', 2000)})
	check(t, s.Commit(t.Context(), two))
	close(goOn)
	check(t, <-done)
	wantKeys(t, "both", large, "a", object(one, 0), object(two, 1))
	three := with(two, map[string][]byte{"b": nil})
	check(t, s.Commit(t.Context(), three))
	check(t, s.Clear(t.Context(), three))
	wantKeys(t, "later", large, "a", object(two, 1))
}

// gate holds the next answer back, once hold is set.
type gate struct {
	next aws.HTTPClient
	hold func()
}

func (g *gate) Do(req *http.Request) (*http.Response, error) {
	hold := g.hold
	g.hold = nil
	resp, err := g.next.Do(req)
	if hold != nil {
		hold()
	}
	return resp, err
}

// TestManySegments: many small ones go to objects, the largest first, until the rest
// fits into 4 KB; and where names alone fill the row, the error says what to do.
func TestManySegments(t *testing.T) {
	srv, large := dynamotest.New(dynamotest.Config{}), newBlobs()
	s := opened(t, srv, dynamo.Config{Large: large})
	state := map[string][]byte{}
	for i := range 20 {
		state[fmt.Sprintf("s%02d", i)] = filled('s', 20*(i+1))
	}
	one := with(mine(t, s), state)
	check(t, s.Commit(t.Context(), one))
	if n := len(srv.Item(table, "a")["sl_state"].Text); n > 4<<10 || n < 3<<10 {
		t.Errorf("sl_state has %d bytes", n)
	}
	if large.m["_shardlake/state/a/"+object(one, 19)] == "" || large.m["_shardlake/state/a/"+object(one, 0)] != "" {
		t.Errorf("objects %q, want those of the largest segments", large.keys())
	}
	next := map[string][]byte{"one more": filled('x', 1000)}
	for name := range state {
		next[name] = nil
	}
	two := with(one, next)
	check(t, s.Commit(t.Context(), two))
	if n := len(srv.Item(table, "a")["sl_state"].Text); n > 4<<10 {
		t.Errorf("sl_state has %d bytes", n)
	}
	for name, b := range get(t, s, "a").State {
		want := state[name]
		if want == nil {
			want = next[name]
		}
		if string(b) != string(want) {
			t.Errorf("segment %s has %d bytes, want %d", name, len(b), len(want))
		}
	}
	many := map[string][]byte{}
	for i := range 3000 {
		many[fmt.Sprintf("segment %d", i)] = filled('m', 100)
	}
	wantError(t, "3,000 segments", s.Commit(t.Context(), with(two, many)), "3000 segments", "merge", `"a"`)
	if got := get(t, s, "a"); got.Number != 2 {
		t.Errorf("committed %d", got.Number)
	}
}

// TestCarriedOverWithoutLarge: what is carried over counts against the 300 KB of a
// row as well.
func TestCarriedOverWithoutLarge(t *testing.T) {
	srv := dynamotest.New(dynamotest.Config{})
	s := opened(t, srv, dynamo.Config{})
	one := with(mine(t, s), map[string][]byte{"a": filled('a', 60_000)})
	check(t, s.Commit(t.Context(), one))
	wantError(t, "commit", s.Commit(t.Context(), with(one, map[string][]byte{"a": nil, "b": filled('b', 60_000)})), "set Config.Large", `"a"`, table)
	srv.ResetUsage()
	two := with(one, map[string][]byte{"a": nil, "b": filled('b', 40_000)})
	check(t, s.Commit(t.Context(), two))
	if u := srv.Usage(""); u.Calls != 1 {
		t.Errorf("a commit took %d requests", u.Calls)
	}
	want := base64.StdEncoding.EncodeToString(filled('a', 60_000))
	if got := srv.Item(table, "a")["sl_state"].Text; !strings.Contains(got, `"a":"`+want) {
		t.Errorf("sl_state is %.100s", got)
	}
	if got := get(t, s, "a"); len(got.State["a"]) != 60_000 || len(got.State["b"]) != 40_000 {
		t.Errorf("read %q", slices.Sorted(maps.Keys(got.State)))
	}
}

// TestContextEndsBetweenObjects: a row is never read, nor committed, in part.
func TestContextEndsBetweenObjects(t *testing.T) {
	for n := 1; n <= 40; n++ {
		srv, large := dynamotest.New(dynamotest.Config{}), newBlobs()
		s := opened(t, srv, dynamo.Config{Large: large})
		state := map[string][]byte{}
		for i := range n {
			state[fmt.Sprint(i)] = filled('s', 2000)
		}
		one := with(mine(t, s), state)
		check(t, s.Commit(t.Context(), one))
		ctx, cancel := context.WithCancel(t.Context())
		reader := opened(t, srv, dynamo.Config{Large: &ending{large, cancel}})
		if got, err := reader.Get(ctx, "a"); n > 8 && !errors.Is(err, context.Canceled) || err == nil && len(got.State) != n {
			t.Errorf("of %d objects %d were read: %v", n, len(got.State), err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		writer := opened(t, srv, dynamo.Config{Large: &ending{large, cancel}})
		if err := writer.Commit(ctx, with(one, state)); !errors.Is(err, context.Canceled) {
			t.Errorf("a commit of %d objects: %v", n, err)
		}
		if got := get(t, s, "a"); got.Number != 1 || len(got.State) != n {
			t.Errorf("commit %d with %d segments", got.Number, len(got.State))
		}
	}
}

// ending ends a context with every call.
type ending struct {
	*blobs
	end func()
}

func (e *ending) GetBlob(ctx context.Context, key string) ([]byte, error) {
	e.end()
	return e.blobs.GetBlob(ctx, key)
}

func (e *ending) PutBlob(ctx context.Context, key string, b []byte) error {
	e.end()
	return e.blobs.PutBlob(ctx, key, b)
}

// TestDamagedSegments: every ref that is not one is found out by all who read it.
func TestDamagedSegments(t *testing.T) {
	for _, value := range []string{
		`{"fold":null}`, `{"fold":1}`, `{"fold":[]}`, `{"fold":{}}`, `{"fold":{"name":"","size":1,"crc":1}}`, `{"fold":{"name":"../x","size":1,"crc":1}}`,
		`{"fold":{"name":"x","size":-1,"crc":1}}`, `{"fold":{"name":"x","size":1,"crc":1,"later":1}}`, `{"fold":"","fold":""}`, `{"fold":"YQ"}`,
	} {
		for _, attr := range []string{"sl_state", "sl_prev_state"} {
			srv := dynamotest.New(dynamotest.Config{})
			s := opened(t, srv, dynamo.Config{Large: newBlobs()})
			r := commit(t, s, mine(t, s), 10)
			srv.Edit(table, "a", func(i dynamotest.Item) { i[attr] = dynamotest.S(value) })
			_, err := s.Get(t.Context(), "a")
			wantError(t, value, err, attr, `"a"`, "by hand")
			_, err = s.Renew(t.Context(), r)
			wantError(t, value, err, attr)
		}
	}
}
