package lease_test

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/pipeline/lease/leasetest"
)

func TestMemory(t *testing.T) {
	leasetest.Run(t, func(*testing.T) lease.Store { return new(lease.Memory) })
}

func TestFile(t *testing.T) {
	leasetest.Run(t, func(t *testing.T) lease.Store { return openFile(t, t.TempDir()) })
}

// asShared is a store that is asked to renew too.
type asShared struct{ lease.Store }

func (asShared) Shared() bool { return true }

// TestRenewal: the rules of heartbeats hold for stores of one process too, so that
// a test of a fleet may use them.
func TestRenewal(t *testing.T) {
	leasetest.Run(t, func(*testing.T) lease.Store { return asShared{new(lease.Memory)} })
	leasetest.Run(t, func(t *testing.T) lease.Store { return asShared{openFile(t, t.TempDir())} })
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
	r, err := s.Acquire(t.Context(), row(t, s, lane), owner, lease.NewID())
	check(t, err)
	return r
}

func row(t *testing.T, s lease.Store, lane string) lease.Row {
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

// commit commits what follows r, and returns the row as it is then.
func commit(t *testing.T, s lease.Store, r lease.Row) lease.Row {
	t.Helper()
	check(t, s.Commit(t.Context(), after(r)))
	return row(t, s, r.Lane)
}

func same(t *testing.T, what string, got, want lease.Row) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}
