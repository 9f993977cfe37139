package dynamo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/lease"
)

// full fetches what lies in objects.
func (s *Store) full(ctx context.Context, st stored) (lease.Row, error) {
	r := st.row
	all := []segments{st.segments}
	if r.Prev != nil {
		all = append(all, st.prevSegments)
	}
	got, err := s.objects(ctx, r.Lane, all)
	if err != nil {
		return r, err
	}
	if r.State, err = s.state(ctx, r.Lane, st.segments, got); err != nil {
		return r, err
	}
	if at, elsewhere := refIn(st.pending); elsewhere {
		var list []shardlake.Pending
		if err := s.fetchJSON(ctx, r.Lane, at, &list); err != nil {
			return r, err
		}
		r.Pending, r.Unread = list, false
	}
	if r.Prev != nil {
		p := *r.Prev
		if p.State, err = s.state(ctx, r.Lane, st.prevSegments, got); err != nil {
			return r, err
		}
		r.Prev = &p
	}
	return r, nil
}

// objects reads the segments that lie in objects, each once, and returns them by
// the names of those.
func (s *Store) objects(ctx context.Context, lane string, of []segments) (map[string][]byte, error) {
	var refs []segmentRef
	seen := map[string]bool{}
	for _, segs := range of {
		for _, at := range segs.by {
			if at.at != nil && !seen[at.at.Name] {
				seen[at.at.Name] = true
				refs = append(refs, *at.at)
			}
		}
	}
	contents := make([][]byte, len(refs))
	err := atOnce(ctx, len(refs), func(ctx context.Context, i int) (err error) {
		contents[i], err = s.fetch(ctx, lane, ref{stateKey(lane, refs[i].Name), refs[i].Size, refs[i].CRC})
		return err
	})
	if err != nil {
		return nil, err
	}
	got := make(map[string][]byte, len(refs))
	for i, r := range refs {
		got[r.Name] = contents[i]
	}
	return got, nil
}

// state puts a state together. What it returns is the caller's alone.
func (s *Store) state(ctx context.Context, lane string, segs segments, objects map[string][]byte) (map[string][]byte, error) {
	if segs.whole != nil {
		var all map[string][]byte
		err := s.fetchJSON(ctx, lane, *segs.whole, &all)
		return all, err
	}
	if segs.by == nil {
		return nil, nil
	}
	all := make(map[string][]byte, len(segs.by))
	for name, at := range segs.by {
		b := at.content
		if at.at != nil {
			b = objects[at.at.Name]
		}
		all[name] = bytes.Clone(b)
	}
	return all, nil
}

// fetchJSON reads an object and decodes it.
func (s *Store) fetchJSON(ctx context.Context, lane string, at ref, v any) error {
	b, err := s.fetch(ctx, lane, at)
	if err != nil {
		return err
	}
	if err := decodeJSON(string(b), v); err != nil {
		return s.unfit(lane, at, err)
	}
	return nil
}

func (s *Store) unfit(lane string, at ref, err error) error {
	return fmt.Errorf("dynamo: row %q in table %s: its object %s: %w", lane, s.cfg.Table, at.Key, err)
}

// fetch reads an object and compares it with what it must be.
func (s *Store) fetch(ctx context.Context, lane string, at ref) ([]byte, error) {
	if s.cfg.Large == nil {
		return nil, s.unfit(lane, at, errors.New("the row was written with Config.Large: set it to the same store as before"))
	}
	b, err := s.cfg.Large.GetBlob(ctx, at.Key)
	switch {
	case errors.Is(err, lease.ErrNoBlob):
		return nil, s.unfit(lane, at, fmt.Errorf("%w: is Config.Large the store that the row was written with, and does a lifecycle rule delete what is below _shardlake/? Without the object the lane cannot go on", err))
	case err != nil:
		return nil, s.unfit(lane, at, err)
	case len(b) != at.Size || crc32.ChecksumIEEE(b) != at.CRC:
		return nil, s.unfit(lane, at, fmt.Errorf("it is damaged: %d bytes with CRC32 %08x instead of %d with %08x; restore it from a copy or an earlier version", len(b), crc32.ChecksumIEEE(b), at.Size, at.CRC))
	}
	return b, nil
}
