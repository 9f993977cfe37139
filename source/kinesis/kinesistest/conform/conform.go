// Package conform is a suite of what clients of Amazon Kinesis Data Streams rely on:
// small named cases, each with a stream of its own, that ask a service through the
// SDK for Go and compare with the API reference. It runs unchanged against
// kinesistest, against servers that somebody else wrote, and against the service.
//
// Where a server is known to differ, its Service declares a Gap. A case with a gap
// must fail: if it passes, the gap is out of date and the suite says so. So each
// disagreement between two servers is a listed gap or an error of one of them, and
// no case is left out. LocalGaps and FerroGaps are the gaps of two servers that this
// project is judged with.
//
//	func TestMyServer(t *testing.T) {
//		conform.Run(t, conform.Service{
//			New: func(t *testing.T) *kinesis.Client { ... },
//			Gaps: []conform.Gap{{Case: "put-explicit-hash", Does: "ignores ExplicitHashKey"}},
//		})
//	}
package conform

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
)

const (
	defaultTimeout = 30 * time.Second
	// cleaning bounds the deletion of a case's stream.
	cleaning = 10 * time.Second
	// pollEvery is how often a case looks again for what takes a server time.
	pollEvery = 50 * time.Millisecond
)

// Service is a Kinesis service under test.
type Service struct {
	// New makes a client for one case. It is called once a case, from the goroutine of
	// t, and may register a Cleanup. Required.
	New func(t *testing.T) *kinesis.Client

	// Gaps are the cases that the service is known to fail. A name that is not one of
	// Cases is an error.
	Gaps []Gap

	// Timeout bounds each case. 0 means 30 seconds, which is enough for the longest:
	// a subscription that another one takes over, after five seconds.
	Timeout time.Duration

	// Within, if not nil, runs each case: synctest.Test makes the waiting of a service
	// inside the process take no time. With nil, cases run in parallel, as many at a
	// time as the flag -parallel of go test says.
	Within func(t *testing.T, test func(t *testing.T))
}

// Gap is a known difference of a service.
type Gap struct {
	// Case is the name of the case that fails.
	Case string
	// Does says what the service does instead, in a few words.
	Does string
}

// Case is one thing that clients rely on.
type Case struct {
	// Name is the area and what, as in "put-explicit-hash".
	Name string
	// Wants says what is expected, in a sentence.
	Wants string

	shards int // of the stream that is made before; 0 for none
	run    func(*probe)
}

// Cases lists the cases in the order in which Run runs them.
func Cases() []Case {
	return slices.Concat(streamCases(), settingCases(), putCases(), iteratorCases(), getCases(), listCases(), reshardCases(), consumerCases(), subscribeCases())
}

// Run runs every case as a subtest of t. A case fails t if the service does not do
// what is expected, or if it does though a gap says otherwise.
func Run(t *testing.T, service Service) {
	if service.New == nil {
		t.Fatal("conform: Service.New is nil")
	}
	if service.Timeout <= 0 {
		service.Timeout = defaultTimeout
	}
	cases := Cases()
	for _, g := range service.Gaps {
		if !slices.ContainsFunc(cases, func(c Case) bool { return c.Name == g.Case }) {
			t.Errorf("conform: the gap %q is not the name of a case", g.Case)
		}
		if g.Does == "" {
			t.Errorf("conform: the gap %q does not say what the service does", g.Case)
		}
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			if service.Within != nil {
				service.Within(t, func(t *testing.T) { service.judge(t, c) })
				return
			}
			t.Parallel()
			service.judge(t, c)
		})
	}
}

// judge runs a case and compares its outcome with the gaps.
func (s Service) judge(t *testing.T, c Case) {
	failures := s.probe(t, c)
	failed, says := s.verdict(c, failures)
	switch {
	case failed:
		t.Error(says)
	case says != "":
		t.Log(says)
	}
}

// verdict tells whether an outcome is to be reported as a failure, and what there is
// to say.
func (s Service) verdict(c Case, failures []string) (failed bool, says string) {
	i := slices.IndexFunc(s.Gaps, func(g Gap) bool { return g.Case == c.Name })
	all := strings.Join(failures, "; ")
	switch {
	case i < 0 && len(failures) == 0:
		return false, ""
	case i < 0:
		return true, fmt.Sprintf("%s. Expected: %s", all, c.Wants)
	case len(failures) == 0:
		return true, fmt.Sprintf("the gap %q is out of date: the service does what is expected: %s", s.Gaps[i].Does, c.Wants)
	}
	return false, fmt.Sprintf("known gap: %s (%s)", s.Gaps[i].Does, all)
}

// probe runs a case to its end, on a goroutine of its own so that the case may end
// anywhere, and returns what was wrong.
func (s Service) probe(t *testing.T, c Case) []string {
	ctx, cancel := context.WithTimeout(t.Context(), s.Timeout)
	defer cancel()
	p := &probe{ctx: ctx, client: s.New(t), stream: "conform-" + c.Name + "-" + strings.ToLower(rand.Text()[:10])}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer p.clean()
		defer func() {
			// An answer without a required member is a nil pointer here.
			if r := recover(); r != nil {
				p.errorf("panic: %v: an answer lacks a required member", r)
			}
		}()
		if c.shards > 0 {
			p.create(c.shards)
		}
		c.run(p)
	}()
	<-done
	return p.failures
}

// probe is a case that runs. Only its own goroutine uses it.
type probe struct {
	ctx      context.Context
	client   *kinesis.Client
	stream   string // name of the stream
	failures []string

	once sync.Once
	arn  string
}

// errorf notes what is wrong.
func (p *probe) errorf(format string, args ...any) {
	p.failures = append(p.failures, fmt.Sprintf(format, args...))
}

// fatalf notes what is wrong and ends the case.
func (p *probe) fatalf(format string, args ...any) {
	p.errorf(format, args...)
	runtime.Goexit()
}

// must ends the case if there is an error.
func (p *probe) must(what string, err error) {
	if err != nil {
		p.fatalf("%s: %v", what, err)
	}
}

// refused wants an error with one of the codes.
func (p *probe) refused(what string, err error, codes ...string) {
	var api smithy.APIError
	switch {
	case err == nil:
		p.errorf("%s: no error, want %s", what, strings.Join(codes, " or "))
	case !errors.As(err, &api):
		p.errorf("%s: %v, want %s", what, err, strings.Join(codes, " or "))
	case !slices.Contains(codes, api.ErrorCode()):
		p.errorf("%s: %s (%s), want %s", what, api.ErrorCode(), api.ErrorMessage(), strings.Join(codes, " or "))
	}
}

// equal compares what two values print as.
func (p *probe) equal(what string, got, want any) {
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		p.errorf("%s: %s, want %s", what, g, w)
	}
}

// wait lets time pass.
func (p *probe) wait(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.ctx.Done():
		p.fatalf("waiting: %v", context.Cause(p.ctx))
	}
}

// until waits for something that the service takes its time for.
func (p *probe) until(what string, done func() bool) {
	for !done() {
		if p.ctx.Err() != nil {
			p.fatalf("%s: not before the end of the case's time", what)
		}
		p.wait(pollEvery)
	}
}

// create makes the case's stream and waits until it is there.
func (p *probe) create(shards int) {
	_, err := p.client.CreateStream(p.ctx, &kinesis.CreateStreamInput{StreamName: &p.stream, ShardCount: aws.Int32(int32(shards))})
	p.must("CreateStream", err)
	p.active()
}

// active waits until the stream is ACTIVE.
func (p *probe) active() {
	p.until("stream ACTIVE", func() bool { return p.summary().StreamStatus == types.StreamStatusActive })
}

func (p *probe) summary() *types.StreamDescriptionSummary {
	out, err := p.client.DescribeStreamSummary(p.ctx, &kinesis.DescribeStreamSummaryInput{StreamName: &p.stream})
	p.must("DescribeStreamSummary", err)
	return out.StreamDescriptionSummary
}

// streamARN asks for the stream's ARN once.
func (p *probe) streamARN() *string {
	p.once.Do(func() { p.arn = aws.ToString(p.summary().StreamARN) })
	return &p.arn
}

// clean deletes the stream, whatever the case has come to.
func (p *probe) clean() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), cleaning)
	defer cancel()
	p.ctx = ctx
	p.until("DeleteStream at the end", func() bool {
		_, err := p.client.DeleteStream(ctx, &kinesis.DeleteStreamInput{StreamName: &p.stream, EnforceConsumerDeletion: aws.Bool(true)})
		var gone *types.ResourceNotFoundException
		var busy *types.ResourceInUseException // UPDATING, or DELETING already
		switch {
		case errors.As(err, &busy):
			return false
		case err != nil && !errors.As(err, &gone):
			p.errorf("DeleteStream at the end: %v", err)
		}
		return true
	})
}
