package leasetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/lease"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantLost(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, lease.ErrLost) || errors.Is(err, lease.ErrUncertain) {
		t.Errorf("%s: %v, want ErrLost", what, err)
	}
}

// create makes a row as the engine does for a shard that is read from its start.
func create(t *testing.T, s lease.Store, lane string) {
	t.Helper()
	check(t, s.Create(t.Context(), lease.Row{Lane: lane, Begin: shardlake.Never, Watermark: shardlake.Never}))
}

// take acquires a lane as it is now.
func take(t *testing.T, s lease.Store, lane, owner string) lease.Row {
	t.Helper()
	r, err := s.Acquire(t.Context(), get(t, s, lane), owner, lease.NewID())
	check(t, err)
	return r
}

func get(t *testing.T, s lease.Store, lane string) lease.Row {
	t.Helper()
	r, err := s.Get(t.Context(), lane)
	check(t, err)
	return r
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

// commit commits what follows r, and returns the row as it must be then: Prev is
// what was replaced.
func commit(t *testing.T, s lease.Store, r lease.Row) lease.Row {
	t.Helper()
	next := after(r)
	check(t, s.Commit(t.Context(), next))
	return replaced(r, next)
}

// replaced is next as it must be read after it has replaced r.
func replaced(r, next lease.Row) lease.Row {
	next.Prev = &lease.Prev{Pos: r.Pos, Watermark: r.Watermark, State: r.State, Known: r.Known}
	next.Known = max(r.Known, next.Known)
	next.Want, next.Vitals, next.Repair = r.Want, r.Vitals, ""
	return next
}

// same compares all that a row says but its Beat, which stores count as they like.
// The order of parents and children has no meaning, and empty is as good as nil.
func same(t *testing.T, what string, got, want lease.Row) {
	t.Helper()
	got, want = plain(t, got), plain(t, want)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %s\nwant %s", what, text(got), text(want))
	}
}

// now compares with the row as it is now.
func now(t *testing.T, what string, s lease.Store, want lease.Row) {
	t.Helper()
	same(t, what, get(t, s, want.Lane), want)
}

func text(r lease.Row) string {
	s := fmt.Sprintf("%+v", r)
	if r.Prev != nil {
		s += fmt.Sprintf(" Prev:%+v", *r.Prev)
	}
	if len(s) > 2000 {
		s = s[:2000] + "..."
	}
	return s
}

func plain(t *testing.T, r lease.Row) lease.Row {
	t.Helper()
	r.Beat, r.Unread = 0, false
	r.Parents, r.Children = sorted(r.Parents), sorted(r.Children)
	r.State = states(r.State)
	if r.Prev != nil {
		p := *r.Prev
		p.State = states(p.State)
		r.Prev = &p
	}
	var list []shardlake.Pending
	for _, p := range r.Pending {
		var b bytes.Buffer
		if err := json.Compact(&b, p.Data); err != nil {
			t.Errorf("pending data %q: %v", p.Data, err)
		}
		list = append(list, shardlake.Pending{Kind: p.Kind, Data: b.Bytes()})
	}
	r.Pending = list
	return r
}

func sorted(s []string) []string {
	if len(s) == 0 {
		return nil
	}
	return slices.Sorted(slices.Values(s))
}

func states(s map[string][]byte) map[string][]byte {
	if len(s) == 0 {
		return nil
	}
	out := make(map[string][]byte, len(s))
	for k, b := range s {
		out[k] = append([]byte{}, b...)
	}
	return out
}

// count wants a number of rows in the listing, and returns it by lane.
func count(t *testing.T, s lease.Store, n int) map[string]lease.Row {
	t.Helper()
	rows, err := s.List(t.Context())
	check(t, err)
	by := make(map[string]lease.Row)
	for _, r := range rows {
		by[r.Lane] = r
	}
	if len(rows) != n || len(by) != n {
		t.Errorf("%d rows of %d lanes are listed, want %d", len(rows), len(by), n)
	}
	return by
}
