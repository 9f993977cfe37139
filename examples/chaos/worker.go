//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/shardlake/shardlake/examples/chaos/proxy"
)

// slot is a place in the fleet: one process after the other, each over the same
// three proxies.
type slot struct {
	fleet   *fleet
	group   *group
	index   int
	proxies map[service]*proxy.Proxy

	mu      sync.Mutex
	busy    bool // a fault is being done to it
	lives   int
	life    *life                 // nil between two processes
	trouble map[service]time.Time // until when it may wait for a service because of a fault
}

// longestWait bounds the waits of a worker between two tries of a call.
const longestWait = 20 * time.Second

// disturb begins a fault of the way to a service and returns what ends it. A worker
// whose calls failed waits for about as long as they did before it tries again.
func (s *slot) disturb(svc service, f proxy.Fault) (end func()) {
	began := time.Now()
	s.proxies[svc].Set(f)
	s.wait(svc, began.Add(longestWait))
	return sync.OnceFunc(func() {
		s.proxies[svc].Set(proxy.Fault{Mode: proxy.Pass})
		s.wait(svc, time.Now().Add(min(longestWait, 2*time.Since(began))))
	})
}

// wait notes until when the worker may wait for a service.
func (s *slot) wait(svc service, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble[svc] = until
}

// troubled tells whether a fault may still keep the worker from committing.
func (s *slot) troubled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	return slices.ContainsFunc(s.group.needs, func(svc service) bool { return now.Before(s.trouble[svc]) })
}

// life is one process of a slot.
type life struct {
	name  string
	cmd   *exec.Cmd
	input io.Closer
	log   string
	done  chan struct{} // closed when the process has ended
	err   error         // what Wait said; to be read after done

	mu       sync.Mutex
	expected bool // to end
}

// start begins a process.
func (s *slot) start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lives++
	f := s.fleet
	g := s.group
	l := &life{name: fmt.Sprintf("%sw%d-%d", g.name, s.index+1, s.lives), done: make(chan struct{})}
	l.log = filepath.Join(f.dir, l.name+".log")
	out, err := os.Create(l.log)
	if err != nil {
		return err
	}
	args := append(g.join("http://"+f.kinesis, s.proxies[toKinesis].Addr()),
		"-name", l.name, "-stream", g.stream, "-table", g.table, "-bucket", f.bucket,
		"-kinesis", "http://"+s.proxies[toKinesis].Addr(), "-dynamodb", "http://"+s.proxies[toDynamo].Addr(),
		"-s3", f.s3, "-s3-via", s.proxies[toS3].Addr(),
		"-lease", f.times.lease.String(), "-commit", f.times.commit.String(), "-stop", f.times.stop.String(),
		"-hand-over", f.times.handOver.String(), "-poll", "200ms", "-discover", "5s")
	l.cmd = exec.CommandContext(context.Background(), f.binary, args...)
	l.cmd.Stdout, l.cmd.Stderr = out, out
	l.cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+accessKey, "AWS_SECRET_ACCESS_KEY="+secretKey)
	// Its own process group: Ctrl-C is for the driver, which then stops the workers.
	l.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if l.input, err = l.cmd.StdinPipe(); err == nil {
		err = l.cmd.Start()
	}
	if err := errors.Join(err, out.Close()); err != nil {
		return err
	}
	s.life = l
	go func() {
		l.err = l.cmd.Wait()
		close(l.done)
		l.mu.Lock()
		expected := l.expected
		l.mu.Unlock()
		if !expected {
			f.blame("worker %s ended by itself (%v): %s", l.name, l.err, l.lastLine())
		}
	}()
	return nil
}

// current returns the process of the slot that runs now, or nil.
func (s *slot) current() *life {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.life == nil {
		return nil
	}
	select {
	case <-s.life.done:
		return nil
	default:
		return s.life
	}
}

// signal sends a signal to the process, which is known to be the one: it has not
// been waited for.
func (l *life) signal(sig syscall.Signal) error {
	if err := l.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("%v to worker %s: %w", sig, l.name, err)
	}
	return nil
}

// kill ends the process at once.
func (l *life) kill() error {
	l.expect()
	err := l.signal(syscall.SIGKILL)
	<-l.done
	return err
}

// stop asks the process to end and waits; it kills after within. It returns how
// long it took and the exit code, -1 for a process that had to be killed.
func (l *life) stop(within time.Duration) (time.Duration, int, error) {
	l.expect()
	began := time.Now()
	if err := l.signal(syscall.SIGTERM); err != nil {
		return 0, -1, err
	}
	t := time.NewTimer(within)
	defer t.Stop()
	select {
	case <-l.done:
		return time.Since(began), l.cmd.ProcessState.ExitCode(), nil
	case <-t.C:
		return time.Since(began), -1, l.kill()
	}
}

// expect says that the process may end.
func (l *life) expect() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expected = true
}

// lastLine is the last that the process wrote.
func (l *life) lastLine() string {
	b, err := os.ReadFile(l.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return lines[len(lines)-1]
}
