package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// blobFolder is where PutBlob, GetBlob and DeleteBlob work: outside of all tables.
const blobFolder = "_shardlake/"

// PutBlob writes a small object below "_shardlake/": to a file of the staging
// folder, which is forced to the disk and renamed. It replaces one that is there.
// With GetBlob and DeleteBlob it makes the Store a lease.Blobs.
func (s *Store) PutBlob(ctx context.Context, key string, b []byte) error {
	target, err := s.beginBlob(ctx, key)
	if err != nil {
		return err
	}
	if err := s.prepared(); err != nil {
		return err
	}
	id, err := newID()
	if err != nil {
		return err
	}
	// A crash leaves it there, and Uploads removes it a day later.
	staged := s.stage(id + ".blob")
	if err := s.writeWhole(staged, b); err != nil {
		return errors.Join(err, removed(staged))
	}
	for try := 0; ; try++ {
		if err := s.makeFolders(path.Dir(key)); err != nil {
			return errors.Join(err, removed(staged))
		}
		err := os.Rename(staged, target)
		if err == nil {
			return s.syncFolder(filepath.Dir(target))
		}
		if try > 2 || !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(failed("rename a staged file", err), removed(staged))
		}
		s.forgetFolders() // somebody removed a folder
	}
}

func (s *Store) writeWhole(name string, b []byte) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return failed("write in the staging folder", err)
	}
	if _, err := f.Write(b); err != nil {
		return errors.Join(failed("write in the staging folder", err), f.Close())
	}
	return s.force(f)
}

func removed(name string) error {
	if err := os.Remove(name); err != nil && !gone(err) {
		return failed("remove a staged file", err)
	}
	return nil
}

// GetBlob reads what PutBlob wrote. The error is fs.ErrNotExist if there is nothing.
func (s *Store) GetBlob(ctx context.Context, key string) ([]byte, error) {
	target, err := s.beginBlob(ctx, key)
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(target)
	switch {
	case gone(err):
		return nil, fmt.Errorf("dir: %s: %w", target, fs.ErrNotExist)
	case err != nil:
		return nil, failed("read an object", err)
	}
	return b, nil
}

// DeleteBlob removes what PutBlob wrote; nothing is no error. Its folder stays.
func (s *Store) DeleteBlob(ctx context.Context, key string) error {
	target, err := s.beginBlob(ctx, key)
	if err != nil {
		return err
	}
	if err := os.Remove(target); err != nil && !gone(err) {
		return failed("remove an object", err)
	}
	return nil
}

// beginBlob is begin for the calls above, and gives the path.
func (s *Store) beginBlob(ctx context.Context, key string) (string, error) {
	if err := s.begin(ctx, key); err != nil {
		return "", err
	}
	if !strings.HasPrefix(key, blobFolder) {
		return "", refusedf("the key %q does not lie below %s", key, blobFolder)
	}
	return s.path(key)
}
