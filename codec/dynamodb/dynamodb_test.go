package dynamodb_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec/dynamodb"
	"github.com/shardlake/shardlake/internal/schema"
)

func answers(t testing.TB, payloads ...string) (rows []dynamodb.Change, errs []error) {
	t.Helper()
	d, err := dynamodb.Changes()
	if err != nil {
		t.Fatal(err)
	}
	rows, errs = make([]dynamodb.Change, len(payloads)), make([]error, len(payloads))
	for i, p := range payloads {
		_, errs[i] = d.Decode(t.Context(), []shardlake.Record{{Data: []byte(p)}}, rows[i:i+1])
	}
	return rows, errs
}

// Case E1: the unit of the time is the one that the record names.
func TestChanges(t *testing.T) {
	rows, errs := answers(t, insert, modify, again, ttlRemove, microsecond, seconds)
	for i, want := range []struct {
		event string
		us    int64
	}{
		{"INSERT", 1767225600123000}, {"MODIFY", 1767225601000000}, {"MODIFY", 1767225601000000},
		{"REMOVE", 1767225602000000}, {"MODIFY", 1767225603000456}, {"MODIFY", 1767225604000000},
	} {
		c := rows[i]
		if errs[i] != nil || c.EventName != want.event || c.When().UnixMicro() != want.us || c.When().Location() != time.UTC {
			t.Errorf("change %d: %s at %v, %v; want %+v", i, c.EventName, c.When(), errs[i], want)
		}
		if c.Table != "orders" || c.Region != "eu-west-1" || c.Source != "aws:dynamodb" || c.Format != "application/json" || c.DynamoDB.SizeBytes == 0 {
			t.Errorf("change %d: %+v", i, c)
		}
		if c.Expired() != (i == 3) || (c.User != nil) != (i == 3) {
			t.Errorf("change %d: expired %v, by %+v", i, c.Expired(), c.User)
		}
		if pk, ok := c.DynamoDB.Keys.Text("pk"); !ok || pk != "order#1" {
			t.Errorf("change %d: key %q, %v", i, pk, ok)
		}
	}
	if rows[1].EventID != rows[2].EventID || rows[0].EventID == rows[1].EventID {
		t.Error("a change that was delivered twice has one id")
	}
	if rows[3].DynamoDB.NewImage != nil || rows[3].DynamoDB.OldImage == nil || rows[0].DynamoDB.OldImage != nil {
		t.Errorf("images: %+v, %+v", rows[0].DynamoDB, rows[3].DynamoDB)
	}
}

// Attributes are what they were, with all digits.
func TestAttributesAreExact(t *testing.T) {
	rows, errs := answers(t, insert)
	if errs[0] != nil {
		t.Fatal(errs[0])
	}
	item := rows[0].DynamoDB.NewImage
	if n, ok := item.Number("total"); !ok || n != "12345678901234567890123456789012345678" {
		t.Errorf("%q, %v", n, ok)
	}
	if n, ok := item.Number("small"); !ok || n != "1E-130" {
		t.Errorf("%q, %v", n, ok)
	} else if _, ok := new(big.Rat).SetString(n); !ok {
		t.Errorf("%q is no number", n)
	}
	if s, ok := item.Text("empty"); !ok || s != "" {
		t.Errorf("%q, %v", s, ok)
	}
	for _, name := range []string{"total", "ok", "gone", "blob", "lines", "tags", "no such attribute"} {
		if s, ok := item.Text(name); ok {
			t.Errorf("%s is the text %q", name, s)
		}
	}
	for name, want := range map[string]string{
		"ok": `{"BOOL":true}`, "gone": `{"NULL":true}`, "blob": `{"B":"AP8B"}`, "nums": `{"NS":["1","2.50"]}`, "bins": `{"BS":["eg=="]}`,
		"lines": `{"L":[{"M":{"sku":{"S":"ü-1"},"qty":{"N":"2"}}},{"M":{}}]}`,
	} {
		if string(item[name]) != want {
			t.Errorf("%s is %s, want %s", name, item[name], want)
		}
	}
}

func TestTimes(t *testing.T) {
	for _, test := range []struct {
		text, precision, want string // the time, or a part of the error
	}{
		{"1767225604", "", "2026-01-01T00:00:04Z"},
		{"1767225604.5", "", "2026-01-01T00:00:04.5Z"},
		{"1.767225604E9", "", "2026-01-01T00:00:04Z"},
		{"1767225604.1234567", "", "2026-01-01T00:00:04.123456Z"},
		{"1767225604000", "MILLISECOND", "2026-01-01T00:00:04Z"},
		{"1767225604000001", "MICROSECOND", "2026-01-01T00:00:04.000001Z"},
		{"0", "MILLISECOND", "1970-01-01T00:00:00Z"},
		{"253402300799999999", "MICROSECOND", "9999-12-31T23:59:59.999999Z"},
		{"253402300800000000", "MICROSECOND", "outside of the years 1970 to 9999"},
		{"1767225604000", "", "outside of the years"},
		{"-1", "MILLISECOND", "outside of the years"},
		{"1e999999999", "", "no number"},
		{"1e99", "", "outside of the years"},
		{`"1767225604"`, "", "no number"},
		{"null", "", "no number"},
		{"", "", "no number"},
		{"1/2", "", "no number"},
		{strings.Repeat("9", 1000), "", "no number"},
		{"1767225604000", "NANOSECOND", `"NANOSECOND", neither MILLISECOND nor MICROSECOND`},
	} {
		c := dynamodb.Change{DynamoDB: dynamodb.Modified{Created: json.RawMessage(test.text), Precision: test.precision}}
		at, err := c.Time()
		if err == nil && at.Format(time.RFC3339Nano) != test.want || err != nil && (!strings.Contains(err.Error(), test.want) || len(err.Error()) > 300) {
			t.Errorf("%.40s %s: %v, %v; want %s", test.text, test.precision, at, err, test.want)
		}
		if when := c.When(); err == nil && !when.Equal(at) || err != nil && !when.IsZero() {
			t.Errorf("%.40s %s: When is %v", test.text, test.precision, when)
		}
	}
}

func TestRecordsThatAreNoChanges(t *testing.T) {
	for _, test := range []struct{ payload, reason string }{
		{``, "json: the payload is empty"},
		{`{"n":1}`, "dynamodb: eventName or Keys are missing"},
		{strings.Replace(insert, "MILLISECOND", "FORTNIGHT", 1), `"FORTNIGHT"`},
		{strings.Replace(insert, `,"ApproximateCreationDateTimePrecision":"MILLISECOND"`, "", 1), "outside of the years"},
		{strings.Replace(insert, `"ApproximateCreationDateTime":1767225600123,`, "", 1), "no number"},
		{insert + insert, "json: "},
		{insert[:200], "json: "},
	} {
		if _, errs := answers(t, test.payload); errs[0] == nil || !strings.HasPrefix(errs[0].Error(), "rejected: ") || !strings.Contains(errs[0].Error(), test.reason) {
			t.Errorf("%.60s: %v; want %q", test.payload, errs[0], test.reason)
		}
	}
}

// A change is a row of a lake as it is.
func TestChangesAreRows(t *testing.T) {
	if _, err := schema.Of(reflect.TypeFor[dynamodb.Change]()); err != nil {
		t.Error(err)
	}
}

func Example() {
	// kinesis.Source(cfg, dynamodb.Changes, dynamodb.Change.When)

	d, err := dynamodb.Changes()
	if err != nil {
		panic(err)
	}
	rows := make([]dynamodb.Change, 1)
	if _, err := d.Decode(context.Background(), []shardlake.Record{{Data: []byte(microsecond)}}, rows); err != nil {
		panic(err)
	}
	c := rows[0]
	before, _ := c.DynamoDB.OldImage.Number("total")
	after, _ := c.DynamoDB.NewImage.Number("total")
	fmt.Println(c.EventName, c.When().Format(time.RFC3339Nano), before, "->", after)
	// Output: MODIFY 2026-01-01T00:00:03.000456Z 2 -> 3
}
