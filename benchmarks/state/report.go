package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/shardlake/shardlake/benchmarks/machine"
)

// Key counts and lengths that are measured.
var (
	keyCounts = [...]int{1, 10_000, 1_000_000}
	closings  = [...]int{10_000, 100_000, 1_000_000}
	lengths   = [...]int{20, 200}
)

// pair is what the two processes of a stream that stops say; the second is empty for
// one that does not.
type pair struct{ run, resumed outcome }

// runs are the rounds of a side over a plan, by the plan's name and the side's.
type runs map[[2]string][]pair

// report measures everything and prints it.
func report(ctx context.Context, w io.Writer, rounds int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	begin := time.Now()
	var plans []string
	for _, n := range keyCounts {
		plans = append(plans, growing(n, false).String())
	}
	for _, n := range closings {
		plans = append(plans, closing(n, false).String())
	}
	for _, n := range lengths {
		plans = append(plans, lasting(n, false).String())
	}
	all := runs{}
	for range rounds {
		for _, name := range plans {
			for _, s := range sides() {
				p, err := both(ctx, self, s, name)
				if err != nil {
					return err
				}
				at := [2]string{name, s.name}
				all[at] = append(all[at], p)
			}
		}
	}
	out := &sheet{w: w}
	out.printf("# State: what a key costs\n\n%s\n\n", machine.Line(fmt.Sprint(runtime.GOMAXPROCS(0))))
	out.printf("Command: `make state` (%d rounds, each side in a process of its own, in turn; %.0f s)\n\n", rounds, time.Since(begin).Seconds())
	all.print(out)
	return out.err
}

// both runs the processes of one round of a side.
func both(ctx context.Context, self string, s side, name string) (p pair, err error) {
	folder, err := os.MkdirTemp("", "shardlake-bench-")
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	pl, err := planOf(name, s.fresh)
	if err != nil {
		return p, err
	}
	if p.run, err = process(ctx, self, "-side", s.name, "-plan", name, "-folder", folder); err != nil {
		return p, err
	}
	if pl.stops() {
		if p.resumed, err = process(ctx, self, "-side", s.name, "-plan", name, "-folder", folder, "-resume"); err != nil {
			return p, err
		}
		before, after := p.run.Spots[len(p.run.Spots)-1].Says, p.resumed.Spots[0].Says
		if after*20 < before*19 || after*19 > before*20 {
			return p, fmt.Errorf("%s, %s: the states say %d bytes before the stop and %d after it", s.name, name, before, after)
		}
	}
	return p, check(s, pl, p.run.Rows+p.resumed.Rows, p.run.Count+p.resumed.Count)
}

func process(ctx context.Context, self string, args ...string) (out outcome, err error) {
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return slices.Contains([]string{"GOGC", "GOMEMLIMIT", "GODEBUG"}, name)
	})
	var remarks bytes.Buffer
	cmd.Stderr = &remarks
	b, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("a process with %v: %w\n%s", args, err, remarks.Bytes())
	}
	return out, json.Unmarshal(b, &out)
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
