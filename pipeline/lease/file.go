package lease

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// File is a store in a local folder, for one process at a time: one JSON file a
// lane, written aside, synced and renamed. A lock on the folder, held for the
// life of the process, is the lease; a second process is refused.
//
// The folder must be on a local file system: locks and renames of network file
// systems do not promise what is needed here.
type File struct {
	dir  string
	lock *os.File

	mu   sync.Mutex // of the map
	rows map[string]*fileRow
}

// fileRow is one lane's row and the lock of its read-compare-write.
type fileRow struct {
	mu     sync.Mutex
	row    Row
	broken error // a write whose outcome on disk is not known
}

var _ Store = (*File)(nil)

// ErrLocked says that another process uses the folder.
var ErrLocked = errors.New("the lease folder is in use by another process")

// OpenFile opens the store in a folder, which it makes if needed, and locks it.
func OpenFile(dir string) (*File, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	lock, err := lockFolder(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("lease folder %s: %w", dir, err)
	}
	f := &File{dir: dir, lock: lock, rows: map[string]*fileRow{}}
	if err := f.load(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return f, nil
}

// Close gives up the lock. Nothing may be called afterwards.
func (f *File) Close() error { return f.lock.Close() }

func (f *File) load() error {
	names, err := filepath.Glob(filepath.Join(f.dir, "*"+ext))
	if err != nil {
		return err
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		var r Row
		if err := json.Unmarshal(b, &r); err != nil {
			return fmt.Errorf("lease row %s is damaged: %w (restore it from a copy, or move it away to read the shard from its start, which doubles its rows)", name, err)
		}
		if f.path(r.Lane) != name || r.Inc == "" {
			return fmt.Errorf("lease row %s belongs to lane %q: it was renamed or edited by hand; undo that", name, r.Lane)
		}
		f.rows[r.Lane] = &fileRow{row: r}
	}
	return nil
}

const ext = ".lane.json"

func (f *File) path(lane string) string {
	// PathEscape leaves dots alone; a lane is never empty, and the ending keeps
	// "." and ".." from being folders.
	return filepath.Join(f.dir, url.PathEscape(lane)+ext)
}

// List returns all rows.
func (f *File) List(context.Context) ([]Row, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	rows := make([]Row, 0, len(f.rows))
	for _, r := range f.rows {
		r.mu.Lock()
		rows = append(rows, clone(r.row))
		r.mu.Unlock()
	}
	return rows, nil
}

// Create makes a row unless there is one.
func (f *File) Create(_ context.Context, r Row) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.rows[r.Lane]; ok {
		return nil
	}
	r.Inc = NewID()
	if err := f.write(r); err != nil {
		return err
	}
	f.rows[r.Lane] = &fileRow{row: clone(r)}
	return nil
}

// Acquire takes the lane at once: the folder's lock already says that no other
// process has it.
func (f *File) Acquire(_ context.Context, lane, owner, token string) (Row, error) {
	var got Row
	err := f.change(lane, func(r Row) (Row, bool, error) {
		var write bool
		got, write = acquired(r, owner, token)
		return got, write, nil
	})
	return clone(got), err
}

// Commit is the conditional write.
func (f *File) Commit(_ context.Context, next Row) error {
	return f.change(next.Lane, func(r Row) (Row, bool, error) { return committed(r, next) })
}

// Clear empties Pending.
func (f *File) Clear(_ context.Context, by Row) error {
	return f.change(by.Lane, func(r Row) (Row, bool, error) { return cleared(r, by) })
}

// Release gives the lane up.
func (f *File) Release(_ context.Context, by Row) error {
	return f.change(by.Lane, func(r Row) (Row, bool, error) {
		r, write := released(r, by)
		return r, write, nil
	})
}

// change reads, compares and writes under the lane's mutex. A write that failed
// may or may not be on disk; the lane is then closed, and a restart reads what
// is there.
func (f *File) change(lane string, decide func(Row) (Row, bool, error)) error {
	f.mu.Lock()
	r := f.rows[lane]
	f.mu.Unlock()
	if r == nil {
		return ErrLost
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken != nil {
		return r.broken
	}
	next, write, err := decide(r.row)
	if err != nil || !write {
		return err
	}
	if err := f.write(next); err != nil {
		r.broken = fmt.Errorf("lease row of %s: %w: %w; start the process again", lane, ErrUncertain, err)
		return r.broken
	}
	r.row = next
	return nil
}

// write replaces the row's file: written aside, synced, renamed, and the folder
// synced, so that after a loss of power either the old or the new row is there.
func (f *File) write(r Row) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	final := f.path(r.Lane)
	if len(filepath.Base(final)) > 250 {
		return fmt.Errorf("lane id %.60q... is too long for a file name", r.Lane)
	}
	tmp := strings.TrimSuffix(final, ext) + ".tmp"
	if err := writeSynced(tmp, b); err != nil {
		return err
	}
	if err := os.Rename(tmp, final); err != nil {
		return err
	}
	return syncFolder(f.dir)
}

func writeSynced(name string, b []byte) error {
	w, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	if err == nil {
		err = w.Sync()
	}
	return errors.Join(err, w.Close())
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if errors.Is(err, fs.ErrInvalid) {
		err = nil // folders cannot be synced on this file system; it orders renames itself
	}
	return errors.Join(err, d.Close())
}
