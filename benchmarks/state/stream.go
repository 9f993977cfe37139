package main

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/source"
)

// Event is a row of the stream. Its key is its partition key too.
type Event struct {
	Key   string
	Value float64
}

// chunk is how many records come at once: the most that GetRecords gives.
const chunk = 10_000

// keyBytes is the length of a key.
const keyBytes = 20

// stream is a source over a plan. It makes its records as they are asked for, so that
// a longer one takes no more memory, and the same from any position.
type stream struct {
	plan
	end  int           // the first record that is not read
	stop bool          // it rests there until it is stopped, instead of ending
	wake chan struct{} // a commit was made
	met  func()        // called by the first Fetch; may be nil
}

// Check finds nothing wrong.
func (s *stream) Check() error { return nil }

// Lanes is the one lane.
func (s *stream) Lanes(context.Context) (source.Listing, error) {
	return source.Listing{Name: "canned", Identity: "canned", Begin: shardlake.Never, Lanes: []source.Lane{{ID: "canned-0"}}}, nil
}

// Open begins behind a position, which is the number of a record from 1.
func (s *stream) Open(_ source.Lane, from source.Start) (source.Fetcher, error) {
	f := &fetcher{stream: s}
	if from.After.IsStart() {
		return f, nil
	}
	var err error
	if f.at, err = strconv.Atoi(from.After.Seq); err != nil {
		return nil, fmt.Errorf("position %v is not one of this stream: %w", from.After, err)
	}
	return f, nil
}

// Decoder takes the row from the record's fields.
func (s *stream) Decoder() (source.Decoder[Event], error) { return decoder{s.plan}, nil }

type decoder struct{ plan }

// Decode makes a row of each record.
func (d decoder) Decode(_ context.Context, records []shardlake.Record, rows []Event, times []shardlake.Instant) (int, error) {
	for i := range records {
		r := &records[i]
		rows[i] = Event{r.Key, float64(r.Arrived % 100)}
		times[i] = r.Arrived
	}
	return len(records), nil
}

type fetcher struct {
	*stream
	at int
}

// Fetch makes the next records. Where a stretch has ended it first waits for the commit.
func (f *fetcher) Fetch(ctx context.Context) (source.Chunk, error) {
	if f.met != nil {
		f.met()
		f.met = nil
	}
	if f.at == f.end && !f.stop {
		return source.Chunk{}, io.EOF
	}
	if f.at == f.end {
		<-ctx.Done()
		return source.Chunk{}, ctx.Err()
	}
	if f.at > 0 && f.at%f.perCommit == 0 && f.closes(f.at/f.perCommit-1) {
		select {
		case <-f.wake:
		case <-ctx.Done():
			return source.Chunk{}, ctx.Err()
		}
	}
	c := source.Chunk{Records: make([]shardlake.Record, chunk), Bytes: chunk * (keyBytes + 12), Behind: -1}
	// One string for all keys and positions: a string each would cost more than a stage.
	var ends [2 * chunk]int32
	b := make([]byte, 0, chunk*(keyBytes+12))
	for i := range c.Records {
		key, at := f.event(f.at + i)
		b = append(b, "user-000000000000000"...)
		for d, k := len(b)-1, key; k > 0; d, k = d-1, k/10 {
			b[d] = byte('0' + k%10)
		}
		ends[2*i] = int32(len(b))
		b = strconv.AppendInt(b, int64(f.at+i+1), 10)
		ends[2*i+1] = int32(len(b))
		c.Records[i].Arrived = shardlake.Instant(at * 1000)
	}
	text, from := string(b), int32(0)
	for i := range c.Records {
		c.Records[i].Key, c.Records[i].Pos.Seq = text[from:ends[2*i]], text[ends[2*i]:ends[2*i+1]]
		from = ends[2*i+1]
	}
	f.at += chunk
	return c, nil
}

// Close gives nothing back.
func (f *fetcher) Close() error { return nil }
