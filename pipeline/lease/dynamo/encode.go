package dynamo

import (
	"encoding/json/jsontext"
	"encoding/json/v2"
	"math"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/lease"
)

// encodeJSON renders what goes into an attribute or an object. Raw JSON of uploads
// keeps its strings as they are; a name that is not UTF-8 is an error, since it
// would not be found again.
func encodeJSON(v any) (string, error) {
	b, err := json.Marshal(v, json.Deterministic(true), jsontext.PreserveRawStrings(true))
	return string(b), err
}

func decodeJSON(s string, v any) error {
	return json.Unmarshal([]byte(s), v, json.RejectUnknownMembers(true))
}

// fields sets all that a commit replaces: everything but who owns the row, and
// what heartbeats and requests write.
func (e *expr) fields(r lease.Row, p packed) error {
	at := placeOf(r.Pos, r.Ended)
	pos, err := encodeJSON(at)
	if err != nil {
		return err
	}
	checkpoint, sub := at.checkpoint(r.Begin)
	e.set(attrCheckpoint, text(checkpoint))
	e.set(attrSub, number(sub))
	e.set(attrSwitches, number(0))
	e.shards(attrParents, r.Lane, r.Parents)
	e.shards(attrChildren, r.Lane, r.Children)
	if r.Range.IsZero() {
		e.drop(attrFrom, attrTo)
	} else {
		e.set(attrFrom, text(r.Range.From.String()))
		e.set(attrTo, text(r.Range.To.String()))
	}
	e.set(attrNumber, unsigned(r.Number))
	e.setText(attrCommit, r.CommitID)
	e.set(attrPos, text(pos))
	e.set(attrBegin, number(r.Begin))
	e.set(attrMark, number(r.Watermark))
	e.setText(attrSource, r.Source)
	e.setText(attrHold, r.Hold)
	e.setText(attrState, p.state)
	e.setText(attrPending, p.pending)
	return nil
}

func (e *expr) shards(attr, lane string, ids []string) {
	if s := shards(lane, ids); len(s) > 0 {
		e.set(attr, set(s))
		return
	}
	e.drop(attr) // a set is never empty
}

// vitals sets sl_vitals. What is no number would be refused, and with it the
// heartbeat.
func (e *expr) vitals(v lease.Vitals) error {
	s, err := encodeJSON(vitals{int64(v.Behind), finite(v.Records), finite(v.Bytes), finite(v.Busy)})
	if err != nil {
		return err
	}
	e.set(attrVitals, text(s))
	return nil
}

func finite(f float64) float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	return f
}

// known raises sl_known. Where it is higher already, the condition fails.
func (e *expr) known(k shardlake.Instant) {
	e.set(attrKnown, number(k))
	e.isAtMost(attrKnown, number(k))
}
