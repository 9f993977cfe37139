package stage_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/shardlake/shardlake"
	"github.com/shardlake/shardlake/stage"
	"github.com/shardlake/shardlake/stage/stagetest"
)

// A service that fails now and then is asked again; a row that it never answers
// becomes a dead letter. All lanes together make at most 100 calls at once.
func ExampleAsyncConfig() {
	var calls atomic.Int64
	country := func(_ context.Context, address string) (string, error) {
		switch {
		case address == "203.0.113.9":
			return "", errors.New("no route")
		case calls.Add(1) == 1:
			return "", errors.New("try again")
		}
		return address + " is in NL", nil
	}
	lookUp := stage.AsyncConfig{
		Timeout: time.Second,
		Retries: 2,
		Backoff: time.Millisecond,
		Shared:  stage.NewLimit(100),
		Retry:   func(err error) bool { return err.Error() != "no route" },
		GiveUp:  shardlake.Reject,
	}.Stage(country)
	lane, err := stagetest.Open(lookUp, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer lane.Close()
	err = errors.Join(lane.Push(time.Unix(0, 0), "192.0.2.1", "203.0.113.9", "192.0.2.2"),
		lane.Mark(shardlake.Mark{Commit: true}))
	fmt.Println(lane.Rows, err)
	fmt.Println(len(lane.Dead), "dead letter of record", lane.Dead[0].Seq)
	// Output:
	// [192.0.2.1 is in NL 192.0.2.2 is in NL] <nil>
	// 1 dead letter of record 2
}
