// Package machine says where a benchmark ran.
package machine

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// Line is the date, the processor, GOMAXPROCS=procs and the version of Go.
func Line(procs string) string {
	return fmt.Sprintf("%s, %s, GOMAXPROCS=%s, %s", time.Now().UTC().Format("2006-01-02"), cpu(), procs, runtime.Version())
}

func cpu() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for l := range strings.Lines(string(b)) {
		if name, ok := strings.CutPrefix(l, "model name"); ok {
			return strings.TrimSpace(strings.TrimLeft(name, "\t :"))
		}
	}
	return runtime.GOARCH
}
