//go:build unix

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// producer puts numbered records on the stream, past the proxies, and writes down
// each that the service has acknowledged. It repeats what the service refused, one
// record of a key at a time, so that a key's numbers rise along its shards; it
// never repeats a call that was not answered, since a copy made here would be one in
// the lake.
type producer struct {
	stream *stream
	keys   []string
	rng    *rand.Rand
	out    *bufio.Writer
	file   *os.File
	next   int64

	mu     sync.Mutex
	totals totals
	last   map[string]string // by shard: the sequence number of its last record
}

// totals are what was put.
type totals struct {
	acked     int64 // records, malformed ones included
	malformed int64
	refused   int64 // answers that a record was not taken, for now
	unknown   int64 // records of calls that were not answered
}

const (
	keyCount = 96
	users    = 40  // another key, by which a second group counts
	badEvery = 150 // one in so many records is malformed
	tick     = 100 * time.Millisecond
)

// newProducer writes to a file, one line a record: number, key, kind, shard, sequence
// number, user and time in microseconds, separated by tabs. kind is "row", "dead", or "unknown" for a
// record that may be on the stream or not.
func newProducer(s *stream, seed uint64, path string) (*producer, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	p := &producer{stream: s, rng: rand.New(rand.NewPCG(seed, 0xfeed)), file: f, out: bufio.NewWriter(f), last: map[string]string{}}
	for i := range keyCount {
		p.keys = append(p.keys, fmt.Sprintf("%c-%02d", 'a'+i%3, i))
	}
	return p, nil
}

// run puts rate records a second until ctx ends, which is no error. The last ones
// close all windows, if closing.
func (p *producer) run(ctx context.Context, rate int, closing bool) (err error) {
	defer func() { err = errors.Join(err, p.out.Flush(), p.file.Close()) }()
	began := time.Now()
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			if closing {
				return p.closing(context.WithoutCancel(ctx))
			}
			return nil
		case <-t.C:
		}
		for due := int64(time.Since(began).Seconds() * float64(rate)); p.next < due && ctx.Err() == nil; {
			// A call under way is not given up when ctx ends: its outcome would be unknown.
			if err := p.batch(context.WithoutCancel(ctx), int(min(due-p.next, keyCount))); err != nil {
				return err
			}
		}
		if err := p.out.Flush(); err != nil {
			return err
		}
	}
}

// record is one record on its way.
type record struct {
	n         int64
	key, user string
	kind      string
	bad       int // in which way a malformed one is
	hash      *string
	lead      time.Duration // of its time ahead of the clock
	at        time.Time     // of the last try, so that it is not late because it was refused
}

// payload is what the record holds.
func (r record) payload() []byte {
	at := r.at.Format(time.RFC3339Nano)
	switch {
	case r.kind != "dead":
		return fmt.Appendf(nil, `{"n":%d,"key":%q,"user":%q,"at":%q}`, r.n, r.key, r.user, at)
	case r.bad == 0: // cut off
		return fmt.Appendf(nil, `{"n":%d,"key":%q,"a`, r.n, r.key)
	}
	return fmt.Appendf(nil, `{"n":%d,"at":%q}`, r.n, at) // an event without a key
}

// batch puts n new records, each of another key.
func (p *producer) batch(ctx context.Context, n int) error {
	recs := make([]record, n)
	for i, k := range p.rng.Perm(len(p.keys))[:n] {
		recs[i] = p.record(p.keys[k])
	}
	return p.putAll(ctx, recs)
}

// putAll repeats those that are refused.
func (p *producer) putAll(ctx context.Context, recs []record) error {
	for try := 0; len(recs) > 0; try++ {
		if try == maxPuts {
			return fmt.Errorf("put: %d records were refused %d times", len(recs), maxPuts)
		}
		var err error
		if recs, err = p.put(ctx, recs); err != nil {
			return err
		}
		if len(recs) > 0 {
			if err := sleep(ctx, min(time.Second, 50*time.Millisecond<<min(try, 5))); err != nil {
				return err
			}
		}
	}
	return nil
}

// maxPuts is about half a minute of a service that refuses a record.
const maxPuts = 40

func (p *producer) record(key string) record {
	r := record{n: p.next, key: key, user: fmt.Sprintf("u-%02d", p.rng.IntN(users)), kind: "row"}
	p.next++
	if r.bad = p.rng.IntN(2 * badEvery); r.bad < 2 {
		r.kind = "dead"
	}
	return r
}

// put makes one call and returns the records that were refused.
func (p *producer) put(ctx context.Context, recs []record) (refused []record, err error) {
	in := &kinesis.PutRecordsInput{StreamName: &p.stream.name, Records: make([]types.PutRecordsRequestEntry, len(recs))}
	for i := range recs {
		r := &recs[i]
		r.at = time.Now().Add(r.lead).UTC().Truncate(time.Microsecond)
		in.Records[i] = types.PutRecordsRequestEntry{PartitionKey: &r.key, Data: r.payload(), ExplicitHashKey: r.hash}
	}
	out, err := p.stream.client.PutRecords(ctx, in)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil || len(out.Records) != len(recs) {
		// Answered with an error or not at all: what became of the records is not known.
		for _, r := range recs {
			p.totals.unknown++
			if _, err := fmt.Fprintf(p.out, "%d\t%s\tunknown\t\t%s\t%s\t%d\n", r.n, r.key, r.kind, r.user, r.at.UnixMicro()); err != nil {
				return nil, err
			}
		}
		if p.totals.unknown > p.totals.acked/10+keyCount {
			return nil, fmt.Errorf("the stream does not take records: %d of %d are lost or not known: %w", p.totals.unknown, p.next, err)
		}
		return nil, nil
	}
	for i, o := range out.Records {
		r := recs[i]
		if aws.ToString(o.ErrorCode) != "" {
			refused = append(refused, r)
			p.totals.refused++
			continue
		}
		shard, seq := aws.ToString(o.ShardId), aws.ToString(o.SequenceNumber)
		if shard == "" || seq == "" {
			return nil, errors.New("put: an answer names neither an error nor a shard and sequence number")
		}
		p.totals.acked++
		if r.kind == "dead" {
			p.totals.malformed++
		}
		// The answers of one call need not be in the order of the sequence numbers.
		if old := p.last[shard]; len(seq) > len(old) || len(seq) == len(old) && seq > old {
			p.last[shard] = seq
		}
		if _, err := fmt.Fprintf(p.out, "%d\t%s\t%s\t%s\t%s\t%s\t%d\n", r.n, r.key, r.kind, shard, seq, r.user, r.at.UnixMicro()); err != nil {
			return nil, err
		}
	}
	return refused, nil
}

// state returns what was put, and each shard's last sequence number.
func (p *producer) state() (totals, map[string]string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := make(map[string]string, len(p.last))
	for k, v := range p.last {
		last[k] = v
	}
	return p.totals, last
}
