package cloudwatch_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
	"github.com/shardlake/shardlake/codec/cloudwatch"
	"github.com/shardlake/shardlake/internal/schema"
	"github.com/shardlake/shardlake/stage"
)

func decoded(t testing.TB, text string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func gzipped(t testing.TB, payload string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := io.WriteString(w, payload)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func answers(t testing.TB, c func() (codec.Decoder[cloudwatch.Batch], error), payloads ...[]byte) (rows []cloudwatch.Batch, errs []error) {
	t.Helper()
	d, err := c()
	if err != nil {
		t.Fatal(err)
	}
	rows, errs = make([]cloudwatch.Batch, len(payloads)), make([]error, len(payloads))
	for i, p := range payloads {
		_, errs[i] = d.Decode(t.Context(), []shardlake.Record{{Data: p}}, rows[i:i+1])
	}
	return rows, errs
}

func refused(err error, reason string) bool {
	return err != nil && strings.HasPrefix(err.Error(), "rejected: ") && strings.Contains(err.Error(), reason)
}

func entries(b cloudwatch.Batch) (all []cloudwatch.Entry) {
	b.Entries(func(e cloudwatch.Entry) { all = append(all, e) })
	return all
}

// Entries has the form that stage.FlatMap takes, and each entry is a row of a lake.
func TestEntriesAreRows(t *testing.T) {
	if s := stage.FlatMap(cloudwatch.Batch.Entries); s == nil {
		t.Error("no stage")
	}
	if _, err := schema.Of(reflect.TypeFor[cloudwatch.Entry]()); err != nil {
		t.Error(err)
	}
}

// Case E2: the records of a subscription, whole and compressed or not.
func TestLogs(t *testing.T) {
	rows, errs := answers(t, cloudwatch.Logs, decoded(t, data), decoded(t, control), decoded(t, extracted),
		decoded(t, truncated), []byte(notGzipped), decoded(t, twoMembers))
	for i, want := range []int{5, 0, 1, 0, 1, 2} {
		got := entries(rows[i])
		switch {
		case i == 1 && !errors.Is(errs[i], shardlake.ErrSkip):
			t.Errorf("the control message: %v", errs[i])
		case i == 3 && !refused(errs[i], "unexpected EOF"):
			t.Errorf("the record that is cut short: %v", errs[i])
		case want > 0 && (errs[i] != nil || len(got) != want || rows[i].More != nil):
			t.Errorf("record %d: %d events and %d more documents, %v; want %d events", i, len(got), len(rows[i].More), errs[i], want)
		}
		for k, e := range got {
			if e.Index != k || e.Owner != "111122223333" || e.LogGroup != "/shardlake/demo" || e.LogStream != "task/worker/0f3c" || len(e.Filters) != 1 {
				t.Errorf("record %d, event %d: %+v", i, k, e)
			}
		}
	}

	// Order, repetition, empty messages and large numbers are what they were.
	all := entries(rows[0])
	ids := map[string]int{}
	for _, e := range all {
		ids[e.ID]++
	}
	if len(ids) != 4 || all[2].ID != all[3].ID || all[2].Index != 2 || all[3].Index != 3 {
		t.Errorf("%d ids: %v", len(ids), ids)
	}
	if !all[1].Time.Before(all[0].Time) || all[0].Time.UnixMilli() != 1767225600123 || all[0].Time.Location() != time.UTC {
		t.Errorf("%v, %v", all[0].Time, all[1].Time)
	}
	if !strings.Contains(all[2].Message, `"n":9007199254740993,`) || !strings.Contains(all[2].Message, "Zoë") || all[4].Message != "" {
		t.Errorf("%q, %q", all[2].Message, all[4].Message)
	}
	if when := rows[0].When(); when.UnixMilli() != 1767225599998 {
		t.Errorf("the earliest event is at %v", when)
	}

	e := entries(rows[2])[0]
	if e.PolicyLevel != "ACCOUNT_LEVEL_POLICY" || e.Extracted["version"] != "2" || e.Extracted["bytes"] != "840" || len(e.Extracted) != 5 {
		t.Errorf("%+v", e)
	}
	if two := entries(rows[5]); !strings.HasPrefix(two[0].Message, "level=info") || !strings.HasPrefix(two[1].Message, "panic: boom") {
		t.Errorf("%+v", two)
	}
}

func document(group string, messages ...string) string {
	var events []string
	for _, m := range messages {
		events = append(events, fmt.Sprintf(`{"id":"1","timestamp":1767225600000,"message":%q}`, m))
	}
	return fmt.Sprintf(`{"messageType":"DATA_MESSAGE","owner":"1","logGroup":%q,"logStream":"s","subscriptionFilters":[],"logEvents":[%s]}`, group, strings.Join(events, ","))
}

// Documents of one record keep where they come from.
func TestDocumentsOfSeveralGroups(t *testing.T) {
	const control = `{"messageType":"CONTROL_MESSAGE","owner":"CloudwatchLogs","logGroup":"","logStream":"","subscriptionFilters":[],"logEvents":[{"id":"","timestamp":0,"message":"x"}]}`
	for _, payload := range [][]byte{
		[]byte(document("a", "1") + control + "\n" + document("b", "2", "3") + document("b", "4") + " " + document("a", "5")),
		slices.Concat(gzipped(t, document("a", "1")+control), gzipped(t, document("b", "2", "3")+document("b", "4")), gzipped(t, document("a", "5"))),
		slices.Concat(gzipped(t, control+document("a", "1")+document("a")), gzipped(t, document("b", "2")), gzipped(t, document("b", "3", "4")+document("a", "5"))),
	} {
		rows, errs := answers(t, cloudwatch.Logs, payload)
		var got []string
		for i, e := range entries(rows[0]) {
			if e.Index != i {
				t.Errorf("event %d has index %d", i, e.Index)
			}
			got = append(got, e.LogGroup+e.Message)
		}
		if errs[0] != nil || fmt.Sprint(got) != "[a1 b2 b3 b4 a5]" {
			t.Errorf("%v, %v", got, errs[0])
		}
	}
	_, errs := answers(t, cloudwatch.Logs, []byte(control+control), []byte(document("a")))
	if !errors.Is(errs[0], shardlake.ErrSkip) || !errors.Is(errs[1], shardlake.ErrSkip) {
		t.Errorf("records without events: %v", errs)
	}
}

func TestRecordsThatAreNoLogs(t *testing.T) {
	good := document("a", "1")
	for name, test := range map[string]struct{ payload, reason string }{
		"empty":               {"", "the payload is empty"},
		"no JSON":             {"hello", "json: "},
		"another document":    {`{"n":1}`, `messageType is "", neither DATA_MESSAGE nor CONTROL_MESSAGE`},
		"another type":        {`{"messageType":"OTHER"}`, `messageType is "OTHER"`},
		"null":                {"null", "json: "},
		"cut":                 {good[:len(good)-1], "json: "},
		"something behind":    {good + "x", "json: "},
		"the second is cut":   {good + good + good[:50], "cloudwatch: document 3: "},
		"the second is other": {good + `{"n":1}`, "messageType"},
		"the second misfits":  {good + `{"messageType":7}`, "cloudwatch: document 2: json: "},
		"no time":             {strings.Replace(good, `"timestamp":1767225600000,`, "", 1), "event 0: timestamp is 0"},
		"seconds of year 1e5": {strings.Replace(good, "1767225600000", "3093527980800000", 1), "event 0: timestamp"},
		"no UTF-8":            {strings.Replace(good, `"a"`, "\"\xff\"", 1), "UTF-8"},
		"a name twice":        {strings.Replace(good, `"owner":"1"`, `"owner":"1","owner":"2"`, 1), "json: "},
	} {
		rows, errs := answers(t, cloudwatch.Logs, []byte(test.payload), gzipped(t, good))
		if !refused(errs[0], test.reason) || strings.Count(errs[0].Error(), "rejected") != 1 {
			t.Errorf("%s: %v; want %q", name, errs[0], test.reason)
		}
		if errs[1] != nil || len(rows[1].Events) != 1 {
			t.Errorf("behind %s: %v, %v", name, rows[1], errs[1])
		}
	}
}

// A small record may hold much: 55 KB that are 6.6 MB.
func TestRecordsThatExpand(t *testing.T) {
	messages := make([]string, 6000)
	for i := range messages {
		messages[i] = strings.Repeat("x", 1000)
	}
	record := gzipped(t, document("a", messages...))
	rows, errs := answers(t, cloudwatch.Logs, record)
	if errs[0] != nil || len(entries(rows[0])) != 6000 {
		t.Errorf("%d events in %d bytes, %v", len(rows[0].Events), len(record), errs[0])
	}
	if _, errs = answers(t, cloudwatch.Config{Limits: codec.Limits{Bytes: 1 << 20}}.Logs, record); !refused(errs[0], "Limits.Bytes") {
		t.Errorf("%v", errs[0])
	}
}

func Example() {
	// logs := kinesis.Source(cfg, cloudwatch.Logs, cloudwatch.Batch.When)
	// events := logs.Then(stage.FlatMap(cloudwatch.Batch.Entries))

	d, err := cloudwatch.Logs()
	if err != nil {
		panic(err)
	}
	rows := make([]cloudwatch.Batch, 1)
	if _, err := d.Decode(context.Background(), []shardlake.Record{{Data: []byte(notGzipped)}}, rows); err != nil {
		panic(err)
	}
	rows[0].Entries(func(e cloudwatch.Entry) {
		fmt.Println(e.LogGroup, e.Index, e.Time.Format(time.RFC3339Nano), e.Message)
	})
	// Output: /shardlake/demo 0 2026-01-01T00:00:00.123Z level=info msg="started" shard=3
}

func FuzzLogs(f *testing.F) {
	for _, text := range []string{data, control, extracted, truncated, twoMembers} {
		f.Add(decoded(f, text))
	}
	f.Add([]byte(notGzipped + document("a", "1", "2")))
	f.Fuzz(func(t *testing.T, payload []byte) {
		rows, errs := answers(t, cloudwatch.Config{Limits: codec.Limits{Bytes: 1 << 16}}.Logs, payload)
		n := len(entries(rows[0]))
		if errs[0] == nil && n == 0 || errs[0] != nil && !refused(errs[0], "") && !errors.Is(errs[0], shardlake.ErrSkip) {
			t.Errorf("%d events, %v", n, errs[0])
		}
	})
}
