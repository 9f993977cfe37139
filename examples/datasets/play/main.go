// Command play puts a data set on a Kinesis stream, with malformed records in
// between, and runs its pipeline over it until everything is committed and
// visible. It writes a manifest of what it put, for the checkers in judge.
//
//	play -set web-access -data events.jsonl.gz -endpoint inprocess -lake dir:lake -malformed 30 -restarts 2
//
// It exits with an error if anything fails, on the way or at the stop.
package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

// application names the pipelines in leases and files.
const application = "judge"

type options struct {
	set, data, payloads, endpoint, stream, consumer string
	lake, leases, manifest                          string
	shards, malformed, restarts                     int
	kills, worker                                   int
	strict, reshard, close, limits                  bool
	timeout                                         time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.set, "set", "", "name of the data set, or payloads, or stateful")
	flag.StringVar(&o.data, "data", "", "its file: .jsonl.gz, .csv.gz or .log.gz; the folder of payloads; that of all data sets for stateful")
	flag.StringVar(&o.payloads, "payloads", "", "folder of files that are put as malformed records too")
	flag.StringVar(&o.endpoint, "endpoint", "inprocess", "URL of a Kinesis, or inprocess")
	flag.StringVar(&o.stream, "stream", "", "name of the stream, which is made; that of the set by default")
	flag.StringVar(&o.consumer, "consumer", "", "read by enhanced fan-out, as a consumer of this name")
	flag.StringVar(&o.lake, "lake", "", "dir:PATH or s3:BUCKET@ENDPOINT, with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	flag.StringVar(&o.leases, "leases", "", "folder of the leases; PATH/_shardlake/leases by default")
	flag.StringVar(&o.manifest, "manifest", "", "file for the manifest; PATH.manifest.json by default")
	flag.IntVar(&o.shards, "shards", 4, "shards of the stream")
	flag.IntVar(&o.malformed, "malformed", 30, "malformed records to put")
	flag.IntVar(&o.restarts, "restarts", 0, "how often to stop the pipeline in the middle and start it again")
	flag.IntVar(&o.kills, "kills", 0, "how often to kill the pipeline, as a process of its own, before that")
	flag.IntVar(&o.worker, "worker", 0, "be the process that is killed, which fetches so many records at once")
	flag.BoolVar(&o.strict, "strict", false, "put at most one record of a key in a request, for a service that throttles")
	flag.BoolVar(&o.limits, "limits", false, "let the Kinesis in process throttle as the service does; use -strict with it")
	flag.BoolVar(&o.reshard, "reshard", false, "split a shard and merge two others in the middle")
	flag.BoolVar(&o.close, "close", false, "close all shards at the end, and read the stream to its end, so that all windows fire")
	flag.DurationVar(&o.timeout, "timeout", 5*time.Minute, "for everything")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	err := play(ctx, o)
	cancel()
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "play:", err)
		os.Exit(1)
	}
}

func play(ctx context.Context, o options) (err error) {
	if o.shards < 1 || min(o.malformed, o.restarts, o.kills) < 0 {
		return errors.New("-shards must be 1 or more, -malformed, -restarts and -kills 0 or more")
	}
	lake, folder, err := openLake(o.lake, os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"))
	if err != nil {
		return err
	}
	if folder != "" {
		o.leases = cmp.Or(o.leases, filepath.Join(folder, "_shardlake", "leases"))
		o.manifest = cmp.Or(o.manifest, folder+".manifest.json")
	}
	if o.set == payloads {
		return o.playPayloads(ctx, folder)
	}
	if o.set == golden {
		return o.playStateful(ctx, folder)
	}
	s, err := find(o.set)
	if err != nil {
		return err
	}
	if o.worker > 0 {
		return o.work(ctx, s, lake)
	}
	if o.leases == "" || o.manifest == "" {
		return errors.New("a lake in a bucket needs -leases and -manifest")
	}
	good, err := readSet(o.data, s)
	if err != nil {
		return err
	}
	bad := malformed(s, good, o.malformed)
	if o.payloads != "" {
		more, err := readPayloads(o.payloads)
		if err != nil {
			return err
		}
		bad = append(bad, more...)
	}
	endpoint := o.endpoint
	if endpoint == "inprocess" {
		srv, err := kinesistest.Listen(kinesistest.Config{Limits: o.limits})
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, srv.Close()) }()
		endpoint = srv.URL()
	}
	m := newManifest(o.set, o.data, cmp.Or(o.stream, o.set))
	began := time.Now()
	if err := o.feed(ctx, client(endpoint), mix(good, bad), m); err != nil {
		return err
	}
	fed := time.Since(began)
	if err := o.deaths(ctx, endpoint, m); err != nil {
		return err
	}
	err = o.lives(ctx, s, endpoint, lake, folder, m)
	if err := errors.Join(err, m.write(o.manifest)); err != nil {
		return err
	}
	fmt.Printf("%s: %d records and %d malformed ones put to %d shards in %v, %d of them again, read in %v with %d kills and %d stops\n",
		o.set, m.Records, len(m.Malformed), len(m.Last), fed.Round(time.Millisecond), m.Retried, (time.Since(began) - fed).Round(time.Millisecond), m.Killed, o.restarts)
	return nil
}

// feed makes the stream and puts all records, resharding as told.
func (o options) feed(ctx context.Context, c *kinesis.Client, recs []record, m *manifest) error {
	if err := create(ctx, c, m.Stream, o.shards); err != nil {
		return err
	}
	f := &feeder{client: c, stream: m.Stream, strict: o.strict, out: m}
	half := 0
	if o.reshard {
		half = len(recs) / 2
		m.Resharded = true
	}
	if err := f.put(ctx, recs[:half]); err != nil {
		return err
	}
	if o.reshard {
		if err := reshard(ctx, c, m.Stream); err != nil {
			return err
		}
	}
	if err := f.put(ctx, recs[half:]); err != nil {
		return err
	}
	if o.close {
		if err := closeAll(ctx, c, m.Stream); err != nil {
			return err
		}
	}
	m.Drained = o.close
	var err error
	m.Ended, m.Parents, err = closedShards(ctx, c, m.Stream, m.Last)
	return err
}

// client repeats nothing by itself: a put whose answer is lost may have stored
// its records.
//
// The SDK closes a request's body as soon as the answer's head is there, while
// net/http may still be at its end, which closes the connection under the answer
// (upstream aws-sdk-go-v2 #1825): each request has a copy as its body.
func client(endpoint string) *kinesis.Client {
	return kinesis.New(kinesis.Options{
		Region: region, BaseEndpoint: aws.String(endpoint), RetryMaxAttempts: 1,
		HTTPClient:  &http.Client{Timeout: time.Minute, Transport: copied{http.DefaultTransport}},
		Credentials: credentials.NewStaticCredentialsProvider("test", "testtest", ""),
	})
}

// copied sends each request with a body of its own.
type copied struct{ next http.RoundTripper }

// RoundTrip sends a request.
func (c copied) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		return c.next.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err := errors.Join(err, r.Body.Close()); err != nil {
		return nil, err
	}
	own := r.Clone(r.Context())
	own.Body = io.NopCloser(bytes.NewReader(body))
	return c.next.RoundTrip(own)
}
