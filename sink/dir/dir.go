// Package dir keeps a lake in a local folder: a sink.Store whose objects are
// plain files that DuckDB, Spark or any other reader opens in place.
//
// What is not yet visible lies at ROOT/_shardlake/staging under names that no
// *.parquet or *.avro glob matches. Each unfinished upload is two files there:
//
//	<id>.data    the bytes; part n begins at (n-1)*PartSize
//	<id>.upload  a line of JSON with the key, then a line per part
//
// The order of writes holds against a loss of power: Prepare forces the staged
// file and the staging folder to the disk; Complete makes the missing folders,
// links the staged file to its final name, forces the target folder, and removes
// the staged name. The link appears whole or not at all.
package dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/shardlake/shardlake/sink"
)

// Kind is what Store.Kind returns and what stored uploads carry.
const Kind = "dir"

// PartSize is the size in bytes of each part of an upload but the last. It is
// small because a part costs one write, unlike a request to a service.
const PartSize = 1 << 20

// staging is the folder of unfinished uploads, relative to the root.
const staging = "_shardlake/staging"

// maxKnown bounds the number of folders that a Store remembers to be durable.
// Beyond it the memory starts afresh, which costs a few calls of fsync.
const maxKnown = 4096

// Store is a sink.Store in a folder of a local file system that has hard links:
// ext4, XFS, Btrfs, ZFS, APFS or NTFS. It is safe for concurrent use, also by
// several processes, and starts no goroutines. Objects carry no metadata.
//
// A call looks at its context before each step; a write or an fsync that the
// kernel has begun cannot be cut short.
type Store struct {
	root string
	err  error // of making the path absolute

	syncFile func(*os.File) error // (*os.File).Sync, but in tests of its failure
	link     func(from, to string) error
	now      func() time.Time

	mu      sync.Mutex
	ready   bool
	known   map[string]struct{} // folders whose own name is durable
	spoiled map[string]struct{} // uploads that an fsync failed
}

var _ sink.Store = (*Store)(nil)

// Lake returns the store in the given folder, which need not exist. It does no
// I/O; mistakes show in Check and in every call.
func Lake(path string) *Store {
	s := &Store{
		syncFile: (*os.File).Sync,
		link:     os.Link,
		now:      time.Now,
		known:    make(map[string]struct{}),
		spoiled:  make(map[string]struct{}),
	}
	if path == "" {
		s.err = refusedf("the path of the lake's folder is empty")
		return s
	}
	s.root, s.err = filepath.Abs(path)
	if s.err != nil {
		s.err = refusedf("the lake's folder %q cannot be made absolute: %v", path, s.err)
	}
	return s
}

// Kind returns "dir".
func (s *Store) Kind() string { return Kind }

// Location returns the absolute path of the folder.
func (s *Store) Location() string { return s.root }

// At returns the store in another folder, given by its absolute path.
func (s *Store) At(location string) (sink.Store, error) {
	if location == s.root && s.err == nil {
		return s, nil
	}
	if !filepath.IsAbs(location) {
		return nil, refusedf("location %q of a stored upload is not an absolute path", location)
	}
	o := Lake(location)
	o.syncFile, o.link, o.now = s.syncFile, s.link, s.now
	return o, nil
}

// Check reports an unusable path. Whether the file system is fit is found out by
// the first Create.
func (s *Store) Check() error { return s.err }

// PartSize returns the constant PartSize.
func (s *Store) PartSize() int { return PartSize }

// Folder returns the folder with the given prefix, such as "raw/clicks".
func (s *Store) Folder(prefix string) sink.Folder { return sink.Folder{Store: s, Prefix: prefix} }

// Head describes the file at key. Meta is nil.
func (s *Store) Head(ctx context.Context, key string) (sink.Object, error) {
	if err := s.begin(ctx, key); err != nil {
		return sink.Object{}, err
	}
	path, err := s.path(key)
	if err != nil {
		return sink.Object{}, err
	}
	info, err := os.Stat(path)
	switch {
	case gone(err):
		return sink.Object{}, fmt.Errorf("dir: %s: %w", path, sink.ErrNoObject)
	case err != nil:
		return sink.Object{}, failed("look up", err)
	case !info.Mode().IsRegular():
		return sink.Object{}, fmt.Errorf("dir: %s is not a plain file: %w", path, sink.ErrNoObject)
	}
	return sink.Object{Size: info.Size()}, nil
}

// Delete removes the file at key.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := s.begin(ctx, key); err != nil {
		return err
	}
	path, err := s.path(key)
	if err != nil {
		return err
	}
	if err := os.Remove(path); gone(err) {
		return nil
	} else if err != nil {
		return failed("delete", err)
	}
	return s.syncFolder(filepath.Dir(path))
}

// begin is the common start of all calls.
func (s *Store) begin(ctx context.Context, key string) error {
	if s.err != nil {
		return s.err
	}
	if err := ctx.Err(); err != nil {
		return ended(ctx)
	}
	return validKey(key)
}

// stage returns the path of a file of the staging folder.
func (s *Store) stage(name string) string {
	return filepath.Join(s.root, filepath.FromSlash(staging), name)
}

// prepared makes the staging folder and finds out, once, whether the file system
// can do what the store relies on. The probe of hard links comes this early
// because Complete runs when it is too late to choose another folder.
func (s *Store) prepared() error {
	s.mu.Lock()
	done := s.ready
	s.mu.Unlock()
	if done {
		return nil
	}
	if err := s.makeRoot(); err != nil {
		return err
	}
	if err := s.makeFolders(staging); err != nil {
		return err
	}
	if name, bad := networkFileSystem(s.root); bad {
		return refusedf("%s lies on a network file system (%s), which neither locks nor keeps what it was told to keep: "+
			"put the lake on a local disk, or in a bucket with sink/s3", s.root, name)
	}
	if err := s.probeLinks(); err != nil {
		return err
	}
	s.mu.Lock()
	s.ready = true
	s.mu.Unlock()
	return nil
}

func (s *Store) probeLinks() error {
	id, err := newID()
	if err != nil {
		return err
	}
	from, to := s.stage(id+".probe"), s.stage(id+".probe2")
	f, err := os.OpenFile(from, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return failed("write in the staging folder", err)
	}
	err = f.Close()
	if err == nil {
		if err = s.link(from, to); err != nil {
			err = s.linkFailed(err)
		} else {
			err = os.Remove(to)
		}
	}
	return errors.Join(err, os.Remove(from))
}

// linkFailed says what an error of link(2) means.
func (s *Store) linkFailed(err error) error {
	switch {
	case noLinks(err):
		return refusedf("the file system of %s has no hard links (%v): put the lake on ext4, XFS, Btrfs, ZFS, APFS or NTFS", s.root, err)
	case crossDevice(err):
		return refusedf("the target folder lies on another file system than %s (%v): a lake must not contain mount points", s.stage(""), err)
	}
	return failed("link the staged file to its final name", err)
}

// refusedf makes an error that wraps sink.ErrRefused and says what to change.
func refusedf(format string, args ...any) error {
	return fmt.Errorf("dir: %w: %w", sink.ErrRefused, fmt.Errorf(format, args...))
}

// failed wraps an error of the file system: as a refusal where somebody has to
// change something first, else as one that may pass, such as a full disk.
func failed(what string, err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return refusedf("%s: %w: give this user write permission on the lake's folder", what, err)
	case readOnly(err):
		return refusedf("%s: %w: mount the file system for writing", what, err)
	case notFolder(err):
		return refusedf("%s: %w: a plain file lies where the key needs a folder", what, err)
	case tooLong(err):
		return refusedf("%s: %w: choose a shorter folder or prefix", what, err)
	}
	return fmt.Errorf("dir: %s: %w", what, err)
}

// gone says that a name does not exist.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) || notFolder(err) }

// ended says why ctx ended. The error wraps ctx.Err and, where there is one, the
// cause.
func ended(ctx context.Context) error {
	if cause := context.Cause(ctx); !errors.Is(cause, ctx.Err()) {
		return fmt.Errorf("dir: %w: %w", ctx.Err(), cause)
	}
	return fmt.Errorf("dir: %w", ctx.Err())
}
