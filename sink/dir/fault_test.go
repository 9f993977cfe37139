package dir_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/dir"
)

const key = "raw/dt=2026-01-01/sl-0123456789-7-0000000001-000001-0123456789abcdef-001.parquet"

// stored puts up two parts.
func stored(t *testing.T, s *dir.Store) (string, []sink.Part, error) {
	t.Helper()
	id, err := s.Create(t.Context(), key, nil)
	if err != nil {
		return "", nil, err
	}
	var parts []sink.Part
	for i, size := range []int{dir.PartSize, 10} {
		p, err := s.PutPart(t.Context(), key, id, i+1, sink.NewChunks(make([]byte, size)))
		if err != nil {
			return "", nil, err
		}
		parts = append(parts, p)
	}
	return id, parts, nil
}

// TestFailedFsync lets the disk fail each fsync of an object's making in turn,
// once. The call that asked for it fails; a later Prepare or Complete of the same
// upload must not succeed as if nothing had been lost, in this process or
// another; and a fresh upload works.
func TestFailedFsync(t *testing.T) {
	for at := 1; ; at++ {
		root := t.TempDir()
		s := dir.Lake(root)
		n, what := 0, ""
		s.SetSync(func(f *os.File) error {
			if n++; n == at {
				what = f.Name()
				return syscall.EIO
			}
			return f.Sync()
		})
		id, parts, err := stored(t, s)
		if err == nil {
			err = s.Prepare(t.Context(), key, id, parts)
		}
		if err == nil {
			err = s.Complete(t.Context(), key, id, parts)
		}
		if what == "" {
			if err != nil {
				t.Fatal(err)
			}
			if at < 10 {
				t.Errorf("only %d calls of fsync", at)
			}
			return
		}
		t.Run(fmt.Sprintf("%d of %s", at, strings.TrimPrefix(filepath.Base(what), id)), func(t *testing.T) {
			if !errors.Is(err, syscall.EIO) {
				t.Fatalf("error %v, want %v", err, syscall.EIO)
			}
			if id != "" {
				for _, again := range []*dir.Store{s, dir.Lake(root)} {
					perr, cerr := again.Prepare(t.Context(), key, id, parts), again.Complete(t.Context(), key, id, parts)
					refused := func(err error) bool { return errors.Is(err, sink.ErrRefused) || errors.Is(err, sink.ErrNoUpload) }
					if !refused(cerr) || !refused(perr) {
						t.Errorf("Prepare says %v and Complete %v after a failed fsync", perr, cerr)
					}
				}
				if err := s.Abort(t.Context(), key, id); err != nil {
					t.Errorf("Abort: %v", err)
				}
			}
			if _, ok := visible(t, root)[key]; ok {
				// The link was made before the disk failed: take it away as a repair does.
				if err := os.Remove(filepath.Join(root, key)); err != nil {
					t.Fatal(err)
				}
			}
			id, parts, err := stored(t, s)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(s.Prepare(t.Context(), key, id, parts), s.Complete(t.Context(), key, id, parts)); err != nil {
				t.Fatalf("a fresh upload: %v", err)
			}
		})
	}
}

// TestNoHardLinks sees that a file system without hard links is found out by the
// first Create and not by the Complete after a commit.
func TestNoHardLinks(t *testing.T) {
	root := t.TempDir()
	s := dir.Lake(root)
	s.SetLink(func(from, to string) error {
		return &os.LinkError{Op: "link", Old: from, New: to, Err: syscall.EPERM}
	})
	_, err := s.Create(t.Context(), key, nil)
	if !errors.Is(err, sink.ErrRefused) || !strings.Contains(err.Error(), "hard links") || !strings.Contains(err.Error(), "ext4") {
		t.Errorf("Create: %v", err)
	}
	if got := visible(t, root); len(got) != 0 {
		t.Errorf("left behind: %v", got)
	}
}

// TestCrashInsideComplete ends Complete after the link and lets another process
// do it again.
func TestCrashInsideComplete(t *testing.T) {
	root := t.TempDir()
	s := dir.Lake(root)
	id, parts, err := stored(t, s)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Prepare(t.Context(), key, id, parts); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(filepath.Join(root, key)), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(filepath.Join(root, "_shardlake/staging", id+".data"), filepath.Join(root, key)); err != nil {
		t.Fatal(err)
	}
	if err := dir.Lake(root).Complete(t.Context(), key, id, parts); err != nil {
		t.Fatalf("Complete: %v", err)
	}
	if got := visible(t, root); len(got) != 1 || len(got[key]) != dir.PartSize+10 {
		t.Errorf("visible: %d objects, %d bytes", len(got), len(got[key]))
	}
	left, err := os.ReadDir(filepath.Join(root, "_shardlake/staging"))
	if err != nil || len(left) != 0 {
		t.Errorf("left in staging: %v, %v", left, err)
	}
}

// TestForeignFile sees that a file of another size at the final name is neither
// replaced nor taken for ours.
func TestForeignFile(t *testing.T) {
	root := t.TempDir()
	s := dir.Lake(root)
	id, parts, err := stored(t, s)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Prepare(t.Context(), key, id, parts); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(root, key)
	if err := os.MkdirAll(filepath.Dir(target), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(target, []byte("theirs"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := s.Complete(t.Context(), key, id, parts); !errors.Is(err, sink.ErrRefused) {
		t.Errorf("Complete: %v, want %v", err, sink.ErrRefused)
	}
	if err := os.Remove(target); err != nil {
		t.Fatal(err)
	}
	if err := s.Complete(t.Context(), key, id, parts); err != nil {
		t.Errorf("Complete once it is moved away: %v", err)
	}
}

// TestFoldersRemoved takes folders away that the store has made and remembers, as
// a clean-up of empty partitions does, or rm -r of the whole lake.
func TestFoldersRemoved(t *testing.T) {
	root := t.TempDir()
	s := dir.Lake(root)
	for _, folder := range []string{"raw", "_shardlake", "."} {
		for range 2 {
			id, parts, err := stored(t, s)
			if err != nil {
				t.Fatalf("after %s was removed: %v", folder, err)
			}
			if err := errors.Join(s.Prepare(t.Context(), key, id, parts), s.Complete(t.Context(), key, id, parts)); err != nil {
				t.Fatalf("after %s was removed: %v", folder, err)
			}
			if err := os.RemoveAll(filepath.Join(root, folder)); err != nil {
				t.Fatal(err)
			}
			if err := os.RemoveAll(filepath.Join(root, "raw")); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestRemains sees that what a crash inside Create leaves is no upload, and goes
// once it is a day old.
func TestRemains(t *testing.T) {
	root := t.TempDir()
	s := dir.Lake(root)
	id, _, err := stored(t, s)
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(root, "_shardlake/staging")
	for name, text := range map[string]string{
		"00000000000000000000000000000001.upload": `{"key":"raw/x","beg`,
		"00000000000000000000000000000002.data":   "abc",
		"00000000000000000000000000000003.upload": "",
		"notes.txt": "somebody's own",
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	count := func() (uploads, files int) {
		for u, err := range s.Uploads(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			if u.ID != id {
				t.Errorf("listed %+v", u)
			}
			uploads++
		}
		entries, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		return uploads, len(entries)
	}
	if u, f := count(); u != 1 || f != 6 {
		t.Errorf("%d uploads, %d files, want 1 and 6", u, f)
	}
	s.SetNow(func() time.Time { return time.Now().Add(25 * time.Hour) })
	if u, f := count(); u != 1 || f != 3 {
		t.Errorf("a day later: %d uploads, %d files, want 1 and 3", u, f)
	}
}

// TestMistakes sees that a wrong path is told before anything is written, and
// without I/O.
func TestMistakes(t *testing.T) {
	if err := dir.Lake("").Check(); !errors.Is(err, sink.ErrRefused) {
		t.Errorf("Check: %v", err)
	}
	if _, err := dir.Lake("").Create(t.Context(), key, nil); !errors.Is(err, sink.ErrRefused) {
		t.Errorf("Create: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, filepath.Join(file, "below")} {
		s := dir.Lake(path)
		if err := s.Check(); err != nil {
			t.Errorf("Check does I/O: %v", err)
		}
		if _, err := s.Create(t.Context(), key, nil); !errors.Is(err, sink.ErrRefused) {
			t.Errorf("Create below a plain file: %v, want %v", err, sink.ErrRefused)
		}
	}
	// A partition whose folder's name is taken by a file.
	s := dir.Lake(t.TempDir())
	id, parts, err := stored(t, s)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.Location(), "raw"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Prepare(t.Context(), key, id, parts), s.Complete(t.Context(), key, id, parts)); !errors.Is(err, sink.ErrRefused) {
		t.Errorf("Complete below a plain file: %v, want %v", err, sink.ErrRefused)
	}
	for _, k := range []string{"_shardlake/staging/x", "_SHARDLAKE/Staging/x", "_shardlake/staging", strings.Repeat("n", 256) + "/x"} {
		if _, err := s.Create(t.Context(), k, nil); !errors.Is(err, sink.ErrRefused) {
			t.Errorf("Create %.40q: %v, want %v", k, err, sink.ErrRefused)
		}
	}
}
