package dynamo

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/lease"
)

// Attributes of the KCL (LeaseSerializer of the KCL for Java 3.5.1).
const (
	attrKey         = "leaseKey"
	attrOwner       = "leaseOwner"
	attrCounter     = "leaseCounter"
	attrSwitches    = "ownerSwitchesSinceCheckpoint"
	attrCheckpoint  = "checkpoint"
	attrSub         = "checkpointSubSequenceNumber"
	attrParents     = "parentShardId"
	attrChildren    = "childShardIds"
	attrFrom        = "startingHashKey"
	attrTo          = "endingHashKey"
	attrHandOff     = "checkpointOwner"
	attrPendingSeq  = "pendingCheckpoint"
	attrPendingSub  = "pendingCheckpointSubSequenceNumber"
	attrPendingData = "pendingCheckpointState"
	attrEntity      = "entityType"
	attrStream      = "streamName"
	attrShard       = "shardId"

	entityLease = "LEASE"
)

// Own attributes.
const (
	own           = "sl_"
	attrInc       = own + "inc"
	attrOwn       = own + "owner"
	attrToken     = own + "tok"
	attrFence     = own + "fence"
	attrWant      = own + "want"
	attrVitals    = own + "vitals"
	attrNumber    = own + "cn"
	attrCommit    = own + "cid"
	attrPos       = own + "pos"
	attrBegin     = own + "begin"
	attrMark      = own + "wm"
	attrKnown     = own + "known"
	attrSource    = own + "src"
	attrState     = own + "state"
	attrPending   = own + "pending"
	attrPrevPos   = own + "prev_pos"
	attrPrevMark  = own + "prev_wm"
	attrPrevKnown = own + "prev_known"
	attrPrevState = own + "prev_state"
	attrHold      = own + "hold"
	attrRepair    = own + "repair"
)

// isOwn tells whether this version knows an attribute that begins with sl_.
func isOwn(name string) bool {
	switch name {
	case attrInc, attrOwn, attrToken, attrFence, attrWant, attrVitals, attrNumber, attrCommit, attrPos, attrBegin, attrMark, attrKnown,
		attrSource, attrState, attrPending, attrPrevPos, attrPrevMark, attrPrevKnown, attrPrevState, attrHold, attrRepair:
		return true
	}
	return false
}

// Values of the attribute checkpoint that are no sequence numbers.
const (
	trimHorizon = "TRIM_HORIZON"
	latest      = "LATEST"
	atTimestamp = "AT_TIMESTAMP"
	shardEnd    = "SHARD_END"
)

// attrs is an item.
type attrs = map[string]types.AttributeValue

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number[T int | int64 | shardlake.Instant](n T) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(int64(n), 10)}
}

func unsigned(n uint64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatUint(n, 10)}
}

func set(s []string) types.AttributeValue { return &types.AttributeValueMemberSS{Value: s} }

// place is sl_pos: a position in full, since checkpoint is SHARD_END once the lane
// has ended, and does not say whether its record is done.
type place struct {
	Seq     string `json:"seq,omitzero"`
	Sub     int    `json:"sub,omitzero"`
	Partial bool   `json:"partial,omitzero"`
	Ended   bool   `json:"ended,omitzero"`
}

func placeOf(p shardlake.Position, ended bool) place { return place{p.Seq, p.Sub, p.Partial, ended} }

func (p place) position() shardlake.Position {
	return shardlake.Position{Seq: p.Seq, Sub: p.Sub, Partial: p.Partial}
}

// checkpoint is what the KCL's attributes say for a place.
func (p place) checkpoint(begin shardlake.Instant) (string, int) {
	switch {
	case p.Ended:
		return shardEnd, 0
	case p.Seq != "":
		return p.Seq, p.Sub
	case begin == shardlake.Never:
		return trimHorizon, 0
	}
	return atTimestamp, 0
}

// vitals is sl_vitals: lease.Vitals with the time in nanoseconds.
type vitals struct {
	Behind  int64   `json:"behind,omitzero"`
	Records float64 `json:"records,omitzero"`
	Bytes   float64 `json:"bytes,omitzero"`
	Busy    float64 `json:"busy,omitzero"`
}

// multiStream is a lease key of an application that reads several streams: account,
// stream, time of the stream's creation, shard (KCL, MultiStreamLease).
var multiStream = regexp.MustCompile(`^([0-9]+:[^:]+:[0-9]+):([^:]+)$`)

// streamOf cuts a lane id into the stream's part, with its colon, and the shard id.
// The first is empty for a lane id that is a shard id.
func streamOf(lane string) (prefix, shard string) {
	if m := multiStream.FindStringSubmatch(lane); m != nil {
		return m[1] + ":", m[2]
	}
	return "", lane
}

// shards are the plain shard ids of lanes of the same stream as lane.
func shards(lane string, lanes []string) []string {
	prefix, _ := streamOf(lane)
	var out []string
	seen := map[string]bool{}
	for _, l := range lanes {
		l = strings.TrimPrefix(l, prefix)
		if l != "" && !seen[l] { // DynamoDB has no empty elements and no doubles
			seen[l] = true
			out = append(out, l)
		}
	}
	return out
}

// lanes is the way back.
func lanes(lane string, shards []string) []string {
	prefix, _ := streamOf(lane)
	var out []string
	for _, s := range shards {
		if prefix != "" && !strings.Contains(s, ":") {
			s = prefix + s
		}
		out = append(out, s)
	}
	return out
}

// foreign tells whether the row has an owner that did not acquire it by this
// package: a worker of the KCL.
func foreign(item attrs) (owner string, ok bool) {
	o, ok := item[attrOwner].(*types.AttributeValueMemberS)
	if !ok {
		return "", false
	}
	mine, ok := item[attrOwn].(*types.AttributeValueMemberS)
	return o.Value, !ok || mine.Value != o.Value
}

// owned tells whether the acquisition that by stems from is still the row's.
func owned(r, by lease.Row) bool {
	return r.Owner != "" && r.Owner == by.Owner && r.Token == by.Token
}
