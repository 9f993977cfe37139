package wire

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
)

// transport answers requests from memory.
type transport func(*http.Request) *http.Response

func (t transport) Do(r *http.Request) (*http.Response, error) { return t(r), nil }

func answerWith(status int, contentType string, body []byte) *http.Response {
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {contentType}, "Date": {"Wed, 25 Nov 2026 12:00:00 GMT"}},
		ContentLength: int64(len(body)), Body: io.NopCloser(bytes.NewReader(body)),
	}
}

func canned(status int, body []byte) transport {
	return func(*http.Request) *http.Response { return answerWith(status, "application/x-amz-json-1.1", body) }
}

func newClient(c kinesis.HTTPClient, optFns ...func(*kinesis.Options)) *kinesis.Client {
	return kinesis.New(kinesis.Options{
		Region: "us-east-1", BaseEndpoint: aws.String("http://127.0.0.1:1"), HTTPClient: c, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
	}, optFns...)
}

var input = &kinesis.GetRecordsInput{ShardIterator: aws.String("AAAA"), Limit: aws.Int32(10_000), StreamARN: aws.String("arn:aws:kinesis:us-east-1:123456789012:stream/s")}

// TestGetRecords wants the same answer with the option on the client, on the call,
// on both and not at all.
func TestGetRecords(t *testing.T) {
	body := plainAnswer(50, 100)
	want, err := bySDK(body)
	if err != nil {
		t.Fatal(err)
	}
	with, without := newClient(canned(200, body), JSON), newClient(canned(200, body))
	b := new(Buffers)
	for _, test := range []struct {
		name   string
		client *kinesis.Client
		b      *Buffers
		opts   []func(*kinesis.Options)
	}{
		{"on the client", with, b, nil},
		{"on the call", without, b, []func(*kinesis.Options){JSON}},
		{"on both", with, b, []func(*kinesis.Options){JSON}},
		{"nowhere", without, b, nil},
		{"no buffers", with, nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			var a Answer
			if err := GetRecords(context.Background(), test.client, input, test.b, &a, test.opts...); err != nil {
				t.Fatal(err)
			}
			resp, ok := awsmiddleware.GetRawResponse(a.Metadata).(*smithyhttp.Response)
			if !ok || resp.Header.Get("Date") == "" {
				t.Error("the metadata does not have the HTTP answer")
			}
			a.Metadata = want.Metadata
			if d := different(want, a); d != "" {
				t.Error(d)
			}
			if least := a.Bytes + int64(len(a.Records))*recordSize; a.Held < least || a.Held > 2*least {
				t.Errorf("holds %d bytes, at least %d", a.Held, least)
			}
		})
	}
}

// TestOthersAreLeftAlone: calls that this package does not make, and other
// operations, are the SDK's.
func TestOthersAreLeftAlone(t *testing.T) {
	c := newClient(canned(200, plainAnswer(3, 10)), JSON)
	out, err := c.GetRecords(context.Background(), input)
	if err != nil || len(out.Records) != 3 {
		t.Error(out, err)
	}
	c = newClient(canned(200, []byte(`{"Shards":[{"ShardId":"shardId-0"}]}`)), JSON, CBOR(nil))
	list, err := c.ListShards(context.Background(), &kinesis.ListShardsInput{StreamName: aws.String("s")})
	if err != nil || len(list.Shards) != 1 {
		t.Error(list, err)
	}
}

// TestErrors wants the SDK's own types, and an empty answer.
func TestErrors(t *testing.T) {
	a := Answer{Next: "old", HasNext: true}
	c := newClient(canned(400, []byte(`{"__type":"ExpiredIteratorException","message":"Iterator expired."}`)), JSON)
	err := GetRecords(context.Background(), c, input, new(Buffers), &a)
	if _, ok := errors.AsType[*types.ExpiredIteratorException](err); !ok {
		t.Errorf("%T: %v", err, err)
	}
	if a.HasNext || a.Next != "" || a.Records != nil || a.Behind != -1 {
		t.Errorf("%+v", a)
	}
	c = newClient(canned(500, []byte(`<html>`)), JSON)
	if err := GetRecords(context.Background(), c, input, nil, &a); err == nil {
		t.Error("no error")
	}
}

// TestBrokenBodies are those that end early, or never, or fail.
func TestBrokenBodies(t *testing.T) {
	for _, test := range []struct {
		name string
		of   func() *http.Response
		want error
	}{
		{"torn", func() *http.Response {
			r := answerWith(200, "", nil)
			r.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"Records":[`), failing{io.ErrUnexpectedEOF}))
			return r
		}, io.ErrUnexpectedEOF},
		{"announces too much", func() *http.Response {
			r := answerWith(200, "", nil)
			r.ContentLength = MaxBody + 1
			return r
		}, ErrTooLarge},
		{"without end", func() *http.Response {
			r := answerWith(200, "", nil)
			r.ContentLength, r.Body = -1, io.NopCloser(spaces{})
			return r
		}, ErrTooLarge},
		{"never gives anything", func() *http.Response {
			r := answerWith(200, "", nil)
			r.ContentLength, r.Body = -1, io.NopCloser(failing{})
			return r
		}, io.ErrNoProgress},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newClient(transport(func(*http.Request) *http.Response { return test.of() }), JSON)
			var a Answer
			err := GetRecords(context.Background(), c, input, nil, &a)
			if !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if _, ok := errors.AsType[*smithy.DeserializationError](err); !ok {
				t.Errorf("%T", err)
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

type spaces struct{}

func (spaces) Read(b []byte) (int, error) {
	copy(b, bytes.Repeat([]byte{' '}, len(b)))
	return len(b), nil
}

// TestLengths: what the header says about the length only sizes memory, as with the
// SDK.
func TestLengths(t *testing.T) {
	body := plainAnswer(20, 3000)
	for _, length := range []int64{-1, 0, 1, int64(len(body)) / 2, int64(len(body)), int64(len(body)) * 3} {
		for _, option := range []func(*kinesis.Options){JSON, func(*kinesis.Options) {}} {
			c := newClient(transport(func(*http.Request) *http.Response {
				r := answerWith(200, "", body)
				r.ContentLength = length
				return r
			}), option)
			var a Answer
			if err := GetRecords(context.Background(), c, input, nil, &a); err != nil || len(a.Records) != 20 {
				t.Errorf("%d announced, %d given: %d records, %v", length, len(body), len(a.Records), err)
			}
		}
	}
}

// TestHTTP goes through net/http: compressed answers, answers without a length, and
// answers cut short.
func TestHTTP(t *testing.T) {
	body := plainAnswer(30, 2000)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		switch r.URL.Query().Get("kind") {
		case "gzip":
			h.Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			if _, err := z.Write(body); err != nil {
				t.Error(err)
			}
			if err := z.Close(); err != nil {
				t.Error(err)
			}
		case "cut":
			h.Set("Content-Length", strconv.Itoa(len(body)))
			if _, err := w.Write(body[:len(body)/2]); err != nil {
				t.Error(err)
			}
		default:
			if _, err := w.Write(body); err != nil { // chunked
				t.Error(err)
			}
		}
	}))
	defer srv.Close()
	for _, kind := range []string{"chunked", "gzip", "cut"} {
		t.Run(kind, func(t *testing.T) {
			var answers [2]Answer
			var errs [2]error
			for i, option := range []func(*kinesis.Options){JSON, func(*kinesis.Options) {}} {
				c := newClient(rewrite{srv.Client(), srv.URL + "/?kind=" + kind}, option)
				errs[i] = GetRecords(context.Background(), c, input, nil, &answers[i])
				answers[i].Metadata = Answer{}.Metadata
			}
			if (errs[0] == nil) != (errs[1] == nil) || (errs[0] == nil) != (kind == "chunked" || kind == "gzip" && len(answers[1].Records) == 30) {
				t.Fatalf("wire: %v, SDK: %v", errs[0], errs[1])
			}
			if kind == "cut" && (!errors.Is(errs[0], io.ErrUnexpectedEOF) || !errors.Is(errs[1], io.ErrUnexpectedEOF)) {
				t.Fatalf("wire: %v, SDK: %v", errs[0], errs[1])
			}
			if d := different(answers[1], answers[0]); d != "" {
				t.Error(d)
			}
		})
	}
}

// rewrite sends requests elsewhere.
type rewrite struct {
	next *http.Client
	url  string
}

func (c rewrite) Do(r *http.Request) (*http.Response, error) {
	out, err := http.NewRequestWithContext(r.Context(), r.Method, c.url, r.Body)
	if err != nil {
		return nil, err
	}
	out.Header = r.Header
	return c.next.Do(out)
}

// TestRetriesOfTheSDK: an attempt that failed leaves nothing behind.
func TestRetriesOfTheSDK(t *testing.T) {
	n := 0
	c := newClient(transport(func(*http.Request) *http.Response {
		if n++; n == 1 {
			return answerWith(500, "", []byte(`{"__type":"InternalFailure"}`))
		}
		return answerWith(200, "", plainAnswer(2, 10))
	}), JSON)
	var a Answer
	err := GetRecords(context.Background(), c, input, nil, &a, func(o *kinesis.Options) {
		o.Retryer = instant{o.Retryer}
	})
	if err != nil || len(a.Records) != 2 || n != 2 {
		t.Error(len(a.Records), n, err)
	}
}

type instant struct{ aws.Retryer }

func (instant) MaxAttempts() int                             { return 3 }
func (instant) IsErrorRetryable(error) bool                  { return true }
func (instant) RetryDelay(int, error) (time.Duration, error) { return 0, nil }

// TestAbsurdAnswers: the SDK calls itself for each unknown member of an object.
// With some more than it is given here, that would use up its stack and end the
// program.
func TestAbsurdAnswers(t *testing.T) {
	absurd := func(members int) []byte {
		return []byte(`{"MillisBehindLatest":-1` + strings.Repeat(`,"":1`, members) + `}`)
	}
	if _, _, err := byWire(new(Buffers), absurd(maxMarks/2-1)); err != nil {
		t.Error(err)
	}
	if _, _, err := byWire(new(Buffers), absurd(maxMarks/2)); err == nil || !strings.Contains(err.Error(), "more than 500000 members") {
		t.Error(err)
	}
	keys := bytes.ReplaceAll(plainAnswer(maxRecords, 1), []byte("key-"), bytes.Repeat([]byte(":,{["), 60))
	if _, _, err := byWire(new(Buffers), bytes.Replace(keys, []byte("1234"), []byte("-1"), 1)); err != nil {
		t.Error(err)
	}
}

// TestBuffersShrink: what one large answer took is given back soon, and what answers
// of about one size take is kept.
func TestBuffersShrink(t *testing.T) {
	b := new(Buffers)
	call := func(n int) {
		t.Helper()
		if _, _, err := byWire(b, plainAnswer(n, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	call(5000)
	large := b.Size()
	if large < 5000*1000 || large > 5000*1000*3 {
		t.Errorf("%d bytes are kept after an answer of 5 MB", large)
	}
	body := &b.body[:1][0]
	call(4000)
	call(5100)
	if body != &b.body[:1][0] {
		t.Error("answers of about one size took new memory")
	}
	for range 40 {
		call(1)
	}
	if b.Size() > keepFactor*leastBody {
		t.Errorf("%d bytes are kept after 40 small answers", b.Size())
	}
	b.Drop()
	if b.Size() != 0 {
		t.Errorf("%d bytes are kept after Drop", b.Size())
	}
}

// TestAllocations: as many for 10,000 records as for ten.
func TestAllocations(t *testing.T) {
	count := func(body []byte, parse func(*Buffers, []byte, *Answer) error) float64 {
		b := new(Buffers)
		return testing.AllocsPerRun(5, func() {
			var a Answer
			if err := parse(b, body, &a); err != nil {
				t.Fatal(err)
			}
		})
	}
	json := func(b *Buffers, body []byte, a *Answer) error {
		if !parseJSON(body, &b.index, a) {
			return fmt.Errorf("refused")
		}
		return nil
	}
	if few, many := count(plainAnswer(10, 100), json), count(plainAnswer(10_000, 100), json); few != many || many > 4 {
		t.Errorf("JSON: %v allocations for 10 records, %v for 10,000", few, many)
	}
	escaped := bytes.ReplaceAll(plainAnswer(10_000, 100), []byte("key-"), []byte(`\u006bey\/`))
	if n := count(escaped, json); n > 4 {
		t.Errorf("JSON: %v allocations for keys with escapes", n)
	}
	cbor := func(b *Buffers, body []byte, a *Answer) error { return parseCBOR(body, &b.index, a) }
	if few, many := count(binaryAnswer(10, 100), cbor), count(binaryAnswer(10_000, 100), cbor); few != many || many > 8 {
		t.Errorf("CBOR: %v allocations for 10 records, %v for 10,000", few, many)
	}
}
