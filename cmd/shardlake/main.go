// Command shardlake looks after the lease rows of a pipeline, and puts records into
// a stream and shows them, also into one that it serves itself, on this machine.
//
//	shardlake local -lake ./lake                 serve Kinesis and S3 on this machine
//	shardlake put -stream clicks < clicks.jsonl  lines of JSON into a stream
//	shardlake tail -stream clicks -from oldest   the records of a stream, as they come
//	shardlake consumers -stream clicks           the consumers of fan-out; -remove NAME removes one
//
//	shardlake -table clicks rows                 what each lane has committed, who owns it, how far behind it is
//	shardlake -table clicks -lake s3://lake publish       make visible what a fleet left that was stopped in a hurry
//	shardlake -table clicks -lake s3://lake repair LANE   go on behind a commit of which an upload is lost
//	shardlake -table clicks row LANE POSITION    where a lane goes on that is held: trim-horizon, or a sequence number
//	shardlake -table clicks -lake s3://lake handback      leave the table to Amazon's KCL
//
// The rows are in a DynamoDB table (-table) or in a folder (-leases). The lake is
// a bucket, s3://NAME, or a folder. Region, credentials and endpoints come from
// the AWS SDK's usual places, such as AWS_REGION and AWS_ENDPOINT_URL_DYNAMODB.
// Commands that write to rows want the fleet stopped; publish does no harm beside it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/pipeline/lease/dynamo"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/sink/dir"
	frames "github.com/shardlake/shardlake/sink/kinesis"
	"github.com/shardlake/shardlake/sink/s3"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "shardlake:", err)
		}
		stop()
		os.Exit(exitCode(err))
	}
}

// exitCode tells the one failure apart after which nothing is left to do.
func exitCode(err error) int {
	if errors.Is(err, errLeftOut) {
		return 3
	}
	return 1
}

// options are what the flags say.
type options struct {
	table, folder, lake, application string
	verbose                          bool
}

const usage = `usage: shardlake COMMAND FLAGS

  local                 serve Kinesis and S3 on this machine
  put                   put lines of JSON into a stream
  tail                  print the records of a stream as they come
  consumers             list or remove a stream's consumers of fan-out
                        (shardlake COMMAND -h tells more)

   or: shardlake FLAGS COMMAND

  rows                  what each lane has committed, who owns it, how far behind it is
  publish               make visible what a fleet left that was stopped in a hurry
  repair LANE           go on behind a commit of which an upload is lost
  row LANE POSITION     where a lane goes on: trim-horizon, or behind a sequence number
  handback              leave the table to Amazon's KCL

flags:
`

// run is the program, without its process.
func run(ctx context.Context, args []string, in io.Reader, out, log io.Writer) (err error) {
	if len(args) > 0 {
		switch args[0] {
		case "local":
			return local(ctx, args[1:], out, log)
		case "put":
			return put(ctx, args[1:], in, log)
		case "tail":
			return tail(ctx, args[1:], out, log)
		case "consumers":
			return consumers(ctx, args[1:], out, log)
		}
	}
	var o options
	fs := flag.NewFlagSet("shardlake", flag.ContinueOnError)
	fs.SetOutput(log)
	fs.StringVar(&o.table, "table", "", "DynamoDB table of the lease rows")
	fs.StringVar(&o.folder, "leases", "", "folder of the lease rows, of a pipeline in one process")
	fs.StringVar(&o.lake, "lake", "", "s3://BUCKET or a folder: where the files lie")
	fs.StringVar(&o.application, "application", "", "pipeline.Config.Application, if it was set")
	fs.BoolVar(&o.verbose, "v", false, "tell what is done")
	fs.Usage = func() {
		if _, err := io.WriteString(log, usage); err == nil {
			fs.PrintDefaults()
		}
	}
	if err := fs.Parse(args); err != nil {
		return err
	}
	command, rest := fs.Arg(0), []string(nil)
	if fs.NArg() > 0 {
		rest = fs.Args()[1:]
	}
	want := map[string]int{"rows": 0, "publish": 0, "repair": 1, "row": 2, "handback": 0}
	if n, ok := want[command]; !ok || n != len(rest) {
		fs.Usage()
		return fmt.Errorf("command %q with %d arguments: see above", command, len(rest))
	}
	store, closeStore, err := o.leases()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeStore()) }()
	cfg := pipeline.Config{Application: o.application, Leases: store, Publishers: o.publishers(), Log: o.logger(log)}
	switch command {
	case "rows":
		return rows(ctx, store, out)
	case "publish":
		n, err := pipeline.Publish(ctx, cfg)
		_, printed := fmt.Fprintf(out, "%d files that rows list are visible\n", n)
		return errors.Join(err, printed)
	case "repair":
		return pipeline.Repair(ctx, cfg, rest[0])
	case "row":
		after, err := position(rest[1])
		if err != nil {
			return err
		}
		return pipeline.Place(ctx, cfg, rest[0], after)
	}
	return pipeline.HandBack(ctx, cfg)
}

// leases opens the rows.
func (o options) leases() (lease.Store, func() error, error) {
	switch {
	case o.table != "" && o.folder == "":
		c := dynamo.Config{Table: o.table, NoCreate: true}
		if bucket, ok := strings.CutPrefix(o.lake, "s3://"); ok {
			c.Large = s3.Bucket(s3.Config{Bucket: bucket})
		} else if o.lake != "" {
			c.Large = dir.Lake(o.lake)
		}
		return dynamo.Table(c), func() error { return nil }, nil
	case o.folder != "" && o.table == "":
		if _, err := os.Stat(o.folder); err != nil {
			return nil, nil, err
		}
		f, err := lease.OpenFile(o.folder)
		if err != nil {
			return nil, nil, err
		}
		return f, f.Close, nil
	}
	return nil, nil, errors.New("where are the lease rows? Give -table or -leases")
}

// publishers can publish what lies in a bucket or in a folder; each finds the
// places that the rows name.
func (o options) publishers() []sink.Publisher {
	all := []sink.Publisher{frames.NewFrames(frames.Config{})}
	if bucket, ok := strings.CutPrefix(o.lake, "s3://"); ok {
		all = append(all, sink.Publish(s3.Bucket(s3.Config{Bucket: bucket})))
	} else if o.lake != "" {
		all = append(all, sink.Publish(dir.Lake(o.lake)))
	}
	return all
}

func (o options) logger(w io.Writer) *slog.Logger {
	level := slog.LevelWarn
	if o.verbose {
		level = slog.LevelInfo
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}

// position reads where a lane goes on.
func position(s string) (shardlake.Position, error) {
	if s == "trim-horizon" {
		return shardlake.Position{}, nil
	}
	if s == "" || len(s) > 128 || s[0] == '0' && s != "0" || strings.Trim(s, "0123456789") != "" {
		return shardlake.Position{}, fmt.Errorf("position %.140q: want trim-horizon or a sequence number, which is decimal", s)
	}
	return shardlake.Position{Seq: s}, nil
}
