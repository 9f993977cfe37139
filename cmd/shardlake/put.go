package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/shardlake/shardlake/sink/kinesis"
)

const putUsage = `usage: shardlake put -stream NAME [FLAGS] < FILE

Puts lines of JSON into a stream, each as a record, at least once: a line may be
there twice if an answer of the service is lost. Lines with the same key come in
their order. Without -key each line has a key of its own, so that lines spread over
the shards. Empty lines are passed over; a line that is not JSON, has no key, or is
too large is named and left out.

It ends with 0 if every line is in the stream, with 3 if lines were left out, and
with 1 if it could not go on; then it says up to which line everything is there.

flags:
`

// errLeftOut says that put has done its work, but for some lines.
var errLeftOut = errors.New("lines were left out")

// maxLine bounds a line: no stream takes a larger record.
const maxLine = 10 << 20

// interruptedFlush is how long records that were taken are still waited for.
const interruptedFlush = 5 * time.Second

// putOptions are what the flags of put say.
type putOptions struct {
	kinesis.Config
	file, key string
	rate      float64
	every     time.Duration // between two lines of progress
}

func put(ctx context.Context, args []string, in io.Reader, log io.Writer) (err error) {
	o := putOptions{every: 2 * time.Second}
	fs := flags("shardlake put", putUsage, log)
	fs.StringVar(&o.Stream, "stream", "", "`name` or ARN of the stream")
	fs.StringVar(&o.file, "file", "", "`file` to read instead of standard input")
	fs.StringVar(&o.key, "key", "", "top-level `field` that is the partition key: a string, a number, true or false")
	fs.Float64Var(&o.rate, "rate", 0, "at most so many lines `a second`; 0 is as fast as the stream takes them")
	fs.BoolVar(&o.Aggregate, "aggregate", false, "pack small lines together, as the KPL does")
	fs.BoolVar(&o.Unordered, "unordered", false, "faster with few keys: lines of one key may change places when the stream is at its limit")
	fs.IntVar(&o.MaxRecord, "max-record", 1<<20, "`bytes` that the stream takes in a record, up to 10 MiB")
	fs.StringVar(&o.Endpoint, "endpoint", "", "`URL` of Kinesis; by default AWS_ENDPOINT_URL_KINESIS or Amazon's")
	fs.StringVar(&o.Region, "region", "", "`region`; by default AWS_REGION")
	if err := parse(fs, args); err != nil {
		return err
	}
	if o.rate < 0 {
		return fmt.Errorf("-rate %v: want 0 or more lines a second", o.rate)
	}
	if o.file != "" {
		f, err := os.Open(o.file)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		in = f
	}
	return o.run(ctx, in, log)
}

// line is one line of the input.
type line struct {
	number int
	text   []byte
	err    error // the line cannot be used; at the end of the input io.EOF, or why it cannot be read on
	fatal  bool
}

// run puts the lines of in.
func (o putOptions) run(ctx context.Context, in io.Reader, log io.Writer) error {
	p, err := kinesis.NewProducer(o.Config)
	if err != nil {
		return err
	}
	defer p.Close()
	w := &putting{putOptions: o, p: p, log: log, began: time.Now()}
	stop := make(chan struct{})
	defer close(stop)
	lines := make(chan line)
	go read(in, lines, stop) // a terminal that says nothing holds it until the process ends
	err = w.all(ctx, lines)
	if err != nil && ctx.Err() == nil {
		w.report()
		return fmt.Errorf("line %d: %w (up to line %d everything is in the stream)", w.at, err, w.safe)
	}
	fctx, cancel := ctx, context.CancelFunc(func() {})
	if err != nil { // interrupted: what was taken goes out all the same
		fctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), interruptedFlush)
	}
	defer cancel()
	if flushed := p.Flush(fctx); flushed != nil {
		w.report()
		return fmt.Errorf("%w (up to line %d everything is in the stream)", flushed, w.safe)
	}
	w.report()
	switch {
	case err != nil:
		return fmt.Errorf("interrupted: up to line %d everything is in the stream, but for %d lines that were left out", w.done, w.bad)
	case w.bad > 0:
		return fmt.Errorf("%w: %d of %d; all others are in the stream", errLeftOut, w.bad, w.at)
	}
	return nil
}

// putting is a put that is under way.
type putting struct {
	putOptions
	p         *kinesis.Producer
	log       io.Writer
	began     time.Time
	at, done  int // the line that is read; the last one that was dealt with
	safe      int // everything up to it is known to be in the stream
	sent, bad int
	told, due time.Time
}

// flushEvery is the number of lines after which put waits for the stream, so that
// it can say how far it came.
const flushEvery = 20_000

// all puts lines until there are no more.
func (w *putting) all(ctx context.Context, lines <-chan line) error {
	w.told = w.began
	for {
		var l line
		select {
		case l = <-lines:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		w.at = max(w.at, l.number)
		switch {
		case errors.Is(l.err, io.EOF):
			return nil
		case l.fatal:
			return l.err
		}
		if err := w.one(ctx, l); err != nil {
			return err
		}
		w.done = l.number
		if w.sent%flushEvery == 0 && w.sent > 0 {
			if err := w.p.Flush(ctx); err != nil {
				return err
			}
			w.safe = w.done
		}
		if time.Since(w.told) >= w.every {
			w.report()
		}
	}
}

// one puts a line or says why not.
func (w *putting) one(ctx context.Context, l line) error {
	key, err := "", l.err
	if err == nil {
		key, err = w.keyOf(l)
	}
	if err == nil {
		if w.rate > 0 {
			if err := w.pace(ctx); err != nil {
				return err
			}
		}
		err = w.p.Put(ctx, key, l.text)
		if refused, ok := errors.AsType[*kinesis.RecordError](err); !ok && err != nil {
			return err
		} else if ok {
			err = refused
		}
	}
	if err == nil {
		w.sent++
		return nil
	}
	w.bad++
	_, err = fmt.Fprintf(w.log, "line %d is left out: %v\n", l.number, err)
	return err
}

// pace waits until the next line is due. Time that was lost is not made up for, but
// for the little that timers are late.
func (w *putting) pace(ctx context.Context) error {
	const late = 10 * time.Millisecond
	now := time.Now()
	if soonest := now.Add(-late); w.due.Before(soonest) {
		w.due = soonest
	}
	wait := w.due.Sub(now)
	w.due = w.due.Add(time.Duration(float64(time.Second) / w.rate))
	if wait < time.Millisecond {
		return ctx.Err()
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// keyOf checks a line and finds its partition key.
func (w *putting) keyOf(l line) (string, error) {
	if w.key == "" {
		if !json.Valid(l.text) {
			return "", errors.New("it is not one JSON value")
		}
		return strconv.Itoa(l.number), nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(l.text, &fields); err != nil {
		return "", fmt.Errorf("it is no JSON object: %w", err)
	}
	raw := bytes.TrimSpace(fields[w.key])
	switch {
	case len(raw) == 0:
		return "", fmt.Errorf("it has no field %q", w.key)
	case raw[0] == '"':
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err
	case raw[0] == '{' || raw[0] == '[' || raw[0] == 'n':
		return "", fmt.Errorf("its field %q is %.20s: want a string, a number, true or false", w.key, raw)
	}
	return string(raw), nil
}

// report tells how far the work is.
func (w *putting) report() {
	w.told = time.Now()
	s := w.p.Stats()
	text := fmt.Sprintf("%d lines read, %d records in the stream, %.1f MB", w.at, s.Records, float64(s.Bytes)/1e6)
	if d := w.told.Sub(w.began).Seconds(); d > 0 {
		text += fmt.Sprintf(", %.0f a second", float64(s.Records)/d)
	}
	if s.Throttled+s.Repeated > 0 {
		text += fmt.Sprintf("; repeated: %d at the stream's limit, %d for other reasons", s.Throttled, s.Repeated)
	}
	if w.bad > 0 {
		text += fmt.Sprintf("; left out: %d", w.bad)
	}
	if _, err := fmt.Fprintln(w.log, text); err != nil {
		w.every = 1 << 62 // nobody listens
	}
}

// read cuts in into lines until stop.
func read(in io.Reader, lines chan<- line, stop <-chan struct{}) {
	give := func(l line) bool {
		select {
		case lines <- l:
			return true
		case <-stop:
			return false
		}
	}
	r := bufio.NewReaderSize(in, 64<<10)
	for number := 1; ; number++ {
		text, tooLong, err := readLine(r)
		l := line{number: number, text: bytes.TrimSpace(text)}
		if tooLong {
			l.err = fmt.Errorf("it is longer than %d bytes, the most that a stream takes", maxLine)
		}
		if (len(l.text) > 0 || tooLong) && !give(l) {
			return
		}
		if err != nil {
			give(line{number: number - 1, err: err, fatal: true})
			return
		}
	}
}

// readLine returns a line of its own memory, without more than maxLine of it.
func readLine(r *bufio.Reader) (text []byte, tooLong bool, err error) {
	for {
		part, err := r.ReadSlice('\n')
		if len(text)+len(part) > maxLine+1 {
			text, tooLong = nil, true
		}
		if !tooLong {
			text = append(text, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return text, tooLong, err
		}
	}
}
