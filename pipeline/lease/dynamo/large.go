package dynamo

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"net/url"
	"slices"
	"strings"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/lease"
)

const (
	// rowBudget is what state and list may take together in a row with Config.Large:
	// a heartbeat is charged by the KB of the row.
	rowBudget = 4 << 10
	// inlineMax is what they may take without it. A row of DynamoDB has 400 KB, and
	// holds the state before as well.
	inlineMax = 300 << 10

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

type object struct{ key, content string }

// keys are those of the objects.
func (p packed) keys() []string {
	var keys []string
	for _, o := range p.objects {
		keys = append(keys, o.key)
	}
	return keys
}

// pack decides what lies in the row and what in objects. id makes the objects'
// names new: that of the commit, or of the row's life.
func (s *Store) pack(r lease.Row, id string) (p packed, err error) {
	if len(r.State) > 0 {
		if p.state, err = encodeJSON(r.State); err != nil {
			return p, fmt.Errorf("the state cannot be stored: %w", err)
		}
	}
	if len(r.Pending) > 0 {
		if p.pending, err = encodeJSON(r.Pending); err != nil {
			return p, fmt.Errorf("the list of uploads cannot be stored: %w", err)
		}
	}
	if s.cfg.Large == nil {
		if n := 2*len(p.state) + len(p.pending); n > inlineMax { // the state before is kept too
			return p, fmt.Errorf("state and list of uploads take %d bytes, more than %d: %s", n, inlineMax, tooLarge)
		}
		return p, nil
	}
	if len(p.state)+len(p.pending) <= rowBudget {
		return p, nil
	}
	name := fmt.Sprintf("_shardlake/state/%s/%d-%d-%s", segment(r.Lane), r.Number, r.Fence, id)
	larger := max(len(p.state), len(p.pending))
	if n := len(p.state); n == larger || n > rowBudget/2 {
		p.state, err = p.out(name+".json", p.state)
	}
	if n := len(p.pending); err == nil && (n == larger || n > rowBudget/2) {
		p.pending, err = p.out(name+"-pending.json", p.pending)
	}
	return p, err
}

// out moves a text into an object.
func (p *packed) out(key, content string) (string, error) {
	p.objects = append(p.objects, object{key, content})
	s, err := encodeJSON(ref{key, len(content), crc32.ChecksumIEEE([]byte(content))})
	return string(refMark) + s, err
}

// segment makes a lane id one segment of a key.
func segment(lane string) string {
	s := url.PathEscape(lane)
	if strings.Trim(s, ".") == "" {
		s = strings.ReplaceAll(s, ".", "%2E")
	}
	return s
}

// put writes the objects. A row that refers to them comes later.
func (s *Store) put(ctx context.Context, lane string, p packed) error {
	for _, o := range p.objects {
		if err := s.cfg.Large.PutBlob(ctx, o.key, []byte(o.content)); err != nil {
			return fmt.Errorf("dynamo: row %q in table %s: write its object %s: %w", lane, s.cfg.Table, o.key, err)
		}
	}
	return nil
}

// full fetches what lies in objects.
func (s *Store) full(ctx context.Context, st stored) (lease.Row, error) {
	r := st.row
	if err := s.fetch(ctx, r.Lane, st.state, &r.State); err != nil {
		return r, err
	}
	var list []shardlake.Pending
	if err := s.fetch(ctx, r.Lane, st.pending, &list); err != nil {
		return r, err
	}
	if list != nil {
		r.Pending, r.Unread = list, false
	}
	if r.Prev != nil {
		p := *r.Prev
		if err := s.fetch(ctx, r.Lane, st.prevState, &p.State); err != nil {
			return r, err
		}
		r.Prev = &p
	}
	return r, nil
}

// fetch reads an object, if that is where the content of an attribute is.
func (s *Store) fetch(ctx context.Context, lane, attr string, v any) error {
	at, ok := refIn(attr)
	if !ok {
		return nil
	}
	fail := func(err error) error {
		return fmt.Errorf("dynamo: row %q in table %s: its object %s: %w", lane, s.cfg.Table, at.Key, err)
	}
	if s.cfg.Large == nil {
		return fail(errors.New("the row was written with Config.Large: set it to the same store as before"))
	}
	b, err := s.cfg.Large.GetBlob(ctx, at.Key)
	switch {
	case errors.Is(err, lease.ErrNoBlob):
		return fail(fmt.Errorf("%w: is Config.Large the store that the row was written with, and does a lifecycle rule delete what is below _shardlake/? Without the object the lane cannot go on", err))
	case err != nil:
		return fail(err)
	case len(b) != at.Size || crc32.ChecksumIEEE(b) != at.CRC:
		return fail(fmt.Errorf("it is damaged: %d bytes with CRC32 %08x instead of %d with %08x; restore it from a copy or an earlier version", len(b), crc32.ChecksumIEEE(b), at.Size, at.CRC))
	}
	if err := decodeJSON(string(b), v); err != nil {
		return fail(err)
	}
	return nil
}

// held are the objects that a row referred to when this process last saw it as its
// owner.
type held struct {
	token string
	keys  []string
}

// remember is called with the row just acquired.
func (s *Store) remember(st stored) {
	if s.cfg.Large == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[st.row.Lane] = held{st.row.Token, st.refs()}
}

// forgetLane is called when this process gives the lane up.
func (s *Store) forgetLane(by lease.Row) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[by.Lane].token == by.Token {
		delete(s.held, by.Lane)
	}
}

// collect is called with the row as it is after a definite answer to its owner, good
// or bad. What it referred to before and does not now, no row refers to ever again:
// a write only drops keys, or adds those of its own commit, and a write that could
// add them once more would fail. What a killed process leaves is a few objects for
// each kill.
func (s *Store) collect(ctx context.Context, st stored) {
	s.mu.Lock()
	before, ok := s.held[st.row.Lane]
	now := st.refs()
	switch {
	case ok && before.token == st.row.Token:
		s.held[st.row.Lane] = held{before.token, now}
	case ok:
		delete(s.held, st.row.Lane) // somebody else has the lane
	}
	s.mu.Unlock()
	s.discard(ctx, st.row.Lane, before.keys, now)
}

// discard deletes objects, but for those still in use.
func (s *Store) discard(ctx context.Context, lane string, keys, used []string) {
	for _, k := range keys {
		if slices.Contains(used, k) || s.cfg.Large == nil {
			continue
		}
		if err := s.cfg.Large.DeleteBlob(ctx, k); err != nil {
			s.cfg.Log.Warn("an object that no row refers to was not deleted; it stays and costs its storage", "table", s.cfg.Table, "lane", lane, "key", k, "error", err)
		}
	}
}
