package lease_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/lease"
)

func closedBefore(err error) bool { return errors.Is(err, fs.ErrClosed) }

func TestFileReopenSeesTheLastWrite(t *testing.T) {
	// Brackets and stars are no pattern, and folders are made as needed.
	dir := filepath.Join(t.TempDir(), "new", "[x]*?")
	f := openFile(t, dir)
	lanes := []string{"a", "a/b", "..", "ü", "a.tmp"}
	want := map[string]lease.Row{}
	for _, l := range lanes {
		create(t, f, l)
		r := after(acquire(t, f, l, "me"))
		r.Parents, r.Source = []string{"p"}, "arn"
		r.Begin, r.Watermark = shardlake.Never, shardlake.Forever
		r.State = map[string][]byte{"": {0, 255}, "<win/dow>&\u2028": {}, "x": []byte("y")}
		r.Pos = shardlake.Position{Seq: strings.Repeat("9", 128), Sub: 3, Partial: true}
		check(t, f.Commit(t.Context(), r))
		want[l] = row(t, f, l)
		if want[l].Pos != r.Pos || want[l].Prev == nil {
			t.Errorf("lane %q: %+v after %+v", l, want[l], r)
		}
	}
	check(t, f.Release(t.Context(), want["a"]))
	want["a"] = row(t, f, "a")
	check(t, f.Close())

	f = openFile(t, dir)
	rows, err := f.List(t.Context())
	check(t, err)
	if len(rows) != len(lanes) {
		t.Fatalf("%d rows after opening again, want %d", len(rows), len(lanes))
	}
	for l, w := range want {
		same(t, l, row(t, f, l), w)
		if r := acquire(t, f, l, "me"); r.Fence != 2 {
			t.Errorf("lane %q: fence %d after a restart, want 2", l, r.Fence)
		}
		wantLost(t, "commit from before the restart", f.Commit(t.Context(), after(w)))
		check(t, f.Commit(t.Context(), w)) // its own commit stands
	}
}

func TestFileClosedWritesNothing(t *testing.T) {
	dir := t.TempDir()
	f := openFile(t, dir)
	create(t, f, "a")
	r := acquire(t, f, "a", "me")
	check(t, f.Close())
	next := openFile(t, dir)
	wantLost(t, "commit", f.Commit(t.Context(), after(r)))
	wantLost(t, "create", f.Create(t.Context(), lease.Row{Lane: "b"}))
	_, err := f.Acquire(t.Context(), r, "me", lease.NewID())
	wantLost(t, "acquire", err)
	_, err = f.Renew(t.Context(), r)
	wantLost(t, "renew", err)
	wantLost(t, "ask", f.Ask(t.Context(), r, "you"))
	wantLost(t, "delete", f.Delete(t.Context(), r))
	same(t, "the folder's next user has", row(t, next, "a"), r)
}

func TestFileSecondOpenInTheProcessIsRefused(t *testing.T) {
	dir := t.TempDir()
	f := openFile(t, dir)
	create(t, f, "a")
	for range 2 {
		if _, err := lease.OpenFile(dir); !errors.Is(err, lease.ErrLocked) || !strings.Contains(err.Error(), dir) {
			t.Fatalf("second open: %v, want ErrLocked with the folder", err)
		}
	}
	acquire(t, f, "a", "me") // the first goes on
	check(t, f.Close())
	openFile(t, dir)
}

func TestFileDamagedRowIsRefused(t *testing.T) {
	origin := t.TempDir()
	f := openFile(t, origin)
	create(t, f, "a")
	check(t, f.Commit(t.Context(), after(acquire(t, f, "a", "me"))))
	check(t, f.Close())
	good, err := os.ReadFile(filepath.Join(origin, "a.lane.json"))
	check(t, err)

	edit := func(from, to string) []byte {
		s := strings.Replace(string(good), from, to, 1)
		if s == string(good) {
			t.Fatalf("no %s in %s", from, good)
		}
		return []byte(s)
	}
	cases := map[string][]byte{
		"zeros":        make([]byte, len(good)),
		"null":         []byte("null"),
		"object":       []byte("{}"),
		"list":         []byte("[]"),
		"other lane":   edit(`"lane":"a"`, `"lane":"b"`),
		"no inc":       edit(`"inc":"`, `"inc":"","source":"`),
		"negative":     edit(`"number":1`, `"number":-1`),
		"fraction":     edit(`"number":1`, `"number":1.5`),
		"word":         edit(`"number":1`, `"number":"1"`),
		"twice":        edit(`"number":1`, `"number":1,"number":2`),
		"misspelt":     edit(`"number":1`, `"Number":1`),
		"newer member": edit(`"number":1`, `"number":1,"later":true`),
		"not base64":   edit(`"fold":"`, `"fold":"!`),
		"not UTF-8":    edit(`"owner":"me"`, "\"owner\":\"\xff\""),
		"two rows":     append(append([]byte{}, good...), good...),
		"merge marks":  append([]byte("<<<<<<< HEAD\n"), good...),
	}
	for n := 0; n < len(good); n += 7 {
		cases["torn at "+string(good[:n])] = good[:n]
	}
	for name, b := range cases {
		dir := t.TempDir()
		path := filepath.Join(dir, "a.lane.json")
		check(t, os.WriteFile(path, b, 0o666))
		for range 2 { // the second time as well: a refusal keeps no lock
			f, err := lease.OpenFile(dir)
			if err == nil {
				t.Errorf("%s: opened", name)
				check(t, f.Close())
			} else if !strings.Contains(err.Error(), path) || errors.Is(err, lease.ErrLocked) {
				t.Errorf("%s: error without the file's name: %v", name, err)
			}
		}
		if left, err := os.ReadFile(path); err != nil || string(left) != string(b) {
			t.Errorf("%s: the evidence was touched (%v)", name, err)
		}
	}
	// A copy under another name is not a row either.
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "copy of a.lane.json"), good, 0o666))
	if _, err := lease.OpenFile(dir); err == nil || !strings.Contains(err.Error(), "renamed") {
		t.Errorf("renamed row: %v", err)
	}
}

func TestFileLeftoversOfACrash(t *testing.T) {
	dir := t.TempDir()
	f := openFile(t, dir)
	create(t, f, "a")
	r := commit(t, f, acquire(t, f, "a", "me"))
	check(t, f.Close())
	long := strings.Repeat("x", 1<<16)
	for _, name := range []string{"a.tmp", "b.tmp", "lock", "README.md", "a.lane.json~"} {
		check(t, os.WriteFile(filepath.Join(dir, name), []byte(long), 0o666))
	}
	f = openFile(t, dir)
	same(t, "beside leftovers", row(t, f, "a"), r)
	create(t, f, "b")
	r = commit(t, f, r)
	check(t, f.Close())
	f = openFile(t, dir)
	same(t, "written over a leftover", row(t, f, "a"), r)
	row(t, f, "b")
	if _, err := os.Stat(filepath.Join(dir, "a.tmp")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a.tmp is still there: %v", err)
	}
}

func TestFileFolderThatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	check(t, os.WriteFile(file, nil, 0o666))
	check(t, os.MkdirAll(filepath.Join(dir, "locked", "lock"), 0o777))
	check(t, os.MkdirAll(filepath.Join(dir, "rows", "a.lane.json"), 0o777))
	check(t, os.Symlink(filepath.Join(dir, "nowhere"), filepath.Join(dir, "dangling")))
	for _, bad := range []string{file, filepath.Join(file, "sub"), filepath.Join(dir, "locked"), filepath.Join(dir, "rows"), filepath.Join(dir, "dangling"), "a\x00b"} {
		f, err := lease.OpenFile(bad)
		if err == nil {
			check(t, f.Close())
			t.Errorf("%q: opened", bad)
		} else if errors.Is(err, lease.ErrLocked) || !strings.Contains(err.Error(), filepath.Base(bad)) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestFileCreateRefused(t *testing.T) {
	dir := t.TempDir()
	f := openFile(t, dir)
	for _, lane := range []string{"", "\xff", strings.Repeat("x", 300), strings.Repeat("ü", 60)} {
		if err := f.Create(t.Context(), lease.Row{Lane: lane}); err == nil {
			t.Errorf("lane %q: created", lane)
		}
	}
	// A write that failed may be repeated once its cause is gone.
	check(t, os.Mkdir(filepath.Join(dir, "a.tmp"), 0o777))
	if err := f.Create(t.Context(), lease.Row{Lane: "a"}); err == nil {
		t.Error("created")
	}
	rows, err := f.List(t.Context())
	check(t, err)
	if len(rows) != 0 {
		t.Errorf("rows that are not there: %v", rows)
	}
	check(t, os.Remove(filepath.Join(dir, "a.tmp")))
	create(t, f, "a")
}

func TestFileFailedWriteIsUncertain(t *testing.T) {
	for name, obstruct := range map[string]func(dir string) (string, error){
		"temporary": func(dir string) (string, error) {
			p := filepath.Join(dir, "a.tmp")
			return p, os.Mkdir(p, 0o777)
		},
		"rename": func(dir string) (string, error) {
			p := filepath.Join(dir, "a.lane.json")
			return p, errors.Join(os.Rename(p, p+".kept"), os.Mkdir(p, 0o777))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			f := openFile(t, dir)
			create(t, f, "a")
			create(t, f, "b")
			r, other := commit(t, f, acquire(t, f, "a", "me")), acquire(t, f, "b", "me")
			obstacle, err := obstruct(dir)
			check(t, err)
			uncertain := func(what string, err error) {
				t.Helper()
				if !errors.Is(err, lease.ErrUncertain) || errors.Is(err, lease.ErrLost) {
					t.Errorf("%s: %v, want ErrUncertain", what, err)
				}
			}
			failed := after(r)
			err = f.Commit(t.Context(), failed)
			uncertain("commit", err)
			if _, ok := errors.AsType[*fs.PathError](err); !ok {
				if _, ok := errors.AsType[*os.LinkError](err); !ok {
					t.Errorf("the cause is gone from %v", err)
				}
			}
			// Whatever comes next would rest on a row that nobody knows, also when
			// the obstacle is gone.
			check(t, os.Remove(obstacle))
			uncertain("the same commit", f.Commit(t.Context(), failed))
			uncertain("another commit", f.Commit(t.Context(), after(r)))
			uncertain("clear", f.Clear(t.Context(), r))
			uncertain("release", f.Release(t.Context(), r))
			uncertain("mark", f.Mark(t.Context(), r))
			uncertain("ask", f.Ask(t.Context(), r, "you"))
			uncertain("delete", f.Delete(t.Context(), r))
			_, err = f.Acquire(t.Context(), r, "me", lease.NewID())
			uncertain("acquire", err)
			_, err = f.Get(t.Context(), "a")
			uncertain("get", err)
			check(t, f.Commit(t.Context(), after(other))) // other lanes go on
			check(t, f.Close())

			if name == "rename" {
				check(t, os.Rename(obstacle+".kept", obstacle))
			}
			f = openFile(t, dir)
			same(t, "after a restart", row(t, f, "a"), r)
			check(t, f.Commit(t.Context(), after(acquire(t, f, "a", "me"))))
		})
	}
}

// A state that would not be found again is refused, not written.
func TestFileStateKeyThatIsNotUTF8(t *testing.T) {
	dir := t.TempDir()
	f := openFile(t, dir)
	create(t, f, "a")
	before := acquire(t, f, "a", "me")
	r := after(before)
	r.State = map[string][]byte{"\xff": {1}, "\xfe": {2}}
	if err := f.Commit(t.Context(), r); err == nil {
		t.Error("committed")
	}
	check(t, f.Close())
	same(t, "the row", row(t, openFile(t, dir), "a"), before)
}

// A row is a document that people and other programs may read.
func TestFileFormat(t *testing.T) {
	dir := t.TempDir()
	f := openFile(t, dir)
	create(t, f, "shardId-000000000000")
	r := after(acquire(t, f, "shardId-000000000000", "me"))
	r.Inc, r.Token, r.CommitID = row(t, f, r.Lane).Inc, row(t, f, r.Lane).Token, "c1"
	check(t, f.Commit(t.Context(), r))
	b, err := os.ReadFile(filepath.Join(dir, "shardId-000000000000.lane.json"))
	check(t, err)
	want := `{"lane":"shardId-000000000000","owner":"me","token":"` + r.Token + `","fence":1,"inc":"` + r.Inc +
		`","beat":2,"number":1,"cid":"c1","pos":{"seq":"10"},"begin":-9223372036854775808,"watermark":1,"state":{"fold":"c3RhdGUgMQ=="},"pending":[{"kind":"dir","data":{"file":1}}],` +
		`"prev":{"pos":{},"watermark":-9223372036854775808}}`
	if string(b) != want {
		t.Errorf("row file\n%s\nwant\n%s", b, want)
	}
	var v1 lease.Row
	check(t, json.Unmarshal(b, &v1))
	same(t, "read by encoding/json", v1, row(t, f, r.Lane))
}

// A deleted row does not come back with the next process.
func TestFileDeletedRowStaysAway(t *testing.T) {
	dir := t.TempDir()
	f := openFile(t, dir)
	create(t, f, "a")
	create(t, f, "b")
	r := after(acquire(t, f, "a", "me"))
	r.Ended, r.Pending = true, nil
	check(t, f.Commit(t.Context(), r))
	check(t, f.Delete(t.Context(), r))
	check(t, f.Close())
	f = openFile(t, dir)
	rows, err := f.List(t.Context())
	check(t, err)
	if len(rows) != 1 || rows[0].Lane != "b" {
		t.Errorf("rows %+v, want b alone", rows)
	}
}
