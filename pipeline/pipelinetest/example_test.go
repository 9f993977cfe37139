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

// shop is what a simulation needs besides the pipeline: rows, how to read them
// back, and what must be there in the end.
func shop() pipelinetest.Scenario[order] {
	var orders []order
	for i := range 60 {
		orders = append(orders, order{Number: i, Customer: "customer-" + strconv.Itoa(i%5), Cents: i % 4 * 100})
	}
	return pipelinetest.Scenario[order]{
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
}

// The test of one's own pipeline: three workers, shards that split and merge, and
// everything that can go wrong between them and the world.
func TestOrders(t *testing.T) {
	for seed := range uint64(20) {
		pipelinetest.Run(t, seed, shop())
	}
}

// The pipeline of a simulation is built by the function that builds it in
// production. Its test is
//
//	func TestOrders(t *testing.T) {
//		for seed := range uint64(100) {
//			pipelinetest.Run(t, seed, shop())
//		}
//	}
func Example() {
	s := shop()
	fmt.Println(len(s.Rows), "orders,", s.Workers, "workers,", s.Reshards, "splits and merges")
	// Output: 60 orders, 3 workers, 2 splits and merges
}

// Scenario.Read sees each file that is visible, with the folder it lies in.
func ExampleLines() {
	orders, err := pipelinetest.Lines[order]([]byte(`{"Number":1,"Customer":"a","Cents":100}` + "\n"))
	fmt.Println(orders, err)
	_, err = pipelinetest.Lines[order]([]byte(`{"Number":2,"Cust`))
	fmt.Println(err)
	// Output:
	// [{1 a 100}] <nil>
	// the last line is torn: "{\"Number\":2,\"Cust"
}
