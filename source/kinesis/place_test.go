package kinesis_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/shardlake/shardlake/codec"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/source/kinesis"
	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

// Several streams in one pipeline, one of them by ARN as of another account, keep
// apart what is theirs over a restart.
func TestSeveralStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, kinesistest.Config{}, 2)
		if err := srv.CreateStream("orders", 2); err != nil {
			t.Fatal(err)
		}
		store := new(lease.Memory)
		var clicks, orders seen
		run := func() {
			p := pipeline.New(pipeline.Config{Leases: store, CommitEvery: time.Second})
			for stream, into := range map[string]*seen{"clicks": &clicks, "arn:aws:kinesis:us-east-1:000000000000:stream/orders": &orders} {
				cfg := config(srv)
				cfg.Stream, cfg.MultiStream = stream, true
				p.Read(kinesis.Source(cfg, codec.JSON[click], nil)).Into(into)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			if err := p.Run(ctx); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 3 {
			put(t, srv, 4, 10*i, 10)
			for k := range 10 {
				if _, _, err := srv.Put("orders", "key-0", fmt.Appendf(nil, `{"Key":"key-0","N":%d}`, 10*i+k)); err != nil {
					t.Fatal(err)
				}
			}
			run()
		}
		clicks.check(t, 4, 30)
		orders.check(t, 1, 30)
	})
}

// Without MultiStream both would call their shards the same.
func TestSeveralStreamsNeedTheirNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, kinesistest.Config{}, 1)
		if err := srv.CreateStream("orders", 1); err != nil {
			t.Fatal(err)
		}
		p := pipeline.New(pipeline.Config{})
		for _, stream := range []string{"clicks", "orders"} {
			cfg := config(srv)
			cfg.Stream = stream
			p.Read(kinesis.Source(cfg, codec.JSON[click], nil)).Into(new(seen))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := p.Run(ctx); err == nil || !strings.Contains(err.Error(), "shardId-000000000000") {
			t.Error(err)
		}
	})
}

// A stream that is deleted and made again while it is read is not read on at old
// positions, nor in silence from its beginning.
func TestStreamMadeAgainWhileRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, kinesistest.Config{}, 1)
		put(t, srv, 1, 0, 5)
		go func() {
			time.Sleep(10 * time.Second)
			if err := srv.DeleteStream("clicks"); err != nil {
				t.Error(err)
			}
			if err := srv.CreateStream("clicks", 1); err != nil {
				t.Error(err)
			}
		}()
		var got seen
		if _, err := read(t, config(srv), nil, &got, time.Hour); err == nil {
			t.Error("the run goes on")
		}
		got.check(t, 1, 5)
	})
}

func TestPinnedShards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, kinesistest.Config{}, 4)
		put(t, srv, 20, 0, 3)
		cfg := config(srv)
		cfg.Shards = []string{"shardId-000000000002"}
		var got seen
		store := new(lease.Memory)
		status, err := read(t, cfg, store, &got, 5*time.Second)
		records, err2 := srv.Records("clicks", cfg.Shards[0])
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		if len(status.Lanes) != 1 || len(got.got) != len(records) || len(records) == 0 {
			t.Errorf("%d lanes, %d of %d records", len(status.Lanes), len(got.got), len(records))
		}
		// Its rows are not those of a reader of the whole stream.
		if _, err := read(t, config(srv), store, new(seen), 5*time.Second); err == nil {
			t.Error("the rows of pinned shards are taken for those of the stream")
		}
		cfg.Shards = []string{"shardId-000000000009"}
		if _, err := read(t, cfg, nil, new(seen), time.Minute); err == nil || !strings.Contains(err.Error(), "shardId-000000000009") {
			t.Error(err)
		}
	})
}

// deaf is an endpoint where nobody is.
type deaf struct{}

func (deaf) Do(*http.Request) (*http.Response, error) {
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
}

// An endpoint where nobody is and a task without credentials are told with what to
// do, soon.
func TestNothingAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := service(t, kinesistest.Config{}, 1)
		nobody, naked := config(srv), config(srv)
		nobody.HTTPClient = deaf{}
		naked.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{}, errors.New("no role is attached")
		})
		for want, cfg := range map[string]kinesis.Config{"look at the endpoint": nobody, "give the task a role": naked} {
			began := time.Now()
			if _, err := read(t, cfg, nil, new(seen), time.Hour); err == nil || !strings.Contains(err.Error(), want) || time.Since(began) > 15*time.Second {
				t.Errorf("after %v: %v", time.Since(began), err)
			}
		}
	})
}

// An endpoint of the environment is held to the same rule as one of Config.
func TestEndpointOfTheEnvironment(t *testing.T) {
	t.Setenv("AWS_ENDPOINT_URL_KINESIS", "http://203.0.113.1:4567")
	cfg := config(kinesistest.New(kinesistest.Config{}))
	cfg.Endpoint, cfg.AllowHTTP, cfg.HTTPClient = "", false, deaf{}
	if _, err := kinesis.Source(cfg, codec.JSON[click], nil).Lanes(t.Context()); err == nil || !strings.Contains(err.Error(), "in the clear") {
		t.Error(err)
	}
}

// KMS errors keep the lane, however long they last, and what must be done is told.
func TestKMSKeepsTheLane(t *testing.T) {
	for _, code := range []string{"KMSAccessDeniedException", "KMSDisabledException", "KMSInvalidStateException", "KMSNotFoundException", "KMSOptInRequired", "KMSThrottlingException"} {
		synctest.Test(t, func(t *testing.T) {
			srv := service(t, kinesistest.Config{}, 1)
			put(t, srv, 1, 0, 5)
			srv.Fault(kinesistest.Fault{Op: "GetRecords", Times: 20, Kind: kinesistest.ErrorAnswer, Code: code})
			var got seen
			status, err := read(t, config(srv), nil, &got, 15*time.Minute)
			if err != nil {
				t.Fatalf("%s: %v", code, err)
			}
			got.check(t, 1, 5)
			if c := status.Lanes[0].Counts; c.Failed+c.Throttled != 20 {
				t.Errorf("%s: %+v", code, c)
			}
		})
	}
}
