package kinesis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
	"github.com/shardlake/shardlake/source"
)

// Source reads a stream. The codec makes rows of records, as codec.JSON does;
// when tells a row's event time. The row's type comes from when; with a nil when,
// event time is the time of arrival, and the codec needs its type written:
//
//	kinesis.Source(kinesis.Config{Stream: "clicks"}, codec.JSON, Click.when)
//	kinesis.Source(kinesis.Config{Stream: "clicks"}, codec.JSON[Click], nil)
//
// It makes no connection before it is run.
func Source[T any](cfg Config, codec func() (codec.Decoder[T], error), when func(T) time.Time) source.Source[T] {
	return &stream[T]{reader: reader{cfg: cfg.withDefaults()}, codec: codec, when: when}
}

// stream is the typed half of a source; reader is all that talks to the service.
type stream[T any] struct {
	reader
	codec func() (codec.Decoder[T], error)
	when  func(T) time.Time
}

// reader lists and opens shards.
type reader struct {
	cfg      Config
	answered atomic.Bool // the service has said something

	mu     sync.Mutex // of what follows
	client *kinesis.Client
	read   func(*kinesis.Options) // how answers of GetRecords are read; set with client
	about  about

	consumerARN string
}

// about is what a stream is, learnt once.
type about struct {
	name, arn, account string
	created            time.Time
	clock              shardlake.Instant // of the service, then
	retention          time.Duration     // as it was then; 0 if the service did not say
	auto               bool              // the service chooses the shard of a record, not its key
}

// identity tells apart a stream and another one made later under its name.
func (a about) identity() string { return fmt.Sprintf("%s@%d", a.arn, a.created.UnixMilli()) }

var errNoCodec = errors.New("kinesis: the source has no codec: pass one, like codec.JSON")

// Check reports mistakes of configuration.
func (s *stream[T]) Check() error {
	err := s.cfg.validate()
	if s.codec == nil {
		err = errors.Join(err, errNoCodec)
	}
	return err
}

// Decoder makes a decoder of the codec and the time function.
func (s *stream[T]) Decoder() (source.Decoder[T], error) {
	if s.codec == nil {
		return nil, errNoCodec
	}
	c, err := s.codec()
	return &decoder[T]{c, s.when}, err
}

type decoder[T any] struct {
	codec codec.Decoder[T]
	when  func(T) time.Time
}

func (d *decoder[T]) Decode(ctx context.Context, records []shardlake.Record, rows []T, times []shardlake.Instant) (int, error) {
	n, err := d.codec.Decode(ctx, records, rows)
	for i := range n {
		if d.when == nil {
			times[i] = records[i].Arrived
			continue
		}
		var ok bool
		if times[i], ok = shardlake.EventTime(d.when(rows[i])); !ok {
			times[i] = shardlake.MaxEventTime + 1 // which the lane refuses
		}
	}
	return n, err
}

// Open makes the fetcher of a shard.
func (s *stream[T]) Open(lane source.Lane, from source.Start) (source.Fetcher, error) {
	if from.After.Partial && from.After.Sub > 0 && s.cfg.RawAggregates {
		// Its other records would be skipped, or the whole of it come again.
		return nil, fmt.Errorf("kinesis: position %v lies inside of an aggregated record, and Config.RawAggregates leaves those whole: run without it until the lane has committed once", from.After)
	}
	if s.cfg.Consumer != "" {
		return newSubscriber(&s.reader, lane, from), nil
	}
	return newPoller(&s.reader, lane, from), nil
}
