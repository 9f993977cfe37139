package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/shardlake/shardlake/benchmarks/intake/canned"
	"github.com/shardlake/shardlake/benchmarks/intake/round"

	"github.com/shardlake/shardlake/benchmarks/machine"
)

// plan is what is measured.
type plan struct {
	rounds, shards, answers int
	only                    string // a case; all if empty
}

// lot is a side as a table shows it.
type lot struct{ side, name string }

// contest is a case with the sides that take part. The first is the floor, the second
// what all are compared with.
type contest struct {
	work, title string
	lots        []lot
}

// perAnswer is the number of records in an answer.
const perAnswer = 1_000

func contests() []contest {
	floor := lot{"floor", "floor: net/http, encoding/base64"}
	return []contest{
		{round.ToRecords, "Intake alone: GetRecords to records", []lot{
			{floor.side, floor.name + ", payloads only"}, {"shardlake", "Shardlake, fetchers"}, {"cbor", "the same over CBOR (Config.CBOR)"},
			{"sdk", "stock SDK by hand"}, {"consumer", "kinesis-consumer v0.3.6"}, {kclSide, "vmware-go-kcl-v2 v1.0.0"},
		}},
		{round.ToRows, "GetRecords to typed rows, codec.JSON on all sides", []lot{
			{floor.side, floor.name}, {"shardlake", "Shardlake, pipeline"}, {"fetcher", "Shardlake, fetchers and decoders in a loop"}, {"sdk", "stock SDK by hand"},
		}},
		{round.ToParquet, "GetRecords to Parquet zstd, the same decoder, functions and writer on all sides", []lot{
			{floor.side, floor.name}, {"shardlake", "Shardlake, pipeline, exactly once"}, {"cbor", "the same over CBOR (Config.CBOR)"},
			{"sdk", "stock SDK by hand"}, {"consumer", "kinesis-consumer v0.3.6"}, {kclSide, "vmware-go-kcl-v2 v1.0.0"},
		}},
	}
}

// report measures everything and prints it.
func (p plan) report(ctx context.Context, w io.Writer) (err error) {
	l, err := start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	s := canned.Stream{Shards: p.shards, Answers: p.answers, Records: perAnswer}
	out := &sheet{w: w}
	out.printf("# Intake against the stock SDK, two libraries and the floor\n\n")
	out.printf("%s\n\n", machine.Line(fmt.Sprint(procs, " in each process")))
	out.printf("Command: `go run ./intake -rounds %d -shards %d -answers %d` in benchmarks: %d records a round, %d shards that give %d answers of %d records each, five a second.\n\n",
		p.rounds, p.shards, p.answers, s.Total(), s.Shards, s.Answers, s.Records)
	out.printf("CPU ns per record: user and system time of a process of its own, less the median of the same for a stream of one record a shard. ")
	out.printf("Sides take turns within a round; ratios are medians of the rounds' ratios. Allocations and peak memory are medians.\n")
	for _, c := range contests() {
		if p.only != "" && p.only != c.work {
			continue
		}
		t, err := l.contest(ctx, c, s, p.rounds)
		if err != nil {
			return err
		}
		t.print(out, c)
	}
	if p.only == "" || p.only == round.ToRecords {
		if err := l.slope(ctx, out, s); err != nil {
			return err
		}
	}
	if p.only == "" || p.only == "profile" {
		if err := l.profile(ctx, out); err != nil {
			return err
		}
	}
	return out.err
}

// sheet keeps the first error of printing.
type sheet struct {
	w   io.Writer
	err error
}

func (s *sheet) printf(format string, args ...any) {
	if _, err := fmt.Fprintf(s.w, format, args...); s.err == nil {
		s.err = err
	}
}

// procs is GOMAXPROCS of each process.
const procs = 2

// lab has the server and starts rounds.
type lab struct {
	self   string
	kcl    string // the program of the KCL
	folder string // of programs
	server *exec.Cmd
	in     io.WriteCloser
	url    string
}

// start builds the program of the KCL side and starts the server.
func start(ctx context.Context) (*lab, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "shardlake-bench-")
	if err != nil {
		return nil, err
	}
	l := &lab{self: self, folder: folder, kcl: filepath.Join(folder, kclSide), server: exec.CommandContext(ctx, self, "-serve")}
	build := exec.CommandContext(ctx, "go", "build", "-o", l.kcl, "github.com/shardlake/shardlake/benchmarks/intake/kcl")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return nil, errors.Join(fmt.Errorf("build the program of the KCL side: %w", err), os.RemoveAll(folder))
	}
	l.server.Stderr = os.Stderr
	out, err := l.server.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if l.in, err = l.server.StdinPipe(); err != nil {
		return nil, err
	}
	if err := l.server.Start(); err != nil {
		return nil, err
	}
	if l.url, err = bufio.NewReader(out).ReadString('\n'); err != nil {
		return nil, errors.Join(fmt.Errorf("the server does not say its address: %w", err), l.close())
	}
	l.url = strings.TrimSpace(l.url)
	return l, nil
}

// close ends the server.
func (l *lab) close() error {
	return errors.Join(l.in.Close(), l.server.Wait(), os.RemoveAll(l.folder))
}

// result is what a round cost.
type result struct {
	round.Outcome
	cpu  time.Duration
	torn int // connections that closed under an answer, as the SDK remarks
}

// round runs one in a process of its own.
func (l *lab) round(ctx context.Context, side, work string, s canned.Stream, extra ...string) (r result, err error) {
	folder, err := os.MkdirTemp("", "shardlake-bench-")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	args := append([]string{"-side", side, "-work", work, "-stream", s.String(), "-folder", folder}, extra...)
	program := l.self
	if side == kclSide {
		program = l.kcl
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(environment(os.Environ()), settings(l.url, folder)...)
	var remarks bytes.Buffer
	cmd.Stderr = &remarks
	b, err := cmd.Output()
	if err != nil {
		return r, fmt.Errorf("a round of %s, %s: %w\n%s", side, work, err, remarks.Bytes())
	}
	r.torn = bytes.Count(remarks.Bytes(), []byte("use of closed network connection"))
	if err := json.Unmarshal(b, &r.Outcome); err != nil {
		return r, err
	}
	r.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if work == round.ToParquet {
		r.Rows, err = rowsIn(folder)
	}
	return r, err
}

// settings are those of the AWS SDK, so that all sides take its default client.
func settings(url, folder string) []string {
	none := filepath.Join(folder, "none")
	return []string{
		"AWS_ENDPOINT_URL_KINESIS=" + url, "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
		"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=" + none, "AWS_SHARED_CREDENTIALS_FILE=" + none, fmt.Sprintf("GOMAXPROCS=%d", procs),
	}
}

// environment is without settings of AWS and of Go's runtime.
func environment(env []string) []string {
	return slices.DeleteFunc(env, func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return strings.HasPrefix(name, "AWS_") || slices.Contains([]string{"GOGC", "GOMEMLIMIT", "GODEBUG", "GOMAXPROCS"}, name)
	})
}

// rowsIn counts the rows of all Parquet files.
func rowsIn(folder string) (rows int64, err error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	err = fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".parquet" {
			return err
		}
		n, err := rowsOf(root, path)
		rows += n
		return err
	})
	return rows, err
}

func rowsOf(root *os.Root, path string) (rows int64, err error) {
	f, err := root.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	p, err := parquet.OpenFile(f, info.Size())
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return p.NumRows(), nil
}
