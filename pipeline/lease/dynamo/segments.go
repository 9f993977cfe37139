package dynamo

import (
	"bytes"
	"encoding/json/jsontext"
	"encoding/json/v2"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/shardlake/shardlake/pipeline/lease"
)

// segments is the content of sl_state or sl_prev_state: a JSON object with a value
// for each segment, either a string, which is the content in Base64, or an object
// that says where it lies. Earlier versions wrote "@" and one ref for all.
type segments struct {
	by    map[string]stub // nil if there is no state
	whole *ref            // of the JSON of all, which is then not in by
}

// stub is one segment as the row has it: content, which is not nil, or at.
type stub struct {
	content []byte
	at      *segmentRef
}

// segmentRef is the object with a segment's content, which is stored as it is. Name
// is the end of its key: what is before is that of the lane, and need not be paid
// for with every heartbeat.
type segmentRef struct {
	Name string `json:"name"`
	Size int    `json:"size"`
	CRC  uint32 `json:"crc"` // IEEE
}

// stateKey is the key of an object of a lane.
func stateKey(lane, name string) string { return "_shardlake/state/" + escaped(lane) + "/" + name }

// keys are those of the objects.
func (s segments) keys(lane string) []string {
	var keys []string
	if s.whole != nil {
		keys = append(keys, s.whole.Key)
	}
	for _, at := range s.by {
		if at.at != nil {
			keys = append(keys, stateKey(lane, at.at.Name))
		}
	}
	return keys
}

// inline is a copy of the state if all of it lies in the row, and else nil.
func (s segments) inline() map[string][]byte {
	if s.by == nil {
		return nil
	}
	state := make(map[string][]byte, len(s.by))
	for name, at := range s.by {
		if at.at != nil {
			return nil
		}
		state[name] = bytes.Clone(at.content)
	}
	return state
}

// encodeState is empty for no state.
func encodeState(state map[string]stub) (string, error) {
	if len(state) == 0 {
		return "", nil
	}
	values := make(map[string]any, len(state))
	for name, at := range state {
		if values[name] = at.content; at.at != nil {
			values[name] = at.at
		}
	}
	s, err := encodeJSON(values)
	if err != nil {
		return "", fmt.Errorf("the state cannot be stored: %w", err)
	}
	return s, nil
}

func decodeState(s string) (segs segments, err error) {
	if s == "" || s == noState {
		return segs, nil
	}
	if s[0] == refMark {
		at, ok := refIn(s)
		if !ok {
			return segs, fmt.Errorf("%.100q", s)
		}
		segs.whole = &at
		return segs, nil
	}
	var values map[string]jsontext.Value
	if err := decodeJSON(s, &values); err != nil {
		return segs, err
	}
	segs.by = make(map[string]stub, len(values))
	for name, v := range values {
		var at stub
		switch v.Kind() {
		case '"':
			if err := json.Unmarshal(v, &at.content); err != nil {
				return segs, fmt.Errorf("segment %.60q: %w", name, err)
			}
			if at.content == nil {
				at.content = []byte{}
			}
		case '{':
			at.at = new(segmentRef)
			err := json.Unmarshal(v, at.at, json.RejectUnknownMembers(true))
			if err == nil && (at.at.Name == "" || strings.Contains(at.at.Name, "/") || at.at.Size < 0) {
				err = errors.New("it names no object")
			}
			if err != nil {
				return segs, fmt.Errorf("segment %.60q: %.200q: %w", name, v, err)
			}
		default:
			return segs, fmt.Errorf("segment %.60q is %.60q", name, v)
		}
		segs.by[name] = at
	}
	return segs, nil
}

// carried are the names of the segments that r has from the row before.
func carried(r lease.Row) []string {
	var names []string
	for name, b := range r.State {
		if b == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// lacks returns the names that present does not have.
func lacks(present map[string]stub, names []string) []string {
	var missing []string
	for _, name := range names {
		if _, ok := present[name]; !ok {
			missing = append(missing, name)
		}
	}
	return missing
}

func errNoSegment(missing []string) error {
	return fmt.Errorf("%w: %.200q is nil, and the row has nothing under that name to carry over: give the content", lease.ErrNoSegment, missing)
}
