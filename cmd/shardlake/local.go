package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shardlake/shardlake/sink/s3/s3test"
	"github.com/shardlake/shardlake/source/kinesis/kinesistest"
)

const localUsage = `usage: shardlake local [FLAGS]

Serves Amazon Kinesis and Amazon S3 on this machine, for programs in any language,
until it is interrupted. What it prints on standard output is shell:

  shardlake local -lake ./lake > local.env &
  . ./local.env

Records and unfinished uploads are in memory and end with it; objects are files of
the folder -lake as well, DIR/BUCKET/KEY, and are there the next time. Signatures
are not verified.

flags:
`

// localOptions are what the flags of local say.
type localOptions struct {
	kinesis, s3, lake string
	streams           streamsFlag
	buckets           namesFlag
	memory            int64
	retention         time.Duration
	limits, anywhere  bool
}

// local serves until ctx ends.
func local(ctx context.Context, args []string, out, log io.Writer) error {
	var o localOptions
	fs := flags("shardlake local", localUsage, log)
	fs.StringVar(&o.kinesis, "kinesis", "127.0.0.1:0", "`address` of Kinesis; port 0 is a free one")
	fs.StringVar(&o.s3, "s3", "127.0.0.1:0", "`address` of S3; port 0 is a free one")
	fs.Var(&o.streams, "stream", "`NAME:SHARDS` of a stream to make; may be given again (default clicks:2)")
	fs.Var(&o.buckets, "bucket", "`name` of a bucket to make; may be given again (default lake)")
	fs.StringVar(&o.lake, "lake", "", "`folder` that keeps the objects; without it they are in memory alone")
	fs.Int64Var(&o.memory, "memory", 1024, "`MiB` that records, and that objects, may take; the oldest records are dropped beyond it, objects refused")
	fs.DurationVar(&o.retention, "retention", 24*time.Hour, "how long a stream keeps its records")
	fs.BoolVar(&o.limits, "limits", false, "refuse what is beyond the throughput of real shards")
	fs.BoolVar(&o.anywhere, "listen-anywhere", false, "allow addresses that other machines reach: anybody there can read and write everything")
	if err := parse(fs, args); err != nil {
		return err
	}
	if o.memory < 1 || o.memory > 1<<20 || o.retention <= 0 {
		return fmt.Errorf("-memory %d, -retention %v: want 1 to 1048576 MiB and a time above 0", o.memory, o.retention)
	}
	if len(o.streams) == 0 {
		o.streams = streamsFlag{{"clicks", 2}}
	}
	if len(o.buckets) == 0 {
		o.buckets = namesFlag{"lake"}
	}
	streams := kinesistest.New(kinesistest.Config{Retention: o.retention, MaxBytes: o.memory << 20, TrimOldest: true, Limits: o.limits})
	for _, s := range o.streams {
		if err := streams.CreateStream(s.name, s.shards); err != nil {
			return fmt.Errorf("-stream %s:%d: %w", s.name, s.shards, err)
		}
	}
	objects := s3test.New(s3test.Config{Buckets: o.buckets, MaxBytes: o.memory << 20, Dir: o.lake, Keep: o.lake != ""})
	n, err := objects.Load()
	if err != nil {
		return fmt.Errorf("-lake %s: %w (give a folder of its own; see -memory)", o.lake, err)
	}
	for _, b := range o.buckets {
		if !slices.Contains(objects.Buckets(), b) {
			return fmt.Errorf("-bucket %q: want 3 to 63 lower-case letters, digits, dots and dashes", b)
		}
	}
	return o.serve(ctx, out, log, streams, objects, n)
}

// serve serves both until ctx ends.
func (o localOptions) serve(ctx context.Context, out, log io.Writer, streams, objects http.Handler, found int) (err error) {
	kinesis, err := o.listen(ctx, "-kinesis", o.kinesis)
	if err != nil {
		return err
	}
	s3, err := o.listen(ctx, "-s3", o.s3)
	if err != nil {
		return errors.Join(err, kinesis.Close())
	}
	ended := make(chan error, 2)
	var servers []*http.Server
	for _, s := range []struct {
		l net.Listener
		h http.Handler
	}{{kinesis, streams}, {s3, objects}} {
		srv := &http.Server{Handler: s.h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 5 * time.Minute}
		servers = append(servers, srv)
		go func() { ended <- srv.Serve(s.l) }()
	}
	defer func() {
		for _, srv := range servers {
			err = errors.Join(err, srv.Close())
		}
		for range servers {
			if end := <-ended; !errors.Is(end, http.ErrServerClosed) {
				err = errors.Join(err, end)
			}
		}
	}()
	if err := o.tell(out, log, kinesis.Addr(), s3.Addr(), found); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case end := <-ended:
		ended <- end
		return fmt.Errorf("a server has ended: %w", end)
	}
}

// listen opens a port, of this machine only unless that is wanted.
func (o localOptions) listen(ctx context.Context, name, address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w: want an address like 127.0.0.1:4566", name, address, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) && !o.anywhere {
		return nil, fmt.Errorf("%s %s: other machines could read and write everything: listen on 127.0.0.1, or add -listen-anywhere", name, address)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", name, address, err)
	}
	return l, nil
}

// tell prints what a shell takes in, and what to do next as its comments.
func (o localOptions) tell(out, log io.Writer, kinesis, s3 net.Addr, found int) error {
	var text []byte
	text = fmt.Appendf(text, "export AWS_ENDPOINT_URL_KINESIS=%s\n", endpoint(kinesis))
	text = fmt.Appendf(text, "export AWS_ENDPOINT_URL_S3=%s\n", endpoint(s3))
	text = append(text, "export AWS_REGION=us-east-1\nexport AWS_DEFAULT_REGION=us-east-1\n"...)
	text = append(text, "export AWS_ACCESS_KEY_ID=local\nexport AWS_SECRET_ACCESS_KEY=local\nunset AWS_PROFILE AWS_SESSION_TOKEN\n"...)
	text = fmt.Appendf(text, "# In another terminal, behind the lines above:\n#   echo '{\"user\":\"ann\",\"page\":\"/\"}' | shardlake put -stream %s -key user\n#   shardlake tail -stream %s -from oldest\n", o.streams[0].name, o.streams[0].name)
	if o.lake != "" {
		text = fmt.Appendf(text, "# Files of the lake appear under %q, %d are there.\n", o.lake, found)
	}
	if _, err := out.Write(text); err != nil {
		return err
	}
	_, err := fmt.Fprintln(log, "shardlake local serves until it is interrupted (Ctrl-C)")
	return err
}

// endpoint is the URL of an address. One of all interfaces is called by loopback.
func endpoint(a net.Addr) string {
	tcp, ok := a.(*net.TCPAddr)
	if ok && tcp.IP.IsUnspecified() {
		return "http://127.0.0.1:" + strconv.Itoa(tcp.Port)
	}
	return "http://" + a.String()
}

// streamsFlag is -stream NAME:SHARDS, repeated.
type streamsFlag []struct {
	name   string
	shards int
}

// String is for package flag.
func (s *streamsFlag) String() string { return "" }

// Set reads one value.
func (s *streamsFlag) Set(v string) error {
	name, count, ok := strings.Cut(v, ":")
	n := 1
	if ok {
		var err error
		if n, err = strconv.Atoi(count); err != nil || n < 1 {
			return errors.New("want NAME:SHARDS, like clicks:2")
		}
	}
	*s = append(*s, struct {
		name   string
		shards int
	}{name, n})
	return nil
}

// namesFlag is a flag that is repeated.
type namesFlag []string

// String is for package flag.
func (n *namesFlag) String() string { return "" }

// Set reads one value.
func (n *namesFlag) Set(v string) error { *n = append(*n, v); return nil }

// flags makes the flags of a command that has its own.
func flags(name, usage string, log io.Writer) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(log)
	fs.Usage = func() {
		if _, err := io.WriteString(log, usage); err == nil {
			fs.PrintDefaults()
		}
	}
	return fs
}

// parse reads the flags of a command that takes no arguments.
func parse(fs *flag.FlagSet, args []string) error {
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("%s: %q is no flag: see %s -h", fs.Name(), fs.Arg(0), fs.Name())
	}
	return nil
}
