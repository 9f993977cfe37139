package kinesistest

import "time"

const (
	defaultIteratorTTL = 5 * time.Minute
	defaultRetention   = 24 * time.Hour
	defaultMaxBytes    = 256 << 20

	// nextTokenTTL is how long a page token of ListShards may be used, from the
	// API reference of ListShards.
	nextTokenTTL = 300 * time.Second
)

// Config says how a Server behaves. The zero Config is a service without limits
// on throughput, under the wall clock, with the retention and the iterator
// lifetime of a new stream on AWS. Values below zero count as zero.
type Config struct {
	// Now is the clock of the service: arrival times, retention, iterator expiry,
	// throughput limits, the Date header. Nil means time.Now. It is called from
	// many goroutines at once. A clock that steps back is allowed.
	//
	// Waiting (Fault.Delay) cannot follow it: that uses the timers of package
	// time, which are the bubble's own under testing/synctest.
	Now func() time.Time

	// Region and Account appear in ARNs and messages. Empty means "us-east-1" and
	// "000000000000".
	Region, Account string

	// IteratorTTL is the lifetime of a shard iterator. 0 means 5 minutes, as on AWS.
	IteratorTTL time.Duration

	// Retention is how long a new stream keeps its records. 0 means 24 hours, as on
	// AWS. Unlike AWS, it may be shorter. Requests see it rounded up to hours.
	Retention time.Duration

	// StatusDelay is how long, by Now, a stream stays CREATING, UPDATING or
	// DELETING after the request that caused it. The new shards exist at once. 0
	// means that a stream is ACTIVE, or gone, when the request returns.
	StatusDelay time.Duration

	// ConsumerDelay is how long, by Now, a consumer stays CREATING when it has been
	// registered and DELETING when it has been removed. 0 means CREATING for
	// StatusDelay, and gone when the request that removes it returns.
	ConsumerDelay time.Duration

	// MaxBytes bounds the memory of all records of all streams together: data,
	// partition keys, and 64 bytes for each record. 0 means 256 MiB. A put beyond
	// it is refused with an InvalidArgumentException that says so, which no client
	// retries: a test that outgrows the server fails where it does so, instead of
	// finding a hole later. See TrimOldest.
	MaxBytes int64

	// TrimOldest makes a put beyond MaxBytes drop the oldest records of all
	// streams, as if their retention were over, instead of being refused. It is
	// for programs that run without end.
	TrimOldest bool

	// Limits turns on the throughput limits of each shard: 5 GetRecords calls a
	// second, 2 MiB of answers a second (after a larger answer every call is
	// refused for its size divided by 2 MiB/s: 5 s after one of 10 MiB), 1,000
	// records and 1 MiB of puts a second. What exceeds them gets
	// ProvisionedThroughputExceededException and no data. A subscription gets 2 MiB a
	// second, and SubscribeToShard more than once a second for a consumer and shard, or
	// UpdateShardCount more than ten times in 24 hours for a stream, gets
	// LimitExceededException.
	Limits bool

	// OnEvent, if not nil, is called once for each request when its outcome is
	// decided: after its effect and before its answer, so for a subscription before
	// its first event. It is called from the
	// goroutine of the request, without locks, from many at once; while it blocks,
	// the answer waits.
	OnEvent func(Event)
}

// Event tells of one request.
type Event struct {
	// Time is when the request arrived, by Config.Now.
	Time time.Time
	// Op is the operation, as in "GetRecords", even of one that is not served.
	Op string
	// Stream and Shard are what the request is about, empty if neither or unknown.
	// Shard is empty for PutRecords, which may write to many.
	Stream, Shard string
	// Fault is the fault that struck, nil if none. It must not be modified.
	Fault *Fault
	// Code is the code of the error that the operation ended with, empty if none.
	Code string
	// Records and Bytes count the records put or read, and their data.
	Records int
	Bytes   int64
}

func (c Config) withDefaults() Config {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Region == "" {
		c.Region = "us-east-1"
	}
	if c.Account == "" {
		c.Account = "000000000000"
	}
	if c.IteratorTTL <= 0 {
		c.IteratorTTL = defaultIteratorTTL
	}
	if c.Retention <= 0 {
		c.Retention = defaultRetention
	}
	if c.MaxBytes <= 0 {
		c.MaxBytes = defaultMaxBytes
	}
	c.StatusDelay, c.ConsumerDelay = max(0, c.StatusDelay), max(0, c.ConsumerDelay)
	return c
}
