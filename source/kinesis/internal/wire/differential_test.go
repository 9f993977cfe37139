package wire

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/schemas"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"
)

var (
	getRecords = smithy.NewOperationSchema(schemas.GetRecords, schemas.GetRecordsInput, schemas.GetRecordsOutput)
	standard   = awsjson.New11(schemas.Kinesis_20131202)
)

func response(status int, body []byte) *smithyhttp.Response {
	return &smithyhttp.Response{Response: &http.Response{StatusCode: status, Header: http.Header{}, ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body))}}
}

// bySDK is what the SDK alone makes of a body.
func bySDK(body []byte) (Answer, error) {
	out := new(kinesis.GetRecordsOutput)
	a := Answer{Behind: -1}
	if err := decode(context.Background(), standard, getRecords, kinesis.TypeRegistry, response(200, body), out); err != nil {
		return a, err
	}
	a.take(out)
	return a, nil
}

// byWire is what this package makes of it. fast tells whether the SDK was not asked.
func byWire(b *Buffers, body []byte) (a Answer, fast bool, err error) {
	k := &call{buffers: b}
	out := new(kinesis.GetRecordsOutput)
	p := &protocol{ClientProtocol: standard}
	err = p.DeserializeResponse(context.WithValue(context.Background(), callKey{}, k), getRecords, kinesis.TypeRegistry, response(200, body), out)
	if err == nil && !k.done {
		k.answer.take(out)
	}
	return k.answer, k.done, err
}

// different says how two answers differ, "" if they do not.
func different(a, b Answer) string {
	if len(a.Records) != len(b.Records) {
		return fmt.Sprintf("%d and %d records", len(a.Records), len(b.Records))
	}
	for i := range a.Records {
		if !reflect.DeepEqual(a.Records[i], b.Records[i]) {
			return fmt.Sprintf("record %d: %+v and %+v", i, a.Records[i], b.Records[i])
		}
	}
	a.Records, b.Records, a.Held, b.Held = nil, nil, 0, 0
	if !reflect.DeepEqual(a, b) {
		return fmt.Sprintf("%+v and %+v", a, b)
	}
	return ""
}

// compare fails unless both read a body in the same way.
func compare(t *testing.T, b *Buffers, body []byte) (fast bool) {
	t.Helper()
	before := bytes.Clone(body)
	want, wantErr := bySDK(body)
	got, fast, err := byWire(b, body)
	show := body[:min(len(body), 2000)]
	if !bytes.Equal(body, before) {
		t.Fatalf("the body was changed: %q", show)
	}
	if wantErr != nil || err != nil {
		if wantErr == nil || err == nil || wantErr.Error() != err.Error() || fast {
			t.Fatalf("%q:\nSDK:  %v\nwire: %v", show, wantErr, err)
		}
		if _, ok := errors.AsType[*smithy.DeserializationError](err); !ok {
			t.Fatalf("%q: %T", show, err)
		}
		return fast
	}
	if d := different(want, got); d != "" {
		t.Fatalf("%q: SDK and wire differ (read here: %v): %s", show, fast, d)
	}
	return fast
}

func plainRecord(i int, payload string) string {
	return fmt.Sprintf(`{"SequenceNumber":"4959033827149025660855969253836157109592157598913658%04d","ApproximateArrivalTimestamp":1.790000000%03dE9,"Data":"%s","PartitionKey":"key-%d","EncryptionType":"NONE"}`,
		i%10_000, i%1000, base64.StdEncoding.EncodeToString([]byte(payload)), i/3)
}

func plainAnswer(n, size int) []byte {
	var records []string
	for i := range n {
		records = append(records, plainRecord(i, strings.Repeat("0123456789abcdef", size/16+1)[:size]))
	}
	return []byte(`{"MillisBehindLatest":1234,"NextShardIterator":"AAAAAAAAAAH+/=","Records":[` + strings.Join(records, ",") + `]}`)
}

// TestOddAnswers are answers that are read in the same way as by the SDK, whichever
// way that is. fast says that it must not take the SDK to do so.
func TestOddAnswers(t *testing.T) {
	record := func(members string) string { return `{"Records":[{` + members + `}]}` }
	for _, test := range []struct {
		name, body string
		fast       bool
	}{
		{"plain", string(plainAnswer(3, 50)), true},
		{"nothing", ``, false},
		{"an empty object", `{}`, true},
		{"no records", `{"Records":[],"NextShardIterator":"n"}`, true},
		{"white space", " {\n\"Records\" :\t[ { \"Data\" : \"YQ==\" ,\r\n \"PartitionKey\"\n:\"k\" } , { } ] , \"MillisBehindLatest\" : 5 } \n", true},
		{"null members", `{"Records":null,"NextShardIterator":null,"MillisBehindLatest":null,"ChildShards":null}`, true},
		{"null in a record", record(`"Data":null,"PartitionKey":null,"SequenceNumber":null,"ApproximateArrivalTimestamp":null,"EncryptionType":null,"x":null`), true},
		{"a null record", `{"Records":[null,{"Data":"YQ=="}]}`, false},
		{"an empty iterator", `{"Records":[],"NextShardIterator":""}`, true},
		{"unknown members", `{"X":{"a":[1,2.5e3,"\u0041",true,false,null,{}],"b":[]},"Records":[{"New":{"y":[[[]]]},"Data":"YQ==","Other":"x"}]}`, true},
		{"unknown members, deep", `{"X":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `,"Records":[]}`, false},
		{"unknown members, too deep", `{"X":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `,"Records":[]}`, false},
		{"members twice", `{"MillisBehindLatest":1,"MillisBehindLatest":2,"NextShardIterator":"a","NextShardIterator":"b","Records":[],"Records":[{"Data":"Yg==","PartitionKey":"a","PartitionKey":"b","Data":null}]}`, true},
		{"a payload twice", record(`"Data":"Yg==","Data":"Yw=="`), false},
		{"a broken payload, then another", record(`"Data":"Yg","Data":"Yw=="`), false},
		{"records twice", `{"Records":[{"Data":"YQ=="},{}],"Records":[{"Data":"Yg=="}]}`, false},
		{"other case", `{"records":[{}],"Records":[{"data":"YQ==","PARTITIONKEY":"x"}]}`, true},
		{"escapes in a key", record(`"PartitionKey":"a\"b\\c\/\b\f\n\r\t\u00e9\ud83d\ude00"`), true},
		{"a lone surrogate", record(`"PartitionKey":"a\ud800b"`), false},
		{"escapes and no UTF-8", record(`"PartitionKey":"\n` + "\xff" + `"`), false},
		{"no UTF-8", record(`"PartitionKey":"` + "\xff\xfe" + `"`), true},
		{"a broken escape", record(`"PartitionKey":"\x41"`), false},
		{"a control character", record(`"PartitionKey":"a` + "\x01" + `"`), false},
		{"a newline in a key", record("\"PartitionKey\":\"a\nb\""), false},
		{"delete in a key", record(`"PartitionKey":"a` + "\x7f" + `"`), true},
		{"an escaped slash in a payload", record(`"Data":"\/\/8="`), true},
		{"an escaped quote in a payload", record(`"Data":"YQ\"=="`), false},
		{"a newline in a payload", record(`"Data":"Y\nQ\r=="`), false},
		{"a raw newline in a payload", record("\"Data\":\"YQ\n==\""), false},
		{"no base64", record(`"Data":"***="`), false},
		{"no padding", record(`"Data":"YQ"`), false},
		{"bits behind the end", record(`"Data":"YR=="`), true},
		{"an empty payload", record(`"Data":""`), true},
		{"escapes in a name", record(`"D\u0061ta":"YQ=="`), false},
		{"a number as a key", record(`"PartitionKey":12`), false},
		{"a number as encryption", record(`"EncryptionType":12`), false},
		{"new encryption", record(`"EncryptionType":"QUANTUM"`), true},
		{"a time as text", record(`"ApproximateArrivalTimestamp":"2026-01-01T00:00:00Z"`), false},
		{"a time that is no number", record(`"ApproximateArrivalTimestamp":"NaN"`), false},
		{"an infinite time", record(`"ApproximateArrivalTimestamp":"Infinity"`), false},
		{"a time before 1970", record(`"ApproximateArrivalTimestamp":-12.5`), false},
		{"a time of more digits", record(`"ApproximateArrivalTimestamp":1790000000.1239999999999999999999`), true},
		{"a time in milliseconds", record(`"ApproximateArrivalTimestamp":1790000000123`), false},
		{"leading zeros", record(`"ApproximateArrivalTimestamp":01790000000`), false},
		{"a number with a point and nothing", record(`"ApproximateArrivalTimestamp":1.`), false},
		{"a number with an e and nothing", record(`"ApproximateArrivalTimestamp":1e`), false},
		{"a huge exponent", record(`"ApproximateArrivalTimestamp":1e999999999999`), false},
		{"a tiny number", record(`"ApproximateArrivalTimestamp":1e-400`), true},
		{"zero", record(`"ApproximateArrivalTimestamp":0`), true},
		{"behind with a point", `{"Records":[],"MillisBehindLatest":12.0}`, false},
		{"behind with an exponent", `{"Records":[],"MillisBehindLatest":1e3}`, false},
		{"behind is negative", `{"Records":[],"MillisBehindLatest":-1}`, false},
		{"behind for ages", `{"Records":[],"MillisBehindLatest":9223372036854775807}`, false},
		{"behind for longer than a duration", `{"Records":[],"MillisBehindLatest":922337203685477580}`, true},
		{"behind too large", `{"Records":[],"MillisBehindLatest":9223372036854775808}`, false},
		{"no children", `{"Records":[],"ChildShards":[]}`, true},
		{"children", `{"Records":[{"Data":"YQ=="}],"ChildShards":[{"ShardId":"shardId-1","ParentShards":["shardId-0"],"HashKeyRange":{"StartingHashKey":"0","EndingHashKey":"1"}}],"MillisBehindLatest":0}`, false},
		{"a list", `[]`, false},
		{"null", `null`, false},
		{"text", `<html>502 Bad Gateway</html>`, false},
		{"a comma too many", `{"Records":[{},]}`, false},
		{"a comma too many in a record", record(`"Data":"YQ==",`), false},
		{"a colon in a list", `{"Records":[{}:]}`, false},
		{"a stray bracket", `{"Records":[{}`, false},
		{"a list that is none", `{"Records":{}}`, false},
		{"a record that is none", `{"Records":[1]}`, false},
		{"more behind it", `{"Records":[]}}`, false},
		{"two values", `{"Records":[]} {"Records":[{}]}`, false},
		{"a BOM", "\xef\xbb\xbf{}", false},
		{"truer", `{"X":truer,"Records":[]}`, false},
		{"nulll", `{"Records":nulll}`, false},
		{"too many records", `{"Records":[` + strings.Repeat(`{},`, maxRecords) + `{}]}`, false},
		{"as many as there can be", `{"Records":[` + strings.Repeat(`{},`, maxRecords-1) + `{}]}`, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if fast := compare(t, new(Buffers), []byte(test.body)); fast != test.fast {
				t.Errorf("read here: %v, want %v", fast, test.fast)
			}
		})
	}
}

// TestTruncated cuts an answer at every byte.
func TestTruncated(t *testing.T) {
	body := plainAnswer(2, 20)
	b := new(Buffers)
	for n := range body {
		compare(t, b, body[:n])
	}
}

// TestTimes wants the SDK's time for every form of a number, to the microsecond.
func TestTimes(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	b := new(Buffers)
	for range 20_000 {
		s := fmt.Sprintf([]string{"%d.%03d", "%d.%d", "%d.%06d", "%d.%03d00"}[r.IntN(4)], 1_300_000_000+r.Int64N(1_000_000_000), r.IntN(1000))
		switch r.IntN(4) {
		case 0: // 1.790000000123E9
			s = s[:1] + "." + strings.Replace(s[1:], ".", "", 1) + []string{"E9", "e9", "E+9", "e+09"}[r.IntN(4)]
		case 1:
			s = strings.Replace(s, ".", "", 1) + []string{"e-3", "E-03", "e-6"}[r.IntN(3)]
		case 2:
			s = fmt.Sprint(r.Float64() * []float64{1, 1e3, 1e9, 9e9, 1e10, 1e19}[r.IntN(6)])
		}
		compare(t, b, []byte(`{"Records":[{"ApproximateArrivalTimestamp":`+s+`}]}`))
	}
}

// TestRandomAnswers reads answers whose members come in any order and form, and then
// the same ones with damage.
func TestRandomAnswers(t *testing.T) {
	g := generator{rand.New(rand.NewPCG(5, 6))}
	b := new(Buffers)
	fast, all := 0, 0
	for range 3000 {
		body := []byte(g.answer())
		all++
		if compare(t, b, body) {
			fast++
		}
		for range 3 {
			broken := bytes.Clone(body)
			switch i := g.IntN(len(broken)); g.IntN(4) {
			case 0:
				broken = broken[:i]
			case 1:
				broken[i] = byte(g.Uint32())
			case 2:
				broken[i] = `{}[]:,"\ 0n`[g.IntN(11)]
			case 3:
				j := g.IntN(len(broken))
				broken = append(broken[:min(i, j):min(i, j)], broken[max(i, j):]...)
			}
			compare(t, b, broken)
		}
	}
	if fast < all/3 {
		t.Errorf("only %d of %d answers were read here", fast, all)
	}
}

// TestLargeAnswers are the largest ones: one record of 10 MiB, and 10,000 records.
func TestLargeAnswers(t *testing.T) {
	b := new(Buffers)
	for _, body := range [][]byte{plainAnswer(1, 10<<20), plainAnswer(maxRecords, 1000)} {
		if !compare(t, b, body) {
			t.Error("not read here")
		}
	}
}

// TestNothingIsShared wants an answer to stay as it was when the buffers are used
// again.
func TestNothingIsShared(t *testing.T) {
	b := new(Buffers)
	body := plainAnswer(100, 100)
	want, err := bySDK(body)
	if err != nil {
		t.Fatal(err)
	}
	first, fast, err := byWire(b, body)
	if err != nil || !fast {
		t.Fatal(fast, err)
	}
	if _, _, err := byWire(b, bytes.Repeat([]byte{'x'}, len(body))); err == nil {
		t.Fatal("no error for an answer of x")
	}
	if d := different(want, first); d != "" {
		t.Error(d)
	}
	for i := range first.Records {
		if d := first.Records[i].Data; len(d) != cap(d) {
			t.Fatalf("record %d: appending to a payload reaches what follows", i)
		}
	}
}

type generator struct{ *rand.Rand }

func (g generator) pick(of ...string) string { return of[g.IntN(len(of))] }

func (g generator) space() string {
	if g.IntN(4) > 0 {
		return ""
	}
	return g.pick(" ", "\n", "\t\r\n  ")
}

func (g generator) object(members []string) string {
	g.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	return "{" + g.space() + strings.Join(members, g.space()+","+g.space()) + g.space() + "}"
}

func (g generator) member(name, value string) string {
	return `"` + name + `"` + g.space() + ":" + g.space() + value
}

func (g generator) text() string {
	if g.IntN(10) == 0 {
		return g.pick(`"\u00e9\n"`, `"a\"b"`, `"\ud83d"`, `"\/"`, "\"\xff\"", `"é😀"`, `""`)
	}
	return fmt.Sprintf(`"%x"`, g.Uint64()>>g.IntN(64))
}

func (g generator) payload() string {
	data := make([]byte, g.IntN(200))
	for i := range data {
		data[i] = byte(g.Uint32())
	}
	s := base64.StdEncoding.EncodeToString(data)
	switch g.IntN(20) {
	case 0:
		s = strings.ReplaceAll(s, "/", `\/`)
	case 1:
		s += g.pick("=", "A", "\\n")
	}
	return `"` + s + `"`
}

func (g generator) number() string {
	return g.pick("0", "1790000000.123", "1.790000000456E9", "1790000000", "17900000004561e-4", "12", "1e3", "0.5", "-1", "-0.5", "1e400")
}

func (g generator) record() string {
	members := []string{}
	for _, m := range []struct {
		name string
		of   func() string
	}{
		{"Data", g.payload}, {"PartitionKey", g.text}, {"SequenceNumber", g.text},
		{"ApproximateArrivalTimestamp", func() string { return fmt.Sprintf("1.790%09dE9", g.IntN(1e9)) }},
		{"EncryptionType", func() string { return g.pick(`"NONE"`, `"KMS"`) }}, {"Unknown", g.value},
	} {
		switch g.IntN(16) {
		case 0:
			members = append(members, g.member(m.name, "null"))
		case 1:
		case 2:
			members = append(members, g.member(m.name, m.of()), g.member(m.name, m.of()))
		default:
			members = append(members, g.member(m.name, m.of()))
		}
	}
	if g.IntN(200) == 0 {
		return g.pick("null", "1", "[]", g.value())
	}
	if g.IntN(50) == 0 {
		members = append(members, g.member("ApproximateArrivalTimestamp", g.number()))
	}
	return g.object(members)
}

func (g generator) value() string {
	switch g.IntN(8) {
	case 0:
		return "[" + g.space() + g.value() + "," + g.value() + "]"
	case 1:
		return g.object([]string{g.member("a", g.value()), g.member("Data", g.value())})
	}
	return g.pick("true", "false", "null", "[]", "{}", g.text(), g.number())
}

func (g generator) answer() string {
	var records []string
	for range g.IntN(6) {
		records = append(records, g.record())
	}
	members := []string{g.member("Records", "["+g.space()+strings.Join(records, g.space()+","+g.space())+g.space()+"]")}
	for _, m := range []struct {
		name string
		of   func() string
	}{
		{"NextShardIterator", g.text}, {"MillisBehindLatest", func() string { return fmt.Sprint(g.IntN(1e9)) }}, {"Unknown", g.value},
		{"ChildShards", func() string {
			return g.pick("[]", "[]", "[]", "[null]", `[{"ShardId":"s","ParentShards":["p",null],"HashKeyRange":{"StartingHashKey":"0","EndingHashKey":"9"}}]`)
		}},
	} {
		switch g.IntN(8) {
		case 0:
			members = append(members, g.member(m.name, "null"))
		case 1:
		default:
			members = append(members, g.member(m.name, m.of()))
		}
	}
	return g.space() + g.object(members) + g.space()
}

// FuzzGetRecords reads any bytes in both ways.
func FuzzGetRecords(f *testing.F) {
	g := generator{rand.New(rand.NewPCG(7, 8))}
	for range 30 {
		f.Add([]byte(g.answer()))
	}
	f.Add(plainAnswer(2, 10))
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > 1<<20 {
			return // the SDK takes long for what is deep
		}
		compare(t, new(Buffers), body)
	})
}
