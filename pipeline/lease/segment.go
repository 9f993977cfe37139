package lease

import (
	"bytes"
	"encoding/json/v2"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
)

// inlineSegment is how large a segment may be, in bytes, to lie in the row's file:
// a row is written anew with every commit and clear.
const inlineSegment = 4 << 10

// record is the content of a lane's file: the row, without the larger segments of
// its states, and where those are.
type record struct {
	Row
	Segments     map[string]fileRef `json:"segments,omitempty"`      // of State
	PrevSegments map[string]fileRef `json:"prev_segments,omitempty"` // of Prev's
}

// fileRef is a file in the folder of the rows, and what it must hold.
type fileRef struct {
	File string `json:"file"`
	Size int    `json:"size"`
	CRC  uint32 `json:"crc32"` // IEEE
}

// segment is one to be written.
type segment struct {
	name    string
	content []byte
	ref     fileRef
}

// segmentFile is the name of a segment's file: lane, number and id of the commit,
// and a count. Escaped lanes have no commas, so it is not the name of a row.
var segmentFile = regexp.MustCompile(`^[^,]+,[0-9]+-[^,]*-[0-9]+\.seg$`)

func decodeRecord(b []byte) (record, error) {
	var rec record
	// A member that this build does not know is refused: the next write would lose it.
	if err := json.Unmarshal(b, &rec, json.RejectUnknownMembers(true)); err != nil {
		return rec, err
	}
	if rec.Prev == nil && len(rec.PrevSegments) > 0 {
		return rec, errors.New("prev_segments is there without prev")
	}
	for _, name := range rec.files() {
		if !segmentFile.MatchString(name) || filepath.Base(name) != name {
			return rec, fmt.Errorf("%.100q is not the name of a segment's file", name)
		}
	}
	// Earlier versions wrote null for an empty segment.
	filled(rec.State)
	if rec.Prev != nil {
		filled(rec.Prev.State)
	}
	return rec, nil
}

func filled(state map[string][]byte) {
	for name, b := range state {
		if b == nil {
			state[name] = []byte{}
		}
	}
}

// files are the names of all that the record refers to, each once.
func (rec record) files() []string {
	var names []string
	for _, refs := range []map[string]fileRef{rec.Segments, rec.PrevSegments} {
		for _, r := range refs {
			names = append(names, r.File)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// createRecord is the record of a new row.
func createRecord(r Row) (record, []segment, error) {
	small, large := apart(r.State)
	r.State = small
	r, err := created(r)
	if err != nil {
		return record{}, nil, err
	}
	refs, err := name(large, r.Lane, r.Number, r.Inc)
	return record{Row: r, Segments: refs}, large, err
}

// commit is the record that replaces rec, with the segments that must be written
// before.
func (rec record) commit(next Row) (record, []segment, bool, error) {
	small, large := apart(next.State)
	carried := map[string]fileRef{}
	for k, b := range small {
		if ref, ok := rec.Segments[k]; ok && b == nil {
			carried[k] = ref
			delete(small, k)
		}
	}
	next.State = small
	r, write, err := committed(rec.Row, next)
	if err != nil || !write {
		return rec, nil, false, err
	}
	refs, err := name(large, r.Lane, r.Number, r.CommitID)
	if err != nil {
		return rec, nil, false, err
	}
	maps.Copy(carried, refs)
	return record{Row: r, Segments: carried, PrevSegments: rec.Segments}, large, true, nil
}

// apart parts a state into what lies in the row and what lies in files. The large
// ones are in the order of their names, and are not copied.
func apart(state map[string][]byte) (small map[string][]byte, large []segment) {
	small = maps.Clone(state)
	for _, k := range slices.Sorted(maps.Keys(state)) {
		if b := state[k]; len(b) > inlineSegment {
			large = append(large, segment{name: k, content: b})
			delete(small, k)
		}
	}
	return small, large
}

// name gives segments their files, and returns the refs by segment.
func name(large []segment, lane string, number uint64, id string) (map[string]fileRef, error) {
	refs := map[string]fileRef{}
	lane, id = url.PathEscape(lane), url.PathEscape(id)
	lane = lane[:min(len(lane), 160)] // the id is what makes it new
	for i := range large {
		s := &large[i]
		file := fmt.Sprintf("%s,%d-%s-%d.seg", lane, number, id, i)
		if len(file) > 250 {
			return nil, fmt.Errorf("commit id %.60q... is too long for a file name", id)
		}
		s.ref = fileRef{file, len(s.content), crc32.ChecksumIEEE(s.content)}
		refs[s.name] = s.ref
	}
	return refs, nil
}

// brief is a copy of the row without the states that do not lie in it in full.
func (rec record) brief() Row {
	r := rec.Row
	if len(rec.Segments) > 0 {
		r.State = nil
	}
	if r.Prev != nil && len(rec.PrevSegments) > 0 {
		p := *r.Prev
		p.State = nil
		r.Prev = &p
	}
	return clone(r)
}

// read returns a function that puts the row, with all its segments, into r. It is
// called under the lane's mutex, which keeps the files from being removed.
func (f *File) read(r *Row) func(record) error {
	return func(rec record) error {
		full := clone(rec.Row)
		got := map[string][]byte{} // by file
		into := func(state *map[string][]byte, refs map[string]fileRef) error {
			if *state == nil && len(refs) > 0 {
				*state = map[string][]byte{}
			}
			for k, ref := range refs {
				b, again := got[ref.File]
				if again {
					b = bytes.Clone(b) // State and Prev do not share memory
				} else {
					var err error
					if b, err = f.readSegment(ref); err != nil {
						name := filepath.Join(f.dir, ref.File)
						return fmt.Errorf("lease row of %s: segment %.60q of the state lies in %s, which cannot be used: %w (restore it from a copy, or move %s away to read the shard from its start, which doubles its rows)", rec.Lane, k, name, err, f.path(rec.Lane))
					}
					got[ref.File] = b
				}
				(*state)[k] = b
			}
			return nil
		}
		if err := into(&full.State, rec.Segments); err != nil {
			return err
		}
		if full.Prev != nil {
			if err := into(&full.Prev.State, rec.PrevSegments); err != nil {
				return err
			}
		}
		*r = full
		return nil
	}
}

// readSegment reads a file and compares it with what it must be.
func (f *File) readSegment(ref fileRef) (b []byte, err error) {
	file, err := os.Open(filepath.Join(f.dir, ref.File))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("it is missing")
	}
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	st, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if st.Size() != int64(ref.Size) {
		return nil, fmt.Errorf("it has %d bytes instead of %d", st.Size(), ref.Size)
	}
	b = make([]byte, ref.Size)
	if _, err := io.ReadFull(file, b); err != nil {
		return nil, err
	}
	if crc := crc32.ChecksumIEEE(b); crc != ref.CRC {
		return nil, fmt.Errorf("it is damaged: its CRC32 is %08x instead of %08x", crc, ref.CRC)
	}
	return b, nil
}
