package dynamo_test

import (
	"encoding/json"
	"fmt"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/pipeline/lease/dynamo"
	"github.com/shardlake/shardlake/pipeline/lease/dynamo/dynamotest"
)

func hash(t *testing.T, decimal string) shardlake.Hash {
	t.Helper()
	h, err := shardlake.ParseHash(decimal)
	check(t, err)
	return h
}

// wantItem compares the item of the lane in the table, as JSON.
func wantItem(t *testing.T, what string, srv *dynamotest.Server, lane string, want dynamotest.Item) {
	t.Helper()
	got := srv.Item(table, lane)
	if !got.Equal(want) {
		g, err := json.MarshalIndent(got, "", " ")
		check(t, err)
		w, err := json.MarshalIndent(want, "", " ")
		check(t, err)
		t.Errorf("%s:\n got %s\nwant %s", what, g, w)
	}
}

// TestLayout: the table holds what the KCL reads, and our own attributes beside it.
func TestLayout(t *testing.T) {
	srv := dynamotest.New(dynamotest.Config{})
	s := opened(t, srv, dynamo.Config{})
	lane := "shardId-000000000001"
	check(t, s.Create(t.Context(), lease.Row{
		Lane: lane, Parents: []string{"shardId-000000000000"}, Source: "arn@1", Begin: shardlake.Never, Watermark: shardlake.Never,
		Range: shardlake.HashRange{To: hash(t, "170141183460469231731687303715884105727")},
	}))
	r := get(t, s, lane)
	want := dynamotest.Item{
		"leaseKey": dynamotest.S(lane), "leaseCounter": dynamotest.N("0"), "ownerSwitchesSinceCheckpoint": dynamotest.N("0"),
		"checkpoint": dynamotest.S("TRIM_HORIZON"), "checkpointSubSequenceNumber": dynamotest.N("0"),
		"parentShardId": dynamotest.SS("shardId-000000000000"), "startingHashKey": dynamotest.S("0"),
		"endingHashKey": dynamotest.S("170141183460469231731687303715884105727"),
		"sl_inc":        dynamotest.S(r.Inc), "sl_cn": dynamotest.N("0"), "sl_pos": dynamotest.S("{}"), "sl_src": dynamotest.S("arn@1"),
		"sl_begin": dynamotest.N("-9223372036854775808"), "sl_wm": dynamotest.N("-9223372036854775808"),
	}
	wantItem(t, "created", srv, lane, want)

	r, err := s.Acquire(t.Context(), r, "worker-1", "token-1")
	check(t, err)
	want["leaseOwner"], want["sl_owner"], want["sl_tok"] = dynamotest.S("worker-1"), dynamotest.S("worker-1"), dynamotest.S("token-1")
	want["sl_fence"], want["leaseCounter"] = dynamotest.N("1"), dynamotest.N("1")
	wantItem(t, "acquired", srv, lane, want)

	check(t, s.Ask(t.Context(), r, "worker-2"))
	r.Vitals, r.Known = lease.Vitals{Behind: time.Second, Records: 2.5}, 7
	_, err = s.Renew(t.Context(), r)
	check(t, err)
	want["sl_want"], want["sl_vitals"], want["sl_known"] = dynamotest.S("worker-2"), dynamotest.S(`{"behind":1000000000,"records":2.5}`), dynamotest.N("7")
	want["leaseCounter"] = dynamotest.N("2")
	wantItem(t, "renewed", srv, lane, want)

	next := after(r, 3)
	next.CommitID, next.Pos, next.Children, next.Hold = "cid-1", shardlake.Position{Seq: "495", Sub: 4, Partial: true}, []string{"c", "d"}, "why"
	next.State = map[string][]byte{"fold": {1, 2, 3}}
	check(t, s.Commit(t.Context(), next))
	want["checkpoint"], want["checkpointSubSequenceNumber"], want["leaseCounter"] = dynamotest.S("495"), dynamotest.N("4"), dynamotest.N("3")
	want["childShardIds"], want["sl_hold"] = dynamotest.SS("c", "d"), dynamotest.S("why")
	want["sl_cn"], want["sl_cid"], want["sl_pos"] = dynamotest.N("1"), dynamotest.S("cid-1"), dynamotest.S(`{"seq":"495","sub":4,"partial":true}`)
	want["sl_wm"], want["sl_state"] = dynamotest.N("1"), dynamotest.S(`{"fold":"AQID"}`)
	want["sl_pending"] = dynamotest.S(`[{"kind":"dir","data":{"file":1}}]`)
	want["sl_prev_pos"], want["sl_prev_wm"] = dynamotest.S("{}"), dynamotest.N("-9223372036854775808")
	want["sl_prev_known"], want["sl_prev_state"] = dynamotest.N("7"), dynamotest.S("{}")
	wantItem(t, "committed", srv, lane, want)

	check(t, s.Mark(t.Context(), next))
	want["sl_repair"] = dynamotest.S("cid-1")
	wantItem(t, "marked", srv, lane, want)

	last := after(next, 0)
	last.CommitID, last.Pos, last.Pending, last.State, last.Ended, last.Hold = "cid-2", shardlake.Position{Seq: "500"}, nil, nil, true, ""
	check(t, s.Commit(t.Context(), last))
	check(t, s.Clear(t.Context(), last))
	check(t, s.Release(t.Context(), last))
	for _, gone := range []string{"sl_repair", "sl_hold", "sl_pending", "sl_state", "sl_prev_pos", "sl_prev_wm", "sl_prev_known", "sl_prev_state", "leaseOwner"} {
		delete(want, gone)
	}
	want["checkpoint"], want["checkpointSubSequenceNumber"], want["leaseCounter"] = dynamotest.S("SHARD_END"), dynamotest.N("0"), dynamotest.N("5")
	want["sl_cn"], want["sl_cid"], want["sl_wm"] = dynamotest.N("2"), dynamotest.S("cid-2"), dynamotest.N("2")
	want["sl_pos"] = dynamotest.S(`{"seq":"500","ended":true}`)
	wantItem(t, "ended", srv, lane, want)
	if r := get(t, s, lane); r.Pos != last.Pos || !r.Finished() {
		t.Errorf("the last position is lost: %+v", r)
	}
}

// TestSeveralStreams: the KCL keeps plain shard ids beside the whole key.
func TestSeveralStreams(t *testing.T) {
	srv := dynamotest.New(dynamotest.Config{})
	s := opened(t, srv, dynamo.Config{})
	stream := "123456789012:clicks:1700000000"
	lane := stream + ":shardId-000000000002"
	row := lease.Row{Lane: lane, Parents: []string{stream + ":shardId-000000000000", stream + ":shardId-000000000001"}, Begin: 1_700_000_000_000_000}
	check(t, s.Create(t.Context(), row))
	item := srv.Item(table, lane)
	for attr, want := range map[string]dynamotest.Value{
		"streamName": dynamotest.S(stream), "shardId": dynamotest.S("shardId-000000000002"), "checkpoint": dynamotest.S("AT_TIMESTAMP"),
		"parentShardId": dynamotest.SS("shardId-000000000000", "shardId-000000000001"),
	} {
		if !reflect.DeepEqual(item[attr], want) {
			t.Errorf("%s is %+v, want %+v", attr, item[attr], want)
		}
	}
	next := after(take(t, s, lane, "me"), 3)
	next.Children = []string{stream + ":shardId-000000000003"}
	check(t, s.Commit(t.Context(), next))
	got := get(t, s, lane)
	if !reflect.DeepEqual(got.Parents, row.Parents) || !reflect.DeepEqual(got.Children, next.Children) {
		t.Errorf("parents %q, children %q", got.Parents, got.Children)
	}
	if c := srv.Item(table, lane)["childShardIds"]; !reflect.DeepEqual(c, dynamotest.SS("shardId-000000000003")) {
		t.Errorf("childShardIds is %+v", c)
	}
}

// kclRow is a row as the KCL 3.x leaves it.
func kclRow(lane, checkpoint string, edit func(dynamotest.Item)) dynamotest.Item {
	i := dynamotest.Item{
		"leaseKey": dynamotest.S(lane), "leaseOwner": dynamotest.S("host:uuid"), "leaseCounter": dynamotest.N("17"),
		"ownerSwitchesSinceCheckpoint": dynamotest.N("2"), "checkpoint": dynamotest.S(checkpoint), "checkpointSubSequenceNumber": dynamotest.N("0"),
		"startingHashKey": dynamotest.S("0"), "endingHashKey": dynamotest.S(new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(1)).String()),
		"throughputKBps": dynamotest.N("1.39E-4"), "entityType": dynamotest.S("LEASE"), "mine": dynamotest.M(dynamotest.Item{"a": dynamotest.L(dynamotest.Bool(true), dynamotest.Null())}),
		"pendingCheckpoint": dynamotest.S("499"), "pendingCheckpointSubSequenceNumber": dynamotest.N("1"), "pendingCheckpointState": dynamotest.N("3"),
	}
	if edit != nil {
		edit(i)
	}
	return i
}

// TestTakeOver: rows of a KCL application that was stopped go on where it stood.
func TestTakeOver(t *testing.T) {
	const seq = "49664049786431013519893453654930236823297891137571110914"
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, c := range map[string]struct {
		item       dynamotest.Item
		pos        shardlake.Position
		begin      shardlake.Instant
		ended      bool
		hold       string
		checkpoint string // afterwards
	}{
		"sequence":   {item: kclRow("a", seq, nil), pos: shardlake.Position{Seq: seq, Partial: true}, checkpoint: seq},
		"aggregated": {item: kclRow("a", seq, func(i dynamotest.Item) { i["checkpointSubSequenceNumber"] = dynamotest.N("7") }), pos: shardlake.Position{Seq: seq, Sub: 7, Partial: true}, checkpoint: seq},
		"start":      {item: kclRow("a", "TRIM_HORIZON", nil), begin: shardlake.Never, checkpoint: "TRIM_HORIZON"},
		"latest":     {item: kclRow("a", "LATEST", nil), begin: shardlake.At(now.Add(-time.Second)), checkpoint: "AT_TIMESTAMP"},
		"timestamp":  {item: kclRow("a", "AT_TIMESTAMP", nil), hold: "sl_begin", checkpoint: "AT_TIMESTAMP"},
		"told":       {item: kclRow("a", "AT_TIMESTAMP", func(i dynamotest.Item) { i["sl_begin"] = dynamotest.N("5") }), begin: 5, checkpoint: "AT_TIMESTAMP"},
		"ended":      {item: kclRow("a", "SHARD_END", func(i dynamotest.Item) { i["childShardIds"] = dynamotest.SS("b") }), ended: true, checkpoint: "SHARD_END"},
		"of 2.x": {item: kclRow("a", seq, func(i dynamotest.Item) {
			for _, attr := range []string{"leaseOwner", "entityType", "throughputKBps", "startingHashKey", "endingHashKey", "checkpointSubSequenceNumber", "ownerSwitchesSinceCheckpoint"} {
				delete(i, attr)
			}
		}), pos: shardlake.Position{Seq: seq, Partial: true}, checkpoint: seq},
		"in a hand-off": {item: kclRow("a", seq, func(i dynamotest.Item) { i["checkpointOwner"] = dynamotest.S("other") }), pos: shardlake.Position{Seq: seq, Partial: true}, checkpoint: seq},
	} {
		t.Run(name, func(t *testing.T) {
			srv := dynamotest.New(dynamotest.Config{Now: func() time.Time { return now }})
			s := over(srv, dynamo.Config{})
			check(t, srv.MakeTable(table, "leaseKey"))
			check(t, srv.Put(table, c.item))
			rows, err := s.List(t.Context())
			check(t, err)
			if len(rows) != 1 || rows[0].Inc != "" || rows[0].Source != "" || rows[0].Watermark != shardlake.Never {
				t.Errorf("listed %+v", rows)
			}
			r := take(t, s, "a", "me")
			if r.Pos != c.pos || r.Begin != c.begin || r.Ended != c.ended || r.Fence != 1 || r.Beat != 18 || len(r.Inc) != 16 || r.Number != 0 || r.Prev != nil {
				t.Errorf("acquired %+v", r)
			}
			if !strings.Contains(r.Hold, c.hold) || (r.Hold == "") != (c.hold == "") {
				t.Errorf("hold %q, want %q", r.Hold, c.hold)
			}
			item := srv.Item(table, "a")
			if item["checkpoint"].Text != c.checkpoint || item["checkpointOwner"].Type != "" {
				t.Errorf("checkpoint %+v, checkpointOwner %+v", item["checkpoint"], item["checkpointOwner"])
			}
			if _, owned := c.item["leaseOwner"]; owned && item["ownerSwitchesSinceCheckpoint"].Text != "3" {
				t.Errorf("ownerSwitchesSinceCheckpoint is %+v", item["ownerSwitchesSinceCheckpoint"])
			}
			// Acquired again it is the same, now as our own.
			if again := take(t, s, "a", "me"); again.Pos != r.Pos || again.Begin != r.Begin || again.Inc != r.Inc || again.Hold != r.Hold {
				t.Errorf("acquired again %+v, after %+v", again, r)
			}
			r = get(t, s, "a")
			next := after(r, 0)
			next.Hold = ""
			check(t, s.Commit(t.Context(), next))
			got := get(t, s, "a")
			if got.Hold != "" || got.Prev == nil || got.Prev.Pos != r.Pos {
				t.Errorf("committed %+v", got)
			}
			item = srv.Item(table, "a")
			for _, attr := range []string{"mine", "entityType", "throughputKBps"} {
				if !reflect.DeepEqual(item[attr].Type, c.item[attr].Type) {
					t.Errorf("%s is %+v, was %+v", attr, item[attr], c.item[attr])
				}
			}
			for _, attr := range []string{"pendingCheckpoint", "pendingCheckpointSubSequenceNumber", "pendingCheckpointState"} {
				if _, ok := item[attr]; ok {
					t.Errorf("%s is still there, as the KCL does not leave it", attr)
				}
			}
		})
	}
}

// TestForeignItems: what is not a lease is neither read nor written.
func TestForeignItems(t *testing.T) {
	srv := dynamotest.New(dynamotest.Config{PageBytes: 1})
	s := opened(t, srv, dynamo.Config{})
	foreign := []dynamotest.Item{
		{"leaseKey": dynamotest.S("Leader"), "entityType": dynamotest.S("LEADER"), "ownerName": dynamotest.S("w"), "leaseDuration": dynamotest.S("120000")},
		{"leaseKey": dynamotest.S("worker-1"), "entityType": dynamotest.S("WORKER_METRIC_STATS"), "lut": dynamotest.N("1700000000")},
		{"leaseKey": dynamotest.S("Migration3.0"), "entityType": dynamotest.S("CLIENT_VERSION_MIGRATION")},
	}
	for _, i := range foreign {
		check(t, srv.Put(table, i))
	}
	create(t, s, "a")
	commit(t, s, take(t, s, "a", "me"), 10)
	rows, err := s.List(t.Context())
	check(t, err)
	if len(rows) != 1 {
		t.Errorf("%d rows, want that of a alone", len(rows))
	}
	for _, i := range foreign {
		key := i["leaseKey"].Text
		_, err := s.Get(t.Context(), key)
		wantLost(t, key, err)
		_, err = s.Acquire(t.Context(), lease.Row{Lane: key}, "me", "t")
		wantLost(t, key, err)
		check(t, s.Delete(t.Context(), lease.Row{Lane: key}))
		wantItem(t, key, srv, key, i)
	}
}

// TestCheckpointMoved: the KCL, or a person, has moved the checkpoint of a
// row of ours.
func TestCheckpointMoved(t *testing.T) {
	for _, c := range []struct {
		name  string
		state int // bytes
		edit  func(dynamotest.Item)
		pos   shardlake.Position
		ended bool
		hold  bool
	}{
		{name: "forward", edit: func(i dynamotest.Item) { i["checkpoint"] = dynamotest.S("77") }, pos: shardlake.Position{Seq: "77", Partial: true}},
		{name: "into an aggregate", edit: func(i dynamotest.Item) { i["checkpointSubSequenceNumber"] = dynamotest.N("2") }, pos: shardlake.Position{Seq: "20", Sub: 2, Partial: true}},
		{name: "to the start", edit: func(i dynamotest.Item) { i["checkpoint"] = dynamotest.S("TRIM_HORIZON") }},
		{name: "to the end", edit: func(i dynamotest.Item) { i["checkpoint"] = dynamotest.S("SHARD_END") }, pos: shardlake.Position{Seq: "20"}, ended: true},
		{name: "forward, with state", state: 10, edit: func(i dynamotest.Item) { i["checkpoint"] = dynamotest.S("77") }, pos: shardlake.Position{Seq: "77", Partial: true}, hold: true},
		{name: "to the end, with state", state: 10, edit: func(i dynamotest.Item) { i["checkpoint"] = dynamotest.S("SHARD_END") }, pos: shardlake.Position{Seq: "20"}, ended: true, hold: true},
		{name: "not at all", state: 10, edit: func(dynamotest.Item) {}, pos: shardlake.Position{Seq: "20"}},
	} {
		srv := dynamotest.New(dynamotest.Config{})
		s := opened(t, srv, dynamo.Config{})
		r := mine(t, s)
		for range 2 {
			next := after(r, c.state)
			if c.state == 0 {
				next.State = nil
			}
			check(t, s.Commit(t.Context(), next))
			r = next
		}
		if !srv.Edit(table, "a", c.edit) {
			t.Fatal("no row")
		}
		got := take(t, s, "a", "you")
		if got.Pos != c.pos || got.Ended != c.ended || (got.Hold != "") != c.hold || len(got.Pending) != 1 {
			t.Errorf("%s: acquired %+v", c.name, got)
		}
		if moved := c.name != "not at all"; moved != (got.Prev == nil) {
			t.Errorf("%s: Prev is %+v", c.name, got.Prev)
		}
		check(t, s.Clear(t.Context(), got)) // what is pending is published all the same
		if again := get(t, s, "a"); again.Pos != c.pos || again.Hold != got.Hold || again.Ended != c.ended {
			t.Errorf("%s: read again %+v", c.name, again)
		}
	}
}

// TestDamagedRows: an error names row, attribute and remedy, and nothing is written.
func TestDamagedRows(t *testing.T) {
	for _, c := range []struct {
		attr  string
		value dynamotest.Value
	}{
		{"leaseCounter", dynamotest.Value{}},
		{"checkpoint", dynamotest.Value{}},
		{"leaseCounter", dynamotest.S("1")},
		{"leaseCounter", dynamotest.N("-1")},
		{"leaseCounter", dynamotest.N("1.5")},
		{"checkpoint", dynamotest.N("1")},
		{"checkpoint", dynamotest.S("EARLIEST")},
		{"checkpoint", dynamotest.S("007")},
		{"checkpoint", dynamotest.S("")},
		{"checkpointSubSequenceNumber", dynamotest.S("1")},
		{"leaseOwner", dynamotest.N("1")},
		{"parentShardId", dynamotest.S("shardId-0")},
		{"childShardIds", dynamotest.L(dynamotest.S("shardId-0"))},
		{"startingHashKey", dynamotest.S("-1")},
		{"endingHashKey", dynamotest.S("340282366920938463463374607431768211456")},
		{"endingHashKey", dynamotest.Value{}},
		{"sl_tok", dynamotest.N("1")},
		{"sl_fence", dynamotest.S("x")},
		{"sl_cn", dynamotest.N("1E30")},
		{"sl_pos", dynamotest.S("{}}")},
		{"sl_pos", dynamotest.S(`{"seq":"1","later":true}`)},
		{"sl_begin", dynamotest.S("")},
		{"sl_wm", dynamotest.N("99999999999999999999")},
		{"sl_state", dynamotest.S("[]")},
		{"sl_state", dynamotest.S("@{}")},
		{"sl_state", dynamotest.S(`{"fold":"!"}`)},
		{"sl_pending", dynamotest.S("x")},
		{"sl_vitals", dynamotest.S("{")},
		{"sl_later", dynamotest.S("what a newer version wrote")},
	} {
		srv := dynamotest.New(dynamotest.Config{})
		s := opened(t, srv, dynamo.Config{})
		check(t, s.Create(t.Context(), lease.Row{Lane: "a", Range: shardlake.HashRange{From: shardlake.Hash{9: 1}, To: shardlake.MaxHash}}))
		r := commit(t, s, take(t, s, "a", "me"), 10)
		srv.Edit(table, "a", func(i dynamotest.Item) {
			if i[c.attr] = c.value; c.value.Type == "" {
				delete(i, c.attr)
			}
		})
		before := srv.Item(table, "a")
		what := fmt.Sprintf("%s %+v", c.attr, c.value)
		_, err := s.List(t.Context())
		wantError(t, what, err, `"a"`, table, c.attr, "by hand")
		_, err = s.Get(t.Context(), "a")
		wantError(t, what, err, c.attr)
		_, err = s.Acquire(t.Context(), r, "you", "t")
		wantError(t, what, err, c.attr)
		wantError(t, what, s.Delete(t.Context(), r), c.attr)
		check(t, s.Create(t.Context(), lease.Row{Lane: "a"}))
		wantItem(t, what, srv, "a", before)
	}
}

// TestUnknownAttributes: what others have written beside survives every write.
func TestUnknownAttributes(t *testing.T) {
	srv := dynamotest.New(dynamotest.Config{})
	s := opened(t, srv, dynamo.Config{})
	create(t, s, "a")
	others := dynamotest.Item{
		"team": dynamotest.S("web"), "n": dynamotest.N("1"), "b": dynamotest.B([]byte{0, 1}), "set": dynamotest.SS("x", "y"),
		"yes": dynamotest.Bool(true), "nothing": dynamotest.Null(), "list": dynamotest.L(dynamotest.N("1")), "throughputKBps": dynamotest.N("0.0"),
	}
	srv.Edit(table, "a", func(i dynamotest.Item) {
		for k, v := range others {
			i[k] = v
		}
	})
	r := commit(t, s, take(t, s, "a", "me"), 10)
	_, err := s.Renew(t.Context(), r)
	check(t, err)
	check(t, s.Ask(t.Context(), r, "you"))
	check(t, s.Mark(t.Context(), r))
	r = commit(t, s, r, 10)
	check(t, s.Clear(t.Context(), r))
	check(t, s.Release(t.Context(), r))
	item := srv.Item(table, "a")
	for k, v := range others {
		if !reflect.DeepEqual(item[k], v) {
			t.Errorf("%s is %+v, was %+v", k, item[k], v)
		}
	}
}
