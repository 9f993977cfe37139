//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// group is workers that do the same, with leases of their own.
type group struct {
	name          string // the beginning of the names of its workers
	stream, table string
	workers       int
	to            string    // stream to which it sends, or none
	flags         []string  // for its workers, besides those of all
	needs         []service // without which a worker cannot commit what it has read
	watch         *watch
}

// newGroup is one that reads a stream and writes to the bucket.
func newGroup(o options, name, stream, table string, flags ...string) *group {
	return &group{name: name, stream: stream, table: table, workers: o.workers, flags: flags, needs: []service{toS3, toDynamo}}
}

// hop is two groups: one sends on to another, which counts by user; and what the oracle
// must know.
func hop(o options, name string) ([]*group, []string) {
	next := name + "-by-user"
	send := newGroup(o, "send-", name, name)
	// A commit is done when the other stream has taken what it lists.
	send.to, send.needs = next, append(send.needs, toKinesis)
	receive := newGroup(o, "receive-", next, next, "-frames", "-span", hopSpan.String())
	return []*group{send, receive}, []string{"--senders", name, "--table", next, "--span", fmt.Sprint(hopSpan.Seconds())}
}

// hopSpan is of the windows of the second group, and hopLead how far ahead of the
// clock the records are that close them all in the end. A shard closes its windows by
// itself when it is silent, but only where the service says that there is no more
// (MillisBehindLatest), which not every server does.
const (
	hopSpan = 3 * time.Second
	hopLead = 30 * time.Second
)

// closing puts a record to each open shard whose time is beyond all windows.
func (p *producer) closing(ctx context.Context) error {
	open, err := p.stream.open(ctx)
	if err != nil {
		return err
	}
	recs := make([]record, len(open))
	for i, sh := range open {
		recs[i] = record{n: p.next, key: fmt.Sprintf("closing-%02d", i), user: "closing", kind: "row", hash: sh.HashKeyRange.StartingHashKey, lead: hopLead}
		p.next++
	}
	return p.putAll(ctx, recs)
}

// frames are the records of the stream between two groups.
type frames struct {
	last    map[string]string // by shard: the sequence number of its last one
	all     int
	repeats int // that were there before, byte by byte: the second group dropped them
}

// read reads all that the stream holds, which nobody else may still write to.
func (s *stream) read(ctx context.Context) (f frames, err error) {
	f.last = map[string]string{}
	shards, err := s.shards(ctx)
	if err != nil {
		return f, err
	}
	seen := map[string]bool{}
	for _, sh := range shards {
		it, err := s.client.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{StreamName: &s.name, ShardId: sh.ShardId, ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
		if err != nil {
			return f, fmt.Errorf("read %s: %w", aws.ToString(sh.ShardId), err)
		}
		for next := it.ShardIterator; next != nil; {
			out, err := s.client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: next})
			if err != nil {
				return f, fmt.Errorf("read %s: %w", aws.ToString(sh.ShardId), err)
			}
			for _, r := range out.Records {
				f.all++
				if seen[string(r.Data)] {
					f.repeats++
				}
				seen[string(r.Data)] = true
				f.last[aws.ToString(sh.ShardId)] = aws.ToString(r.SequenceNumber)
			}
			if next = out.NextShardIterator; len(out.Records) == 0 && aws.ToInt64(out.MillisBehindLatest) == 0 {
				break
			}
		}
	}
	if f.all == 0 {
		return f, errors.New("nothing was sent from group to group: the stream " + s.name + " is empty")
	}
	return f, nil
}

// String adds to the last line.
func (f frames) String() string {
	if f.all == 0 {
		return ""
	}
	return fmt.Sprintf("; %d frames from group to group, %d of them sent again and dropped", f.all, f.repeats)
}

// join is the flags of a worker that sends on.
func (g *group) join(url, via string) []string {
	if g.to == "" {
		return g.flags
	}
	return append(g.flags[:len(g.flags):len(g.flags)], "-to", g.to, "-to-kinesis", url, "-to-via", via)
}
