package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/lease"
)

// call runs the program and returns what it printed.
func call(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out, log bytes.Buffer
	err := run(t.Context(), args, strings.NewReader(""), &out, &log)
	return out.String() + log.String(), err
}

// folder makes the rows of a lane that committed once, and of one that is held.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	f, err := lease.OpenFile(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []lease.Row{{Lane: "shard-1", Watermark: shardlake.Never}, {Lane: "shard-2", Hold: "its row was lost", Watermark: shardlake.Never}} {
		if err := f.Create(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	r, err := f.Get(t.Context(), "shard-1")
	if err == nil {
		r, err = f.Acquire(t.Context(), r, "worker-1", lease.NewID())
	}
	if err == nil {
		r.Number, r.CommitID, r.Pos = 1, lease.NewID(), shardlake.Position{Seq: "4711"}
		err = f.Commit(t.Context(), r)
	}
	if err == nil {
		err = f.Release(t.Context(), r)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestRows(t *testing.T) {
	out, err := call(t, "-leases", folder(t), "rows")
	if err != nil || !strings.Contains(out, "4711.0") || !strings.Contains(out, "shard-2 is held: its row was lost") {
		t.Error(out, err)
	}
}

func TestRowIsPlaced(t *testing.T) {
	dir := folder(t)
	if out, err := call(t, "-leases", dir, "row", "shard-2", "99"); err != nil {
		t.Fatal(out, err)
	}
	out, err := call(t, "-leases", dir, "rows")
	if err != nil || strings.Contains(out, "held") || !strings.Contains(out, "99.0") {
		t.Error(out, err)
	}
	if _, err := call(t, "-leases", dir, "row", "shard-3", "99"); err == nil {
		t.Error("a lane without a row was placed")
	}
}

func TestHandBack(t *testing.T) {
	dir := folder(t)
	if out, err := call(t, "-leases", dir, "handback"); err == nil || !strings.Contains(err.Error(), "shard-2") {
		t.Error("a lane that is held was handed back:", out, err)
	}
	if out, err := call(t, "-leases", dir, "row", "shard-2", "trim-horizon"); err != nil {
		t.Fatal(out, err)
	}
	if out, err := call(t, "-leases", dir, "handback"); err != nil {
		t.Error(out, err)
	}
}

func TestMistakes(t *testing.T) {
	dir := folder(t)
	for _, args := range [][]string{
		{}, {"rows"}, {"-leases", dir}, {"-leases", dir, "row", "shard-1"}, {"-leases", dir, "dance"}, {"-leases", dir, "-table", "t", "rows"},
		{"-leases", dir, "row", "shard-1", "latest"}, {"-leases", dir + "/no", "rows"}, {"-leases", dir, "repair", "no-such-lane"},
	} {
		if out, err := call(t, args...); err == nil {
			t.Errorf("%q: no error, but %s", args, out)
		}
	}
}
