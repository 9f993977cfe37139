package dynamo

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/lease"
)

// stored is a row as the table has it.
type stored struct {
	row lease.Row // without what lies in objects

	state, pending string // JSON, or "@" and a ref; empty if there is none

	segments, prevSegments segments // of State and of Prev's

	checkpoint string // as it is written
	sub        int
	adopt      bool // sl_pos is missing, or somebody else has moved the checkpoint
	atLatest   bool // the row begins where the lane is acquired
	unmarked   bool // sl_wm is missing
}

// refs are the keys of the objects that the row refers to, each once.
func (s stored) refs() []string {
	keys := append(s.segments.keys(s.row.Lane), s.prevSegments.keys(s.row.Lane)...)
	if r, ok := refIn(s.pending); ok {
		keys = append(keys, r.Key)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// decode reads an item. An error names the row and the attribute.
func (s *Store) decode(item attrs) (stored, error) {
	r := reader{item: item}
	out := r.stored()
	if r.err != nil {
		return stored{}, fmt.Errorf("dynamo: row %q in table %s: %w; nothing was changed: correct the attribute by hand, or restore the row from a backup", r.lane(), s.cfg.Table, r.err)
	}
	return out, nil
}

// isLease tells rows from the KCL's own items in the same table.
func isLease(item attrs) bool {
	e, ok := item[attrEntity].(*types.AttributeValueMemberS)
	return item[attrEntity] == nil || ok && e.Value == entityLease
}

// reader takes attributes out of an item, and keeps the first error.
type reader struct {
	item attrs
	err  error
}

func (r *reader) lane() string {
	if k, ok := r.item[attrKey].(*types.AttributeValueMemberS); ok {
		return k.Value
	}
	return ""
}

func (r *reader) bad(attr, format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("attribute %s %s", attr, fmt.Sprintf(format, args...))
	}
}

// text is a string, or "".
func (r *reader) text(attr string) string {
	switch v := r.item[attr].(type) {
	case nil:
	case *types.AttributeValueMemberS:
		return v.Value
	default:
		r.bad(attr, "is of type %s: want S, a string", typeOf(v))
	}
	return ""
}

func (r *reader) has(attr string) bool { return r.item[attr] != nil }

// digits is the text of a number, or "0".
func (r *reader) digits(attr string) string {
	switch v := r.item[attr].(type) {
	case nil:
	case *types.AttributeValueMemberN:
		return v.Value
	default:
		r.bad(attr, "is of type %s: want N, a number", typeOf(v))
	}
	return "0"
}

func (r *reader) unsigned(attr string) uint64 {
	n, err := strconv.ParseUint(r.digits(attr), 10, 64)
	if err != nil {
		r.bad(attr, "is %s: want a whole number from 0 to 2^64-1", r.digits(attr))
	}
	return n
}

func (r *reader) instant(attr string) shardlake.Instant {
	n, err := strconv.ParseInt(r.digits(attr), 10, 64)
	if err != nil {
		r.bad(attr, "is %s: want a time in microseconds since 1970", r.digits(attr))
	}
	return shardlake.Instant(n)
}

func (r *reader) set(attr string) []string {
	switch v := r.item[attr].(type) {
	case nil:
	case *types.AttributeValueMemberSS:
		return v.Value
	default:
		r.bad(attr, "is of type %s: want SS, a set of strings", typeOf(v))
	}
	return nil
}

func (r *reader) json(attr string, v any) {
	if s := r.text(attr); s != "" {
		if err := decodeJSON(s, v); err != nil {
			r.bad(attr, "is not what this version writes there: %v", err)
		}
	}
}

func typeOf(v types.AttributeValue) string {
	return strings.TrimPrefix(fmt.Sprintf("%T", v), "*types.AttributeValueMember")
}

func (r *reader) stored() stored {
	for _, needed := range []string{attrKey, attrCounter, attrCheckpoint} {
		if !r.has(needed) {
			r.bad(needed, "is missing: a row without it belongs neither to this program nor to the KCL")
		}
	}
	for name := range r.item {
		if strings.HasPrefix(name, own) && !isOwn(name) {
			r.bad(name, "is unknown to this version: a newer one wrote the row; run that one")
		}
	}
	lane := r.text(attrKey)
	out := stored{row: lease.Row{
		Lane: lane, Parents: lanes(lane, r.set(attrParents)), Children: lanes(lane, r.set(attrChildren)),
		Owner: r.text(attrOwner), Beat: r.unsigned(attrCounter),
		Token: r.text(attrToken), Fence: r.unsigned(attrFence), Inc: r.text(attrInc), Want: r.text(attrWant),
		Number: r.unsigned(attrNumber), CommitID: r.text(attrCommit), Source: r.text(attrSource),
		Known: r.instant(attrKnown), Hold: r.text(attrHold), Repair: r.text(attrRepair),
		Begin: r.instant(attrBegin), Watermark: r.instant(attrMark),
	}}
	if out.unmarked = !r.has(attrMark); out.unmarked {
		out.row.Watermark = shardlake.Never
	}
	var v vitals
	r.json(attrVitals, &v)
	out.row.Vitals = lease.Vitals{Behind: time.Duration(v.Behind), Records: v.Records, Bytes: v.Bytes, Busy: v.Busy}
	r.hashes(&out)
	r.lists(&out)
	r.position(&out)
	return out
}

func (r *reader) hashes(out *stored) {
	from, to := r.text(attrFrom), r.text(attrTo)
	if from == "" && to == "" {
		return
	}
	var err error
	if out.row.Range.From, err = shardlake.ParseHash(from); err != nil {
		r.bad(attrFrom, "is wrong: %v", err)
	}
	if out.row.Range.To, err = shardlake.ParseHash(to); err != nil {
		r.bad(attrTo, "is wrong: %v", err)
	}
}

// lists reads state, pending list and Prev, as far as they lie in the row. A state
// that is not all there is left out.
func (r *reader) lists(out *stored) {
	out.state, out.pending = r.text(attrState), r.text(attrPending)
	out.segments, out.prevSegments = r.segments(attrState), r.segments(attrPrevState)
	out.row.State = out.segments.inline()
	if out.pending != "" && out.pending[0] == refMark {
		if _, out.row.Unread = refIn(out.pending); !out.row.Unread {
			r.bad(attrPending, "is not what this version writes there: %.100q", out.pending)
		}
	} else {
		r.json(attrPending, &out.row.Pending)
	}
	if !r.has(attrPrevPos) {
		return
	}
	var at place
	r.json(attrPrevPos, &at)
	out.row.Prev = &lease.Prev{Pos: at.position(), Watermark: r.instant(attrPrevMark), Known: r.instant(attrPrevKnown), State: out.prevSegments.inline()}
}

func (r *reader) segments(attr string) segments {
	segs, err := decodeState(r.text(attr))
	if err != nil {
		r.bad(attr, "is not what this version writes there: %v", err)
	}
	return segs
}

// position finds out where the lane stands. The KCL, and people, move checkpoint
// and know nothing of sl_pos.
func (r *reader) position(out *stored) {
	out.checkpoint = r.text(attrCheckpoint)
	sub := r.unsigned(attrSub)
	if sub > math.MaxInt32 {
		r.bad(attrSub, "is %d: want the index of a user record", sub)
	}
	out.sub = int(sub)
	var at place
	r.json(attrPos, &at)
	row := &out.row
	row.Pos, row.Ended = at.position(), at.Ended
	if r.has(attrPos) {
		if c, sub := at.checkpoint(row.Begin); c == out.checkpoint && sub == out.sub {
			return
		}
	}
	out.adopt = true
	row.Ended = false
	switch c := out.checkpoint; {
	case c == shardEnd:
		row.Ended = true
	case c == trimHorizon:
		row.Pos, row.Begin = shardlake.Position{}, shardlake.Never
	case c == latest:
		row.Pos, row.Begin, out.atLatest = shardlake.Position{}, shardlake.Never, true
	case c == atTimestamp:
		row.Pos = shardlake.Position{}
		if !r.has(attrBegin) && row.Hold == "" {
			row.Hold = "checkpoint is AT_TIMESTAMP, and only the configuration of the KCL application says which: set checkpoint to TRIM_HORIZON, or sl_begin to the time in microseconds since 1970"
		}
	case sequence(c):
		row.Pos = shardlake.Position{Seq: c, Sub: out.sub, Partial: true}
	default:
		r.bad(attrCheckpoint, "is %.150q: want a sequence number, TRIM_HORIZON, LATEST, AT_TIMESTAMP or SHARD_END", c)
	}
	if r.has(attrPos) && out.state != "" && row.Hold == "" {
		row.Hold = fmt.Sprintf("checkpoint says %s.%d and sl_pos %s: another program moved it, and what the stages remember in sl_state belongs to the latter: set checkpoint back, or remove sl_state and lose open windows", out.checkpoint, out.sub, r.text(attrPos))
	}
	row.Prev = nil // of another position
}

// sequence tells whether s is a sequence number: a decimal number in its one form.
func sequence(s string) bool {
	return s != "" && len(s) <= 129 && strings.Trim(s, "0123456789") == "" && (s[0] != '0' || s == "0")
}
