package kinesistest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"

	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

// faulty is a world with one stream "s" of two shards, a record "0" to "29" in the
// first, and an iterator at its beginning.
func faulty(w *world) (iterator string) {
	w.Helper()
	w.createStream("s", 2)
	for i := range 30 {
		_, _, err := w.srv.PutHash("s", "k", "0", fmt.Append(nil, i))
		w.must(err)
	}
	return w.iterator("s", shardID(0), types.ShardIteratorTypeTrimHorizon, "")
}

// cut asserts that the call failed without an answer of the service.
func (w *world) cut(err error) {
	w.Helper()
	var api smithy.APIError
	if err == nil || errors.As(err, &api) {
		w.Errorf("error %v, want that of a connection", err)
	}
}

func TestFaultsThatRefuse(t *testing.T) {
	each(t, kinesistest.Config{}, func(w *world) {
		it := faulty(w)
		for _, c := range []struct {
			fault kinesistest.Fault
			code  string
		}{
			{kinesistest.Fault{}, "ProvisionedThroughputExceededException"},
			{kinesistest.Fault{Kind: kinesistest.InternalError}, "InternalFailure"},
			{kinesistest.Fault{Kind: kinesistest.ExpiredIterator}, "ExpiredIteratorException"},
			{kinesistest.Fault{Kind: kinesistest.AccessDenied}, "AccessDeniedException"},
			{kinesistest.Fault{Kind: kinesistest.ErrorAnswer}, "InternalFailure"},
			{kinesistest.Fault{Kind: kinesistest.ErrorAnswer, Code: "KMSThrottlingException", Message: "slow down"}, "KMSThrottlingException"},
		} {
			c.fault.Op = "GetRecords"
			f := w.srv.Fault(c.fault)
			w.fails(w.fetch(it), c.code)
			w.must(w.fetch(it))
			w.equal(f.Hits(), 1)
		}
		var kms *types.KMSThrottlingException
		w.srv.Fault(kinesistest.Fault{Kind: kinesistest.ErrorAnswer, Code: "KMSThrottlingException", Message: "slow down"})
		if err := w.fetch(it); !errors.As(err, &kms) || *kms.Message != "slow down" {
			w.Errorf("%v", err)
		}
	})
}

func TestFaultsCountMatchingCalls(t *testing.T) {
	each(t, kinesistest.Config{}, func(w *world) {
		it := faulty(w)
		other := w.iterator("s", shardID(1), types.ShardIteratorTypeTrimHorizon, "")
		f := w.srv.Fault(kinesistest.Fault{Op: "GetRecords", Stream: "s", Shard: shardID(0), Nth: 3, Times: 2})
		elsewhere := w.srv.Fault(kinesistest.Fault{Op: "GetRecords", Stream: "t"})
		got := ""
		for range 6 {
			w.must(w.fetch(other))
			if w.fetch(it) != nil {
				got += "x"
			} else {
				got += "."
			}
		}
		w.equal(got, "..xx..")
		w.equal([]int{f.Hits(), elsewhere.Hits()}, []int{2, 0})
		w.equal([]int{w.srv.Calls("GetRecords", shardID(0)), w.srv.Calls("GetRecords", ""), w.srv.Calls("GetShardIterator", ""),
			w.srv.Calls("", shardID(1)), w.srv.Calls("", ""), w.srv.Calls("PutRecord", "")}, []int{6, 12, 2, 7, 14, 0})

		always := w.srv.Fault(kinesistest.Fault{Times: kinesistest.Forever})
		for range 3 {
			if w.fetch(it) == nil {
				w.Error("a fault for ever has ended")
			}
		}
		always.Remove()
		w.must(w.fetch(it))
		w.equal(always.Hits(), 3)
	})
}

func TestConnectionFaultsOfPuts(t *testing.T) {
	each(t, kinesistest.Config{}, func(w *world) {
		w.createStream("s", 1)
		put := func(data string) error {
			_, err := w.client.PutRecord(w.ctx, &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("k"), Data: []byte(data)})
			return err
		}
		w.srv.Fault(kinesistest.Fault{Op: "PutRecord", Shard: shardID(0), Kind: kinesistest.CutBefore})
		w.cut(put("before"))
		w.srv.Fault(kinesistest.Fault{Op: "PutRecord", Shard: shardID(0), Kind: kinesistest.LostAnswer})
		w.cut(put("lost"))
		w.srv.Fault(kinesistest.Fault{Op: "PutRecord", Kind: kinesistest.CutBody})
		w.cut(put("torn"))
		w.must(put("good"))
		w.equal(data(w.get(w.iterator("s", shardID(0), types.ShardIteratorTypeTrimHorizon, "")).Records), []string{"lost", "torn", "good"})
	})
}

func TestTornAnswerOfGetRecords(t *testing.T) {
	each(t, kinesistest.Config{}, func(w *world) {
		it := faulty(w)
		w.srv.Fault(kinesistest.Fault{Op: "GetRecords", Kind: kinesistest.CutBody})
		err := w.fetch(it)
		w.cut(err)
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			w.Errorf("%v is not an unexpected EOF", err)
		}
		w.equal(len(w.get(it).Records), 30)
	})
}

func TestHangLastsUntilTheClientGivesUp(t *testing.T) {
	for _, kind := range []kinesistest.Kind{kinesistest.Hang, kinesistest.SlowBody} {
		t.Run(kind.String(), func(t *testing.T) {
			// The fault itself ends the client's patience.
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			each(t, kinesistest.Config{OnEvent: func(e kinesistest.Event) {
				if e.Fault != nil {
					cancel()
				}
			}}, func(w *world) {
				ctx, cancel = context.WithCancel(w.ctx)
				defer cancel()
				it := faulty(w)
				w.srv.Fault(kinesistest.Fault{Op: "GetRecords", Kind: kind, Delay: time.Hour})
				_, err := w.client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: &it})
				if !errors.Is(err, context.Canceled) {
					w.Errorf("%v", err)
				}
			})
		})
	}
}

func TestCloseEndsHangingRequests(t *testing.T) {
	arrived := make(chan struct{})
	var once sync.Once
	srv, err := kinesistest.Listen(kinesistest.Config{OnEvent: func(kinesistest.Event) { once.Do(func() { close(arrived) }) }})
	if err != nil {
		t.Fatal(err)
	}
	srv.Fault(kinesistest.Fault{Kind: kinesistest.Hang})
	failed := make(chan error, 1)
	go func() {
		_, err := newClient(srv, false).ListStreams(t.Context(), &kinesis.ListStreamsInput{})
		failed <- err
	}()
	<-arrived
	for range 2 {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := <-failed; err == nil {
		t.Error("the request succeeded")
	}
	if _, err := newClient(srv, true).ListStreams(t.Context(), &kinesis.ListStreamsInput{}); err != nil {
		t.Errorf("in the process after Close: %v", err)
	}
}

func TestFaultsOfReading(t *testing.T) {
	each(t, kinesistest.Config{}, func(w *world) {
		it := faulty(w)
		limited := func(it string) *kinesis.GetRecordsOutput {
			out, err := w.client.GetRecords(w.ctx, &kinesis.GetRecordsInput{ShardIterator: &it, Limit: aws.Int32(15)})
			w.must(err)
			return out
		}
		spoil := func(k kinesistest.Kind) { w.srv.Fault(kinesistest.Fault{Op: "GetRecords", Kind: k}) }

		spoil(kinesistest.EmptyAnswer)
		w.clock.advance(time.Second)
		out := limited(it)
		w.equal([]any{len(out.Records), *out.MillisBehindLatest}, []any{0, 1000})
		out = limited(*out.NextShardIterator)
		w.equal(string(out.Records[0].Data), "0")

		spoil(kinesistest.Overlap)
		out = limited(*out.NextShardIterator)
		w.equal([]string{string(out.Records[0].Data), string(out.Records[14].Data)}, []string{"5", "19"})

		spoil(kinesistest.OutOfOrder)
		out = limited(*out.NextShardIterator)
		w.equal([]string{string(out.Records[0].Data), string(out.Records[9].Data)}, []string{"29", "20"})
		if *out.Records[0].SequenceNumber <= *out.Records[1].SequenceNumber {
			w.Error("sequence numbers are not those of the records")
		}

		spoil(kinesistest.FalseEnd)
		out = limited(it)
		if len(out.Records) != 15 || out.NextShardIterator != nil || out.ChildShards != nil {
			w.Errorf("a false end: %d records, %v, %v", len(out.Records), out.NextShardIterator, out.ChildShards)
		}
	})
}

func TestCustomFaults(t *testing.T) {
	each(t, kinesistest.Config{}, func(w *world) {
		it := faulty(w)
		var seen string
		custom := func(then func(http.ResponseWriter) bool) {
			w.srv.Fault(kinesistest.Fault{Op: "GetRecords", Do: func(rw http.ResponseWriter, r *http.Request) bool {
				b, err := io.ReadAll(r.Body)
				if err != nil {
					panic(err)
				}
				seen = string(b)
				return then(rw)
			}})
		}
		custom(func(http.ResponseWriter) bool { return false })
		w.equal(len(w.get(it).Records), 30)
		if !strings.Contains(seen, it) {
			w.Errorf("the body was %q", seen)
		}
		custom(func(rw http.ResponseWriter) bool {
			_, err := io.WriteString(rw, `{"Records":[],"MillisBehindLatest":7}`)
			return err == nil
		})
		w.equal(*w.get(it).MillisBehindLatest, 7)
		custom(func(http.ResponseWriter) bool { panic(http.ErrAbortHandler) })
		w.cut(w.fetch(it))

		// Also operations that are not served.
		w.srv.Fault(kinesistest.Fault{Op: "DescribeAccountSettings", Do: func(rw http.ResponseWriter, r *http.Request) bool {
			_, err := io.WriteString(rw, `{}`)
			return err == nil
		}})
		_, err := w.client.DescribeAccountSettings(w.ctx, &kinesis.DescribeAccountSettingsInput{})
		w.must(err)
	})
}

func TestEventsTellOutcomes(t *testing.T) {
	var mu sync.Mutex
	var got []string
	config := kinesistest.Config{OnEvent: func(e kinesistest.Event) {
		mu.Lock()
		defer mu.Unlock()
		fault := ""
		if e.Fault != nil {
			fault = e.Fault.Kind.String()
		}
		shard := strings.TrimPrefix(e.Shard, "shardId-00000000000")
		got = append(got, fmt.Sprintf("%s %s/%s %s%s %d %d", e.Op, e.Stream, shard, fault, e.Code, e.Records, e.Bytes))
	}}
	w := newWorld(t, config)
	it := faulty(w)
	w.must(w.fetch(it))
	w.srv.Fault(kinesistest.Fault{Kind: kinesistest.CutBefore})
	w.cut(w.fetch(it))
	w.srv.Fault(kinesistest.Fault{Kind: kinesistest.LostAnswer})
	w.cut(w.fetch(it))
	in := &kinesis.PutRecordsInput{StreamName: aws.String("s"), Records: []types.PutRecordsRequestEntry{{PartitionKey: aws.String("a"), Data: []byte("xyz")}}}
	_, err := w.client.PutRecords(w.ctx, in)
	w.must(err)
	in.StreamName = aws.String("none")
	_, err = w.client.PutRecords(w.ctx, in)
	w.fails(err, "ResourceNotFoundException")
	w.equal(strings.Join(got, "\n"), strings.Join([]string{
		"GetShardIterator s/0  0 0",
		"GetRecords s/0  30 50",
		"GetRecords s/0 CutBefore 0 0",
		"GetRecords s/0 LostAnswer 30 50",
		"PutRecords s/  1 3",
		"PutRecords none/ ResourceNotFoundException 0 0",
	}, "\n"))
}
