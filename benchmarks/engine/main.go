// Command engine asks what the engine costs: the same functions run in a plain
// hand-written loop and in a pipeline, in turn in one process, and the CPU time
// per record is compared as ratios. It prints Markdown.
//
//	cases      hand loop                        engine
//	bare       filter, map, map over rows       the same as stages, rows from memory
//	json       encoding/json in front           the same
//	parquet    filter, map, parquet zstd        the same, into files, committed
//
// Times are of the whole process, user and system, garbage collection included.
// Each figure is the median of all rounds.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"syscall"

	"github.com/shardlake/shardlake/benchmarks/machine"
)

// side is one way to do the work. It returns how many rows came out, which must
// be the same for both sides of a case.
type side func() (rows int64, err error)

type contest struct {
	name         string
	records      int
	hand, engine side
}

func main() {
	rounds := flag.Int("rounds", 15, "rounds of each case")
	records := flag.Int("records", 200_000, "records of a round")
	stream := flag.Int("stream", 0, "only run a pipeline over so many generated records, and print its peak memory in bytes: alive, resident")
	flag.Parse()
	if *stream > 0 {
		live, resident, err := streamed(*stream)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(live, resident)
		return
	}
	if err := report(context.Background(), *rounds, *records); err != nil {
		log.Fatal(err)
	}
}

func report(ctx context.Context, rounds, records int) error {
	fmt.Printf("# Engine against hand loop\n\n")
	fmt.Printf("%s\n\n", machine.Line(fmt.Sprint(runtime.GOMAXPROCS(0))))
	fmt.Printf("Command: `make bench` (%d rounds, %d records a round; hand loop and engine in turn in one process)\n\n", rounds, records)
	fmt.Printf("CPU ns per record; medians of the rounds, and the median of their ratios with the least and the most.\n\n")
	fmt.Printf("| case | hand loop | engine | engine / hand loop |\n|---|--:|--:|--:|\n")
	cases, err := contests(records)
	if err != nil {
		return err
	}
	for _, c := range cases {
		if err := c.run(rounds); err != nil {
			return err
		}
	}
	fmt.Printf("\nPeak memory of a pipeline from generated JSON to Parquet and Avro files, budget 64 MiB, in a process of its own.\n")
	fmt.Printf("Alive is what a garbage collection found; resident is everything, with what is not yet collected.\n\n")
	fmt.Printf("| records | alive, MiB | resident, MiB |\n|--:|--:|--:|\n")
	for _, n := range []int{500_000, 2_000_000, 8_000_000} {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		out, err := exec.CommandContext(ctx, self, "-stream", strconv.Itoa(n)).Output()
		if err != nil {
			return fmt.Errorf("the run over %d records: %w", n, err)
		}
		var live, resident float64
		if _, err := fmt.Sscan(string(out), &live, &resident); err != nil {
			return err
		}
		fmt.Printf("| %d | %.0f | %.0f |\n", n, live/(1<<20), resident/(1<<20))
	}
	return nil
}

// run measures both sides in turn and prints a row.
func (c contest) run(rounds int) error {
	var hand, engine, ratios []float64
	for i := range rounds + 1 {
		h, rows, err := measure(c.hand)
		if err != nil {
			return fmt.Errorf("%s, hand loop: %w", c.name, err)
		}
		e, same, err := measure(c.engine)
		if err != nil {
			return fmt.Errorf("%s, engine: %w", c.name, err)
		}
		if rows != same || rows == 0 {
			return fmt.Errorf("%s: the hand loop gives %d rows, the engine %d: they do not do the same work", c.name, rows, same)
		}
		if i == 0 {
			continue // warms caches and grows the heap
		}
		n := float64(c.records)
		hand, engine, ratios = append(hand, h/n), append(engine, e/n), append(ratios, e/h)
	}
	h, e, r := median(hand), median(engine), median(ratios)
	fmt.Printf("| %s | %.1f | %.1f | %.3f (%.3f to %.3f) |\n", c.name, h, e, r, slices.Min(ratios), slices.Max(ratios))
	return nil
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}

// measure returns the CPU time of a side in nanoseconds.
func measure(f side) (float64, int64, error) {
	runtime.GC()
	before, err := cpuTime()
	if err != nil {
		return 0, 0, err
	}
	rows, err := f()
	if err != nil {
		return 0, 0, err
	}
	after, err := cpuTime()
	return float64(after - before), rows, err
}

func cpuTime() (int64, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, err
	}
	return u.Utime.Nano() + u.Stime.Nano(), nil
}
