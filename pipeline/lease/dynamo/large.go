package dynamo

import (
	"context"
	"fmt"
	"hash/crc32"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/shardlake/shardlake/pipeline/lease"
)

const (
	// rowBudget is what state and list may take together in a row with Config.Large:
	// a heartbeat is charged by the KB of the row.
	rowBudget = 4 << 10
	// segmentMax is how large a fresh segment may be, in bytes, to lie in a row with
	// Config.Large. Segments that are carried over cost nothing there but their ref,
	// and what lies in the row is copied into Prev.
	segmentMax = 1 << 10
	// refSize is how much a ref takes in a row, at most, and worthwhile from which size
	// in JSON on a value is worth one.
	refSize    = 100
	worthwhile = 160
	// inlineMax is what they may take at most. A row of DynamoDB has 400 KB, and holds
	// the state before as well.
	inlineMax = 300 << 10

	// objectsAtOnce is how many objects are read, written or deleted at the same time
	// for one row.
	objectsAtOnce = 8

	refMark = '@'
	noState = "{}" // sl_prev_state where there was none
)

// ref is where an object lies, and what it must be.
type ref struct {
	Key  string `json:"key"`
	Size int    `json:"size"`
	CRC  uint32 `json:"crc"` // IEEE
}

// refIn reads an attribute that says where its content is.
func refIn(s string) (r ref, ok bool) {
	if s == "" || s[0] != refMark {
		return r, false
	}
	return r, decodeJSON(s[1:], &r) == nil && r.Key != ""
}

// packed is what the attributes for state and pending list get, and the objects
// that must be written before.
type packed struct {
	state, pending string
	objects        []object
}

type object struct {
	key     string
	content []byte
}

// keys are those of the objects. Those of segments that are carried over are not
// among them.
func (p packed) keys() []string {
	var keys []string
	for _, o := range p.objects {
		keys = append(keys, o.key)
	}
	return keys
}

// pack decides what lies in the row and what in objects. id makes the objects'
// names new: that of the commit, or of the row's life. What r carries over is taken
// from present, which has all of it. Equal arguments give equal names and contents,
// so that a commit that is repeated replaces its objects by themselves.
func (s *Store) pack(r lease.Row, id string, present map[string]stub) (p packed, err error) {
	if len(r.Pending) > 0 {
		if p.pending, err = encodeJSON(r.Pending); err != nil {
			return p, fmt.Errorf("the list of uploads cannot be stored: %w", err)
		}
	}
	if s.cfg.Large == nil {
		state := map[string]stub{}
		for name, b := range r.State {
			if state[name] = (stub{content: b}); b == nil {
				state[name] = present[name]
			}
		}
		if p.state, err = encodeState(state); err != nil {
			return p, err
		}
		if n := 2*len(p.state) + len(p.pending); n > inlineMax { // the state before is kept too
			return p, fmt.Errorf("state and list of uploads take %d bytes, more than %d: %s", n, inlineMax, tooLarge)
		}
		return p, nil
	}
	err = s.packLarge(&p, r, id, present)
	return p, err
}

func (s *Store) packLarge(p *packed, r lease.Row, id string, present map[string]stub) (err error) {
	name := fmt.Sprintf("%d-%d-%s", r.Number, r.Fence, id)
	state := map[string]stub{}
	// The index of an object is that of its segment among all of the state: also a
	// commit that comes again with the content of what it carried over the first time
	// replaces its objects by themselves.
	segments := slices.Sorted(maps.Keys(r.State))
	out := func(segment string) {
		i, _ := slices.BinarySearch(segments, segment)
		file := fmt.Sprintf("%s-%d", name, i)
		b := state[segment].content
		p.objects = append(p.objects, object{stateKey(r.Lane, file), b})
		state[segment] = stub{at: &segmentRef{file, len(b), crc32.ChecksumIEEE(b)}}
	}
	for _, segment := range segments {
		b := r.State[segment]
		if b == nil {
			state[segment] = present[segment]
			continue
		}
		if state[segment] = (stub{content: b}); len(b) > segmentMax {
			out(segment)
		}
	}
	if p.state, err = encodeState(state); err != nil {
		return err
	}
	// The largest first, until the rest fits; of equals the first by name.
	left := slices.SortedFunc(maps.Keys(state), func(a, b string) int {
		if n := len(state[b].content) - len(state[a].content); n != 0 {
			return n
		}
		return strings.Compare(a, b)
	})
	size, list := len(p.state), p.pending
	for size+len(list) > rowBudget {
		largest := 0
		if len(left) > 0 {
			largest = base64Len(len(state[left[0]].content))
		}
		if max(largest, len(list)) <= worthwhile {
			break // there are many, and all are small
		}
		if len(list) >= largest {
			list = ""
			continue
		}
		out(left[0])
		size -= largest - refSize
		left = left[1:]
	}
	if p.state, err = encodeState(state); err != nil {
		return err
	}
	if list == "" && p.pending != "" {
		key := stateKey(r.Lane, name+"-pending.json")
		text := []byte(p.pending)
		p.objects = append(p.objects, object{key, text})
		at, err := encodeJSON(ref{key, len(text), crc32.ChecksumIEEE(text)})
		if err != nil {
			return err
		}
		p.pending = string(refMark) + at
	}
	if n := 2*len(p.state) + len(p.pending); n > inlineMax {
		return fmt.Errorf("the names and places of the state's %d segments take %d bytes, more than a row holds: merge segments", len(state), len(p.state))
	}
	return nil
}

func base64Len(n int) int { return (n + 2) / 3 * 4 }

// escaped makes a lane id one segment of a key.
func escaped(lane string) string {
	s := url.PathEscape(lane)
	if strings.Trim(s, ".") == "" {
		s = strings.ReplaceAll(s, ".", "%2E")
	}
	return s
}

// put writes the objects, some at a time. A row that refers to them comes later.
func (s *Store) put(ctx context.Context, lane string, p packed) error {
	return atOnce(ctx, len(p.objects), func(ctx context.Context, i int) error {
		o := p.objects[i]
		if err := s.cfg.Large.PutBlob(ctx, o.key, o.content); err != nil {
			return fmt.Errorf("dynamo: row %q in table %s: write its object %s: %w", lane, s.cfg.Table, o.key, err)
		}
		return nil
	})
}
