// Package cloudwatch decodes what a subscription of Amazon CloudWatch Logs puts into
// a stream: one record holds many log events.
//
//	logs := kinesis.Source(cfg, cloudwatch.Logs, cloudwatch.Batch.When)
//	events := logs.Then(stage.FlatMap(cloudwatch.Batch.Entries))
//
// # Records
//
// A record is gzip of a JSON document, or of several back to back; members of gzip
// may follow each other, too. Records that are not compressed are read as well:
// Firehose and test producers write them (Graylog2/graylog-plugin-aws#86). What is
// none of these becomes a dead letter with the record as it was.
//
// Control messages, which CloudWatch sends to see whether it can, give no row: they
// are skipped, and the lane counts them. A record that has nothing but them, or no
// event, is skipped as a whole.
//
// # Duplicates
//
// CloudWatch delivers at least once. Events keep their id, and one that comes twice
// stays twice: the pipeline is exact about records, not about what producers repeat.
//
// Source of the format: "Real-time processing of log data with subscriptions" in the
// user guide of CloudWatch Logs.
package cloudwatch

import (
	"bytes"
	"context"
	"encoding/json/jsontext"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
)

// Batch is the events of a record in their order.
type Batch struct {
	Owner       string   // the account that the events come from
	LogGroup    string   // where they were logged
	LogStream   string   // and there
	Filters     []string // names of the subscription's filters that let them through
	PolicyLevel string   // ACCOUNT_LEVEL_POLICY for the subscription of an account, else empty
	Events      []Event
	// More are further documents of the record that come from elsewhere. There are
	// hardly ever any; Entries and When heed them.
	More []Batch
}

// Event is a log event.
type Event struct {
	ID        string // decimal, of up to 56 digits
	Time      time.Time
	Message   string
	Extracted map[string]string // what the filter took out of the message, or nil
}

// Entry is a log event as a row of its own, which any lake can hold.
type Entry struct {
	Owner       string            `lake:"owner"`
	LogGroup    string            `lake:"log_group"`
	LogStream   string            `lake:"log_stream"`
	Filters     []string          `lake:"filters"`
	PolicyLevel string            `lake:"policy_level,omitzero"`
	Index       int               `lake:"index"` // of the event in its record, from 0
	ID          string            `lake:"id"`
	Time        time.Time         `lake:"time,millis"`
	Message     string            `lake:"message"`
	Extracted   map[string]string `lake:"extracted"`
}

// Entries emits the events in their order, for stage.FlatMap. Entries share Filters.
func (b Batch) Entries(emit func(Entry)) {
	index := 0
	b.each(func(d *Batch, e *Event) {
		emit(Entry{
			Owner: d.Owner, LogGroup: d.LogGroup, LogStream: d.LogStream, Filters: d.Filters, PolicyLevel: d.PolicyLevel,
			Index: index, ID: e.ID, Time: e.Time, Message: e.Message, Extracted: e.Extracted,
		})
		index++
	})
}

// When is the time of the earliest event, which are not in the order of time: then
// no event is late because of its neighbours. stage.At gives each its own time again,
// behind the FlatMap that takes a batch apart.
func (b Batch) When() (first time.Time) {
	b.each(func(_ *Batch, e *Event) {
		if first.IsZero() || e.Time.Before(first) {
			first = e.Time
		}
	})
	return first
}

func (b *Batch) each(f func(*Batch, *Event)) {
	for i := range b.Events {
		f(b, &b.Events[i])
	}
	for i := range b.More {
		b.More[i].each(f)
	}
}

// Logs is the codec of a subscription's records with the default limits.
func Logs() (codec.Decoder[Batch], error) { return Config{}.Logs() }

// Config holds the settings. The zero value is the default.
type Config struct {
	Limits codec.Limits // of what a record is unpacked to
}

// Logs is the codec with these settings:
//
//	kinesis.Source(cfg, cloudwatch.Config{...}.Logs, cloudwatch.Batch.When)
func (c Config) Logs() (codec.Decoder[Batch], error) {
	return codec.GzipConfig{Limits: c.Limits, Plain: true}.Unpack(newDecoder)()
}

func newDecoder() (codec.Decoder[Batch], error) {
	d, err := codec.JSON[message]()
	return &decoder{json: d}, err
}

// message is a document as CloudWatch writes it.
type message struct {
	Type    string   `json:"messageType"`
	Owner   string   `json:"owner"`
	Group   string   `json:"logGroup"`
	Stream  string   `json:"logStream"`
	Filters []string `json:"subscriptionFilters"`
	Policy  string   `json:"policyLevel"`
	Events  []struct {
		ID        string            `json:"id"`
		Timestamp int64             `json:"timestamp"` // milliseconds since 1970
		Message   string            `json:"message"`
		Extracted map[string]string `json:"extractedFields"`
	} `json:"logEvents"`
}

type decoder struct {
	json codec.Decoder[message]
	one  [1]shardlake.Record
	row  [1]message
}

func (d *decoder) Decode(ctx context.Context, records []shardlake.Record, rows []Batch) (n int, err error) {
	defer func() { d.one, d.row = [1]shardlake.Record{}, [1]message{} }()
	for n = range records {
		if rows[n], err = d.record(ctx, records[n]); err != nil {
			return n, err
		}
	}
	return len(records), nil
}

// record reads one document, which is the usual case, or as many as there are.
func (d *decoder) record(ctx context.Context, r shardlake.Record) (b Batch, err error) {
	whole := d.document(ctx, r)
	if whole == nil {
		err = b.add(&d.row[0])
	} else {
		err = d.documents(ctx, r, &b, whole)
	}
	switch {
	case err != nil:
		return Batch{}, err
	case len(b.Events) == 0:
		return Batch{}, shardlake.ErrSkip
	}
	return b, nil
}

// document reads one into d.row.
func (d *decoder) document(ctx context.Context, r shardlake.Record) error {
	d.one[0] = r
	_, err := d.json.Decode(ctx, d.one[:], d.row[:])
	return err
}

// documents reads several. whole is why the payload is not one: if it is none, or
// one that is wrong, that is the answer.
func (d *decoder) documents(ctx context.Context, r shardlake.Record, b *Batch, whole error) error {
	split := jsontext.NewDecoder(bytes.NewReader(r.Data), jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true)) // the codec sees to these
	for n := 1; ; n++ {
		value, err := split.ReadValue()
		switch {
		case errors.Is(err, io.EOF) && n > 2:
			return nil
		case err != nil && n <= 2:
			return whole
		case err != nil:
			return shardlake.Reject(fmt.Errorf("cloudwatch: document %d: %w", n, err))
		case len(value) == len(bytes.TrimSpace(r.Data)):
			return whole
		}
		part := r
		part.Data = bytes.Clone(value) // which the next one overwrites
		if err := d.document(ctx, part); err != nil {
			return shardlake.Reject(fmt.Errorf("cloudwatch: document %d: %w", n, errors.Unwrap(err)))
		}
		if err := b.add(&d.row[0]); err != nil {
			return err
		}
	}
}

// add appends a document's events.
func (b *Batch) add(m *message) error {
	switch {
	case m.Type == "CONTROL_MESSAGE":
		return nil
	case m.Type != "DATA_MESSAGE":
		return shardlake.Reject(fmt.Errorf("cloudwatch: messageType is %.40q, neither DATA_MESSAGE nor CONTROL_MESSAGE: is it the record of a log subscription?", m.Type))
	case len(m.Events) == 0:
		return nil
	}
	events := make([]Event, len(m.Events))
	for i := range events {
		e := &m.Events[i]
		if e.Timestamp <= 0 || e.Timestamp > int64(shardlake.MaxEventTime)/1000 {
			return shardlake.Reject(fmt.Errorf("cloudwatch: event %d: timestamp is %d, no milliseconds since 1970 up to the year 9999", i, e.Timestamp))
		}
		events[i] = Event{e.ID, time.UnixMilli(e.Timestamp).UTC(), e.Message, e.Extracted}
	}
	own := Batch{Owner: m.Owner, LogGroup: m.Group, LogStream: m.Stream, Filters: m.Filters, PolicyLevel: m.Policy, Events: events}
	last := b
	if n := len(b.More); n > 0 {
		last = &b.More[n-1]
	}
	switch {
	case len(b.Events) == 0:
		*b = own
	case last.origin(&own):
		last.Events = append(last.Events, events...)
	default:
		b.More = append(b.More, own)
	}
	return nil
}

// origin tells whether the events of both come from one place.
func (b *Batch) origin(c *Batch) bool {
	return b.Owner == c.Owner && b.LogGroup == c.LogGroup && b.LogStream == c.LogStream && b.PolicyLevel == c.PolicyLevel && slices.Equal(b.Filters, c.Filters)
}
