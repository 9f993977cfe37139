package shardlake

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"
)

// State is what a stage keeps between commits, as entries, one for each key. It
// becomes part of the same commit as the position and the files. When a shard is
// split or merged, each entry goes to the child that takes its place in the hash
// space. The lane calls all methods on its own goroutine.
type State interface {
	// Schema says how entries are to be read: another text, another meaning. It is
	// kept with them and given to Restore, in this build of the program or another.
	Schema() string
	// Snapshot gives put each entry that has changed since the last Snapshot or
	// Restore, or, if whole, every entry there is. put copies what it is given.
	Snapshot(whole bool, put func(Entry)) error
	// Restore takes one entry of the last commit, before the first batch: in the
	// order in which they were put, so that a later one replaces an earlier one of
	// its key, and one without a value removes it. If inherited is true the entries
	// come from the shards that this one follows, and two of one key, which two
	// parents had, are to be made one, or kept apart. It refuses what it does not
	// understand. It does not keep e's memory.
	Restore(schema string, e Entry, inherited bool) error
	// Bytes estimates the memory that the state takes, for the task's budget.
	Bytes() int64
}

// Entry is what a stage keeps for one key.
type Entry struct {
	Key   []byte // tells the entry from the others of its state
	Home  Hash   // its place in the hash space: that of the partition key it came with
	Value []byte // nil says that the entry is gone
}

// Kept is the states of a lane as a commit holds them: by name, a chain of segments,
// each written once: everything that there was, and then what changed from commit
// to commit. The key of a segment is its state's name, a zero byte, and its number.
// In what Env.Snapshot returns, a segment without bytes stands for the one that the
// commit before has under that key.
type Kept = map[string][]byte

const (
	kindWhole     = 'W'
	kindDelta     = 'D'
	kindInherited = 'I'
)

// segment is a part of a chain.
type segment struct {
	number int
	kind   byte
	schema string
	data   []byte // entries
}

// segmentKey is where segment n of a state lies.
func segmentKey(name string, n int) string { return name + "\x00" + strconv.Itoa(n) }

// chains reads what is kept, but for keys that begin with a zero byte, which are the
// host's own.
func chains(kept Kept) (map[string][]segment, error) {
	out := map[string][]segment{}
	for key, b := range kept {
		name, number, ok := strings.Cut(key, "\x00")
		if name == "" && ok {
			continue
		}
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 || strconv.Itoa(n) != number {
			return nil, fmt.Errorf("kept state %q has no number: this version did not write it", key)
		}
		s, err := openSegment(b)
		if err != nil {
			return nil, fmt.Errorf("kept state %q, segment %d: %w", name, n, err)
		}
		s.number = n
		out[name] = append(out[name], s)
	}
	for name, c := range out {
		slices.SortFunc(c, func(a, b segment) int { return cmp.Compare(a.number, b.number) })
		for i, s := range c {
			if err := s.follows(c[:i]); err != nil {
				return nil, fmt.Errorf("kept state %q, segment %d: %w", name, s.number, err)
			}
		}
	}
	return out, nil
}

// follows tells why s cannot be the next segment of a chain: one begins with everything,
// or what was inherited from each parent, and none is missing from what has changed
// since. Without it, what is left would restore to something that never was.
func (s segment) follows(chain []segment) error {
	switch n := len(chain); {
	case n == 0 && s.kind == kindDelta:
		return fmt.Errorf("it says what has changed, and what it has changed from is missing: restore it from a copy")
	case n == 0:
		return nil
	case s.kind == kindInherited && chain[n-1].kind == kindInherited:
		return nil
	case s.kind != kindDelta || chain[0].kind == kindInherited:
		return fmt.Errorf("it is of kind %q behind one of kind %q: segments of two states are mixed up", s.kind, chain[n-1].kind)
	case s.number != chain[n-1].number+1:
		return fmt.Errorf("it follows segment %d, and what lies between is missing: restore it from a copy", chain[n-1].number)
	}
	return nil
}

// appendEntry encodes one entry.
func appendEntry(b []byte, e Entry) []byte {
	if e.Value == nil {
		b = append(b, 0)
		b = binary.AppendUvarint(b, uint64(len(e.Key)))
		return append(b, e.Key...)
	}
	b = append(b, 1)
	b = append(b, e.Home[:]...)
	b = binary.AppendUvarint(b, uint64(len(e.Key)))
	b = append(b, e.Key...)
	b = binary.AppendUvarint(b, uint64(len(e.Value)))
	return append(b, e.Value...)
}

// beginSegment is what comes before the entries.
func beginSegment(b []byte, kind byte, schema string) []byte {
	b = append(b, 1, kind) // version 1
	b = binary.AppendUvarint(b, uint64(len(schema)))
	return append(b, schema...)
}

// endSegment is what comes behind them.
func endSegment(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

func openSegment(b []byte) (s segment, err error) {
	if len(b) < 7 || crc32.ChecksumIEEE(b[:len(b)-4]) != binary.LittleEndian.Uint32(b[len(b)-4:]) {
		return s, fmt.Errorf("%d bytes are damaged: restore them from a copy", len(b))
	}
	if b[0] != 1 {
		return s, fmt.Errorf("it is of version %d, and this build reads version 1", b[0])
	}
	s.kind, b = b[1], b[2:len(b)-4]
	if s.kind != kindWhole && s.kind != kindDelta && s.kind != kindInherited {
		return s, fmt.Errorf("it is of kind %q, which this build does not know", s.kind)
	}
	schema, b, ok := cutBytes(b)
	if !ok {
		return s, fmt.Errorf("its schema is cut short")
	}
	s.schema, s.data = string(schema), b
	return s, nil
}

// each gives f the entries, which share memory with the segment.
func (s segment) each(f func(Entry) error) error {
	for b := s.data; len(b) > 0; {
		var e Entry
		var ok bool
		op := b[0]
		if b = b[1:]; op == 1 {
			if len(b) < len(e.Home) {
				return errCutEntry
			}
			b = b[copy(e.Home[:], b):]
		}
		if e.Key, b, ok = cutBytes(b); !ok {
			return errCutEntry
		}
		if op == 1 {
			if e.Value, b, ok = cutBytes(b); !ok {
				return errCutEntry
			}
		}
		if err := f(e); err != nil {
			return err
		}
	}
	return nil
}

var errCutEntry = fmt.Errorf("an entry is cut short")

// cutBytes reads a length and as many bytes, never nil.
func cutBytes(b []byte) (head, tail []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return nil, b, false
	}
	b = b[size:]
	return b[:n:n], b[n:], true
}

// Parent is a lane that ended, for Divide.
type Parent struct {
	State Kept
	Range HashRange
}

// Divide takes from the states of lanes that have ended what belongs to one that
// follows them, by the home of each entry. A home outside of its own lane's part of
// the hash space counts for the nearest edge, so that no entry is without an heir.
// If child is not known, all entries are taken: the caller knows that there is one
// heir only.
func Divide(parents []Parent, child HashRange) (Kept, error) {
	out := Kept{}
	for i, p := range parents {
		all, err := chains(p.State)
		if err != nil {
			return nil, err
		}
		for name, chain := range all {
			b, err := p.heritage(chain, child)
			if err != nil {
				return nil, fmt.Errorf("kept state %q: %w", name, err)
			}
			if b != nil {
				out[segmentKey(name, i+1)] = b
			}
		}
	}
	return out, nil
}

// heritage makes one segment of a chain.
func (p Parent) heritage(chain []segment, child HashRange) ([]byte, error) {
	schema := chain[len(chain)-1].schema
	at := map[string]int{}
	var left []Entry
	for _, s := range chain {
		if s.schema != schema {
			return nil, fmt.Errorf("segments of the schemas %q and %q follow each other", s.schema, schema)
		}
		err := s.each(func(e Entry) error {
			i, had := at[string(e.Key)]
			switch {
			case s.kind == kindInherited && had && e.Value != nil:
				return fmt.Errorf("two parents' entries of one key were not made one before the shard ended")
			case e.Value == nil:
				if had {
					left[i].Value = nil
					delete(at, string(e.Key))
				}
			case had:
				left[i] = e
			default:
				at[string(e.Key)] = len(left)
				left = append(left, e)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	b := beginSegment(nil, kindInherited, schema)
	begun := len(b)
	for _, e := range left {
		if e.Value != nil && (child.IsZero() || child.Contains(p.Range.nearest(e.Home))) {
			b = appendEntry(b, e)
		}
	}
	if len(b) == begun {
		return nil, nil
	}
	return endSegment(b), nil
}

// nearest is h, or the edge of the range that is nearest to it.
func (r HashRange) nearest(h Hash) Hash {
	switch {
	case r.IsZero() || r.Contains(h):
		return h
	case h.Compare(r.From) < 0:
		return r.From
	}
	return r.To
}
