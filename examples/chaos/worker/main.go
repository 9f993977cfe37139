// Command worker is one process of a fleet, as a service would run it: records of
// a Kinesis stream become rows of Parquet and Avro files in a bucket, by Hive
// partitions, exactly once, and the workers share the shards by rows in a
// DynamoDB table. With -to and -frames it is of one of two groups that are joined by a
// stream. What comes here and not in a service of your own is -s3-via and -to-via,
// which let the driver in the folder above disturb the way to a service.
//
// It runs until SIGTERM or SIGINT, or until its standard input ends, and then
// exits with 0 when everything that it had read is committed and visible.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/shardlake/shardlake/codec"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/pipeline/lease/dynamo"
	onward "github.com/shardlake/shardlake/sink/kinesis"
	"github.com/shardlake/shardlake/sink/s3"
	"github.com/shardlake/shardlake/source/kinesis"
)

type options struct {
	name                   string
	stream, table, bucket  string
	kinesis, dynamo, s3    string
	s3Via                  string
	to, toKinesis, toVia   string
	frames                 bool
	lease, commit, stop    time.Duration
	handOver, poll, search time.Duration
	span                   time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.name, "name", "", "this worker in the lease rows: another one in each life; drawn at random by default")
	flag.StringVar(&o.stream, "stream", "events", "the stream")
	flag.StringVar(&o.table, "table", "chaos", "the table of the lease rows, which is made if it is missing")
	flag.StringVar(&o.bucket, "bucket", "lake", "the bucket, which must exist")
	flag.StringVar(&o.kinesis, "kinesis", "", "URL of Kinesis; that of AWS by default, as for those that follow")
	flag.StringVar(&o.dynamo, "dynamodb", "", "URL of DynamoDB")
	flag.StringVar(&o.s3, "s3", "", "URL of S3, the same for all workers: it is part of what they leave to each other")
	flag.StringVar(&o.s3Via, "s3-via", "", "host:port to which connections for S3 go instead")
	flag.StringVar(&o.to, "to", "", "stream to which events go on, by user: this worker is of the first of two groups, and writes no files but dead letters")
	flag.StringVar(&o.toKinesis, "to-kinesis", "", "URL of Kinesis for -to, the same for all workers: it is part of what they leave to each other")
	flag.StringVar(&o.toVia, "to-via", "", "host:port to which connections for -to go instead")
	flag.DurationVar(&o.span, "span", 3*time.Second, "of the windows in which the second group counts")
	flag.BoolVar(&o.frames, "frames", false, "read what the first group sends: this worker is of the second, and counts by user")
	flag.DurationVar(&o.lease, "lease", 10*time.Second, "how long a lane stays with a worker that gives no sign")
	flag.DurationVar(&o.commit, "commit", time.Minute, "how long rows may wait to become visible")
	flag.DurationVar(&o.stop, "stop", 25*time.Second, "how long a stop may take")
	flag.DurationVar(&o.handOver, "hand-over", 30*time.Second, "how long a worker may take to give up a lane that another one asks for")
	flag.DurationVar(&o.poll, "poll", time.Second, "wait between looks at a shard that has nothing new")
	flag.DurationVar(&o.search, "discover", time.Minute, "how often to look for new shards")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		// Whoever started this process holds the other end: when it is gone, so are we.
		if _, err := io.Copy(io.Discard, os.Stdin); err == nil {
			stop()
		}
	}()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil)).With("worker", o.name)
	access := credentials.NewStaticCredentialsProvider(
		cmp.Or(os.Getenv("AWS_ACCESS_KEY_ID"), "test"), cmp.Or(os.Getenv("AWS_SECRET_ACCESS_KEY"), "testtest"), "")
	region := cmp.Or(os.Getenv("AWS_REGION"), "us-east-1")

	bucket := s3.Config{Bucket: o.bucket, Region: region, Endpoint: o.s3, PartSize: 5 << 20, Credentials: access}
	if o.s3Via != "" {
		bucket.HTTPClient = via(o.s3Via)
	}
	lake := s3.Bucket(bucket)
	table := dynamo.Config{Table: o.table, Region: region, Endpoint: o.dynamo, Credentials: access, Log: log}
	from := kinesis.Config{Stream: o.stream, Region: region, Endpoint: o.kinesis, Credentials: access, Poll: o.poll, Log: log}
	cfg := pipeline.Config{
		Application: o.table, Owner: o.name, Log: log,
		CommitEvery: o.commit, LeaseTime: o.lease, HandOver: o.handOver, StopTimeout: o.stop, Discover: o.search,
	}
	if o.to != "" || o.frames {
		table.Large = lake // frames that are not sent yet, and windows
		cfg.EventTime = pipeline.EventTime{Bound: bound, Idle: idle}
	}
	cfg.Leases = dynamo.Table(table)
	p := pipeline.New(cfg)
	switch src := kinesis.Source(from, codec.JSON, Event.when); {
	case o.frames:
		receive(p, kinesis.Frames(from), o.span, lake)
	case o.to != "":
		to := onward.Config{Stream: o.to, Region: region, Endpoint: o.toKinesis, Credentials: access, Log: log}
		if o.toVia != "" {
			to.HTTPClient = via(o.toVia)
		}
		send(p, src, onward.Regroup(onward.RegroupConfig{Config: to, Buckets: buckets}, Event.user, appendEvent), lake)
	default:
		build(p, src, lake)
	}
	if err := p.Run(ctx); err != nil {
		return err
	}
	log.Info("everything that was read is committed and visible")
	return nil
}

// via is a client whose connections all go to one address, whatever the URL says.
func via(address string) *awshttp.BuildableClient {
	var d net.Dialer
	return awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConnsPerHost = 256
		t.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return d.DialContext(ctx, network, address)
		}
	})
}
