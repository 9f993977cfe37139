//go:build unix

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// oracle is the program that judges, as a child process. It prints "ready" when the
// bucket is there, then a line for each check; it looks at the bucket from time to
// time until it reads "end", gives its verdict, and exits with 1 if anything was
// wrong.
type oracle struct {
	python, script string
	args           []string
	say            func(format string, args ...any)

	cmd   *exec.Cmd
	input io.WriteCloser
	ready chan struct{}
	done  chan struct{} // closed when the process has ended
	err   error         // what Wait said; to be read after done

	mu    sync.Mutex
	asked bool // for the verdict
}

// start begins the process and waits until it has made the bucket. If it ends
// before the verdict, it has found something wrong, and fail is called.
func (o *oracle) start(ctx context.Context, fail context.CancelCauseFunc) error {
	o.cmd = exec.CommandContext(context.Background(), o.python, append([]string{o.script}, o.args...)...)
	o.cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+accessKey, "AWS_SECRET_ACCESS_KEY="+secretKey, "PYTHONDONTWRITEBYTECODE=1")
	o.cmd.Stderr = os.Stderr
	o.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := o.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if o.input, err = o.cmd.StdinPipe(); err != nil {
		return err
	}
	if err := o.cmd.Start(); err != nil {
		return err
	}
	o.ready, o.done = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(o.done)
		o.read(out)
		o.err = o.cmd.Wait()
		o.mu.Lock()
		asked := o.asked
		o.mu.Unlock()
		if !asked {
			fail(fmt.Errorf("the oracle ended before it was asked: %w", errors.Join(errWrong, o.err)))
		}
	}()
	t := time.NewTimer(time.Minute)
	defer t.Stop()
	select {
	case <-o.ready:
		return nil
	case <-o.done:
		return fmt.Errorf("the oracle did not start: %w", o.err)
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return errors.New("the oracle did not say that it is ready within a minute")
	}
}

// errWrong says that the oracle found the lake wrong: its lines say how.
var errWrong = errors.New("what the readers see is wrong")

// read passes on what the oracle says.
func (o *oracle) read(out io.Reader) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for isReady := false; lines.Scan(); {
		switch line := strings.TrimSpace(lines.Text()); {
		case line == "ready" && !isReady:
			isReady = true
			close(o.ready)
		case strings.HasPrefix(line, "ok "), strings.HasPrefix(line, "FAIL "):
			fmt.Println(line) // as the judge's other checks
		default:
			o.say("oracle: %s", line)
		}
	}
}

// verdict is what the oracle writes at the end.
type verdict struct {
	Looks   int `json:"looks"`   // at the bucket, while the fleet was running
	Files   int `json:"files"`   // visible at the end
	Rows    int `json:"rows"`    // in the Parquet files
	Dead    int `json:"dead"`    // dead letters
	Uploads int `json:"uploads"` // unfinished ones of lanes that are read to their end
	Checks  int `json:"checks"`
	Failed  int `json:"failed"`
}

// verdictWithin bounds the verdict: all files are read several times.
const verdictWithin = 5 * time.Minute

// verdict asks for the verdict and waits for it.
func (o *oracle) verdict(ctx context.Context) (v verdict, err error) {
	o.mu.Lock()
	o.asked = true
	o.mu.Unlock()
	if _, err := io.WriteString(o.input, "end\n"); err != nil {
		return v, fmt.Errorf("ask the oracle: %w", err)
	}
	t := time.NewTimer(verdictWithin)
	defer t.Stop()
	select {
	case <-o.done:
	case <-ctx.Done():
		return v, context.Cause(ctx)
	case <-t.C:
		return v, fmt.Errorf("the oracle gave no verdict within %v", verdictWithin)
	}
	b, err := os.ReadFile(o.args[len(o.args)-1])
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	switch {
	case o.err != nil:
		return v, errors.Join(errWrong, o.err)
	case err != nil:
		return v, fmt.Errorf("the oracle's verdict: %w", err)
	case v.Failed > 0 || v.Checks == 0:
		return v, errWrong
	}
	return v, nil
}

// close ends the process if it still runs.
func (o *oracle) close() error {
	o.mu.Lock()
	o.asked = true
	o.mu.Unlock()
	select {
	case <-o.done:
		return nil
	default:
	}
	err := o.cmd.Process.Signal(syscall.SIGKILL)
	<-o.done
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}
