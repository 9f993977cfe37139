package round

import (
	"errors"
	"fmt"
	"os"
	"runtime/pprof"
	"strings"
	"syscall"
)

// profiled begins a CPU profile, unless there is no file for it, and returns what
// ends it.
func profiled(file string) (end func() error, err error) {
	if file == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error { pprof.StopCPUProfile(); return f.Close() }, nil
}

// peakMemory reads VmHWM where there is one; elsewhere what getrusage says.
func peakMemory() (int64, error) {
	if b, err := os.ReadFile("/proc/self/status"); err == nil {
		for l := range strings.Lines(string(b)) {
			var kib int64
			if _, err := fmt.Sscanf(l, "VmHWM: %d kB", &kib); err == nil {
				return kib << 10, nil
			}
		}
	}
	var u syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u.Maxrss, err
}
