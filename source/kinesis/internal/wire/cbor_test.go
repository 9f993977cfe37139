package wire

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

// writer makes CBOR. With a generator, it chooses among the forms of each item.
type writer struct{ *rand.Rand }

func (w writer) maybe() bool { return w.Rand != nil && w.IntN(3) == 0 }

func (w writer) text(s string) []byte { return w.chunk(majorText, []byte(s)) }

func (w writer) chunk(major byte, s []byte) []byte {
	if !w.maybe() {
		return append(appendHead(nil, major, uint64(len(s))), s...)
	}
	out := []byte{major<<5 | indefinite}
	for len(s) > 0 {
		n := 1 + w.IntN(len(s))
		out = append(appendHead(out, major, uint64(n)), s[:n]...)
		s = s[n:]
		if w.maybe() {
			out = appendHead(out, major, 0)
		}
	}
	return append(out, stop)
}

func (w writer) list(major byte, items ...[]byte) []byte {
	n := len(items)
	if major == majorMap {
		n /= 2
	}
	body := bytes.Join(items, nil)
	if w.maybe() {
		return append(append([]byte{major<<5 | indefinite}, body...), stop)
	}
	return append(appendHead(nil, major, uint64(n)), body...)
}

func (w writer) number(v uint64) []byte {
	switch {
	case w.maybe():
		return binary.BigEndian.AppendUint64([]byte{0xfb}, math.Float64bits(float64(v)))
	case w.maybe():
		return binary.BigEndian.AppendUint64([]byte{0x1b}, v)
	}
	return appendHead(nil, majorUint, v)
}

func (w writer) time(ms int64) []byte {
	b := w.number(uint64(ms))
	if w.maybe() {
		return b
	}
	return append([]byte{majorTag<<5 | tagTime}, b...)
}

// binaryAnswer is plainAnswer in CBOR.
func binaryAnswer(n, size int) []byte {
	w := writer{}
	var records [][]byte
	for i := range n {
		records = append(records, w.list(majorMap,
			w.text("SequenceNumber"), w.text(fmt.Sprintf("4959033827149025660855969253836157109592157598913658%04d", i%10_000)),
			w.text("ApproximateArrivalTimestamp"), w.time(1_790_000_000_000+int64(i%1000)),
			w.text("Data"), w.chunk(majorBytes, []byte(strings.Repeat("0123456789abcdef", size/16+1)[:size])),
			w.text("PartitionKey"), w.text(fmt.Sprintf("key-%d", i/3)),
			w.text("EncryptionType"), w.text("NONE")))
	}
	return w.list(majorMap, w.text("MillisBehindLatest"), w.number(1234), w.text("NextShardIterator"), w.text("AAAAAAAAAAH+/="), w.text("Records"), w.list(majorArray, records...))
}

// TestCBORIsTheSame wants of an answer in CBOR what the SDK makes of it in JSON.
func TestCBORIsTheSame(t *testing.T) {
	for _, n := range []int{0, 1, 30, maxRecords} {
		want, err := bySDK(plainAnswer(n, 300))
		if err != nil {
			t.Fatal(err)
		}
		got := Answer{Behind: -1}
		if err := parseCBOR(binaryAnswer(n, 300), new(index), &got); err != nil {
			t.Fatal(err)
		}
		if d := different(want, got); d != "" {
			t.Errorf("%d records: %s", n, d)
		}
	}
	r := rand.New(rand.NewPCG(9, 10))
	x := new(index)
	for range 3000 {
		text, body := twice(writer{r})
		want, err := bySDK(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		got := Answer{Behind: -1}
		if err := parseCBOR(bytes.Clone(body), x, &got); err != nil {
			t.Fatalf("%x: %v", body, err)
		}
		if d := different(want, got); d != "" {
			t.Fatalf("%q\n%x: %s", text, body, d)
		}
		for range 5 { // damage gives an error or an answer, and never more
			broken := bytes.Clone(body)
			if i := r.IntN(len(broken)); r.IntN(2) == 0 {
				broken = broken[:i]
			} else {
				broken[i] = byte(r.Uint32())
			}
			before := len(broken)
			if err := parseCBOR(broken, x, &got); err != nil && !strings.Contains(err.Error(), fmt.Sprintf(" of %d: ", before)) {
				t.Fatalf("%x: the error does not say where: %v", broken, err)
			}
		}
	}
}

// FuzzCBOR reads any bytes: there is an answer, or an error that says where.
func FuzzCBOR(f *testing.F) {
	f.Add(binaryAnswer(2, 10))
	r := rand.New(rand.NewPCG(11, 12))
	for range 20 {
		_, body := twice(writer{r})
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		a := Answer{Behind: -1}
		err := parseCBOR(bytes.Clone(body), new(index), &a)
		if err != nil && (!strings.HasPrefix(err.Error(), "byte ") || len(a.Records) > 0) {
			t.Fatal(err, len(a.Records))
		}
		if a.Bytes > int64(len(body)) || a.Bytes > 0 && len(a.Records) == 0 {
			t.Fatalf("%d bytes of %d", a.Bytes, len(body))
		}
		parseError(body)
	})
}

// twice makes the same answer in JSON and in CBOR.
func twice(w writer) (text, body []byte) {
	object := func(of map[string]any, names ...string) ([]string, [][]byte) {
		var members []string
		var items [][]byte
		w.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		for _, name := range names {
			var j string
			var b []byte
			switch v := of[name].(type) {
			case nil:
				j, b = "null", []byte{0xf6 + byte(w.IntN(2))}
			case string:
				q, err := json.Marshal(v)
				if err != nil {
					panic(err)
				}
				j, b = string(q), w.text(v)
			case []byte:
				j, b = `"`+base64.StdEncoding.EncodeToString(v)+`"`, w.chunk(majorBytes, v)
			case shardlake.Instant:
				j, b = fmt.Sprintf("%d.%03d", v/1000, v%1000), w.time(int64(v))
			case int:
				j, b = fmt.Sprint(v), w.number(uint64(v))
			case [2]any: // as it is in both
				j, b = v[0].(string), v[1].([]byte)
			}
			members, items = append(members, `"`+name+`":`+j), append(items, w.text(name), b)
		}
		return members, items
	}
	some := func(v any) any {
		if w.IntN(12) == 0 {
			return nil
		}
		return v
	}
	other := func() any {
		return [][2]any{{"1", []byte{0x01}}, {`"x"`, []byte{0x61, 'x'}}, {"[[],{}]", []byte{0x9f, 0x80, 0xbf, 0xff, 0xff}}, {"-5", []byte{0x24}}, {"1.5", []byte{0xf9, 0x3e, 0}}, {"true", []byte{0xf5}},
			{`"t"`, []byte{0xc0, 0x61, 't'}}, {`{"a":{"b":[1]}}`, []byte{0xa1, 0x61, 'a', 0xa1, 0x61, 'b', 0x81, 0xc1, 0x01}}, {`"Yg=="`, []byte{0x5f, 0x41, 'b', 0xff}}}[w.IntN(9)]
	}
	var records []string
	var items [][]byte
	for range w.IntN(5) {
		payload := make([]byte, w.IntN(100))
		for i := range payload {
			payload[i] = byte(w.Uint32())
		}
		m, i := object(map[string]any{
			"Data": some(payload), "PartitionKey": some([]string{"k", "", "é😀", `a"b\c`, "key"}[w.IntN(5)]), "SequenceNumber": some(fmt.Sprint(w.Uint64())),
			"ApproximateArrivalTimestamp": some(shardlake.Instant(1_400_000_000_000 + w.Int64N(7e11))), "EncryptionType": some("KMS"), "Other": other(),
		}, "Data", "PartitionKey", "SequenceNumber", "ApproximateArrivalTimestamp", "EncryptionType", "Other")
		records, items = append(records, "{"+strings.Join(m, ",")+"}"), append(items, w.list(majorMap, i...))
	}
	list := [2]any{"[" + strings.Join(records, ",") + "]", w.list(majorArray, items...)}
	children := [2]any{"[]", w.list(majorArray)}
	if w.IntN(3) == 0 {
		m, i := object(map[string]any{"StartingHashKey": some("0"), "EndingHashKey": some("99"), "Other": other()}, "StartingHashKey", "EndingHashKey", "Other")
		keys := [2]any{"{" + strings.Join(m, ",") + "}", w.list(majorMap, i...)}
		m, i = object(map[string]any{"ShardId": some("shardId-1"), "HashKeyRange": some(keys), "Other": other(),
			"ParentShards": some([2]any{`["a","b"]`, w.list(majorArray, w.text("a"), w.text("b"))})}, "ShardId", "HashKeyRange", "ParentShards", "Other")
		children = [2]any{"[{" + strings.Join(m, ",") + "}]", w.list(majorArray, w.list(majorMap, i...))}
	}
	m, i := object(map[string]any{"Records": list, "NextShardIterator": some("it"), "MillisBehindLatest": some(w.IntN(1e9)), "ChildShards": some(children), "Other": other()},
		"Records", "NextShardIterator", "MillisBehindLatest", "ChildShards", "Other")
	return []byte("{" + strings.Join(m, ",") + "}"), w.list(majorMap, i...)
}

// TestCBORThatIsNotUnderstood says what is wrong, and where.
func TestCBORThatIsNotUnderstood(t *testing.T) {
	w := writer{}
	record := func(name string, value []byte) []byte {
		return w.list(majorMap, w.text("Records"), w.list(majorArray, w.list(majorMap, w.text(name), value)))
	}
	for _, test := range []struct {
		name string
		body []byte
		want string
	}{
		{"nothing", nil, "byte 0 of 0: the end is missing"},
		{"a list", []byte{0x80}, "major type 4 where 5 belongs"},
		{"seconds", record("ApproximateArrivalTimestamp", append([]byte{0xc1}, w.number(1_790_000_000)...)), "time 1790000000 is not in milliseconds"},
		{"seconds with a fraction", record("ApproximateArrivalTimestamp", binary.BigEndian.AppendUint64([]byte{0xc1, 0xfb}, math.Float64bits(1790000000.5))), "not a whole number"},
		{"a negative time", record("ApproximateArrivalTimestamp", []byte{0x20}), "not a whole number"},
		{"a time beyond all", record("ApproximateArrivalTimestamp", w.number(math.MaxUint64)), "is not in milliseconds"},
		{"a time as text", record("ApproximateArrivalTimestamp", w.text("2026")), "not a whole number"},
		{"base64 text as payload", record("Data", w.text("YQ==")), "major type 3 where 2 belongs"},
		{"a null record", w.list(majorMap, w.text("Records"), w.list(majorArray, []byte{0xf6})), "major type 7 where 5 belongs"},
		{"a number for a name", []byte{0xa1, 0x01, 0x01}, "major type 0 where 3 belongs"},
		{"a string beyond the end", []byte{0xa1, 0x7b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, "does not fit"},
		{"a list beyond the end", record("Other", []byte{0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}), "items do not fit"},
		{"pieces of another type", record("Data", []byte{0x5f, 0x61, 'a', 0xff}), "in pieces is broken"},
		{"pieces in pieces", record("Data", []byte{0x5f, 0x5f, 0x41, 'a', 0xff, 0xff}), "in pieces is broken"},
		{"pieces without end", record("Data", []byte{0x5f, 0x41, 'a'}), "the end is missing"},
		{"a reserved head", record("Other", []byte{0x1c}), "no item begins with 0x1c"},
		{"a stop out of place", record("Other", []byte{0xff}), "no item begins with 0xff"},
		{"deep", record("Other", append(bytes.Repeat([]byte{0x81}, 100_000), 0x80)), "deep"},
		{"deep tags", record("Other", append(bytes.Repeat([]byte{0xc1}, 100_000), 0x80)), "deep"},
		{"more behind it", append(w.list(majorMap), 0x00), "more follows"},
		{"behind too large", w.list(majorMap, w.text("MillisBehindLatest"), w.number(math.MaxUint64)), "too large"},
		{"too many records", w.list(majorMap, w.text("Records"), w.list(majorArray, bytes.Split(bytes.Repeat([]byte{0xa0}, maxRecords+1), nil)...)), "more than 10000 records"},
		{"too many children", w.list(majorMap, w.text("ChildShards"), w.list(majorArray, bytes.Split(bytes.Repeat([]byte{0xa0}, maxRecords+1), nil)...)), "more than 10000 children"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := Answer{Behind: -1}
			if err := parseCBOR(test.body, new(index), &a); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
			if !reflect.DeepEqual(a, Answer{Behind: -1}) {
				t.Errorf("the answer was changed: %+v", a)
			}
		})
	}
}

// TestRequest wants the bytes of the request that an AWS SDK for Java writes, but for
// the order and for lengths in place of a stop. Every member of the SDK's input is
// written: a new one would show here.
func TestRequest(t *testing.T) {
	in := &kinesis.GetRecordsInput{ShardIterator: aws.String("AAAA"), Limit: aws.Int32(10_000), StreamARN: aws.String("arn"), StreamId: aws.String("id"), DryRun: aws.Bool(true)}
	want := "a5" + "66" + hex.EncodeToString([]byte("DryRun")) + "f5" + "65" + hex.EncodeToString([]byte("Limit")) + "192710" +
		"6d" + hex.EncodeToString([]byte("ShardIterator")) + "6441414141" + "69" + hex.EncodeToString([]byte("StreamARN")) + "6361726e" +
		"68" + hex.EncodeToString([]byte("StreamId")) + "626964"
	if got := hex.EncodeToString(encodeInput(in)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := hex.EncodeToString(encodeInput(&kinesis.GetRecordsInput{Limit: aws.Int32(-2), DryRun: aws.Bool(false)})); got != "a2"+"66"+hex.EncodeToString([]byte("DryRun"))+"f4"+"65"+hex.EncodeToString([]byte("Limit"))+"21" {
		t.Error(got)
	}
	var exported []string
	for f := range reflect.TypeFor[kinesis.GetRecordsInput]().Fields() {
		if f.IsExported() {
			exported = append(exported, f.Name)
		}
	}
	if got := strings.Join(exported, " "); got != "ShardIterator DryRun Limit StreamARN StreamId" {
		t.Errorf("the input has the members %s", got)
	}
}

// server answers in CBOR, or in JSON what is asked in JSON, and counts both.
type server struct {
	mu           sync.Mutex
	cbor, json   int
	status       int
	contentType  string
	body         []byte // of the answer in CBOR
	wrongRequest error
}

func (s *server) Do(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if r.Header.Get("X-Amz-Target") != "Kinesis_20131202.GetRecords" || !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256") || r.ContentLength != int64(len(body)) {
		s.wrongRequest = fmt.Errorf("%v", r.Header)
	}
	switch r.Header.Get("Content-Type") {
	case contentCBOR:
		if !bytes.Equal(body, encodeInput(input)) {
			s.wrongRequest = fmt.Errorf("%x", body)
		}
		s.cbor++
		return answerWith(s.status, s.contentType, s.body), nil
	default:
		if body[0] != '{' {
			s.wrongRequest = fmt.Errorf("%q", body)
		}
		s.json++
		return answerWith(200, "application/x-amz-json-1.1", plainAnswer(7, 10)), nil
	}
}

// TestProbe: a server that takes CBOR is always asked for it; one that does not is
// asked once, and the call is repeated.
func TestProbe(t *testing.T) {
	w := writer{}
	failure := func(code string) []byte {
		return writer{rand.New(rand.NewPCG(1, 1))}.list(majorMap, w.text("__type"), w.text(code), w.text("message"), w.text("why"), w.text("Other"), []byte{0x01})
	}
	for _, test := range []struct {
		name        string
		status      int
		contentType string
		body        []byte
		cbor        bool  // goes on in CBOR
		records     int   // of each answer
		fails       error // as what each call fails
	}{
		{"taken", 200, contentCBOR, binaryAnswer(5, 10), true, 5, nil},
		{"an answer in JSON", 200, "application/x-amz-json-1.1", plainAnswer(5, 10), false, 5, nil},
		{"an answer in JSON that the SDK has to read", 200, "application/x-amz-json-1.1", []byte(` {"Records":[{},{},null]}`), false, 3, nil},
		{"415", 415, "text/html", []byte("<html>"), false, 7, nil},
		{"404 and no CBOR", 404, "text/html", []byte("<html>"), false, 7, nil},
		{"400 and no CBOR", 400, "application/json", []byte(`{"__type":"SerializationException"}`), false, 7, nil},
		{"400 and nothing", 400, "", nil, false, 7, nil},
		{"an operation that is not known, in CBOR", 400, contentCBOR, failure("UnknownOperationException"), false, 7, nil},
		{"a request that is not read, in CBOR", 400, contentCBOR, failure("com.amazon.coral.service#SerializationException"), false, 7, nil},
		{"times in seconds", 200, contentCBOR, w.list(majorMap, w.text("Records"), w.list(majorArray, w.list(majorMap, w.text("ApproximateArrivalTimestamp"), w.number(1_790_000_000)))), false, 7, nil},
		{"nothing", 200, contentCBOR, nil, false, 7, nil},
		{"a page", 200, "text/html", []byte("<html>"), false, 7, nil},
		{"an error in CBOR", 400, contentCBOR, failure("ExpiredIteratorException"), true, 0, new(types.ExpiredIteratorException)},
		{"a throttled call", 400, contentCBOR, failure("com.amazonaws.kinesis#ProvisionedThroughputExceededException"), true, 0, new(types.ProvisionedThroughputExceededException)},
		{"an error that is not about CBOR", 500, "text/html", []byte("<html>"), true, 0, errors.New("any")},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &server{status: test.status, contentType: test.contentType, body: test.body}
			var log bytes.Buffer
			c := newClient(s, CBOR(slog.New(slog.NewTextHandler(&log, nil))))
			b := new(Buffers)
			for i := range 3 {
				var a Answer
				err := GetRecords(context.Background(), c, input, b, &a)
				records := test.records
				if i > 0 && !test.cbor {
					records = 7
				}
				if (err == nil) != (test.fails == nil) || len(a.Records) != records {
					t.Fatalf("call %d: %d records, %v", i, len(a.Records), err)
				}
				switch want := test.fails.(type) {
				case *types.ExpiredIteratorException:
					if !errors.As(err, &want) || want.ErrorMessage() != "why" {
						t.Errorf("%T: %v", err, err)
					}
				case *types.ProvisionedThroughputExceededException:
					if !errors.As(err, &want) || want.ErrorMessage() != "why" {
						t.Errorf("%T: %v", err, err)
					}
				}
			}
			if want := map[bool]int{true: 3, false: 1}[test.cbor]; s.cbor != want || s.wrongRequest != nil {
				t.Errorf("asked %d times in CBOR and %d times in JSON; %v", s.cbor, s.json, s.wrongRequest)
			}
			if n := strings.Count(log.String(), "level=WARN"); n != map[bool]int{true: 0, false: 1}[test.cbor] {
				t.Errorf("the log has %s", log.String())
			}
		})
	}
}

// TestProbeAfterSuccess: a server that has answered in CBOR may give errors of
// another form; they are not about CBOR.
func TestProbeAfterSuccess(t *testing.T) {
	s := &server{status: 200, body: binaryAnswer(1, 1)}
	c := newClient(s, CBOR(nil))
	var a Answer
	if err := GetRecords(context.Background(), c, input, nil, &a); err != nil {
		t.Fatal(err)
	}
	s.status, s.body = 400, []byte(`{"__type":"ExpiredIteratorException"}`)
	err := GetRecords(context.Background(), c, input, nil, &a)
	if _, ok := errors.AsType[*types.ExpiredIteratorException](err); !ok || s.json != 0 {
		t.Errorf("%T: %v", err, err)
	}
	s.status, s.body = 400, []byte(`{"__type":"UnknownOperationException"}`)
	if err := GetRecords(context.Background(), c, input, nil, &a); err != nil || len(a.Records) != 7 || s.json != 1 {
		t.Error(err, len(a.Records), s.json)
	}
}

// TestProbeByMany: calls that are on their way when CBOR is given up are repeated,
// each with its own answer, and the log has one line.
func TestProbeByMany(t *testing.T) {
	s := &server{status: 415}
	var log bytes.Buffer
	c := newClient(s, CBOR(slog.New(slog.NewTextHandler(&log, nil))))
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			b := new(Buffers)
			for range 5 {
				var a Answer
				if err := GetRecords(context.Background(), c, input, b, &a); err != nil || len(a.Records) != 7 {
					t.Error(len(a.Records), err)
				}
			}
		})
	}
	wait.Wait()
	if s.json != 40 || strings.Count(log.String(), "\n") != 1 {
		t.Error(s.json, log.String())
	}
}

// TestServer reads a shard of kinesistest, which speaks JSON only, to its end.
func TestServer(t *testing.T) {
	for name, option := range map[string]func(*kinesis.Options){"JSON": JSON, "CBOR": CBOR(nil), "SDK": func(*kinesis.Options) {}} {
		t.Run(name, func(t *testing.T) {
			srv := kinesistest.New(kinesistest.Config{})
			if err := srv.CreateStream("s", 1); err != nil {
				t.Fatal(err)
			}
			for i := range 25 {
				if _, _, err := srv.Put("s", fmt.Sprintf("ké\"%d", i/4), bytes.Repeat([]byte{byte(i)}, i*1000)); err != nil {
					t.Fatal(err)
				}
			}
			if _, _, err := srv.Split("s", "shardId-000000000000"); err != nil {
				t.Fatal(err)
			}
			want, err := srv.Records("s", "shardId-000000000000")
			if err != nil {
				t.Fatal(err)
			}
			ctx, c := context.Background(), newClient(srv.Client(), option)
			it, err := c.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{StreamName: aws.String("s"), ShardId: aws.String("shardId-000000000000"), ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
			if err != nil {
				t.Fatal(err)
			}
			a, b := Answer{Next: *it.ShardIterator, HasNext: true}, new(Buffers)
			var got []shardlake.Record
			for a.HasNext {
				if err := GetRecords(ctx, c, &kinesis.GetRecordsInput{ShardIterator: aws.String(a.Next), Limit: aws.Int32(10)}, b, &a); err != nil {
					t.Fatal(err)
				}
				got = append(got, a.Records...)
			}
			if len(got) != len(want) || len(a.Children) != 2 {
				t.Fatalf("%d records, want %d; children %v", len(got), len(want), a.Children)
			}
			for i, r := range got {
				if w := want[i]; r.Key != fmt.Sprintf("ké\"%d", i/4) || !bytes.Equal(r.Data, w.Data) || r.Pos.Seq != w.SequenceNumber {
					t.Errorf("record %d: %+v, want %+v", i, r, w)
				}
			}
		})
	}
}
