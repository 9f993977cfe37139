package dir

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/shardlake/shardlake/sink"
)

// idLen is the length of an upload's id: 128 random bits in hexadecimal.
const idLen = 32

// head is the first line of an upload's journal. It is durable when Create
// returns.
type head struct {
	Key   string    `json:"key"`
	Begun time.Time `json:"begun"`
}

// line is each further line: a part that was written, or the mark of an upload
// that an fsync failed. Parts are only needed before Prepare, so these lines are
// not forced to the disk one by one.
type line struct {
	sink.Part
	Spoiled string `json:"spoiled,omitempty"`
}

// journal is what the .upload file of an unfinished upload says.
type journal struct {
	head
	parts   map[int]sink.Part // the last one written under each number
	spoiled string            // why the upload must not be used, if it must not
}

func newID() (string, error) {
	var b [idLen / 2]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("dir: %w", err)
	}
	return hex.EncodeToString(b[:]), nil
}

func validID(id string) bool {
	if len(id) != idLen {
		return false
	}
	for _, c := range id {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// Create begins an upload. It makes the root and the staging folder if they are
// missing. meta is not kept.
func (s *Store) Create(ctx context.Context, key string, meta map[string]string) (string, error) {
	if err := s.begin(ctx, key); err != nil {
		return "", err
	}
	if _, err := s.path(key); err != nil {
		return "", err
	}
	id, err := s.create(key)
	if errors.Is(err, fs.ErrNotExist) {
		// Somebody removed the staging folder under us.
		s.forgetFolders()
		id, err = s.create(key)
	}
	return id, err
}

func (s *Store) create(key string) (string, error) {
	if err := s.prepared(); err != nil {
		return "", err
	}
	id, err := newID()
	if err != nil {
		return "", err
	}
	b, err := json.Marshal(head{Key: key, Begun: s.now().UTC()})
	if err != nil {
		return "", fmt.Errorf("dir: %w", err)
	}
	// A crash in here leaves a file without its fellow or without a whole first
	// line. It counts as no upload, and Uploads removes it after a day.
	err = s.write(s.stage(id+".upload"), append(b, '\n'))
	if err == nil {
		err = s.write(s.stage(id+".data"), nil)
	}
	if err == nil {
		err = s.syncFolder(s.stage(""))
	}
	if err != nil {
		return "", errors.Join(err, s.remove(id))
	}
	return id, nil
}

// write makes a new file, durably but for its name.
func (s *Store) write(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if err != nil {
		return failed("make a staged file", err)
	}
	if _, err := f.Write(b); err != nil {
		return errors.Join(failed("write a staged file", err), f.Close())
	}
	return s.force(f)
}

// remove unlinks both files of an upload, the data first: without them there is
// no upload, whatever else is left.
func (s *Store) remove(id string) error {
	for _, name := range []string{id + ".data", id + ".upload"} {
		if err := os.Remove(s.stage(name)); err != nil && !gone(err) {
			return failed("remove a staged file", err)
		}
	}
	return nil
}

// load reads the journal of an unfinished upload of that key, or fails with
// sink.ErrNoUpload.
func (s *Store) load(key, id string) (*journal, error) {
	none := fmt.Errorf("dir: upload %.40q of %s: %w", id, key, sink.ErrNoUpload)
	if !validID(id) {
		return nil, none
	}
	if _, err := os.Stat(s.stage(id + ".data")); gone(err) {
		return nil, none
	} else if err != nil {
		return nil, failed("look up a staged file", err)
	}
	b, err := os.ReadFile(s.stage(id + ".upload"))
	if gone(err) {
		return nil, none
	} else if err != nil {
		return nil, failed("read a staged file", err)
	}
	j, ok := parseJournal(b)
	if !ok || j.Key != key {
		return nil, none
	}
	return j, nil
}

// usable is load for calls that must not touch a spoiled upload. They fail with
// sink.ErrRefused, which ends the attempt.
func (s *Store) usable(key, id string) (*journal, error) {
	s.mu.Lock()
	_, bad := s.spoiled[id]
	s.mu.Unlock()
	j, err := s.load(key, id)
	if err != nil {
		return nil, err
	}
	if bad && j.spoiled == "" {
		j.spoiled = "an earlier fsync failed"
	}
	if j.spoiled != "" {
		return nil, refusedf("upload %s of %s is spoiled: %s; a second fsync would prove nothing: mend the disk, and let its rows be read again", id, key, j.spoiled)
	}
	return j, nil
}

// parseJournal reads the file. A last line without its end was cut by a crash or
// is being written.
func parseJournal(b []byte) (*journal, bool) {
	end := bytes.LastIndexByte(b, '\n')
	sc := bufio.NewScanner(bytes.NewReader(b[:end+1]))
	j := &journal{parts: make(map[int]sink.Part)}
	if !sc.Scan() || json.Unmarshal(sc.Bytes(), &j.head) != nil || j.Key == "" {
		return nil, false
	}
	for sc.Scan() {
		var l line
		switch {
		case json.Unmarshal(sc.Bytes(), &l) != nil:
			j.spoiled = "its journal is damaged"
		case l.Spoiled != "":
			j.spoiled = l.Spoiled
		default:
			j.parts[l.N] = l.Part
		}
	}
	if sc.Err() != nil {
		j.spoiled = "its journal is damaged"
	}
	return j, true
}

// sorted returns the parts by number.
func (j *journal) sorted() []sink.Part {
	parts := make([]sink.Part, 0, len(j.parts))
	for _, p := range j.parts {
		parts = append(parts, p)
	}
	slices.SortFunc(parts, func(a, b sink.Part) int { return a.N - b.N })
	return parts
}

// note appends a line to the journal. O_APPEND keeps the lines of concurrent
// calls apart.
func (s *Store) note(id string, l line) (err error) {
	b, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("dir: %w", err)
	}
	f, err := os.OpenFile(s.stage(id+".upload"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return failed("open a staged file", err)
	}
	if _, err = f.Write(append(b, '\n')); err != nil {
		return errors.Join(failed("write a staged file", err), f.Close())
	}
	if l.Spoiled != "" {
		return s.force(f)
	}
	return f.Close()
}

// spoil marks the upload if err is a failed fsync, here and for other processes,
// and returns err.
func (s *Store) spoil(id string, err error) error {
	var failure *syncError
	if !errors.As(err, &failure) {
		return err
	}
	s.mu.Lock()
	s.spoiled[id] = struct{}{}
	s.mu.Unlock()
	if nerr := s.note(id, line{Spoiled: failure.Error()}); nerr != nil && !gone(nerr) {
		return errors.Join(err, nerr)
	}
	return err
}
