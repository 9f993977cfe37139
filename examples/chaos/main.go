//go:build unix

// Command chaos runs a fleet of real processes and disturbs it for some minutes, by
// a seed: workers are killed, stopped, and frozen until others have taken their
// lanes; connections to one service of one worker are refused, stalled, slowed down,
// robbed of their answers or throttled; shards are split and merged. A producer
// numbers its records. An oracle that knows nothing of Shardlake (judge/chaos.py)
// looks at the bucket all the while, and at the end counts each number in the files.
//
//	chaos -kinesis URL -dynamodb URL -s3 URL -worker PATH -python PATH -oracle judge/chaos.py -dir DIR -for 3m -seed 7
//
// The last line has the figures. The exit status is 1 if anything was wrong: a number
// that is missing or there twice, a worker that ended by itself or not in time.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/shardlake/shardlake/pipeline/lease/dynamo"
)

// What the servers of a test take.
const (
	region    = "us-east-1"
	accessKey = "test"
	secretKey = "testtest"
)

type options struct {
	name, kinesis, dynamo, s3   string
	worker, python, oracle, dir string
	only                        string
	hop                         bool
	length, gap, drain          time.Duration
	seed                        uint64
	workers, shards, rate       int
	times                       times
}

func main() {
	var o options
	flag.StringVar(&o.name, "name", "chaos", "what the checks, the stream, the table and the bucket are called")
	flag.StringVar(&o.kinesis, "kinesis", "", "URL of a Kinesis")
	flag.StringVar(&o.dynamo, "dynamodb", "", "URL of a DynamoDB")
	flag.StringVar(&o.s3, "s3", "", "URL of an S3; keys test and testtest for all three")
	flag.StringVar(&o.worker, "worker", "", "the program in the folder worker")
	flag.StringVar(&o.python, "python", "python3", "a Python that has pyarrow and fastavro")
	flag.StringVar(&o.oracle, "oracle", "judge/chaos.py", "the program that judges")
	flag.StringVar(&o.dir, "dir", "", "folder for logs and for what was acknowledged; must exist")
	flag.DurationVar(&o.length, "for", 3*time.Minute, "how long to disturb")
	flag.DurationVar(&o.gap, "gap", 2500*time.Millisecond, "time between two faults, on average")
	flag.DurationVar(&o.drain, "drain", 90*time.Second, "how long the undisturbed fleet may take to commit all that is left")
	flag.StringVar(&o.only, "only", "", "kinds of faults to which the run is confined, separated by commas: "+fmt.Sprint(kinds()))
	flag.BoolVar(&o.hop, "hop", false, "two groups of workers that are joined by a stream; for the oracle judge/hop.py")
	flag.Uint64Var(&o.seed, "seed", 0, "of what happens; drawn by default")
	flag.IntVar(&o.workers, "workers", 3, "processes of the fleet, or of each group")
	flag.IntVar(&o.shards, "shards", 4, "of each stream at the beginning")
	flag.IntVar(&o.rate, "rate", 300, "records a second")
	flag.DurationVar(&o.times.lease, "lease", 2*time.Second, "lease time of the workers")
	flag.DurationVar(&o.times.commit, "commit", 1500*time.Millisecond, "how often they commit")
	flag.DurationVar(&o.times.stop, "stop", 8*time.Second, "their budget for a stop")
	flag.DurationVar(&o.times.handOver, "hand-over", 5*time.Second, "how long they may take to give a lane up")
	flag.Parse()
	if o.seed == 0 {
		o.seed = rand.Uint64N(1_000_000)
	}
	ctx, end := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := chaos(ctx, o)
	end()
	if err != nil {
		fmt.Fprintf(os.Stderr, "chaos: seed %d: %v\n", o.seed, err)
		os.Exit(1)
	}
}

// printer prints one line at a time, with the time since the beginning.
func printer() func(format string, args ...any) {
	var mu sync.Mutex
	began := time.Now()
	return func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Printf("%6.1f s  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}
}

func chaos(ctx context.Context, o options) (err error) {
	hosts := map[string]string{}
	for _, u := range []string{o.kinesis, o.dynamo, o.s3} {
		parsed, err := url.Parse(u)
		if err != nil || parsed.Scheme != "http" || parsed.Host == "" {
			return fmt.Errorf("%q: want http://127.0.0.1:PORT for -kinesis, -dynamodb and -s3", u)
		}
		hosts[u] = parsed.Host
	}
	if o.dir == "" || o.worker == "" || o.workers < 1 || o.rate < 1 || o.gap <= 0 || o.times.lease < time.Second {
		return errors.New("-dir and -worker must be given, -workers and -rate be 1 or more, -gap more than 0, -lease 1s or more")
	}
	deck, err := only(o.only)
	if err != nil {
		return err
	}
	// A name that no other run has: the servers may be used by several.
	name := fmt.Sprintf("%s-%d-%x", o.name, o.seed, time.Now().UnixMilli())
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	r := &run{options: o, deck: deck, say: printer(), fail: fail}
	r.streams = []*stream{newStream(o.kinesis, name)}
	groups, judged := []*group{newGroup(o, "", name, name)}, []string{"--table", name}
	if o.hop {
		groups, judged = hop(o, name)
		r.streams = append(r.streams, newStream(o.kinesis, groups[1].stream))
	}
	for _, g := range groups {
		g.watch = &watch{say: r.say, store: dynamo.Table(dynamo.Config{
			Table: g.table, Region: region, Endpoint: o.dynamo, NoCreate: true,
			Credentials: credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
		})}
	}
	r.fleet = &fleet{
		binary: o.worker, dir: o.dir, bucket: name, groups: groups,
		kinesis: hosts[o.kinesis], dynamo: hosts[o.dynamo], s3: o.s3, times: o.times, say: r.say,
	}
	acked := filepath.Join(o.dir, "put.tsv")
	if r.producer, err = newProducer(r.streams[0], o.seed, acked); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.fleet.close()) }()
	if err := r.fleet.open(hosts[o.s3]); err != nil {
		return err
	}
	r.oracle = &oracle{python: o.python, script: o.oracle, say: r.say, args: append(judged,
		"--name", o.name, "--s3", o.s3, "--bucket", name, "--dynamodb", o.dynamo, "--put", acked, "--result", filepath.Join(o.dir, "oracle.json"),
	)}
	r.say("seed %d, %d workers, %d shards, %d records a second; logs in %s", o.seed, len(r.fleet.slots), o.shards, o.rate, o.dir)
	err = r.all(ctx)
	if cause := context.Cause(ctx); err == nil && cause != nil {
		err = cause
	}
	return err
}
