package stateful_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shardlake/shardlake/examples/datasets/datasetstest"
	"github.com/shardlake/shardlake/examples/datasets/stateful"
	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/sink/dir"
	"github.com/shardlake/shardlake/source"
	"github.com/shardlake/shardlake/stage/fold"
)

var hits = []string{
	`{"time":"2015-05-17T10:05:03Z","ip":"10.0.0.1","method":"GET","path":"/","status":200,"bytes":35,"agent":"a"}`,
	`{"time":"2015-05-17T10:05:03Z","ip":"10.0.0.1","method":"GET","path":"/","status":200,"bytes":35,"agent":"a"}`,
	`{"time":"2015-05-17T10:05:59Z","ip":"10.0.0.2","method":"GET","path":"/a","status":304,"bytes":null}`,
	`{"time":"2015-05-17T10:05:09Z","ip":"10.0.0.1","method":"GET","path":"/b","status":404,"bytes":7}`,
}

func TestEachStageHasItsFolder(t *testing.T) {
	s := stateful.Sets()["web-access"]
	rows := datasetstest.Decode(t, s.Codec, append(hits, s.End)...)
	if !rows[4].End() || rows[0].End() {
		t.Errorf("the end is %v, a hit %v", rows[4].End(), rows[0].End())
	}
	lake := datasetstest.Run(t, s.Cut.Build, stateful.Event.When, rows...)
	one, other := `"count":2,"end":"2015-05-17T10:05:10Z","key":"10.0.0.1"`, `"key":"10.0.0.2"`
	datasetstest.Contains(t, lake, "tumbling_avro", 2, strings.Replace(one, ":2", ":3", 1), other)
	datasetstest.Contains(t, lake, "hopping_avro", 6, other)
	datasetstest.Contains(t, lake, "sessions_avro", 2, `"count":3,"end":"2015-05-17T10:05:29Z"`, other)
	datasetstest.Contains(t, lake, "bounded_avro", 2, `"count":3`, other)
	datasetstest.Contains(t, lake, "late_tumbling_avro", 2, one, other)
	datasetstest.Contains(t, lake, "late_hopping_avro", 6, other)
	datasetstest.Contains(t, lake, "panes_avro", 2, `"count":2`, other)
	datasetstest.Contains(t, lake, "parts_avro", 3, `"kind":"404"`)
	datasetstest.Contains(t, lake, "joined_avro", 3, `"kind":"304"`)
	datasetstest.Contains(t, lake, "distinct_avro", 3, `"row":"GET / 200 35"`, `"row":"GET /a 304 -"`)
	datasetstest.Contains(t, lake, "running_avro", 6, `"at":"2015-05-17T14:05:09Z","count":3,"key":"10.0.0.1","quiet":true`)
	datasetstest.Contains(t, lake, "late_avro", 3, `"stage":"late_tumbling"`, `"stage":"panes"`, `"stage":"late_hopping"`)
	datasetstest.Equal(t, lake, "dead_avro")
}

func TestWhatIsOfNoSetIsRefused(t *testing.T) {
	for name, s := range stateful.Sets() {
		t.Run(name, func(t *testing.T) {
			datasetstest.Refuses(t, s.Codec, ``, `{}`, `null`, `[1]`, s.End[:20], s.End+s.End)
		})
	}
}

func TestPartialRowsCanBeMerged(t *testing.T) {
	if err := fold.Check[stateful.Joined](); err != nil {
		t.Error(err)
	}
	if err := fold.Check[stateful.Total](); err != nil {
		t.Error(err)
	}
	q, err := stateful.Queries()
	if err != nil || len(q) != 2 {
		t.Errorf("%d queries, %v", len(q), err)
	}
}

func ExampleCut_Build() {
	folder, err := os.MkdirTemp("", "stateful")
	if err != nil {
		fmt.Println(err)
		return
	}
	at := time.Date(2015, 5, 17, 10, 5, 0, 0, time.UTC)
	events := source.Values(
		stateful.Event{Of: "10.0.0.1", Kind: "200", Row: "GET /", Time: at, Value: 35},
		stateful.Event{Of: "10.0.0.1", Kind: "200", Row: "GET /a", Time: at.Add(time.Minute), Value: 7},
	)
	p := pipeline.New(pipeline.Config{})
	stateful.Sets()["web-access"].Cut.Build(p, events.At(stateful.Event.When), dir.Lake(folder))
	err = p.Run(context.Background())
	files, globErr := filepath.Glob(filepath.Join(folder, "sessions", "*.parquet"))
	fmt.Println(len(files), err, globErr, os.RemoveAll(folder))
	// Output: 1 <nil> <nil> <nil>
}
