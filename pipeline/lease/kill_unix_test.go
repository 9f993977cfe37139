//go:build unix

package lease_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/shardlake/shardlake/pipeline/lease"
)

// The test binary is started again as the other process: with the folder in
// these variables it opens it, or commits to it until it is killed.
const (
	openEnv   = "LEASE_TEST_OPEN"
	commitEnv = "LEASE_TEST_COMMIT"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(openEnv); dir != "" {
		_, err := lease.OpenFile(dir)
		fmt.Printf("%v\nlocked %t\n", err, errors.Is(err, lease.ErrLocked))
		os.Exit(0) // without Close: the lock ends with the process
	}
	if dir := os.Getenv(commitEnv); dir != "" {
		fmt.Println(commitForEver(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func again(t *testing.T, env, dir string) *exec.Cmd {
	c := exec.CommandContext(t.Context(), os.Args[0])
	c.Env = append(os.Environ(), env+"="+dir)
	return c
}

func TestFileSecondProcessIsRefused(t *testing.T) {
	dir := t.TempDir()
	f := openFile(t, dir)
	out, err := again(t, openEnv, dir).CombinedOutput()
	check(t, err)
	if !strings.Contains(string(out), "locked true") || !strings.Contains(string(out), dir) {
		t.Errorf("while open here: %s", out)
	}
	check(t, f.Close())
	for range 2 {
		out, err = again(t, openEnv, dir).CombinedOutput()
		check(t, err)
		if string(out) != "<nil>\nlocked false\n" {
			t.Errorf("after Close: %s", out)
		}
	}
	openFile(t, dir)
}

// A child that outlives the process must not hold on to the lock.
func TestFileLockIsNotInherited(t *testing.T) {
	dir := t.TempDir()
	f := openFile(t, dir)
	child := exec.CommandContext(t.Context(), "cat")
	in, err := child.StdinPipe()
	check(t, err)
	check(t, child.Start())
	check(t, f.Close())
	openFile(t, dir)
	check(t, in.Close())
	check(t, child.Wait())
}

// commitForEver commits, with a state that follows from the number and is long
// enough to be torn, and says so after each commit and each clear. The segments of
// the last commits are carried over.
func commitForEver(dir string) error {
	f, err := lease.OpenFile(dir)
	if err != nil {
		return err
	}
	ctx := context.Background()
	if err := f.Create(ctx, lease.Row{Lane: "a"}); err != nil {
		return err
	}
	seen, err := f.Get(ctx, "a")
	if err != nil {
		return err
	}
	r, err := f.Acquire(ctx, seen, "child", lease.NewID())
	if err != nil {
		return err
	}
	fmt.Printf("%d %d %d\n", r.Number, r.Fence, len(r.Pending))
	for {
		r = after(r)
		r.State = map[string][]byte{}
		for n := range carriedAt(r.Number) {
			r.State[fmt.Sprint(n)] = nil
		}
		r.State[fmt.Sprint(r.Number)] = state(r.Number)
		if err := f.Commit(ctx, r); err != nil {
			return err
		}
		fmt.Printf("%d %d 1\n", r.Number, r.Fence)
		if err := f.Clear(ctx, r); err != nil {
			return err
		}
		fmt.Printf("%d %d 0\n", r.Number, r.Fence)
	}
}

// carriedAt are the commits whose segments commit n carries over: up to five, and
// none at all now and then.
func carriedAt(n uint64) iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		for m := n - n%6; m < n; m++ {
			if m > 0 && !yield(m) {
				return
			}
		}
	}
}

func state(n uint64) []byte {
	if n%3 == 0 {
		return fmt.Appendf(nil, "small %d", n) // lies in the row
	}
	return []byte(strings.Repeat(strconv.FormatUint(n, 10)+",", 5000+int(n*7919%5000)))
}

// TestFileKilled kills a process in the middle of its writes. The row it leaves
// is one that was written, and not older than the last one it was told of.
func TestFileKilled(t *testing.T) {
	dir := t.TempDir()
	var fence, number uint64
	for round := range 15 {
		c := again(t, commitEnv, dir)
		pipe, err := c.StdoutPipe()
		check(t, err)
		check(t, c.Start())
		out := bufio.NewReader(pipe)
		for range 1 + rand.IntN(20) {
			if _, err := out.Peek(1); err != nil {
				break // it ended by itself; the check below says what it wrote
			}
			if line, err := out.ReadString('\n'); err == nil {
				fence, number, _ = progress(t, line, fence, number)
			}
		}
		for spin := rand.IntN(3_000_000); spin > 0; spin-- { // somewhere inside a write
			if spin%4096 == 0 {
				syscall.Getpid()
			}
		}
		check(t, c.Process.Signal(syscall.SIGKILL))
		rest, err := io.ReadAll(out)
		check(t, err)
		pending := -1
		for line := range strings.Lines(string(rest)) {
			if strings.HasSuffix(line, "\n") {
				fence, number, pending = progress(t, line, fence, number)
			}
		}
		if err := c.Wait(); c.ProcessState.ExitCode() != -1 {
			t.Fatalf("round %d: not killed but ended: %v, %s", round, err, rest)
		}

		f := openFile(t, dir)
		r := row(t, f, "a")
		if r.Fence != fence || r.Number != number && r.Number != number+1 {
			t.Fatalf("round %d: row %d of fence %d, acknowledged were %d of %d", round, r.Number, r.Fence, number, fence)
		}
		if r.Number == number && pending == 0 && len(r.Pending) != 0 {
			t.Fatalf("round %d: a cleared list is back", round)
		}
		if want := strconv.FormatUint(r.Number*10, 10); r.Number > 0 && r.Pos.Seq != want {
			t.Fatalf("round %d: row %d is a mixture: position %v", round, r.Number, r.Pos)
		}
		wantStates(t, r.Number, r.State)
		if r.Prev != nil {
			wantStates(t, r.Number-1, r.Prev.State)
		}
		wantFiles(t, dir, r)
		number = r.Number
		check(t, f.Close())
	}
	if number == 0 {
		t.Error("nothing was committed")
	}
}

// wantStates wants the segments of commit n, whole.
func wantStates(t *testing.T, n uint64, got map[string][]byte) {
	t.Helper()
	want := map[string][]byte{}
	if n > 0 {
		want[fmt.Sprint(n)] = state(n)
		for m := range carriedAt(n) {
			want[fmt.Sprint(m)] = state(m)
		}
	}
	if !maps.EqualFunc(got, want, bytes.Equal) {
		t.Fatalf("commit %d has the segments %q, want %q whole", n, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
}

// wantFiles wants the files of segments to be those that the row names.
func wantFiles(t *testing.T, dir string, r lease.Row) {
	t.Helper()
	large := map[string]bool{}
	all := []map[string][]byte{r.State}
	if r.Prev != nil {
		all = append(all, r.Prev.State)
	}
	for _, state := range all {
		for n, b := range state {
			if len(b) > 4<<10 {
				large[n] = true
			}
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	check(t, err)
	if len(files) != len(large) {
		t.Fatalf("after commit %d there are the files %q for %d large segments", r.Number, files, len(large))
	}
}

// progress reads "number fence pending" and wants it not to go back.
func progress(t *testing.T, line string, fence, number uint64) (uint64, uint64, int) {
	t.Helper()
	var n, fe uint64
	var pending int
	if _, err := fmt.Sscanf(line, "%d %d %d\n", &n, &fe, &pending); err != nil {
		t.Fatalf("the child says %q: %v", line, err)
	}
	if fe < fence || n < number {
		t.Fatalf("the child went back to %d of fence %d from %d of %d", n, fe, number, fence)
	}
	return fe, n, pending
}
