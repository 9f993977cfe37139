package lease

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// File is a store in a local folder, for one process at a time: one JSON file a
// lane, written aside, synced and renamed. A lock on the folder, held for the
// life of the process, is the lease; a second process is refused.
//
// Segments of a state of more than 4 KiB lie in files of their own beside the
// row's. They are written once, before the row that names them, and stay until no
// row does; the File keeps no content of theirs in memory.
//
// The folder must be on a local file system: locks and renames of network file
// systems do not promise what is needed here.
type File struct {
	dir    string
	lock   *os.File
	closed atomic.Bool

	mu   sync.Mutex // of the map
	rows map[string]*fileRow
}

// fileRow is one lane's row and the lock of its read-compare-write.
type fileRow struct {
	mu      sync.Mutex
	rec     record
	broken  error    // a write whose outcome on disk is not known
	garbage []string // files that no row names and that could not be removed yet
}

var _ Store = (*File)(nil)

// ErrLocked says that another process uses the folder.
var ErrLocked = errors.New("the lease folder is in use by another process")

// OpenFile opens the store in a folder, which it makes if needed, and locks it.
// It fails with ErrLocked if another File, of any process, has it open, and it
// refuses a folder with a row that it cannot read in full: a lane taken up
// without its row would be read from its start again. The unfinished writes of a
// process that was killed do not disturb it: files of segments that no row names
// are removed. Files of segments are read by Acquire and Get, and an error about
// one of them is one of its lane.
func OpenFile(dir string) (*File, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := makeFolder(dir); err != nil {
		return nil, fmt.Errorf("lease folder %s: %w", dir, err)
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

// Close waits for writes under way and gives up the lock. Another process may
// then have the folder: whatever is written afterwards fails with ErrLost.
func (f *File) Close() error {
	f.closed.Store(true)
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.rows {
		r.mu.Lock()
		defer r.mu.Unlock()
	}
	return f.lock.Close()
}

var errClosed = fmt.Errorf("%w: the lease folder was closed", ErrLost)

func (f *File) load() error {
	// Not filepath.Glob: it reads brackets in the folder's name as a pattern, and
	// takes a folder that cannot be read for an empty one.
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ext) {
			continue
		}
		name := filepath.Join(f.dir, e.Name())
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rec, err := decodeRecord(b)
		if err != nil {
			return fmt.Errorf("lease row %s is damaged: %w (restore it from a copy, or move it away to read the shard from its start, which doubles its rows)", name, err)
		}
		if f.path(rec.Lane) != name || rec.Inc == "" {
			return fmt.Errorf("lease row %s belongs to lane %q: it was renamed or edited by hand; undo that", name, rec.Lane)
		}
		f.rows[rec.Lane] = &fileRow{rec: rec}
	}
	return f.sweep(entries)
}

const ext = ".lane.json"

func (f *File) path(lane string) string {
	// PathEscape leaves dots alone; a lane is never empty, and the ending keeps
	// "." and ".." from being folders.
	return filepath.Join(f.dir, url.PathEscape(lane)+ext)
}

// Shared is false: a lock keeps other processes out.
func (f *File) Shared() bool { return false }

// Open has nothing to do: OpenFile did it.
func (f *File) Open(context.Context) error { return nil }

// List returns all rows. A State with a segment in a file of its own is missing.
func (f *File) List(context.Context) ([]Row, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	rows := make([]Row, 0, len(f.rows))
	for _, r := range f.rows {
		r.mu.Lock()
		rows = append(rows, r.rec.brief())
		r.mu.Unlock()
	}
	return rows, nil
}

// Create makes a row unless there is one.
func (f *File) Create(_ context.Context, r Row) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed.Load() {
		return errClosed
	}
	if _, ok := f.rows[r.Lane]; ok {
		return nil
	}
	if r.Lane == "" || !utf8.ValidString(r.Lane) {
		return fmt.Errorf("lane id %.60q: want UTF-8, not empty", r.Lane)
	}
	rec, fresh, err := createRecord(r)
	if err != nil {
		return err
	}
	if err := f.write(rec, fresh); err != nil {
		return err
	}
	f.rows[r.Lane] = &fileRow{rec: rec}
	return nil
}

// Get returns one row, with the segments from their files.
func (f *File) Get(_ context.Context, lane string) (Row, error) {
	var full Row
	err := f.change(lane, func(r Row) (Row, bool, error) { return r, false, nil }, f.read(&full))
	return full, err
}

// Acquire takes the lane: the folder's lock already says that no other process
// has it. It reads the segments from their files, and fails, although the lane is
// then taken, if one of them is missing or damaged.
func (f *File) Acquire(_ context.Context, seen Row, owner, token string) (Row, error) {
	var full Row
	err := f.change(seen.Lane, func(r Row) (Row, bool, error) { return acquired(r, seen, owner, token) }, f.read(&full))
	return full, err
}

// Renew shows that the owner lives. A State with a segment in a file of its own is
// missing from what it returns.
func (f *File) Renew(_ context.Context, by Row) (Row, error) {
	var brief Row
	err := f.change(by.Lane, func(r Row) (Row, bool, error) { return renewed(r, by) }, func(rec record) error {
		brief = rec.brief()
		return nil
	})
	return brief, err
}

// Ask sets Want.
func (f *File) Ask(_ context.Context, seen Row, want string) error {
	return f.change(seen.Lane, func(r Row) (Row, bool, error) { return asked(r, seen, want) }, nil)
}

// Commit is the conditional write. It writes the segments that are given, and none
// that is carried over.
func (f *File) Commit(_ context.Context, next Row) error {
	return f.update(next.Lane, func(rec record) (record, []segment, bool, error) { return rec.commit(next) }, nil)
}

// Clear empties Pending, and removes the files of segments that only Prev named.
func (f *File) Clear(_ context.Context, by Row) error {
	return f.change(by.Lane, func(r Row) (Row, bool, error) { return cleared(r, by) }, nil)
}

// Mark begins a repair.
func (f *File) Mark(_ context.Context, by Row) error {
	return f.change(by.Lane, func(r Row) (Row, bool, error) { return marked(r, by) }, nil)
}

// Release gives the lane up.
func (f *File) Release(_ context.Context, by Row) error {
	return f.change(by.Lane, func(r Row) (Row, bool, error) { return released(r, by) }, nil)
}

// Delete removes the file of a finished row, durably, and then those of its
// segments.
func (f *File) Delete(_ context.Context, by Row) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.rows[by.Lane]
	if f.closed.Load() {
		return errClosed
	}
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken != nil {
		return r.broken
	}
	if !deletable(r.rec.Row, by) {
		return ErrLost
	}
	err := os.Remove(f.path(by.Lane))
	if err == nil {
		err = syncFolder(f.dir)
	}
	if err != nil {
		r.broken = fmt.Errorf("lease row of %s: %w: %w; start the process again", by.Lane, ErrUncertain, err)
		return r.broken
	}
	r.broken = ErrNoRow // for whoever found it in the map just before
	delete(f.rows, by.Lane)
	f.remove(append(r.rec.files(), r.garbage...)) // what is left of them goes when the folder is opened again
	return nil
}

// change is update for what leaves State alone.
func (f *File) change(lane string, decide func(Row) (Row, bool, error), then func(record) error) error {
	return f.update(lane, func(rec record) (record, []segment, bool, error) {
		var write bool
		var err error
		rec.Row, write, err = decide(rec.Row)
		if rec.Prev == nil {
			rec.PrevSegments = nil
		}
		return rec, nil, write, err
	}, then)
}

// update reads, compares and writes under the lane's mutex, and calls then, if
// there is one, with the record as it is afterwards. A write that failed may or may
// not be on disk; the lane is then closed, and a restart reads what is there.
func (f *File) update(lane string, decide func(record) (record, []segment, bool, error), then func(record) error) error {
	f.mu.Lock()
	r := f.rows[lane]
	f.mu.Unlock()
	if r == nil {
		return ErrNoRow
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if f.closed.Load() {
		return errClosed
	}
	if r.broken != nil {
		return r.broken
	}
	next, fresh, write, err := decide(r.rec)
	if err != nil {
		return err
	}
	if write {
		if err := f.write(next, fresh); err != nil {
			r.broken = fmt.Errorf("lease row of %s: %w: %w; start the process again", lane, ErrUncertain, err)
			return r.broken
		}
		// Only now: until here a loss of power may bring the row before back.
		used := next.files()
		gone := slices.DeleteFunc(r.rec.files(), func(name string) bool { return slices.Contains(used, name) })
		r.rec = next
		r.garbage = f.remove(append(gone, r.garbage...))
	}
	if then == nil {
		return nil
	}
	return then(r.rec)
}
