package lease

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
)

// The rules of the contract, shared by the stores of this package. Each returns
// the row to be written, and whether there is something to write.

func acquired(r, seen Row, owner, token string) (Row, bool, error) {
	if r.Owner == owner && r.Token == token {
		return r, false, nil
	}
	if r.Fence != seen.Fence || r.Beat != seen.Beat {
		return r, false, ErrLost
	}
	r.Owner, r.Token, r.Fence, r.Beat, r.Want = owner, token, r.Fence+1, r.Beat+1, ""
	return r, true, nil
}

func renewed(r, by Row) (Row, bool, error) {
	if !owned(r, by) {
		return r, false, ErrLost
	}
	r.Beat, r.Vitals, r.Known = r.Beat+1, by.Vitals, max(r.Known, by.Known)
	return r, true, nil
}

func asked(r, seen Row, want string) (Row, bool, error) {
	if r.Want == want {
		return r, false, nil
	}
	if r.Owner != seen.Owner || r.Token != seen.Token || r.Want != seen.Want {
		return r, false, ErrLost
	}
	r.Want = want
	return r, true, nil
}

func committed(r, next Row) (Row, bool, error) {
	// The own commit is looked for first: it stands also when somebody else has
	// acquired the lane since.
	if next.CommitID != "" && r.CommitID == next.CommitID {
		return r, false, nil
	}
	if !owned(r, next) || r.Number+1 != next.Number || r.Inc != next.Inc {
		return r, false, ErrLost
	}
	carried, err := carry(r.State, next.State)
	if err != nil {
		return r, false, fmt.Errorf("commit %d of lane %q: %w", next.Number, next.Lane, err)
	}
	next.State, next.Prev = nil, nil // not to be copied
	next = clone(next)
	next.State = carried
	next.Fence, next.Beat, next.Want, next.Vitals, next.Known = r.Fence, r.Beat+1, r.Want, r.Vitals, max(r.Known, next.Known)
	next.Prev = &Prev{r.Pos, r.Watermark, r.State, r.Known}
	next.Repair = ""
	return next, true, nil
}

func cleared(r, by Row) (Row, bool, error) {
	if !owned(r, by) || r.CommitID != by.CommitID || r.Repair != "" {
		return r, false, ErrLost
	}
	if len(r.Pending) == 0 && r.Prev == nil {
		return r, false, nil
	}
	r.Pending, r.Prev = nil, nil
	return r, true, nil
}

func marked(r, by Row) (Row, bool, error) {
	if !owned(r, by) || r.CommitID != by.CommitID {
		return r, false, ErrLost
	}
	if r.Repair == r.CommitID {
		return r, false, nil
	}
	r.Repair = r.CommitID
	return r, true, nil
}

func released(r, by Row) (Row, bool, error) {
	if !owned(r, by) {
		return r, false, nil
	}
	r.Owner, r.Beat = "", r.Beat+1
	return r, true, nil
}

func deletable(r, by Row) bool {
	return r.Finished() && r.CommitID == by.CommitID && r.Fence == by.Fence
}

// owned tells whether the acquisition that by stems from is still r's. A lane
// without an owner belongs to nobody, not to whoever shows an empty owner: a row
// that was listed and never acquired.
func owned(r, by Row) bool {
	return r.Owner != "" && r.Owner == by.Owner && r.Token == by.Token
}

// carry returns a copy of next in which what is nil is present's. Present's segments
// are shared: a store never writes into what it has.
func carry(present, next map[string][]byte) (map[string][]byte, error) {
	state := cloneState(next)
	var missing []string
	for name, b := range state {
		if b != nil {
			continue
		}
		there, ok := present[name]
		if !ok {
			missing = append(missing, name)
		}
		state[name] = there
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return nil, fmt.Errorf("%w: %.200q is nil, and the row has nothing under that name to carry over: give the content", ErrNoSegment, missing)
	}
	return state, nil
}

// created is the row that Create makes.
func created(r Row) (Row, error) {
	if _, err := carry(nil, r.State); err != nil {
		return r, fmt.Errorf("new row of lane %q: %w", r.Lane, err)
	}
	r.Owner, r.Token, r.Fence, r.Inc, r.Prev = "", "", 0, NewID(), nil
	return clone(r), nil
}

// clone copies down to the bytes: a stage may restore its state in place, and a
// later acquisition must not see that.
func clone(r Row) Row {
	r.Parents, r.Children = slices.Clone(r.Parents), slices.Clone(r.Children)
	r.State, r.Pending = cloneState(r.State), slices.Clone(r.Pending)
	for i, p := range r.Pending {
		r.Pending[i].Data = slices.Clone(p.Data)
	}
	if r.Prev != nil {
		p := *r.Prev
		p.State = cloneState(p.State)
		r.Prev = &p
	}
	return r
}

func cloneState(s map[string][]byte) map[string][]byte {
	s = maps.Clone(s)
	for k, b := range s {
		s[k] = bytes.Clone(b)
	}
	return s
}
