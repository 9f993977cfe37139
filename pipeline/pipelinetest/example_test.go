package pipelinetest_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/shardlake/shardlake/pipeline"
	"github.com/shardlake/shardlake/pipeline/pipelinetest"
	"github.com/shardlake/shardlake/sink"
	"github.com/shardlake/shardlake/source"
	"github.com/shardlake/shardlake/stage"
)

type order struct {
	Number   int
	Customer string
	Cents    int
}

// build is the pipeline as it runs in production; there, its folder comes from a
// bucket and its format is parquet.Format.
func build(p *pipeline.Pipeline, src source.Source[order], lake func(prefix string) sink.Folder) {
	p.Read(src).Via(stage.Filter(func(o order) bool { return o.Cents > 0 })).Write(lake("orders"), pipelinetest.JSON)
}

// A test of one's own pipeline: three workers, shards that split and merge, and
// everything that can go wrong between them and the world.
func Example() {
	var orders []order
	for i := range 60 {
		orders = append(orders, order{Number: i, Customer: "customer-" + strconv.Itoa(i%5), Cents: i % 4 * 100})
	}
	mine := pipelinetest.Scenario[order]{
		Rows: orders, Build: build, Workers: 3, Reshards: 2,
		Key: func(o order) string { return o.Customer },
		At:  func(o order) time.Time { return time.Unix(int64(o.Number), 0) },
		Read: func(folder string, file []byte) (rows []pipelinetest.Row, err error) {
			found, err := pipelinetest.Lines[order](file)
			for _, o := range found {
				rows = append(rows, pipelinetest.Row{ID: strconv.Itoa(o.Number), Key: o.Customer, Order: int64(o.Number)})
			}
			return rows, err
		},
		Want: func(shards []pipelinetest.Shard[order]) map[string]int64 {
			want := map[string]int64{}
			for _, s := range shards {
				for _, o := range s.Rows {
					if o.Cents > 0 {
						want[strconv.Itoa(o.Number)] = 1
					}
				}
			}
			return want
		},
	}
	tests := []testing.InternalTest{{Name: "TestOrders", F: func(t *testing.T) {
		for seed := range uint64(5) {
			pipelinetest.Run(t, seed, mine)
		}
	}}}
	fmt.Println("passed:", testing.RunTests(func(string, string) (bool, error) { return true, nil }, tests))
	// Output: passed: true
}
