package dir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// makeRoot makes the root folder with its parents, each durable.
func (s *Store) makeRoot() error {
	info, err := os.Stat(s.root)
	if err == nil {
		if !info.IsDir() {
			return refusedf("%s is not a folder", s.root)
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return failed("open the lake's folder", err)
	}
	var missing []string
	for p := s.root; ; p = filepath.Dir(p) {
		if _, err := os.Stat(p); err == nil || filepath.Dir(p) == p {
			break
		}
		missing = append(missing, p)
	}
	for i := len(missing) - 1; i >= 0; i-- {
		if err := os.Mkdir(missing[i], 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
			return failed("make the lake's folder", err)
		}
		if err := s.syncFolder(filepath.Dir(missing[i])); err != nil {
			return err
		}
	}
	return nil
}

// makeFolders makes the folder of the slash-separated path below the root, and
// forces the name of each folder on the way to the disk. A folder that exists
// already may have been made an instant ago by somebody who has not yet forced
// it, so all that this store has not seen durable are forced.
func (s *Store) makeFolders(dir string) error {
	if dir == "." {
		return nil
	}
	if s.isKnown(dir) {
		return nil
	}
	done := "."
	for name := range strings.SplitSeq(dir, "/") {
		parent := done
		done = path.Join(done, name)
		if s.isKnown(done) {
			continue
		}
		full, err := s.path(done)
		if err != nil {
			return err
		}
		if err := os.Mkdir(full, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
			return failed("make a folder", err)
		}
		if err := s.syncFolder(filepath.Join(s.root, filepath.FromSlash(parent))); err != nil {
			return err
		}
		s.setKnown(done)
	}
	return nil
}

func (s *Store) isKnown(dir string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.known[dir]
	return ok
}

func (s *Store) setKnown(dir string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= maxKnown {
		clear(s.known)
	}
	s.known[dir] = struct{}{}
}

// forgetFolders makes the next makeFolders look again: somebody removed a folder.
func (s *Store) forgetFolders() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.known)
	s.ready = false
}

// syncFolder forces the names in a folder to the disk.
func (s *Store) syncFolder(full string) error {
	if !foldersSync {
		return nil
	}
	f, err := os.Open(full)
	if err != nil {
		return failed("open a folder", err)
	}
	return s.force(f)
}

// force forces f to the disk and closes it.
func (s *Store) force(f *os.File) error {
	err := s.syncFile(f)
	if err != nil {
		err = &syncError{path: f.Name(), err: err}
	}
	if cerr := f.Close(); cerr != nil && err == nil {
		err = failed("close", cerr)
	}
	return err
}

// syncError is a failed fsync. After one, the kernel may count the lost pages as
// clean, so a second call that succeeds proves nothing.
type syncError struct {
	path string
	err  error
}

func (e *syncError) Error() string {
	return fmt.Sprintf("dir: %s could not be forced to the disk: %v: what was written may be lost; look at the disk and the kernel's log", e.path, e.err)
}

func (e *syncError) Unwrap() error { return e.err }
