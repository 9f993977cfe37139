// Package kinesis writes rows to an Amazon Kinesis data stream, at least once: a
// commit waits until the service has acknowledged each row before it. Sink ends a
// stream of a pipeline; Producer, which it stands on, is for other programs.
//
// # At least once
//
// Files get their rows exactly once, because they become visible by the commit. A
// record of a stream is visible as soon as the service takes it, and nothing takes
// it back. It may be there twice: when the answer of a put is lost and the put is
// repeated, and when a process dies before the commit and the rows come again.
// Give each record an ID, so that its readers can drop repeats.
//
// # Order
//
// Records of one partition key reach the stream in order: while one is on its way,
// the later ones of its key wait. PutRecords promises no such order, since it may
// refuse any record of a request and take those behind it. So a request holds one
// record a key, and few keys with much data are slow: some 50 records a second for
// each. Config.Aggregate packs such records together, and Config.Unordered gives
// up the order. A repeat is no exception: what is sent anew, though it was there,
// comes before what follows it. With Aggregate the order is that of the shard to
// which a key belongs: beside a reshard some records come to others as well.
package kinesis

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardlake/shardlake/internal/awsnet"
)

// Config says which stream is written and how. Region, endpoint and credentials
// come from the SDK's usual places (AWS_REGION, AWS_ENDPOINT_URL_KINESIS, the
// task's role, ...) unless set here. The role needs kinesis:PutRecords, and with
// Aggregate kinesis:ListShards and kinesis:DescribeStreamSummary.
type Config struct {
	Stream   string // name or ARN of the stream; an ARN may be of another account
	Region   string
	Endpoint string // http is taken for loopback addresses only, unless AllowHTTP

	AllowHTTP   bool
	Credentials aws.CredentialsProvider
	// HTTPClient replaces the default one.
	HTTPClient aws.HTTPClient
	// Client replaces the SDK client altogether. Its retries are not used.
	Client *kinesis.Client

	// MaxRecord is the largest record that the stream takes, key and payload, in
	// bytes: 1 MiB by default, up to 10 MiB where the stream is set to that
	// (UpdateMaxRecordSize). A larger one is refused with a *RecordError.
	MaxRecord int
	// Aggregate packs records for the same shard into one of up to 50 KiB, in the
	// form of the Kinesis Producer Library. Readers must take it apart, as
	// Shardlake, Amazon's KCL and Lambda with its library do. It makes many small
	// records cheaper by far, and keeps the order of a key at full speed. After a
	// reshard, records that were packed for the wrong shard are sent anew, since
	// some readers drop those.
	Aggregate bool
	// Unordered lets a request hold several records of a key: faster where few keys
	// have much data, but a record that is refused and repeated may come behind a
	// later one of its key. It has no effect with Aggregate.
	Unordered bool
	// Linger is how long a record may wait for others, so that requests are full:
	// 100 ms by default; negative means not at all. Flush does not wait.
	Linger time.Duration
	// Requests is how many requests of a producer (of a lane) may be under way: 4 by
	// default, 1 to 100.
	Requests int
	// Buffer bounds what a producer holds, in bytes: 16 MiB by default, at least
	// 64 KiB. When it is full, Put waits. One record may go beyond it. Requests
	// under way take about three times their records' size more.
	Buffer int64
	// Log takes what an operator should know. Silent by default.
	Log *slog.Logger
}

// Limits of the service, from the API reference of PutRecords (October 2025).
const (
	maxRequestRecords = 500
	maxRequestBytes   = 10 << 20 // with partition keys
	maxKey            = 256      // characters
	maxMaxRecord      = 10 << 20

	fullRequest    = 5 << 20  // a request that does not wait for more
	aggregateBytes = 50 << 10 // as the KPL has it (AggregationMaxSize)
)

func (c Config) withDefaults() Config {
	if c.MaxRecord == 0 {
		c.MaxRecord = 1 << 20
	}
	if c.Linger == 0 {
		c.Linger = 100 * time.Millisecond
	}
	if c.Requests == 0 {
		c.Requests = 4
	}
	if c.Buffer == 0 {
		c.Buffer = 16 << 20
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("kinesis: "+format, args...)) }
	if !awsnet.ValidStream(c.Stream) {
		bad("Stream %q: want %s", c.Stream, awsnet.Streams)
	}
	if c.MaxRecord < 1 || c.MaxRecord > maxMaxRecord {
		bad("MaxRecord is %d: want 1 to %d bytes", c.MaxRecord, maxMaxRecord)
	}
	if c.Requests < 1 || c.Requests > 100 {
		bad("Requests is %d: want 1 to 100", c.Requests)
	}
	if c.Buffer < 64<<10 {
		bad("Buffer is %d: want at least %d bytes", c.Buffer, 64<<10)
	}
	if c.Endpoint != "" {
		if err := awsnet.CheckEndpoint(c.Endpoint, c.AllowHTTP); err != nil {
			bad("%w", err)
		}
	}
	return errors.Join(errs...)
}
