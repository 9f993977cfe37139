package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/codec"
	"github.com/shardlake/shardlake/source"
	"github.com/shardlake/shardlake/source/kinesis"
)

const tailUsage = `usage: shardlake tail -stream NAME [FLAGS]

Prints the records of all shards of a stream as they come, each on a line, until it
is interrupted: in order for each shard, parents before children, aggregated
records taken apart. It keeps no position, and takes a share of what the shards
give their readers (5 calls and 2 MiB a second).

flags:
`

// tailOptions are what the flags of tail say.
type tailOptions struct {
	kinesis.Config
	from string
	n    int64
	meta bool
}

func tail(ctx context.Context, args []string, out, log io.Writer) error {
	var o tailOptions
	fs := flags("shardlake tail", tailUsage, log)
	fs.StringVar(&o.Stream, "stream", "", "`name` or ARN of the stream")
	fs.StringVar(&o.from, "from", "latest", "where to begin: latest, oldest, a `time` like 2026-01-02T15:04:05Z, or how long ago, like 15m")
	fs.Int64Var(&o.n, "n", 0, "end after so many `records`")
	fs.BoolVar(&o.meta, "meta", false, "print JSON with shard, sequence, sub, key, arrival and data (data_base64 if it is not UTF-8)")
	fs.StringVar(&o.Endpoint, "endpoint", "", "`URL` of Kinesis; by default AWS_ENDPOINT_URL_KINESIS or Amazon's")
	fs.StringVar(&o.Region, "region", "", "`region`; by default AWS_REGION")
	if err := parse(fs, args); err != nil {
		return err
	}
	o.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	return o.run(ctx, out)
}

// begin reads -from.
func (o tailOptions) begin() (kinesis.Begin, error) {
	switch o.from {
	case "latest":
		return kinesis.Latest(), nil
	case "oldest":
		return kinesis.TrimHorizon(), nil
	}
	if ago, err := time.ParseDuration(o.from); err == nil && ago > 0 {
		return kinesis.AtTime(time.Now().Add(-ago)), nil
	}
	t, err := time.Parse(time.RFC3339Nano, o.from)
	if err != nil {
		return kinesis.Begin{}, fmt.Errorf("-from %q: want latest, oldest, a time like 2026-01-02T15:04:05Z, or how long ago, like 15m", o.from)
	}
	return kinesis.AtTime(t), nil
}

// errEnough ends tail after -n records.
var errEnough = errors.New("enough records")

// run prints until ctx ends, which is no error.
func (o tailOptions) run(ctx context.Context, out io.Writer) error {
	begin, err := o.begin()
	if err != nil {
		return err
	}
	if o.n < 0 {
		return fmt.Errorf("-n %d: want 0 or more", o.n)
	}
	o.Begin = begin
	src := kinesis.Source(o.Config, codec.JSON[struct{}], nil) // records are not decoded
	if err := src.Check(); err != nil {
		return err
	}
	f := &following{tailOptions: o, src: src, out: out, seen: map[string]bool{}, ended: make(chan end)}
	err = f.run(ctx)
	select {
	case <-ctx.Done(): // interrupted, which is how a tail ends
		return nil
	default:
	}
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// following is a tail that is under way.
type following struct {
	tailOptions
	src   source.Source[struct{}]
	begin shardlake.Instant

	seen    map[string]bool // lanes begun; false once they are read to their end
	ended   chan end
	running int

	mu      sync.Mutex // of what follows
	out     io.Writer
	printed int64
	text    []byte
}

// end is how the reading of a lane ended: nil at the end of its shard.
type end struct {
	lane string
	err  error
}

// run reads all lanes, children after their parents.
func (f *following) run(ctx context.Context) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		for ; f.running > 0; f.running-- {
			<-f.ended
		}
	}()
	for {
		l, err := f.src.Lanes(ctx)
		if err != nil {
			return err
		}
		if len(f.seen) == 0 {
			f.begin = l.Begin
		}
		f.start(ctx, l.Lanes)
		if f.running == 0 {
			return errors.New("the stream has no shard that can be read")
		}
		e := <-f.ended
		f.running--
		if e.err != nil {
			return e.err
		}
		f.seen[e.lane] = false
	}
}

// start begins with the lanes whose parents are done with.
func (f *following) start(ctx context.Context, lanes []source.Lane) {
	listed := map[string]bool{}
	for _, l := range lanes {
		listed[l.ID] = true
	}
	for _, l := range lanes {
		ready := true
		if _, begun := f.seen[l.ID]; begun {
			continue
		}
		for _, p := range l.Parents {
			reading, begun := f.seen[p]
			ready = ready && (begun && !reading || !begun && !listed[p])
		}
		if !ready {
			continue
		}
		f.seen[l.ID] = true
		f.running++
		go func() { f.ended <- end{l.ID, f.follow(ctx, l)} }()
	}
}

// follow prints a lane to its end.
func (f *following) follow(ctx context.Context, l source.Lane) (err error) {
	fetcher, err := f.src.Open(l, source.Start{Begin: f.begin, Lossy: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, fetcher.Close()) }()
	for {
		chunk, err := fetcher.Fetch(ctx)
		for i := range chunk.Records {
			if err := f.print(l.ID, &chunk.Records[i]); err != nil {
				return err
			}
		}
		if errors.Is(err, source.ErrShardEnd) || errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// record is a line of -meta.
type record struct {
	Shard    string    `json:"shard"`
	Sequence string    `json:"sequence"`
	Sub      int       `json:"sub"`
	Key      string    `json:"key"`
	Arrival  time.Time `json:"arrival"`
	Data     *string   `json:"data,omitempty"`
	Base64   []byte    `json:"data_base64,omitempty"`
}

// print writes a line, whole.
func (f *following) print(lane string, r *shardlake.Record) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n > 0 && f.printed >= f.n {
		return errEnough
	}
	if !f.meta {
		f.text = append(f.text[:0], r.Data...)
	} else {
		line := record{Shard: lane, Sequence: r.Pos.Seq, Sub: r.Pos.Sub, Key: r.Key, Arrival: r.Arrived.Time()}
		if utf8.Valid(r.Data) {
			s := string(r.Data)
			line.Data = &s
		} else {
			line.Base64 = r.Data
		}
		text, err := json.Marshal(line)
		if err != nil {
			return err
		}
		f.text = text
	}
	if _, err := f.out.Write(append(f.text, '\n')); err != nil {
		return err
	}
	if f.printed++; f.printed == f.n {
		return errEnough
	}
	return nil
}
