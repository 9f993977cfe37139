package lease

import (
	"context"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"unicode/utf8"

	jsonv1 "encoding/json"
)

// File is a store in a local folder, for one process at a time: one JSON file a
// lane, written aside, synced and renamed. A lock on the folder, held for the
// life of the process, is the lease; a second process is refused.
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
	mu     sync.Mutex
	row    Row
	broken error // a write whose outcome on disk is not known
}

var _ Store = (*File)(nil)

// ErrLocked says that another process uses the folder.
var ErrLocked = errors.New("the lease folder is in use by another process")

// OpenFile opens the store in a folder, which it makes if needed, and locks it.
// It fails with ErrLocked if another File, of any process, has it open, and it
// refuses a folder with a row that it cannot read in full: a lane taken up
// without its row would be read from its start again. The unfinished writes of a
// process that was killed do not disturb it.
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
		// A member that this build does not know is refused: the next write would
		// lose it.
		var r Row
		if err := json.Unmarshal(b, &r, json.RejectUnknownMembers(true)); err != nil {
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

// Shared is false: a lock keeps other processes out.
func (f *File) Shared() bool { return false }

// Open has nothing to do: OpenFile did it.
func (f *File) Open(context.Context) error { return nil }

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
	if f.closed.Load() {
		return errClosed
	}
	if _, ok := f.rows[r.Lane]; ok {
		return nil
	}
	if r.Lane == "" || !utf8.ValidString(r.Lane) {
		return fmt.Errorf("lane id %.60q: want UTF-8, not empty", r.Lane)
	}
	r.Owner, r.Token, r.Fence, r.Inc = "", "", 0, NewID()
	if err := f.write(r); err != nil {
		return err
	}
	f.rows[r.Lane] = &fileRow{row: clone(r)}
	return nil
}

// Get returns one row.
func (f *File) Get(_ context.Context, lane string) (Row, error) {
	return f.change(lane, func(r Row) (Row, bool, error) { return r, false, nil })
}

// Acquire takes the lane: the folder's lock already says that no other process
// has it.
func (f *File) Acquire(_ context.Context, seen Row, owner, token string) (Row, error) {
	return f.change(seen.Lane, func(r Row) (Row, bool, error) { return acquired(r, seen, owner, token) })
}

// Renew shows that the owner lives.
func (f *File) Renew(_ context.Context, by Row) (Row, error) {
	return f.change(by.Lane, func(r Row) (Row, bool, error) { return renewed(r, by) })
}

// Ask sets Want.
func (f *File) Ask(_ context.Context, seen Row, want string) error {
	_, err := f.change(seen.Lane, func(r Row) (Row, bool, error) { return asked(r, seen, want) })
	return err
}

// Commit is the conditional write.
func (f *File) Commit(_ context.Context, next Row) error {
	_, err := f.change(next.Lane, func(r Row) (Row, bool, error) { return committed(r, next) })
	return err
}

// Clear empties Pending.
func (f *File) Clear(_ context.Context, by Row) error {
	_, err := f.change(by.Lane, func(r Row) (Row, bool, error) { return cleared(r, by) })
	return err
}

// Mark begins a repair.
func (f *File) Mark(_ context.Context, by Row) error {
	_, err := f.change(by.Lane, func(r Row) (Row, bool, error) { return marked(r, by) })
	return err
}

// Release gives the lane up.
func (f *File) Release(_ context.Context, by Row) error {
	_, err := f.change(by.Lane, func(r Row) (Row, bool, error) { return released(r, by) })
	return err
}

// Delete removes the file of a finished row, durably.
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
	if !deletable(r.row, by) {
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
	return nil
}

// change reads, compares and writes under the lane's mutex, and returns the row
// as it is then. A write that failed may or may not be on disk; the lane is then
// closed, and a restart reads what is there.
func (f *File) change(lane string, decide func(Row) (Row, bool, error)) (Row, error) {
	f.mu.Lock()
	r := f.rows[lane]
	f.mu.Unlock()
	if r == nil {
		return Row{}, ErrNoRow
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if f.closed.Load() {
		return Row{}, errClosed
	}
	if r.broken != nil {
		return Row{}, r.broken
	}
	next, write, err := decide(r.row)
	if err != nil || !write {
		return clone(next), err
	}
	if err := f.write(next); err != nil {
		r.broken = fmt.Errorf("lease row of %s: %w: %w; start the process again", lane, ErrUncertain, err)
		return Row{}, r.broken
	}
	r.row = next
	return clone(next), nil
}

// write replaces the row's file: written aside, synced, renamed, and the folder
// synced, so that after a loss of power either the old or the new row is there.
func (f *File) write(r Row) error {
	// Version 1 writes U+FFFD for what is not UTF-8, so that a stage would not find
	// its state again.
	b, err := json.Marshal(r, jsonv1.DefaultOptionsV1(), jsontext.AllowInvalidUTF8(false))
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
