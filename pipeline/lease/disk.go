package lease

import (
	"encoding/json/jsontext"
	"encoding/json/v2"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	jsonv1 "encoding/json"
)

// write replaces the row's file: written aside, synced, renamed, and the folder
// synced, so that after a loss of power either the old or the new row is there.
// Fresh segments are written and synced before the rename, and the folder with
// them: a row never names a file that is not there in full.
func (f *File) write(rec record, fresh []segment) error {
	// Version 1 writes U+FFFD for what is not UTF-8, so that a stage would not find
	// its state again.
	b, err := json.Marshal(rec, jsonv1.DefaultOptionsV1(), jsontext.AllowInvalidUTF8(false))
	if err != nil {
		return err
	}
	final := f.path(rec.Lane)
	if len(filepath.Base(final)) > 250 {
		return fmt.Errorf("lane id %.60q... is too long for a file name", rec.Lane)
	}
	for _, s := range fresh {
		// A file of that name would be another commit's, and in use.
		if err := writeSynced(filepath.Join(f.dir, s.ref.File), s.content, os.O_EXCL); err != nil {
			return err
		}
	}
	tmp := strings.TrimSuffix(final, ext) + ".tmp"
	if err := writeSynced(tmp, b, os.O_TRUNC); err != nil {
		return err
	}
	if len(fresh) > 0 {
		if err := syncFolder(f.dir); err != nil {
			return err
		}
	}
	if err := os.Rename(tmp, final); err != nil {
		return err
	}
	return syncFolder(f.dir)
}

// writeSynced makes a file. mode says what happens to one that is there: os.O_EXCL
// or os.O_TRUNC.
func writeSynced(name string, b []byte, mode int) error {
	w, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|mode, 0o666)
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	if err == nil {
		err = w.Sync()
	}
	return errors.Join(err, w.Close())
}

// remove removes files of the folder, and returns those that are left: they cost
// their space, and nothing else.
func (f *File) remove(names []string) (left []string) {
	for _, name := range names {
		if err := os.Remove(filepath.Join(f.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			left = append(left, name)
		}
	}
	return left
}

// sweep removes the segments that no row names: leftovers of a process that was
// killed between writing or dropping them and the row.
func (f *File) sweep(entries []os.DirEntry) error {
	used := map[string]bool{}
	for _, r := range f.rows {
		for _, name := range r.rec.files() {
			used[name] = true
		}
	}
	for _, e := range entries {
		if name := e.Name(); segmentFile.MatchString(name) && !used[name] {
			if err := os.Remove(filepath.Join(f.dir, name)); err != nil {
				return fmt.Errorf("a segment that no lease row names cannot be removed: %w: remove it", err)
			}
		}
	}
	return nil
}

// makeFolder makes a folder and its parents, and syncs each folder that got a new
// one: rows in a folder that a loss of power takes away are lost with it.
func makeFolder(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		return os.MkdirAll(dir, 0o777) // says so if it is a file
	}
	if err := makeFolder(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(dir))
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if unsyncable(err) {
		err = nil // folders cannot be synced on this file system; it orders renames itself
	}
	return errors.Join(err, d.Close())
}

// unsyncable tells a file system that has no fsync of folders from one on which
// it failed. (EINVAL is not fs.ErrInvalid.)
func unsyncable(err error) bool {
	return errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported)
}
