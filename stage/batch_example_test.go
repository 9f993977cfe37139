package stage_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/stage"
	"github.com/shardlake/shardlake/stage/stagetest"
)

// A model takes up to 64 texts at a time; what it cannot score is a dead letter.
func ExampleBatch() {
	type scored struct {
		Text  string
		Score float64
	}
	score := stage.Batch(64, func(_ context.Context, texts []string) ([]scored, error) {
		out, refused := make([]scored, len(texts)), stage.RowsError{}
		for i, text := range texts {
			if text == "" {
				refused[i] = shardlake.Reject(errors.New("nothing to score"))
			}
			out[i] = scored{text, float64(strings.Count(text, "!")) / 2}
		}
		if len(refused) > 0 {
			return out, refused
		}
		return out, nil
	})
	lane, err := stagetest.Open(score, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer lane.Close()
	err = errors.Join(
		lane.Push(time.Unix(0, 0), "fine", ""), // gathered
		lane.Push(time.Unix(1, 0), "help!"),
		lane.Mark(shardlake.Mark{Commit: true})) // one call
	fmt.Println(lane.Rows, err)
	fmt.Println(lane.Dead[0].Seq, lane.Dead[0].Reason)
	// Output:
	// [{fine 0} {help! 0.5}] <nil>
	// 2 nothing to score
}

// The same over a network: four calls at once, each with a second and two
// repetitions. What cannot be scored goes to the dead letters.
func ExampleBatchConfig() {
	lengths := func(_ context.Context, texts []string) ([]int, error) { // of a service
		out := make([]int, len(texts))
		for i, text := range texts {
			out[i] = len(text)
		}
		return out, nil
	}
	measure := stage.BatchConfig{
		Size:  64,
		Async: stage.AsyncConfig{Calls: 4, Timeout: time.Second, Retries: 2, GiveUp: shardlake.Reject},
	}.Stage(lengths)
	rows, err := stagetest.Run(measure, "one", "two", "three")
	fmt.Println(rows, err)
	// Output: [3 3 5] <nil>
}
