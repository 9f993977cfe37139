// Command state asks what a stage's state costs: Aggregate, Dedup and Keyed with 1,
// 10,000 and 1,000,000 live keys, in a pipeline with a lease store and a lake in a
// folder, less the same pipeline without the stage. It prints Markdown.
//
//	keys=N      every key once, then a part of the keys between two commits, then a stop;
//	            a second process takes the states up, reads on and closes the windows
//	commits=N   10,000 live keys, of which none lives for long, over two lengths
//
// Each side runs in a process of its own, the sides take turns within a round.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"log"
	"os"
)

func main() {
	var j job
	flag.StringVar(&j.side, "side", "", "be one process of this side, and print what it measured in JSON")
	flag.StringVar(&j.plan, "plan", "", "over this stream: keys=N or commits=N")
	flag.StringVar(&j.folder, "folder", "", "in this folder")
	flag.BoolVar(&j.resume, "resume", false, "go on where a process of the same side and stream stopped in the folder")
	flag.StringVar(&j.profile, "profile", "", "write a CPU profile of the process into this file")
	rounds := flag.Int("rounds", 3, "rounds")
	flag.Parse()
	if err := run(context.Background(), j, *rounds); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, j job, rounds int) error {
	switch {
	case j.side != "" && j.folder == "":
		return errors.New("want -folder with -side")
	case j.side != "":
		out, err := j.run(ctx)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(out)
	case rounds < 1:
		return errors.New("want at least 1 round")
	}
	return report(ctx, os.Stdout, rounds)
}
