// Package conform is a suite of what a consumer and a producer rely on in Amazon
// Kinesis Data Streams, as its API reference says it. It runs against kinesistest
// and, over a socket, against any other server, by the stock SDK client alone.
//
// A server may be known not to do something: that is a gap, declared by the name
// of its case with the reason. A case with a declared gap must fail there; if it
// passes, the declaration is out of date, and the suite says so. So a disagreement
// is either a mistake or on a list.
package conform

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
)

// Service is what the suite runs against.
type Service struct {
	// New makes a client of it. Each case makes a stream of its own, and deletes it.
	New func(*testing.T) *kinesis.Client
	// In runs a case; nil calls it. Pass synctest.Test, and let New make a service, to
	// run in a bubble.
	In func(*testing.T, func(*testing.T))
	// Prefix begins the names of the streams; two runs against one server need
	// different ones.
	Prefix string
	// Gaps are the cases that are known to fail there, with the reason.
	Gaps map[string]string
}

// caseLimit bounds one case.
const caseLimit = 2 * time.Minute

// Run runs every case as a subtest.
func Run(t *testing.T, s Service) {
	for name := range maps.Keys(s.Gaps) {
		if !slices.ContainsFunc(cases, func(c testCase) bool { return c.name == name }) {
			t.Errorf("a gap is declared for %q, which is no case", name)
		}
	}
	in := s.In
	if in == nil {
		in = func(t *testing.T, f func(*testing.T)) { f(t) }
	}
	for i, c := range cases {
		run := func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), caseLimit)
			defer cancel()
			p := &probe{Client: s.New(t), ctx: ctx, name: fmt.Sprintf("%s-%d", s.Prefix, i)}
			err := errors.Join(c.run(p), p.remove())
			switch gap, declared := s.Gaps[c.name]; {
			case err != nil && !declared:
				t.Error(err)
			case err == nil && declared:
				t.Errorf("it passes: the declared gap is out of date: %s", gap)
			case declared:
				t.Logf("a known gap (%s): %v", gap, err)
			}
		}
		t.Run(c.name, func(t *testing.T) { in(t, run) })
	}
}

type testCase struct {
	name string
	run  func(*probe) error
}

// probe is one case at work, with one stream.
type probe struct {
	*kinesis.Client
	ctx  context.Context
	name string
	arn  string // once made
}

// make creates the stream and waits until it can be used.
func (p *probe) make(shards int32) error {
	if _, err := p.CreateStream(p.ctx, &kinesis.CreateStreamInput{StreamName: &p.name, ShardCount: &shards}); err != nil {
		return err
	}
	p.arn = "made"
	return p.active()
}

// active waits until the stream is.
func (p *probe) active() error {
	for {
		s, err := p.summary()
		if err != nil {
			return err
		}
		if p.arn = aws.ToString(s.StreamARN); s.StreamStatus == types.StreamStatusActive {
			return nil
		}
		if err := p.pause(); err != nil {
			return fmt.Errorf("the stream stays %s: %w", s.StreamStatus, err)
		}
	}
}

func (p *probe) summary() (*types.StreamDescriptionSummary, error) {
	out, err := p.DescribeStreamSummary(p.ctx, &kinesis.DescribeStreamSummaryInput{StreamName: &p.name})
	if err != nil {
		return nil, err
	}
	if out.StreamDescriptionSummary == nil {
		return nil, errors.New("DescribeStreamSummary describes nothing")
	}
	return out.StreamDescriptionSummary, nil
}

// pause is between two looks at something that changes by itself.
func (p *probe) pause() error {
	t := time.NewTimer(200 * time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
}

// remove deletes the stream if it was made.
func (p *probe) remove() error {
	if p.arn == "" {
		return nil
	}
	_, err := p.DeleteStream(p.ctx, &kinesis.DeleteStreamInput{StreamName: &p.name, EnforceConsumerDeletion: aws.Bool(true)})
	if code(err) == "ResourceNotFoundException" {
		return nil // the case has done it
	}
	return err
}

func code(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

// refused wants an error of one of these codes.
func refused(what string, err error, codes ...string) error {
	if slices.Contains(codes, code(err)) {
		return nil
	}
	return fmt.Errorf("%s: want %s, have %w", what, strings.Join(codes, " or "), cmpErr(err))
}

func cmpErr(err error) error {
	if err == nil {
		return errors.New("no error")
	}
	return err
}

// want compares.
func want[T comparable](what string, got, want T) error {
	if got == want {
		return nil
	}
	return fmt.Errorf("%s: %v, want %v", what, got, want)
}

// put puts a record with data under its key.
func (p *probe) put(key, data string) (shard, seq string, err error) {
	out, err := p.PutRecord(p.ctx, &kinesis.PutRecordInput{StreamName: &p.name, PartitionKey: &key, Data: []byte(data)})
	if err != nil {
		return "", "", err
	}
	return aws.ToString(out.ShardId), aws.ToString(out.SequenceNumber), nil
}

// iterator makes one; in has what its type needs.
func (p *probe) iterator(shard string, typ types.ShardIteratorType, seq string, at *time.Time) (*string, error) {
	in := &kinesis.GetShardIteratorInput{StreamName: &p.name, ShardId: &shard, ShardIteratorType: typ, Timestamp: at}
	if seq != "" {
		in.StartingSequenceNumber = &seq
	}
	out, err := p.GetShardIterator(p.ctx, in)
	if err != nil {
		return nil, err
	}
	return out.ShardIterator, nil
}

// read follows an iterator until n records have come, the shard ends, or ten calls
// gave nothing.
func (p *probe) read(it *string, n int) (all []types.Record, last *kinesis.GetRecordsOutput, err error) {
	for quiet := 0; it != nil && quiet < 10; {
		if last, err = p.GetRecords(p.ctx, &kinesis.GetRecordsInput{ShardIterator: it}); err != nil {
			return all, last, err
		}
		if all = append(all, last.Records...); len(all) >= n {
			return all, last, nil
		}
		if quiet++; len(last.Records) > 0 {
			quiet = 0
		}
		if it = last.NextShardIterator; it != nil {
			if err := p.pause(); err != nil {
				return all, last, err
			}
		}
	}
	return all, last, nil
}

// from reads n records from a place in a shard and returns their data, joined.
func (p *probe) from(shard string, typ types.ShardIteratorType, seq string, n int) (string, error) {
	it, err := p.iterator(shard, typ, seq, nil)
	if err != nil {
		return "", err
	}
	all, _, err := p.read(it, n)
	return joined(all), err
}

func joined(all []types.Record) string {
	var data []string
	for _, r := range all {
		data = append(data, string(r.Data))
	}
	return strings.Join(data, " ")
}

// shards lists all of them, in order of their ids.
func (p *probe) shards(filter *types.ShardFilter) (all []types.Shard, err error) {
	in := &kinesis.ListShardsInput{StreamName: &p.name, ShardFilter: filter}
	for {
		out, err := p.ListShards(p.ctx, in)
		if err != nil {
			return nil, err
		}
		all = append(all, out.Shards...)
		if aws.ToString(out.NextToken) == "" {
			slices.SortFunc(all, func(a, b types.Shard) int { return strings.Compare(aws.ToString(a.ShardId), aws.ToString(b.ShardId)) })
			return all, nil
		}
		in = &kinesis.ListShardsInput{NextToken: out.NextToken}
	}
}

func shardID(n int) string { return fmt.Sprintf("shardId-%012d", n) }
