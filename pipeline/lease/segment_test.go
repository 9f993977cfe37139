package lease_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/lease"
)

// segments lists the files of segments in a folder.
func segments(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	check(t, err)
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".seg") {
			names = append(names, e.Name())
		}
	}
	return names
}

func wantSegments(t *testing.T, what, dir string, want ...string) {
	t.Helper()
	if got := segments(t, dir); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: files %q, want %q", what, got, want)
	}
}

// with is the commit that follows r, named id, with a state of its own.
func with(r lease.Row, id string, state map[string][]byte) lease.Row {
	r = after(r)
	r.CommitID, r.State = id, state
	return r
}

// large is a segment that lies in a file of its own.
func large(b byte) []byte { return bytes.Repeat([]byte{b}, 4<<10+1) }

// TestFileSegments: a segment of more than 4 KiB is written once, beside the row,
// and stays until neither State nor Prev has it.
func TestFileSegments(t *testing.T) {
	dir := t.TempDir()
	f := openFile(t, dir)
	create(t, f, "a")
	r := acquire(t, f, "a", "me")
	one := with(r, "c1", map[string][]byte{"x": large('x'), "y": large('y'), "inline": make([]byte, 4<<10)})
	check(t, f.Commit(t.Context(), one))
	wantSegments(t, "first", dir, "a,1-c1-0.seg", "a,1-c1-1.seg")
	written, err := os.Stat(filepath.Join(dir, "a,1-c1-0.seg"))
	check(t, err)
	two := with(one, "c2", map[string][]byte{"x": nil, "z": large('z')})
	check(t, f.Commit(t.Context(), two))
	check(t, f.Commit(t.Context(), two))
	wantSegments(t, "y is in Prev", dir, "a,1-c1-0.seg", "a,1-c1-1.seg", "a,2-c2-0.seg")
	now, err := os.Stat(filepath.Join(dir, "a,1-c1-0.seg"))
	check(t, err)
	if !os.SameFile(written, now) || !written.ModTime().Equal(now.ModTime()) {
		t.Error("a segment that is carried over was written again")
	}
	rows, err := f.List(t.Context())
	check(t, err)
	if rows[0].State != nil || rows[0].Prev == nil || rows[0].Prev.State != nil || rows[0].Number != 2 {
		t.Errorf("listed %+v, want no part of the states", rows[0])
	}
	renewed, err := f.Renew(t.Context(), two)
	check(t, err)
	if renewed.State != nil {
		t.Errorf("renewed %+v, want no part of the state", renewed)
	}
	b, err := os.ReadFile(filepath.Join(dir, "a.lane.json"))
	check(t, err)
	for _, want := range []string{
		`"segments":{"x":{"file":"a,1-c1-0.seg","size":4097,"crc32":`, `"z":{"file":"a,2-c2-0.seg","size":4097,`,
		`"prev_segments":{"x":{"file":"a,1-c1-0.seg",`,
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %s in the row's file: %.300s", want, b)
		}
	}
	before := row(t, f, "a")
	check(t, f.Close())

	f = openFile(t, dir)
	same(t, "opened again", row(t, f, "a"), before)
	wantSegments(t, "opened again", dir, "a,1-c1-0.seg", "a,1-c1-1.seg", "a,2-c2-0.seg")
	check(t, f.Clear(t.Context(), two))
	wantSegments(t, "cleared", dir, "a,1-c1-0.seg", "a,2-c2-0.seg")
	r = acquire(t, f, "a", "me")
	if !bytes.Equal(r.State["x"], large('x')) || !bytes.Equal(r.State["z"], large('z')) || len(r.State) != 2 {
		t.Errorf("acquired with the segments of %d", len(r.State))
	}
	last := with(r, "c3", map[string][]byte{"z": nil})
	last.Ended, last.Pending = true, nil
	check(t, f.Commit(t.Context(), last))
	check(t, f.Clear(t.Context(), last))
	wantSegments(t, "ended", dir, "a,2-c2-0.seg")
	check(t, f.Delete(t.Context(), last))
	wantSegments(t, "deleted", dir)
}

// TestFileHoldsNoSegments: a state of many megabytes is not kept in memory between
// commits.
func TestFileHoldsNoSegments(t *testing.T) {
	f := openFile(t, t.TempDir())
	create(t, f, "a")
	r := acquire(t, f, "a", "me")
	const size = 64 << 20
	big := make([]byte, size)
	big[size-1] = 1
	check(t, f.Commit(t.Context(), with(r, "c1", map[string][]byte{"big": big})))
	r.Number++
	for i := range 3 {
		r = with(r, fmt.Sprint("c", i+2), map[string][]byte{"big": nil, fmt.Sprint(i): large('d')})
		check(t, f.Commit(t.Context(), r))
	}
	runtime.KeepAlive(big) // and no longer
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > size/2 {
		t.Errorf("%d bytes are held after commits with a segment of %d", m.HeapAlloc, size)
	}
	if got := row(t, f, "a").State["big"]; len(got) != size || got[size-1] != 1 {
		t.Errorf("%d bytes are read back", len(got))
	}
}

// TestFileDamagedSegment: the lane does not go on with a state that is not what was
// committed; other lanes do.
func TestFileDamagedSegment(t *testing.T) {
	for want, edit := range map[string]func(path string) error{
		"missing":            os.Remove,
		"0 bytes instead":    func(p string) error { return os.Truncate(p, 0) },
		"4096 bytes instead": func(p string) error { return os.Truncate(p, 4096) },
		"5000 bytes instead": func(p string) error { return os.WriteFile(p, make([]byte, 5000), 0o666) },
		"damaged":            func(p string) error { return os.WriteFile(p, make([]byte, 4097), 0o666) },
		"4097":               func(p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o777)) },
	} {
		dir := t.TempDir()
		f := openFile(t, dir)
		create(t, f, "a")
		create(t, f, "b")
		check(t, f.Commit(t.Context(), with(acquire(t, f, "a", "me"), "c1", map[string][]byte{"fold": large('x')})))
		path := filepath.Join(dir, "a,1-c1-0.seg")
		good, err := os.ReadFile(path)
		check(t, err)
		check(t, edit(path))
		for range 2 {
			for range 2 {
				_, err := f.Get(t.Context(), "a")
				wantSegmentError(t, want, err, path)
				rows, err := f.List(t.Context())
				check(t, err)
				for _, r := range rows {
					if r.Lane == "a" {
						_, err = f.Acquire(t.Context(), r, "you", lease.NewID())
						wantSegmentError(t, want, err, path)
					}
				}
			}
			commit(t, f, acquire(t, f, "b", "me"))
			check(t, f.Close())
			f = openFile(t, dir)
		}
		// Restored from a copy, the lane goes on.
		check(t, os.RemoveAll(path))
		check(t, os.WriteFile(path, good, 0o666))
		if r := acquire(t, f, "a", "me"); !bytes.Equal(r.State["fold"], large('x')) {
			t.Errorf("%s: restored to %d bytes", want, len(r.State["fold"]))
		}
		check(t, f.Close())
	}
}

func wantSegmentError(t *testing.T, want string, err error, path string) {
	t.Helper()
	if err == nil || errors.Is(err, lease.ErrLost) || errors.Is(err, lease.ErrUncertain) {
		t.Errorf("%s: %v, want an error about the lane's segment", want, err)
		return
	}
	for _, w := range []string{want, path, "a.lane.json", "restore it"} {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

// TestFileSegmentsOfACrash: files of segments that no row names are removed when
// the folder is opened, and nothing else is.
func TestFileSegmentsOfACrash(t *testing.T) {
	dir := t.TempDir()
	f := openFile(t, dir)
	for _, lane := range []string{"a", "a,1-c1-0", "ü/" + strings.Repeat("x", 200)} {
		create(t, f, lane)
		r := acquire(t, f, lane, "me")
		check(t, f.Commit(t.Context(), with(r, "c1", map[string][]byte{"x": large('x')})))
	}
	kept := segments(t, dir)
	if len(kept) != 3 {
		t.Fatalf("files %q, want one for each lane", kept)
	}
	check(t, f.Close())
	for _, name := range []string{"a,2-c2-0.seg", "b,1-c1-0.seg", "mine.seg", "a,copy.seg", "a,1-c1-0.seg.bak"} {
		check(t, os.WriteFile(filepath.Join(dir, name), []byte("torn"), 0o666))
	}
	f = openFile(t, dir)
	wantSegments(t, "opened again", dir, append(kept, "a,copy.seg", "mine.seg")...)
	for _, r := range []lease.Row{row(t, f, "a"), row(t, f, "a,1-c1-0")} {
		if !bytes.Equal(r.State["x"], large('x')) {
			t.Errorf("lane %q has lost its state", r.Lane)
		}
	}
	// A row that cannot be read is no reason to remove what it names.
	check(t, f.Close())
	check(t, os.WriteFile(filepath.Join(dir, "a.lane.json"), []byte("{"), 0o666))
	if _, err := lease.OpenFile(dir); err == nil {
		t.Fatal("opened with a damaged row")
	}
	if got := segments(t, dir); len(got) != 5 {
		t.Errorf("files %q", got)
	}
}

// TestFileSegmentThatCannotBeWritten: the row stays as it was.
func TestFileSegmentThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	f := openFile(t, dir)
	create(t, f, "a")
	r := commit(t, f, acquire(t, f, "a", "me"))
	check(t, os.Mkdir(filepath.Join(dir, "a,2-c2-0.seg"), 0o777))
	next := with(r, "c2", map[string][]byte{"fold": nil, "x": large('x')})
	for range 2 {
		if err := f.Commit(t.Context(), next); !errors.Is(err, lease.ErrUncertain) {
			t.Errorf("commit: %v, want ErrUncertain", err)
		}
	}
	check(t, f.Close())
	f = openFile(t, dir)
	wantSegments(t, "opened again", dir)
	same(t, "the row", row(t, f, "a"), r)
	r = acquire(t, f, "a", "me")
	bad := with(r, strings.Repeat("c", 300), map[string][]byte{"x": large('x')})
	if err := f.Commit(t.Context(), bad); err == nil || errors.Is(err, lease.ErrUncertain) || !strings.Contains(err.Error(), "too long") {
		t.Errorf("commit with an id of 300 bytes: %v", err)
	}
	check(t, f.Commit(t.Context(), with(r, "c2", map[string][]byte{"fold": nil, "x": large('x')})))
}

// TestFileEarlierRows: rows of versions without segments are read, and what they
// have is carried over.
func TestFileEarlierRows(t *testing.T) {
	dir := t.TempDir()
	old := lease.Row{
		Lane: "a", Fence: 3, Inc: "0123456789abcdef", Number: 7, CommitID: "c7", Pos: shardlake.Position{Seq: "70"},
		State: map[string][]byte{"fold": large('f'), "none": nil},
		Prev:  &lease.Prev{State: map[string][]byte{"fold": large('e'), "none": nil}},
	}
	b, err := json.Marshal(old)
	check(t, err)
	if !strings.Contains(string(b), `"none":null`) {
		t.Fatalf("not what earlier versions wrote: %.100s", b)
	}
	check(t, os.WriteFile(filepath.Join(dir, "a.lane.json"), b, 0o666))
	f := openFile(t, dir)
	r := acquire(t, f, "a", "me")
	if !bytes.Equal(r.State["fold"], large('f')) || !bytes.Equal(r.Prev.State["fold"], large('e')) || r.State["none"] == nil || r.Prev.State["none"] == nil {
		t.Errorf("read %d segments, and %d before", len(r.State), len(r.Prev.State))
	}
	check(t, f.Commit(t.Context(), with(r, "c8", map[string][]byte{"fold": nil, "none": nil, "x": large('x')})))
	check(t, f.Close())
	f = openFile(t, dir)
	r = row(t, f, "a")
	if !bytes.Equal(r.State["fold"], large('f')) || r.State["none"] == nil || len(r.State) != 3 || !bytes.Equal(r.Prev.State["fold"], large('f')) {
		t.Errorf("committed %d segments, and %d before", len(r.State), len(r.Prev.State))
	}
}

// TestFileForeignRef: a row that names what is not a segment's file is refused.
func TestFileForeignRef(t *testing.T) {
	origin := t.TempDir()
	f := openFile(t, origin)
	create(t, f, "a")
	check(t, f.Commit(t.Context(), with(acquire(t, f, "a", "me"), "c1", map[string][]byte{"x": large('x')})))
	check(t, f.Close())
	good, err := os.ReadFile(filepath.Join(origin, "a.lane.json"))
	check(t, err)
	for _, file := range []string{"", "lock", "../a,1-c1-0.seg", "x/a,1-c1-0.seg", "b.lane.json"} {
		dir := t.TempDir()
		check(t, os.WriteFile(filepath.Join(dir, "a.lane.json"), []byte(strings.Replace(string(good), "a,1-c1-0.seg", file, 1)), 0o666))
		if _, err := lease.OpenFile(dir); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("file %q: %v, want the row to be refused", file, err)
		}
	}
}
