package pipelinetest

import (
	"context"
	"errors"
	"fmt"
	"github.com/shardlake/shardlake/pipeline/lease"
	"github.com/shardlake/shardlake/sink"
	"hash/fnv"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// trace is what happened, turn by turn. Lines of the pipeline's own log stand
// between the turns and are no part of the hash: goroutines may write them in any
// order.
type trace struct {
	mu    sync.Mutex
	begun time.Time
	lines []string
	hash  uint64
}

func (t *trace) add(format string, args ...any) {
	line := fmt.Sprintf("%10.3f ", time.Since(t.begun).Seconds()) + fmt.Sprintf(format, args...)
	h := fnv.New64a()
	h.Write([]byte(line))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, line)
	t.hash = t.hash*0x100000001b3 ^ h.Sum64()
}

// note adds a line that is no part of the hash: it may hold random names.
func (t *trace) note(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, "           | "+fmt.Sprintf(format, args...))
}

// logTo is a log of one worker that ends in a trace.
type logTo struct {
	t      *trace
	worker string
	with   string
}

// Enabled is always true.
func (l logTo) Enabled(context.Context, slog.Level) bool { return true }

// Handle appends a line.
func (l logTo) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s%s", l.worker, r.Level, r.Message, l.with)
	r.Attrs(func(a slog.Attr) bool { fmt.Fprintf(&b, " %s", a); return true })
	l.t.note("%s", b.String())
	return nil
}

// WithAttrs adds to all lines.
func (l logTo) WithAttrs(as []slog.Attr) slog.Handler {
	for _, a := range as {
		l.with += " " + a.String()
	}
	return l
}

// WithGroup is not needed: the pipeline uses no groups.
func (l logTo) WithGroup(string) slog.Handler { return l }

// plainError is an error without random parts.
func plainError(err error) string {
	for _, e := range []error{lease.ErrNoRow, lease.ErrLost, lease.ErrUncertain, sink.ErrNoUpload, sink.ErrNoObject, sink.ErrRefused} {
		if errors.Is(err, e) {
			return e.Error()
		}
	}
	return "an error"
}

// state tells what a world that is stuck waits for.
func (w *world) state() string {
	var b strings.Builder
	for _, c := range w.bus.sorted() {
		fmt.Fprintf(&b, "waits: %s; ", c)
	}
	for _, g := range w.groups {
		rows, err := g.table.List(context.Background())
		if err != nil {
			return err.Error()
		}
		slices.SortFunc(rows, func(a, b lease.Row) int { return strings.Compare(a.Lane, b.Lane) })
		for _, r := range rows {
			fmt.Fprintf(&b, "%s%s: %s of %q at %v, %d pending, ended %v, want %q, hold %q; ", g.prefix, short(r.Lane), numbers(r), r.Owner, r.Pos, len(r.Pending), r.Ended, r.Want, r.Hold)
		}
	}
	return b.String()
}
