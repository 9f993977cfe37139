//go:build unix

package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/shardlake/shardlake/examples/chaos/proxy"
)

// kind is what is done to the fleet.
type kind string

const (
	kill     kind = "kill"     // SIGKILL, and a new process after a while
	killCut  kind = "kill-cut" // SIGKILL while a service does not answer; what was under way may arrive after the death
	stop     kind = "stop"     // SIGTERM: the process must exit with 0 in time
	stopCut  kind = "stop-cut" // SIGTERM while a service does not answer: it must exit in time
	freeze   kind = "freeze"   // SIGSTOP for longer than the lease time, then SIGCONT
	refuse   kind = kind(proxy.Refuse)
	stall    kind = kind(proxy.Stall)
	slow     kind = kind(proxy.Slow)
	mute     kind = kind(proxy.Mute)
	throttle kind = kind(proxy.Throttle)
	outage   kind = "outage" // a service refuses the connections of all workers
	split    kind = "split"
	merge    kind = "merge"
)

// service is what a worker talks to, over a proxy of its own.
type service string

const (
	toKinesis service = "kinesis"
	toDynamo  service = "dynamodb"
	toS3      service = "s3"
)

// services returns all three.
func services() []service { return []service{toKinesis, toDynamo, toS3} }

// step is one fault.
type step struct {
	at      time.Duration // since the beginning
	kind    kind
	worker  int           // slot of the fleet, for all but outage, split and merge
	service service       // for faults of the network, stop-cut and kill-cut
	length  time.Duration // of the fault; for kill and stop, until a new process starts
	pick    uint64        // which shard, of which stream, for split and merge; which mode, for stop-cut and kill-cut
}

func (s step) String() string {
	switch {
	case s.kind == split, s.kind == merge:
		return string(s.kind) + " of shards"
	case s.kind == stopCut, s.kind == killCut:
		return fmt.Sprintf("%s of worker %d, whose %s does not answer (%s)", s.kind, s.worker+1, s.service, s.fault().Mode)
	case s.kind == outage:
		return fmt.Sprintf("%s of %s for %v", s.kind, s.service, s.length)
	case s.service != "":
		return fmt.Sprintf("%s %s of worker %d for %v", s.kind, s.service, s.worker+1, s.length)
	case s.kind == freeze:
		return fmt.Sprintf("%s worker %d for %v", s.kind, s.worker+1, s.length)
	}
	return fmt.Sprintf("%s worker %d", s.kind, s.worker+1)
}

// deck is how often each kind comes before all come again.
func deck() []kind {
	return []kind{kill, kill, killCut, killCut, stop, stop, stopCut, freeze, freeze, mute, mute, stall, stall, refuse, outage, slow, throttle, split, merge}
}

// only is the deck without other kinds than those named, separated by commas; all of
// it for "".
func only(names string) ([]kind, error) {
	if names == "" {
		return deck(), nil
	}
	var some []kind
	for name := range strings.SplitSeq(names, ",") {
		if !slices.Contains(kinds(), kind(name)) {
			return nil, fmt.Errorf("-only: %q is none of %v", name, kinds())
		}
		some = append(some, kind(name))
	}
	return slices.DeleteFunc(deck(), func(k kind) bool { return !slices.Contains(some, k) }), nil
}

// plan draws what happens within a time, from a deck: the same for the same seed.
func plan(seed uint64, deck []kind, length time.Duration, workers int, lease time.Duration, meanGap time.Duration) []step {
	rng := rand.New(rand.NewPCG(seed, 0x5eed))
	between := func(from, to time.Duration) time.Duration {
		return (from + time.Duration(rng.Int64N(int64(to-from)+1))).Round(10 * time.Millisecond)
	}
	var steps []step
	var left []kind
	for at := between(meanGap, 2*meanGap); at < length; at += between(meanGap/4, 7*meanGap/4) {
		if len(left) == 0 {
			left = slices.Clone(deck)
			rng.Shuffle(len(left), func(i, j int) { left[i], left[j] = left[j], left[i] })
		}
		s := step{at: at, kind: left[0], worker: rng.IntN(workers), pick: rng.Uint64()}
		left = left[1:]
		switch s.kind {
		case kill, stop:
			s.length = between(0, lease)
		case freeze:
			s.length = between(lease*5/4, lease*4)
		case split, merge:
			s.worker = 0
		default:
			s.service = services()[rng.IntN(3)]
			// Some are over before the lease is, most are not, and some last longer than a
			// worker may take to hand a lane over or to stop.
			s.length = between(lease/4, lease*5/2)
			if rng.IntN(8) == 0 && s.kind != killCut {
				s.length = between(lease*5/2, lease*8)
			}
		}
		steps = append(steps, s)
	}
	return steps
}

// fault is what the step does to a proxy.
func (s step) fault() proxy.Fault {
	f := proxy.Fault{Mode: proxy.Mode(s.kind), Delay: 100 * time.Millisecond}
	switch s.kind {
	case stopCut:
		f.Mode = []proxy.Mode{proxy.Refuse, proxy.Stall, proxy.Mute}[s.pick%3]
	case killCut:
		f.Mode = []proxy.Mode{proxy.Stall, proxy.Mute}[s.pick%2]
	case outage:
		f.Mode = proxy.Refuse
	}
	f.Answer = map[service]func() proxy.Answer{toKinesis: proxy.Kinesis, toDynamo: proxy.DynamoDB, toS3: proxy.S3}[s.service]()
	return f
}

// kinds lists all kinds once, in the order of the deck.
func kinds() []kind { return slices.Compact(deck()) }
