package dynamo

import (
	"context"
	"slices"

	"github.com/shardlake/shardlake/pipeline/lease"
)

// held is what this process knows of a row that it acquired, from the last definite
// answer: which objects the row refers to, and what a commit can carry over. The
// content of segments is in it as far as it lies in the row.
type held struct {
	inc, token, cid string
	fence, number   uint64
	cleared         bool // there is no Prev
	segments        segments
	keys            []string
}

func hold(st stored) held {
	r := st.row
	return held{r.Inc, r.Token, r.CommitID, r.Fence, r.Number, r.Prev == nil, st.segments, st.refs()}
}

// after tells whether st is older than what is known already: answers to calls that
// run side by side may be looked at in any order.
func (h held) after(st stored) bool {
	r := st.row
	switch {
	case h.fence != r.Fence:
		return h.fence > r.Fence
	case h.token != r.Token:
		return true // two lives of a row; nothing is known of which is the later one
	case h.number != r.Number:
		return h.number > r.Number
	}
	return h.cleared && r.Prev != nil
}

// remember is called with the row just acquired.
func (s *Store) remember(st stored) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h, ok := s.held[st.row.Lane]; ok && h.inc == st.row.Inc && h.token == st.row.Token && h.after(st) {
		return
	}
	s.held[st.row.Lane] = hold(st)
}

// forgetLane is called when this process gives the lane up, or hears that it is
// somebody else's, whose business its objects then are.
func (s *Store) forgetLane(by lease.Row) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held[by.Lane].token == by.Token {
		delete(s.held, by.Lane)
	}
}

// known returns what is known of the row that next follows.
func (s *Store) known(next lease.Row) (held, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, ok := s.held[next.Lane]
	return h, ok && h.token == next.Token && h.inc == next.Inc && h.number+1 == next.Number
}

// collect is called with the row as it is after a definite answer to its owner, good
// or bad. What it referred to before and does not now, no row refers to ever again:
// a write only drops keys, adds those of its own commit, or carries over those that
// State has, under the condition that the row is still the one it was made from. A
// write that could add them once more would fail. What a killed process leaves is a
// few objects for each kill.
func (s *Store) collect(ctx context.Context, st stored) {
	s.mu.Lock()
	before, ok := s.held[st.row.Lane]
	if !ok || before.inc != st.row.Inc || before.after(st) {
		s.mu.Unlock()
		return
	}
	if before.token == st.row.Token {
		s.held[st.row.Lane] = hold(st)
	} else {
		delete(s.held, st.row.Lane) // somebody else has the lane
	}
	s.mu.Unlock()
	s.discard(ctx, st.row.Lane, before.keys, st.refs())
}

// discard deletes objects, but for those still in use, some at a time.
func (s *Store) discard(ctx context.Context, lane string, keys, used []string) {
	if s.cfg.Large == nil {
		return
	}
	unused := slices.DeleteFunc(slices.Clone(keys), func(k string) bool { return slices.Contains(used, k) })
	warn := func(err error, keys ...string) {
		s.cfg.Log.Warn("objects that no row refers to were not deleted; they stay and cost their storage", "table", s.cfg.Table, "lane", lane, "keys", keys, "error", err)
	}
	err := atOnce(ctx, len(unused), func(ctx context.Context, i int) error {
		if err := s.cfg.Large.DeleteBlob(ctx, unused[i]); err != nil {
			warn(err, unused[i])
		}
		return nil
	})
	if err != nil { // the context has ended; some may be gone
		warn(err, unused...)
	}
}
