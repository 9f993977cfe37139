// Package kinesis reads Amazon Kinesis data streams, by polling or by enhanced
// fan-out: one lane a shard, parents before children, paced to what a shard gives,
// aggregated records taken apart.
package kinesis

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/internal/awsnet"
)

// Config says which stream is read and how. Region, endpoint and credentials come
// from the SDK's usual places (AWS_REGION, AWS_ENDPOINT_URL_KINESIS, the task's
// role, ...) unless set here.
type Config struct {
	Stream   string // name or ARN of the stream; an ARN may be of another account
	Begin    Begin  // where an application begins on its first run; TrimHorizon by default
	Region   string
	Endpoint string // http is taken for loopback addresses only, unless AllowHTTP

	AllowHTTP   bool
	Credentials aws.CredentialsProvider
	// HTTPClient replaces the default one, which is made for long polls of many
	// shards and avoids a race of the SDK that breaks up to 6 % of large answers.
	HTTPClient aws.HTTPClient
	// Client replaces the SDK client altogether.
	Client *kinesis.Client

	// Consumer reads by enhanced fan-out: the service pushes records, at 2 MiB/s for
	// each shard that no other reader shares, for a price. It is the name of a
	// consumer, which is registered if it is absent, one for an application; or its
	// ARN, as for a stream of another account. Nothing removes it but a command of
	// yours. By default a stream is polled. Both keep the same positions: an
	// application may change from one to the other at any time.
	Consumer string

	// MultiStream makes lane ids "account:stream:created:shard", as Amazon's
	// consumer library does where one application reads several streams. By
	// default a lane's id is its shard's.
	MultiStream bool
	// Shards reads these shards alone, whatever their parents: to look into a matter,
	// with a lease store of its own. By default all are read.
	Shards []string
	// RawAggregates leaves aggregated records (KPL) as they are. By default each of
	// their user records is a record, with the position {sequence number, index}; one
	// that is broken goes on whole and is counted.
	RawAggregates bool
	// FilterHashRange leaves out user records of aggregated ones whose key belongs to
	// another shard, as they do after a reshard. Set it only if all producers are KPL
	// 0.15.11 or later: those send such records once more, others do not, and then
	// they are lost. It has no effect on a stream whose RecordDistributionStrategy is
	// AUTO. By default all are kept: at worst one comes twice.
	FilterHashRange bool
	// Poll is the time between calls when a shard has nothing new: 900 ms by default,
	// at least 200 ms; half of it after a call that gave something. A shard that is
	// behind is called up to 5 times a second, which is all that it allows its readers
	// together; a reader that is refused for the sake of others slows down.
	Poll time.Duration
	// Limit is the number of records asked for in a call; 10,000 by default, the
	// most that the service allows. An answer holds at most 10 MiB.
	Limit int
	// CBOR asks for answers in the binary form that Java clients use, which costs
	// less to read. Whether the service gives it to others is not documented: the
	// first answer shows it, and if it does not, JSON is used from then on.
	CBOR bool
	// Log takes what an operator should know. Silent by default.
	Log *slog.Logger
}

// Begin is where an application begins on its first run. It is made concrete then
// and kept in the lease rows: later runs go on where they were, and a shard that
// is found later never begins anywhere else.
type Begin struct {
	latest bool
	at     time.Time
}

// TrimHorizon begins with the oldest record that the stream holds. It is the
// default: nothing is missed.
func TrimHorizon() Begin { return Begin{} }

// Latest begins with records that arrive from the first listing of shards on, by
// the service's clock less a second.
func Latest() Begin { return Begin{latest: true} }

// AtTime begins with records that arrived at t or later.
func AtTime(t time.Time) Begin { return Begin{at: t} }

const maxLimit = 10_000

func (c Config) withDefaults() Config {
	if c.Poll == 0 {
		c.Poll = 900 * time.Millisecond
	}
	if c.Limit == 0 {
		c.Limit = maxLimit
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
	if c.Consumer != "" && !validConsumer(c.Consumer) {
		bad("Consumer %q: want a name of 1 to 128 letters, digits, dots, dashes and underscores, or the ARN of a consumer", c.Consumer)
	}
	if c.Poll < minPoll {
		bad("Poll is %v: a shard takes 5 calls a second from all its readers together, so at least %v", c.Poll, minPoll)
	}
	if c.Limit < 1 || c.Limit > maxLimit {
		bad("Limit is %d: want 1 to %d", c.Limit, maxLimit)
	}
	if !c.Begin.at.IsZero() && (shardlake.At(c.Begin.at) < 0 || shardlake.At(c.Begin.at) > shardlake.MaxEventTime) {
		bad("Begin is %v: want a time after 1970", c.Begin.at)
	}
	if c.Endpoint != "" {
		if err := awsnet.CheckEndpoint(c.Endpoint, c.AllowHTTP); err != nil {
			bad("%w", err)
		}
	}
	return errors.Join(errs...)
}
